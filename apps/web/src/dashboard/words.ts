/** Facts of a run, in words. Pure: the current instant is an argument. */

import type { Run, RunStatus, RunTrigger } from '@revos/core/jobs';
import { reasonInWords } from '@revos/core/sending';

export const STATUS_WORDS: Readonly<Record<RunStatus, string>> = {
  queued: 'Queued',
  running: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  interrupted: 'Interrupted',
};

export const TRIGGER_WORDS: Readonly<Record<RunTrigger, string>> = {
  'vercel-cron': 'Vercel Cron',
  ops: 'By hand',
  worker: 'Worker’s clock',
  'catch-up': 'Catch-up',
};

/** The reasons for which rows wait, most frequent first. */
export function skippedReasons(run: Run): ReadonlyArray<{ code: string; words: string; count: number }> {
  return Object.entries(run.stats.skipped ?? {})
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => ({ code, words: reasonInWords(code).replaceAll('_', ' '), count }));
}

const UNITS = [
  { unit: 'day', ms: 86_400_000 },
  { unit: 'hour', ms: 3_600_000 },
  { unit: 'minute', ms: 60_000 },
  { unit: 'second', ms: 1_000 },
] as const;

const relativeFormat = new Intl.RelativeTimeFormat('en', { numeric: 'always' });

/** `3 minutes ago`, `in 12 minutes`; within five seconds, `now`. */
export function relativeTime(instant: Date, now: Date): string {
  const ms = instant.getTime() - now.getTime();
  if (Math.abs(ms) < 5_000) return 'now';
  const { unit, ms: unitMs } = UNITS.find((each) => Math.abs(ms) >= each.ms) ?? UNITS[3];
  return relativeFormat.format(Math.trunc(ms / unitMs), unit);
}

/** `2026-11-24 10:15:00 UTC` */
export function exactTime(instant: Date): string {
  return `${instant.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });

/** `10:15 UTC`; on another day than today, `25 Nov 10:15 UTC`. */
export function slotTime(slot: Date, now: Date): string {
  const [date = '', time = ''] = slot.toISOString().split('T');
  const day = date === now.toISOString().slice(0, 10) ? '' : `${dayFormat.format(slot)} `;
  return `${day}${time.slice(0, time.startsWith('00', 6) ? 5 : 8)} UTC`;
}

/** `850 ms`, `42 s`, `6 min 40 s`, `1 h 05 min`. */
export function durationWords(ms: number): string {
  if (ms < 1_000) return `${Math.max(Math.round(ms), 0)} ms`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** Common schedules in words; null for one that has none. */
export function scheduleWords(schedule: string): string | null {
  const [minute = '', hour = '', ...rest] = schedule.trim().split(/\s+/);
  if (rest.join(' ') !== '* * *') return null;
  if (minute === '*' && hour === '*') return 'Every minute';
  const every = /^(?:\*|0)\/(\d{1,2})$/.exec(minute)?.[1];
  if (every !== undefined && hour === '*') return `Every ${Number(every)} minutes`;
  if (!/^\d{1,2}$/.test(minute)) return null;
  if (hour === '*') return `Every hour at minute ${Number(minute)}`;
  if (!/^\d{1,2}$/.test(hour)) return null;
  return `Daily at ${hour.padStart(2, '0')}:${minute.padStart(2, '0')} UTC`;
}
