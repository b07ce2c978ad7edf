import { describe, expect, it } from 'vitest';
import { findJob, jobs, jobsWithSchedules } from '../src/registry.ts';

const scheduleOf = (overrides: string | undefined): string | undefined =>
  jobsWithSchedules(overrides).find(({ name }) => name === 'dm-queue')?.schedule;

describe('jobs', () => {
  it('have names of their own, schedules of five fields, and handlers that load', async () => {
    expect(new Set(jobs.map(({ name }) => name)).size).toBe(jobs.length);
    for (const job of jobs) {
      expect(job.name).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(job.schedule.split(' ')).toHaveLength(5);
      expect(job.summary).toMatch(/\.$/);
      expect(await job.loadHandler()).toBeTypeOf('function');
    }
  });

  it('the queue is worked on every 15 minutes', () => {
    expect(findJob('dm-queue')?.schedule).toBe('*/15 * * * *');
  });

  it.each(['', 'dm_queue', 'DM-QUEUE', 'constructor'])('there is no job "%s"', (name) => {
    expect(findJob(name)).toBeUndefined();
  });
});

describe('jobsWithSchedules', () => {
  it.each([
    { overrides: undefined, schedule: '*/15 * * * *' },
    { overrides: '', schedule: '*/15 * * * *' },
    { overrides: ' ; ', schedule: '*/15 * * * *' },
    { overrides: 'dm-queue=*/20 * * * * *', schedule: '*/20 * * * * *' },
    { overrides: ' dm-queue = * * * * * ; ', schedule: '* * * * *' },
  ])('"$overrides" → $schedule', ({ overrides, schedule }) => {
    expect(scheduleOf(overrides)).toBe(schedule);
  });

  it('leaves the registry itself as it is', () => {
    jobsWithSchedules('dm-queue=* * * * *');
    expect(findJob('dm-queue')?.schedule).toBe('*/15 * * * *');
  });

  it.each(['no-such-job=* * * * *', 'dm-queue=* * * * *;nope=1'])('"%s" is refused', (overrides) => {
    expect(() => jobsWithSchedules(overrides)).toThrow(RangeError);
  });

  it.each(['dm-queue', 'dm-queue=', 'dm-queue=every minute', 'dm-queue=61 * * * *'])(
    '"%s" is no schedule, and is refused at once rather than at its first slot',
    (overrides) => {
      expect(() => jobsWithSchedules(overrides)).toThrow(RangeError);
    },
  );
});
