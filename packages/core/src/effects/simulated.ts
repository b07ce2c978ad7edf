import type { Effects } from './effects.ts';

/** Effects whose time moves only when it is told to, and whose dice are a seed. */
export interface SimulatedEffects extends Effects {
  /** Moves the clock by `ms` milliseconds, waking every sleeper on the way in the order of its time. */
  advance(ms: number): Promise<void>;
  /** The number of sleepers that wait for the clock. */
  sleeperCount(): number;
}

interface Sleeper {
  readonly wakeAtMs: number;
  readonly order: number;
  readonly wake: () => void;
}

/** A small seeded generator (mulberry32): the same seed gives the same draws. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Simulated effects.
 *
 * @param start the first instant of the clock
 * @param seed any integer; it decides every draw and every UUID
 */
export function simulatedEffects(start: Date, seed = 1): SimulatedEffects {
  const random = seededRandom(seed);
  const sleepers = new Set<Sleeper>();
  let nowMs = start.getTime();
  let order = 0;

  const earliest = (untilMs: number): Sleeper | undefined =>
    [...sleepers]
      .filter((sleeper) => sleeper.wakeAtMs <= untilMs)
      .sort((a, b) => a.wakeAtMs - b.wakeAtMs || a.order - b.order)[0];

  return {
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    random,
    uuid: () => {
      const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
      hex[12] = '4';
      hex[16] = '8';
      return `${hex.slice(0, 8).join('')}-${hex.slice(8, 12).join('')}-${hex.slice(12, 16).join('')}-${hex.slice(16, 20).join('')}-${hex.slice(20).join('')}`;
    },
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        order += 1;
        const sleeper: Sleeper = {
          wakeAtMs: nowMs + Math.max(ms, 0),
          order,
          wake: () => {
            sleepers.delete(sleeper);
            signal?.removeEventListener('abort', sleeper.wake);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', sleeper.wake, { once: true });
      }),
    sleeperCount: () => sleepers.size,
    async advance(ms) {
      const untilMs = nowMs + ms;
      for (let next = earliest(untilMs); next; next = earliest(untilMs)) {
        nowMs = Math.max(nowMs, next.wakeAtMs);
        next.wake();
        // Let what was woken run, and sleep again, before the next one is chosen.
        await new Promise((resolve) => setImmediate(resolve));
      }
      nowMs = untilMs;
    },
  };
}
