/** Whether the system is well, from what its API says. Pure: the current instant is an argument. */
import { missedSlot, silentMs } from '@revos/core/jobs';
import { instant, onOneLine } from './output/words.ts';
import type { Job, Sending } from './shapes.ts';

export interface SystemFacts {
  /** What keeps the service from its work; null if nothing does. */
  readonly notReady: string | null;
  readonly jobs: readonly Job[];
  readonly sending: Sending;
}

/** What is wrong, a sentence each; none if all is well. */
export function troubles({ notReady, jobs, sending }: SystemFacts, now: Date): string[] {
  return [
    ...(notReady === null ? [] : [`The service is not ready: ${onOneLine(notReady)}`]),
    ...(sending.paused ? ['All sending is paused.'] : []),
    ...jobs.flatMap((job) => jobTroubles(job, now)),
  ];
}

function jobTroubles({ name, schedule, last_run: run }: Job, now: Date): string[] {
  // A job that has never run is new here: its first slot may be to come.
  if (run === null) return [];
  const missed = missedSlot(schedule, run, now);
  return [
    ...(run.status === 'failed'
      ? [`The last run of ${name} failed${run.error === null ? '' : `: ${onOneLine(run.error)}`}`]
      : []),
    ...(silentMs(run, now) !== null
      ? [`The run of ${name} has given no sign of life since ${instant(run.heartbeat_at)}.`]
      : []),
    ...(missed === null ? [] : [`The slot of ${name} of ${instant(missed.toISOString())} was missed.`]),
  ];
}
