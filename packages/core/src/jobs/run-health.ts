/** Whether a job's runs are as they should be, from what is known of its last one. Pure. */
import { isEnded, type Run, workedMs } from './run.ts';
import { currentSlot, EARLY_MS_MAX } from './schedule.ts';

/** How long after its slot a run may appear before the slot counts as missed, in milliseconds. */
const LATE_MS_MIN = 3 * 60_000;

/**
 * How long a run has been at work when what the one before it came to no longer says how the job
 * is, in milliseconds: so long at least, and longer than that one was at work.
 */
const PROVEN_MS_MIN = 10 * 60_000;
const LONGER_MS = 2 * 60_000;

/** Why `run_recover` gives up on a run, in its words. */
export const GIVEN_UP = {
  notBegun: 'no worker took it up',
  silent: 'its worker went away: no heartbeat',
} as const;

/** How old the last sign of life of a running run may be, in milliseconds. */
const SILENT_MS_MIN = 2 * 60_000;

/**
 * The latest slot that is past its grace, if the job's last run does not answer for it; null if all
 * is well. One whose grace still lasts says nothing of the one before.
 *
 * @param lastRun null for a job that has never run: it is new here, and its first slot may be to come
 */
export function missedSlot(
  schedule: string,
  lastRun: Pick<Run, 'status' | 'scheduled_for' | 'requested_at' | 'finished_at'> | null,
  now: Date,
): Date | null {
  const slot = currentSlot(schedule, new Date(now.getTime() - LATE_MS_MIN - EARLY_MS_MAX));
  return slot === null || lastRun === null || covers(lastRun, slot) ? null : slot;
}

/** A run answers for its own slot, and for the slots that came while it was active. */
function covers(
  run: Pick<Run, 'status' | 'scheduled_for' | 'requested_at' | 'finished_at'>,
  slot: Date,
): boolean {
  if (!isEnded(run)) return true;
  return [run.scheduled_for ?? run.requested_at, run.finished_at ?? run.requested_at].some(
    (instant) => Date.parse(instant) >= slot.getTime(),
  );
}

/**
 * The run that says how a job ends: the last one that ended by itself, unless a later one has been
 * at work for a while. One that has only begun says nothing yet: what fails at each slot would be
 * mended at each slot.
 */
export function lastEnd(ended: Run | null, last: Run | null, now: Date): Run | null {
  if (ended === null || last?.status !== 'running' || silentMs(last, now) !== null) return ended;
  const provenMs = Math.max(PROVEN_MS_MIN, (workedMs(ended, now) ?? 0) + LONGER_MS);
  return (workedMs(last, now) ?? 0) >= provenMs ? null : ended;
}

/** How long a running run has given no sign of life, in milliseconds; null if it does. */
export function silentMs(run: Pick<Run, 'status' | 'heartbeat_at'>, now: Date): number | null {
  if (run.status !== 'running') return null;
  const ms = now.getTime() - Date.parse(run.heartbeat_at);
  return ms >= SILENT_MS_MIN ? ms : null;
}
