import { randomUUID } from 'node:crypto';
import type { Effects } from './effects.ts';

/** Longest delay a Node.js timer keeps, in milliseconds; a longer one would fire at once. */
const TIMER_MS_MAX = 2_147_483_647;

/** The process's own clock, timers and randomness. */
export const realEffects: Effects = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
  uuid: () => randomUUID(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.min(Math.max(ms, 0), TIMER_MS_MAX));
      signal?.addEventListener('abort', wake, { once: true });
    }),
};
