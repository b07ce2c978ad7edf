/** What a job shows of itself: its last run, its next slot, and whether a slot was missed. Pure. */
import { currentSlot, isEnded, nextSlot, type Run } from '@revos/core/jobs';
import type { Overview } from '../jobs-api/read.ts';
import type { Job } from '../jobs-api/shapes.ts';

/** How long after its slot a run may appear before the slot counts as missed, in milliseconds. */
const LATE_MS_MIN = 3 * 60_000;

/** How old the last sign of life of a running run may be, in milliseconds. */
const SILENT_MS_MIN = 2 * 60_000;

export interface JobState {
  readonly lastRun: Run | null;
  readonly nextSlot: Date | null;
  /** The slot for which no run was made, though it is past its grace; null if all is well. */
  readonly missedSlot: Date | null;
}

export function jobState(job: Job, runs: readonly Run[], now: Date): JobState {
  const lastRun = job.last_run ?? runs.find((run) => run.job === job.name) ?? null;
  const slot = slotBefore(job.schedule, now);
  const isLate = slot !== null && now.getTime() - slot.getTime() >= LATE_MS_MIN;
  return {
    lastRun,
    nextSlot: slotAfter(job.schedule, now),
    missedSlot: isLate && lastRun !== null && !covers(lastRun, slot) ? slot : null,
  };
}

/** A run answers for its own slot, and for the slots that came while it was active. */
function covers(run: Run, slot: Date): boolean {
  if (!isEnded(run)) return true;
  return [run.scheduled_for ?? run.requested_at, run.finished_at ?? run.requested_at].some(
    (instant) => Date.parse(instant) >= slot.getTime(),
  );
}

function slotBefore(schedule: string, now: Date): Date | null {
  try {
    return currentSlot(schedule, now);
  } catch {
    return null; // A schedule that this version cannot read is shown, not computed.
  }
}

function slotAfter(schedule: string, now: Date): Date | null {
  try {
    return nextSlot(schedule, now);
  } catch {
    return null;
  }
}

export function activeRuns({ runs, jobs }: Overview): readonly Run[] {
  const known = new Map<string, Run>();
  for (const run of [...runs, ...jobs.flatMap((job) => job.last_run ?? [])]) known.set(run.id, run);
  return [...known.values()].filter((run) => !isEnded(run));
}

/** How long a running run has given no sign of life, in milliseconds; null if it does. */
export function silentMs(run: Run, now: Date): number | null {
  if (run.status !== 'running') return null;
  const ms = now.getTime() - Date.parse(run.heartbeat_at);
  return ms >= SILENT_MS_MIN ? ms : null;
}
