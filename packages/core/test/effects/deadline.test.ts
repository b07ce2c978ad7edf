/** What bounds a call, and what keeps a late one from being made. */
import { describe, expect, it } from 'vitest';
import { simulatedEffects, timeLeft, within, withTimeout } from '../../src/effects/index.ts';

const START = new Date('2026-03-02T10:00:00Z');

describe('withTimeout', () => {
  it('gives what the work gives, and leaves no timer behind', async () => {
    const effects = simulatedEffects(START);
    expect(await withTimeout(effects, 1_000, async () => 'done')).toBe('done');
    expect(effects.sleeperCount()).toBe(0);
  });

  it('leaves no timer behind when the work fails', async () => {
    const effects = simulatedEffects(START);
    await expect(withTimeout(effects, 1_000, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(effects.sleeperCount()).toBe(0);
  });

  it('aborts when the time has passed, and not before, with a TimeoutError', async () => {
    const effects = simulatedEffects(START);
    let signal: AbortSignal | undefined;
    const work = withTimeout(effects, 1_000, (given) => {
      signal = given;
      return new Promise((_, reject) => given.addEventListener('abort', () => reject(given.reason)));
    });
    const failed = expect(work).rejects.toMatchObject({ name: 'TimeoutError' });
    await effects.advance(999);
    expect(signal?.aborted).toBe(false);
    await effects.advance(1);
    expect(signal?.aborted).toBe(true);
    await failed;
  });
});

describe('within', () => {
  it('gives what the work comes to, even nothing, and leaves no timer behind', async () => {
    const effects = simulatedEffects(START);
    const late = () => 'late' as const;
    expect(await within(effects, 1_000, Promise.resolve('done'), late)).toBe('done');
    expect(await within(effects, 1_000, Promise.resolve(null), late)).toBe(null);
    expect(effects.sleeperCount()).toBe(0);
  });

  it('fails as the work fails, and leaves no timer behind', async () => {
    const effects = simulatedEffects(START);
    const work = Promise.reject(new Error('no'));
    await expect(within(effects, 1_000, work, () => 'late')).rejects.toThrow('no');
    expect(effects.sleeperCount()).toBe(0);
  });

  it('waits no longer for work that takes longer, however that ends', async () => {
    const effects = simulatedEffects(START);
    const work = Promise.withResolvers<string>();
    const told = within(effects, 1_000, work.promise, () => 'late');
    await effects.advance(1_000);
    expect(await told).toBe('late');
    work.reject(new Error('nobody hears of it'));
  });

  it('fails as whoever is told of it says', async () => {
    const effects = simulatedEffects(START);
    const told = within(effects, 1_000, new Promise(() => {}), () => {
      throw new RangeError('too long');
    });
    const failed = expect(told).rejects.toThrow(RangeError);
    await effects.advance(1_000);
    await failed;
  });
});

describe('timeLeft', () => {
  const clocks = { wallMs: START.getTime(), monotonicMs: 0 };
  const effects = { now: () => new Date(clocks.wallMs), monotonicMs: () => clocks.monotonicMs };
  const pass = (ms: number, on: readonly (keyof typeof clocks)[] = ['wallMs', 'monotonicMs']): void => {
    for (const clock of on) clocks[clock] += ms;
  };

  it('is true up to the end, and false from there on', () => {
    const isInTime = timeLeft(effects, 60_000);
    pass(59_999);
    expect(isInTime()).toBe(true);
    pass(1);
    expect(isInTime()).toBe(false);
  });

  it('a wall clock that is set back does not give more time', () => {
    const isInTime = timeLeft(effects, 60_000);
    pass(-3_600_000, ['wallMs']);
    pass(60_000);
    expect(isInTime()).toBe(false);
  });

  it('a machine that slept, and its monotonic clock with it, has no more time either', () => {
    const isInTime = timeLeft(effects, 60_000);
    pass(60_000, ['wallMs']);
    expect(isInTime()).toBe(false);
  });
});
