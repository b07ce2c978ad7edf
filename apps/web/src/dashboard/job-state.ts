/** What a job shows of itself: its last run and its next slot. Pure. */
import { isEnded, nextSlot, type Run } from '@revos/core/jobs';
import type { Overview } from '../jobs-api/read.ts';
import type { Job } from '../jobs-api/shapes.ts';

export interface JobState {
  readonly lastRun: Run | null;
  readonly nextSlot: Date | null;
}

export function jobState(job: Job, runs: readonly Run[], now: Date): JobState {
  const lastRun = job.last_run ?? runs.find((run) => run.job === job.name) ?? null;
  return {
    lastRun,
    nextSlot: ifReadable(() => nextSlot(job.schedule, now)),
  };
}

function ifReadable(slot: () => Date | null): Date | null {
  try {
    return slot();
  } catch {
    return null; // A schedule that this version cannot read is shown, not computed.
  }
}

export function activeRuns({ runs, jobs }: Overview): readonly Run[] {
  const known = new Map<string, Run>();
  for (const run of [...runs, ...jobs.flatMap((job) => job.last_run ?? [])]) known.set(run.id, run);
  return [...known.values()].filter((run) => !isEnded(run));
}
