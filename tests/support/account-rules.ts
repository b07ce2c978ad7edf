/**
 * The rules of an account, said once more in TypeScript: what the SQL is held against.
 *
 * Written from the promises, not from the SQL, and with another source of zone data. Slow and plain.
 */
import { DAY_MS, type PolicyFields } from './builders.ts';
import { daysBetween, localDate, localTime } from './local-time.ts';

/** Seconds of the day that `HH:MM` or `HH:MM:SS` names; 24:00 is the end of the day. */
function secondOf(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number);
  return hours * 3600 + minutes * 60 + seconds;
}

/** Whether a day of the local calendar is a work day and no holiday. */
export function isWorkDay(policy: PolicyFields, date: string, isoDay: number): boolean {
  return policy.work_days.includes(isoDay) && !policy.holidays.includes(date);
}

export function isWindowOpen(policy: PolicyFields, atMs: number): boolean {
  const local = localTime(policy.time_zone, atMs);
  return (
    local.secondOfDay >= secondOf(policy.window_start) &&
    local.secondOfDay < secondOf(policy.window_end) &&
    isWorkDay(policy, local.date, local.isoDay)
  );
}

/** 20 % on the first day of the warm-up, in equal steps to 100 % on its 14th; at least one. */
export function dayLimitOf(policy: PolicyFields, date: string): number {
  if (policy.warm_up_from === null) return policy.dms_per_day;
  const day = Math.min(Math.max(daysBetween(policy.warm_up_from, date), 0), 13);
  // In whole numbers: 20 % + 80 % × day / 13 = (26 + 8 × day) / 130.
  return Math.max(1, Math.floor((policy.dms_per_day * (26 + 8 * day)) / 130));
}

export type Limit = 'day_limit' | 'rolling_24h_limit' | 'rolling_7d_limit';

/**
 * The limits that are used up.
 *
 * @param effectsMs the latest instants at which the account's effects can have come
 */
export function limitsReached(policy: PolicyFields, effectsMs: readonly number[], atMs: number): Limit[] {
  const today = localDate(policy.time_zone, atMs);
  const since = (startMs: number): number => effectsMs.filter((effectMs) => effectMs > startMs).length;
  // Nothing before two days ago can be of today, whatever the zone.
  const recent = effectsMs.filter((effectMs) => effectMs > atMs - 2 * DAY_MS);
  const ofToday = recent.filter((effectMs) => localDate(policy.time_zone, effectMs) >= today).length;
  const reached: Limit[] = [];
  if (ofToday >= dayLimitOf(policy, today)) reached.push('day_limit');
  if (since(atMs - DAY_MS) >= policy.dms_per_24h) reached.push('rolling_24h_limit');
  if (since(atMs - 7 * DAY_MS) >= policy.dms_per_7d) reached.push('rolling_7d_limit');
  return reached;
}
