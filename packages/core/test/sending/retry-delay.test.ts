import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryDelayMs } from '../../src/sending/index.ts';

const ALMOST_ONE = 1 - Number.EPSILON / 2;

describe('retryDelayMs', () => {
  it.each([
    { burned: 0, draw: 0, delayMs: 0 },
    { burned: 0, draw: 0.5, delayMs: 30_000 },
    { burned: 0, draw: ALMOST_ONE, delayMs: 59_999 },
    { burned: 1, draw: 0.5, delayMs: 60_000 },
    { burned: 4, draw: 0.5, delayMs: 480_000 },
    { burned: 5, draw: 0.5, delayMs: 960_000 }, // 32 minutes at most
    { burned: 6, draw: 0.5, delayMs: 1_800_000 }, // the hour, not 64 minutes
    { burned: 1_000, draw: ALMOST_ONE, delayMs: 3_599_999 },
    { burned: 5_000, draw: 0.5, delayMs: 1_800_000 }, // 2^5000 is infinite, the wait is not
  ])('$burned burned, draw $draw → $delayMs ms', ({ burned, draw, delayMs }) => {
    expect(retryDelayMs(burned, draw)).toBe(delayMs);
  });

  it('is whole, and in [0, min(60 s · 2^n, 1 h))', () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (burned, draw) => {
          const delayMs = retryDelayMs(burned, draw);
          expect(Number.isInteger(delayMs)).toBe(true);
          expect(delayMs).toBeGreaterThanOrEqual(0);
          expect(delayMs).toBeLessThan(Math.min(60_000 * 2 ** burned, 3_600_000));
        },
      ),
    );
  });

  it.each([
    { burned: 0, draw: 1 },
    { burned: 0, draw: -0.1 },
    { burned: 0, draw: Number.NaN },
    { burned: -1, draw: 0 },
    { burned: 0.5, draw: 0 },
    { burned: Number.POSITIVE_INFINITY, draw: 0 },
  ])('$burned burned with draw $draw is a bug of the caller', ({ burned, draw }) => {
    expect(() => retryDelayMs(burned, draw)).toThrow(RangeError);
  });
});
