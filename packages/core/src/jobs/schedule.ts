/**
 * Slots: the instants at which a job's schedule asks for a run.
 *
 * A slot names a run: whoever asks for it, and however often, gets the same one.
 */
import { Cron } from 'croner';

/**
 * How far ahead of its slot a trigger may arrive, in milliseconds. Two machines' clocks differ: a
 * trigger of 10:00 that arrives at 09:59:59 means 10:00, not the slot before.
 */
export const EARLY_MS_MAX = 5_000;

const cronOf = (schedule: string): Cron => new Cron(schedule, { timezone: 'UTC', paused: true });

/** Whether `schedule` is a cron expression of 5 fields, or of 6 with seconds first. */
export function isSchedule(schedule: string): boolean {
  if (![5, 6].includes(schedule.trim().split(/\s+/).length)) return false;
  try {
    cronOf(schedule);
    return true;
  } catch {
    return false;
  }
}

/** The latest slot at or before `now` (plus `EARLY_MS_MAX`), or null if the schedule has none. */
export function currentSlot(schedule: string, now: Date): Date | null {
  const reference = new Date(now.getTime() + EARLY_MS_MAX + 1);
  return cronOf(schedule).previousRuns(1, reference)[0] ?? null;
}

/** The first slot after `slot`, or null if the schedule has no more. */
export function nextSlot(schedule: string, slot: Date): Date | null {
  return cronOf(schedule).nextRun(slot);
}

/** The latest slot before `instant`, or null if the schedule has none. */
export function previousSlot(schedule: string, instant: Date): Date | null {
  return cronOf(schedule).previousRuns(1, instant)[0] ?? null;
}

/** Whether `instant` is exactly a slot of the schedule. */
export function isSlot(schedule: string, instant: Date): boolean {
  return currentSlot(schedule, new Date(instant.getTime() - EARLY_MS_MAX))?.getTime() === instant.getTime();
}
