/**
 * The registry: the one list of jobs. Every schedule stands here once; `vercel.json`, the cron
 * routes, the HTTP API and the workers are held against it.
 */
import { analytics } from './analytics/job.ts';
import { dmQueue } from './dm/job.ts';
import type { JobDefinition } from './jobs/index.ts';
import { isSchedule } from './jobs/schedule.ts';
import { postScheduler } from './posts/job.ts';
import { createReconcileJob } from './sending/index.ts';

const reconcile = createReconcileJob([
  async () => (await import('./dm/dm-outbox.ts')).createDmOutbox,
  async () => (await import('./posts/post-outbox.ts')).createPostOutbox,
]);

export const jobs: readonly JobDefinition[] = [dmQueue, postScheduler, reconcile, analytics];

/** The job called `name`, or undefined. */
export function findJob(name: string): JobDefinition | undefined {
  return jobs.find((job) => job.name === name);
}

/**
 * The jobs with other schedules, for development and tests, where a quarter of an hour is long.
 *
 * @param overrides e.g. `dm-queue=0,20,40 * * * * *`; several are separated by semicolons
 * @throws {RangeError} on a job that does not exist, and on what is no schedule
 */
export function jobsWithSchedules(overrides: string | undefined): readonly JobDefinition[] {
  const schedules = new Map(
    (overrides ?? '')
      .split(';')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
      .map((entry) => {
        const [name = '', schedule = ''] = entry.split(/=(.*)/, 2);
        return [name.trim(), schedule.trim()] as const;
      }),
  );
  for (const [name, schedule] of schedules) {
    if (!findJob(name)) throw new RangeError(`JOB_SCHEDULES names a job that does not exist: ${name}`);
    if (!isSchedule(schedule)) throw new RangeError(`JOB_SCHEDULES gives ${name} no cron expression`);
  }
  return jobs.map((job) => ({ ...job, schedule: schedules.get(job.name) ?? job.schedule }));
}
