/** Facts in words. */
import { workedMs } from '@revos/core/jobs';
import { describe, expect, it } from 'vitest';
import {
  durationWords,
  exactTime,
  relativeTime,
  scheduleWords,
  skippedReasons,
  slotTime,
} from '../src/dashboard/words.ts';
import { aRun } from './a-run.ts';

const NOW = new Date('2026-11-24T10:07:30.000Z');

it.each([
  { ms: 0, words: 'now' },
  { ms: -4_999, words: 'now' },
  { ms: -5_000, words: '5 seconds ago' },
  { ms: -59_999, words: '59 seconds ago' },
  { ms: -60_000, words: '1 minute ago' },
  { ms: 7.5 * 60_000, words: 'in 7 minutes' },
  { ms: -3_600_000, words: '1 hour ago' },
  { ms: -47 * 3_600_000, words: '1 day ago' },
])('relativeTime $ms → $words', ({ ms, words }) => {
  expect(relativeTime(new Date(NOW.getTime() + ms), NOW)).toBe(words);
});

it.each([
  { ms: -1, words: '0 ms' },
  { ms: 999, words: '999 ms' },
  { ms: 1_000, words: '1 s' },
  { ms: 59_999, words: '59 s' },
  { ms: 400_500, words: '6 min 40 s' },
  { ms: 3_600_000, words: '1 h 00 min' },
  { ms: 93_900_000, words: '26 h 05 min' },
])('durationWords $ms → $words', ({ ms, words }) => {
  expect(durationWords(ms)).toBe(words);
});

it.each([
  { schedule: '*/15 * * * *', words: 'Every 15 minutes' },
  { schedule: '* * * * *', words: 'Every minute' },
  { schedule: '5 * * * *', words: 'Every hour at minute 5' },
  { schedule: '0 0 * * *', words: 'Daily at 00:00 UTC' },
  { schedule: '5 9 * * *', words: 'Daily at 09:05 UTC' },
  { schedule: '0 9 * * 1', words: null },
  { schedule: '*/20 * * * * *', words: null },
  { schedule: '', words: null },
])('scheduleWords $schedule → $words', ({ schedule, words }) => {
  expect(scheduleWords(schedule)).toBe(words);
});

it.each([
  { slot: '2026-11-24T10:15:00.000Z', words: '10:15 UTC' },
  { slot: '2026-11-24T10:15:20.000Z', words: '10:15:20 UTC' },
  { slot: '2026-11-25T00:00:00.000Z', words: '25 Nov 00:00 UTC' },
])('slotTime $slot → $words', ({ slot, words }) => {
  expect(slotTime(new Date(slot), NOW)).toBe(words);
});

it('exactTime is in UTC, to the second', () => {
  expect(exactTime(NOW)).toBe('2026-11-24 10:07:30 UTC');
});

describe('a run', () => {
  it.each([
    { run: aRun(), ms: 400_000 },
    { run: aRun({ started_at: null, finished_at: null }), ms: null },
    { run: aRun({ finished_at: null }), ms: 449_500 },
    { run: aRun({ finished_at: '2026-11-24T09:00:00Z' }), ms: 0 },
  ])('worked $ms ms', ({ run, ms }) => {
    expect(workedMs(run, NOW)).toBe(ms);
  });

  it('says why rows wait, most frequent first; a code without words shows itself', () => {
    const run = aRun({ stats: { skipped: { gap: 2, some_new_code: 1, paused: 40, day_off: 0 } } });
    expect(skippedReasons(run).map(({ count, words }) => `${count} ${words}`)).toEqual([
      '40 the account is paused',
      '2 the account pauses between two messages',
      '1 some new code',
    ]);
    expect(skippedReasons(aRun({ stats: {} }))).toEqual([]);
  });
});
