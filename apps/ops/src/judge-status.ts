/** Whether the system is well, from what its API says. Pure: the current instant is an argument. */
import { currentSlot, isEnded } from '@revos/core/jobs';
import { instant, onOneLine } from './output/words.ts';
import type { Job, Run, Sending } from './shapes.ts';

/** How long after its slot a run may appear before the slot counts as missed, in milliseconds. */
const LATE_MS_MIN = 3 * 60_000;

/** How old the last sign of life of a running run may be, in milliseconds. */
const SILENT_MS_MIN = 2 * 60_000;

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
  const slot = currentSlot(schedule, now);
  const isMissed = slot !== null && now.getTime() - slot.getTime() >= LATE_MS_MIN && !covers(run, slot);
  return [
    ...(run.status === 'failed'
      ? [`The last run of ${name} failed${run.error === null ? '' : `: ${onOneLine(run.error)}`}`]
      : []),
    ...(isSilent(run, now)
      ? [`The run of ${name} has given no sign of life since ${instant(run.heartbeat_at)}.`]
      : []),
    ...(isMissed ? [`The slot of ${name} of ${instant(slot.toISOString())} was missed.`] : []),
  ];
}

/** A run answers for its own slot, and for the slots that came while it was active. */
function covers(run: Run, slot: Date): boolean {
  if (!isEnded(run)) return true;
  return [run.scheduled_for ?? run.requested_at, run.finished_at ?? run.requested_at].some(
    (at) => Date.parse(at) >= slot.getTime(),
  );
}

const isSilent = (run: Run, now: Date): boolean =>
  run.status === 'running' && now.getTime() - Date.parse(run.heartbeat_at) >= SILENT_MS_MIN;
