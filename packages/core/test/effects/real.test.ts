import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { realEffects } from '../../src/effects/index.ts';

describe('realEffects.sleep', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const stateOf = async (sleeping: Promise<void>): Promise<'asleep' | 'awake'> =>
    Promise.race([sleeping.then(() => 'awake' as const), Promise.resolve().then(() => 'asleep' as const)]);

  it.each([
    { ms: 1_000, passedMs: 999, state: 'asleep' },
    { ms: 1_000, passedMs: 1_000, state: 'awake' },
    { ms: 0, passedMs: 1, state: 'awake' },
    { ms: -1, passedMs: 1, state: 'awake' },
    { ms: 2_147_483_647, passedMs: 2_147_483_646, state: 'asleep' },
    // Longer than a timer can be: as long as one can be, never at once.
    { ms: 2_147_483_648, passedMs: 2_147_483_646, state: 'asleep' },
    { ms: Number.POSITIVE_INFINITY, passedMs: 2_147_483_646, state: 'asleep' },
  ])('$ms ms, after $passedMs ms: $state', async ({ ms, passedMs, state }) => {
    const stop = new AbortController();
    const sleeping = realEffects.sleep(ms, stop.signal);
    await vi.advanceTimersByTimeAsync(passedMs);
    expect(await stateOf(sleeping)).toBe(state);
    stop.abort();
    await sleeping;
  });

  it('wakes as soon as its signal aborts, and leaves no timer behind', async () => {
    const stop = new AbortController();
    const sleeping = realEffects.sleep(60_000, stop.signal);
    expect(vi.getTimerCount()).toBe(1);
    stop.abort();
    await sleeping;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not sleep at all if its signal aborted before', async () => {
    await realEffects.sleep(60_000, AbortSignal.abort());
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no listener on a signal that outlives it', async () => {
    const { signal } = new AbortController();
    const removed = vi.spyOn(signal, 'removeEventListener');
    const sleeping = realEffects.sleep(10, signal);
    await vi.advanceTimersByTimeAsync(10);
    await sleeping;
    expect(removed).toHaveBeenCalledWith('abort', expect.any(Function));
  });
});

describe('realEffects', () => {
  it('tells a timer that is longer than Node.js can keep from one that fires at once', async () => {
    const stop = new AbortController();
    let isAwake = false;
    const sleeping = realEffects.sleep(2 ** 31, stop.signal).then(() => {
      isAwake = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isAwake).toBe(false);
    stop.abort();
    await sleeping;
  });

  it('reads the clock and the dice of the process', () => {
    const before = Date.now();
    const now = realEffects.now().getTime();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
    const draw = realEffects.random();
    expect(draw >= 0 && draw < 1).toBe(true);
    expect(realEffects.uuid()).toMatch(/^[0-9a-f-]{36}$/);
    expect(realEffects.uuid()).not.toBe(realEffects.uuid());
  });
});
