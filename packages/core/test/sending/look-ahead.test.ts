import { describe, expect, it } from 'vitest';
import { createLookAhead } from '../../src/sending/look-ahead.ts';

/**
 * A run of so many permits whose last claims each gave what they were asked for, while so many
 * calls ended.
 */
function lookAheadAfter(permits: number, ...endedEach: readonly number[]) {
  const lookAhead = createLookAhead(permits);
  for (const ended of endedEach) lookAhead.learn({ inFlight: permits, asked: 5, given: 5, ended });
  return lookAhead;
}

describe('before anything is known', () => {
  it('as many as there are free permits are claimed', () => {
    expect(createLookAhead(20).demand(0)).toBe(20);
    expect(createLookAhead(20).demand(13)).toBe(7);
    expect(createLookAhead(20).demand(20)).toBe(0);
    expect(createLookAhead(20).demand(22)).toBe(0);
  });

  it('a claim made while no call was under way tells nothing', () => {
    const lookAhead = createLookAhead(20);
    lookAhead.learn({ inFlight: 0, asked: 20, given: 20, ended: 0 });
    lookAhead.learn({ inFlight: 20, asked: 1, given: 1, ended: 2 });
    // As if the first one had not been: the mean is 2, and twice as many wait.
    expect(lookAhead.demand(20)).toBe(4);
  });
});

describe('how far', () => {
  it.each([
    { permits: 100, ended: 3, free: 0, demand: 6 },
    { permits: 100, ended: 3, free: 4, demand: 10 },
    { permits: 100, ended: 0, free: 0, demand: 0 },
    { permits: 100, ended: 0, free: 4, demand: 4 },
    // Bounded by a fifth.
    { permits: 100, ended: 60, free: 0, demand: 20 },
    { permits: 20, ended: 60, free: 1, demand: 5 },
    { permits: 5, ended: 60, free: 0, demand: 1 },
    // Too few for a fifth of them to be one.
    { permits: 4, ended: 60, free: 0, demand: 0 },
    { permits: 4, ended: 60, free: 2, demand: 2 },
  ])('of $permits permits, $ended ended during a claim: $demand for $free free ones', (given) => {
    const lookAhead = lookAheadAfter(given.permits, given.ended);
    expect(lookAhead.demand(given.permits - given.free)).toBe(given.demand);
  });

  it('nothing is claimed until half of what may wait has gone out', () => {
    const lookAhead = lookAheadAfter(100, 5);
    // Ten may wait.
    expect(lookAhead.demand(110)).toBe(0);
    expect(lookAhead.demand(106)).toBe(0);
    expect(lookAhead.demand(105)).toBe(5);
    expect(lookAhead.demand(100)).toBe(10);
  });

  it('follows what is measured, a quarter at a time', () => {
    expect(lookAheadAfter(100, 8).demand(100)).toBe(16);
    expect(lookAheadAfter(100, 8, 0).demand(100)).toBe(12);
    expect(lookAheadAfter(100, 8, 0, 0, 0, 0, 0, 0, 0, 0).demand(100)).toBe(2);
  });
});

describe('where there is less than is asked for', () => {
  it('nothing is claimed ahead, until a claim gives again what it is asked for', () => {
    const lookAhead = lookAheadAfter(100, 8);
    lookAhead.learn({ inFlight: 100, asked: 10, given: 9, ended: 8 });
    expect(lookAhead.demand(100)).toBe(0);
    expect(lookAhead.demand(97)).toBe(3);
    lookAhead.learn({ inFlight: 100, asked: 3, given: 3, ended: 8 });
    expect(lookAhead.demand(100)).toBe(16);
  });
});
