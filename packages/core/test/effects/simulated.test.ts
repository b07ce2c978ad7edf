import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom, simulatedEffects } from '../../src/effects/index.ts';

const START = new Date('2026-03-02T09:00:00.000Z');
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('the clock', () => {
  it('stands still until it is told to move, and lands exactly', async () => {
    const effects = simulatedEffects(START);
    expect(effects.now()).toEqual(START);
    await effects.advance(0);
    expect(effects.now()).toEqual(START);
    await effects.advance(1_234);
    expect(effects.now().getTime()).toBe(START.getTime() + 1_234);
  });

  it('hands out its instant, which a caller may change without moving it', () => {
    const effects = simulatedEffects(START);
    effects.now().setTime(0);
    expect(effects.now()).toEqual(START);
  });

  it('wakes sleepers in the order of their times, and of their calls where times are equal', async () => {
    const effects = simulatedEffects(START);
    const woken: string[] = [];
    const sleep = (ms: number, name: string) =>
      effects.sleep(ms).then(() => woken.push(`${name}@${effects.now().getTime() - START.getTime()}`));
    void sleep(30, 'late');
    void sleep(10, 'first');
    void sleep(20, 'a');
    void sleep(20, 'b');
    await effects.advance(30);
    expect(woken).toEqual(['first@10', 'a@20', 'b@20', 'late@30']);
  });

  it.each([
    { ms: 100, advanceMs: 99, isAwake: false },
    { ms: 100, advanceMs: 100, isAwake: true }, // its time, exactly
    { ms: 0, advanceMs: 0, isAwake: true },
    { ms: -5, advanceMs: 0, isAwake: true },
  ])('a sleep of $ms ms has ended $advanceMs ms later: $isAwake', async ({ ms, advanceMs, isAwake }) => {
    const effects = simulatedEffects(START);
    let awake = false;
    void effects.sleep(ms).then(() => {
      awake = true;
    });
    await effects.advance(advanceMs);
    expect(awake).toBe(isAwake);
    expect(effects.sleeperCount()).toBe(isAwake ? 0 : 1);
  });

  it('lets what it wakes sleep again within the same advance', async () => {
    const effects = simulatedEffects(START);
    const at: number[] = [];
    void (async () => {
      for (let turn = 0; turn < 3; turn += 1) {
        await effects.sleep(10);
        at.push(effects.now().getTime() - START.getTime());
      }
    })();
    await effects.advance(25);
    expect(at).toEqual([10, 20]);
    expect(effects.sleeperCount()).toBe(1);
  });
});

describe('abort', () => {
  it('wakes a sleeper at once, without moving the clock', async () => {
    const effects = simulatedEffects(START);
    const stop = new AbortController();
    const sleeping = effects.sleep(60_000, stop.signal);
    expect(effects.sleeperCount()).toBe(1);
    stop.abort();
    await sleeping;
    expect(effects.sleeperCount()).toBe(0);
    expect(effects.now()).toEqual(START);
  });

  it('makes a sleep that begins after it none', async () => {
    const effects = simulatedEffects(START);
    await effects.sleep(60_000, AbortSignal.abort());
    expect(effects.sleeperCount()).toBe(0);
  });
});

describe('chance', () => {
  it('is the same for the same seed, and another for another', () => {
    const draws = (seed: number) => {
      const effects = simulatedEffects(START, seed);
      return [effects.random(), effects.random(), effects.uuid(), effects.random()];
    };
    expect(draws(7)).toEqual(draws(7));
    expect(draws(7)).not.toEqual(draws(8));
  });

  it('draws from [0, 1), for any seed', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seededRandom(seed);
        for (let count = 0; count < 50; count += 1) {
          const draw = random();
          expect(draw >= 0 && draw < 1).toBe(true);
        }
      }),
    );
  });

  it('spreads evenly: 10,000 draws fill ten bins alike', () => {
    const random = seededRandom(1);
    const bins = Array.from({ length: 10 }, () => 0);
    for (let count = 0; count < 10_000; count += 1) {
      const bin = Math.floor(random() * 10);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    for (const count of bins) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  it('makes UUIDs of version 4, never the same twice', () => {
    const effects = simulatedEffects(START);
    const ids = Array.from({ length: 1_000 }, () => effects.uuid());
    for (const id of ids) expect(id).toMatch(UUID_V4);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
