import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { currentSlot, isSchedule, isSlot, nextSlot } from '../../src/jobs/index.ts';

const QUARTERLY = '*/15 * * * *';
const DAILY = '0 0 * * *';

const at = (instant: string): Date => new Date(instant);

describe('currentSlot', () => {
  it.each([
    { schedule: QUARTERLY, now: '2026-03-02T10:00:00.000Z', slot: '2026-03-02T10:00:00.000Z' },
    { schedule: QUARTERLY, now: '2026-03-02T10:00:00.001Z', slot: '2026-03-02T10:00:00.000Z' },
    { schedule: QUARTERLY, now: '2026-03-02T10:14:54.999Z', slot: '2026-03-02T10:00:00.000Z' },
    // A clock that is 5 s behind still means the slot to come, exactly.
    { schedule: QUARTERLY, now: '2026-03-02T10:14:55.000Z', slot: '2026-03-02T10:15:00.000Z' },
    { schedule: QUARTERLY, now: '2026-03-02T10:14:59.999Z', slot: '2026-03-02T10:15:00.000Z' },
    { schedule: DAILY, now: '2026-03-02T00:00:00.000Z', slot: '2026-03-02T00:00:00.000Z' },
    { schedule: DAILY, now: '2026-03-01T23:59:54.999Z', slot: '2026-03-01T00:00:00.000Z' },
    { schedule: DAILY, now: '2026-03-01T23:59:55.000Z', slot: '2026-03-02T00:00:00.000Z' },
    { schedule: DAILY, now: '2026-03-02T23:59:00.000Z', slot: '2026-03-02T00:00:00.000Z' },
    // Over the end of a year, and of February in a leap year.
    { schedule: QUARTERLY, now: '2027-01-01T00:00:00.000Z', slot: '2027-01-01T00:00:00.000Z' },
    { schedule: QUARTERLY, now: '2026-12-31T23:59:00.000Z', slot: '2026-12-31T23:45:00.000Z' },
    { schedule: DAILY, now: '2026-12-31T23:59:57.000Z', slot: '2027-01-01T00:00:00.000Z' },
    { schedule: DAILY, now: '2028-02-29T12:00:00.000Z', slot: '2028-02-29T00:00:00.000Z' },
    // The hours of a zone's clock change are hours like any other: schedules are in UTC.
    { schedule: QUARTERLY, now: '2026-03-29T01:30:00.000Z', slot: '2026-03-29T01:30:00.000Z' },
    { schedule: QUARTERLY, now: '2026-10-25T01:16:00.000Z', slot: '2026-10-25T01:15:00.000Z' },
    { schedule: '*/20 * * * * *', now: '2026-03-02T10:00:39.000Z', slot: '2026-03-02T10:00:40.000Z' },
  ])('$schedule at $now → $slot', ({ schedule, now, slot }) => {
    expect(currentSlot(schedule, at(now))?.toISOString()).toBe(slot);
  });
});

describe('nextSlot', () => {
  it.each([
    { schedule: QUARTERLY, slot: '2026-03-02T10:00:00.000Z', next: '2026-03-02T10:15:00.000Z' },
    { schedule: QUARTERLY, slot: '2026-03-02T10:00:00.001Z', next: '2026-03-02T10:15:00.000Z' },
    { schedule: QUARTERLY, slot: '2026-03-02T10:14:59.999Z', next: '2026-03-02T10:15:00.000Z' },
    { schedule: QUARTERLY, slot: '2026-12-31T23:45:00.000Z', next: '2027-01-01T00:00:00.000Z' },
    { schedule: DAILY, slot: '2026-12-31T00:00:00.000Z', next: '2027-01-01T00:00:00.000Z' },
    { schedule: DAILY, slot: '2028-02-28T00:00:00.000Z', next: '2028-02-29T00:00:00.000Z' },
    { schedule: QUARTERLY, slot: '2026-03-29T00:45:00.000Z', next: '2026-03-29T01:00:00.000Z' },
  ])('$schedule after $slot → $next', ({ schedule, slot, next }) => {
    expect(nextSlot(schedule, at(slot))?.toISOString()).toBe(next);
  });
});

describe('isSlot', () => {
  it.each([
    { schedule: QUARTERLY, instant: '2026-03-02T10:00:00.000Z', is: true },
    { schedule: QUARTERLY, instant: '2026-12-31T23:45:00.000Z', is: true },
    { schedule: QUARTERLY, instant: '2026-03-02T10:00:00.001Z', is: false },
    { schedule: QUARTERLY, instant: '2026-03-02T09:59:59.999Z', is: false },
    { schedule: QUARTERLY, instant: '2026-03-02T10:00:01.000Z', is: false },
    { schedule: QUARTERLY, instant: '2026-03-02T10:05:00.000Z', is: false },
    { schedule: DAILY, instant: '2026-03-02T00:00:00.000Z', is: true },
    { schedule: DAILY, instant: '2027-01-01T00:00:00.000Z', is: true },
    { schedule: DAILY, instant: '2026-03-02T00:15:00.000Z', is: false },
  ])('$schedule, $instant: $is', ({ schedule, instant, is }) => {
    expect(isSlot(schedule, at(instant))).toBe(is);
  });
});

describe('isSchedule', () => {
  it.each([
    { schedule: QUARTERLY, is: true },
    { schedule: DAILY, is: true },
    { schedule: '*/20 * * * * *', is: true },
    { schedule: '', is: false },
    { schedule: 'every minute', is: false },
    { schedule: '61 * * * *', is: false },
    { schedule: '* * *', is: false },
    // Cron's shorthands, and instants, are not what `vercel.json` can carry.
    { schedule: '@daily', is: false },
    { schedule: '2026-03-02T10:00:00Z', is: false },
  ])('"$schedule": $is', ({ schedule, is }) => {
    expect(isSchedule(schedule)).toBe(is);
  });
});

it('every slot is one, and the next of the one before it', () => {
  const instants = fc.date({
    min: at('2026-01-01T00:00:00Z'),
    max: at('2036-01-01T00:00:00Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(instants, fc.constantFrom(QUARTERLY, DAILY), (now, schedule) => {
      const slot = currentSlot(schedule, now) ?? new Date(Number.NaN);
      const next = nextSlot(schedule, slot) ?? new Date(Number.NaN);
      expect(isSlot(schedule, slot)).toBe(true);
      expect(slot.getTime()).toBeLessThanOrEqual(now.getTime() + 5_000);
      expect(next.getTime()).toBeGreaterThan(now.getTime() + 5_000);
      expect(currentSlot(schedule, next)).toEqual(next);
    }),
    { numRuns: 300 },
  );
});
