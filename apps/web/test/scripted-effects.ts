/**
 * Effects for a trigger that talks to a real server: its waits take no time, the clock only shows
 * them, and its timeouts (the waits that can be given up) expire when the test says so.
 */
import type { Effects } from '@revos/core/effects';

export interface ScriptedEffects extends Effects {
  /** Every wait between two tries, in milliseconds. */
  readonly waits: number[];
  /** Lets the time of the pending timeouts pass. */
  expireTimeouts(): void;
}

/** @param onWait what happens while a wait passes, told the number of waits so far */
export function scriptedEffects(
  start: Date,
  onWait: (waitCount: number) => Promise<void> | void = () => {},
): ScriptedEffects {
  let nowMs = start.getTime();
  const waits: number[] = [];
  const timeouts = new Set<() => void>();
  return {
    waits,
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    random: () => 0.5,
    uuid: () => '00000000-0000-4000-8000-000000000000',
    async sleep(ms, signal) {
      if (signal === undefined) {
        nowMs += ms;
        waits.push(ms);
        return onWait(waits.length);
      }
      if (signal.aborted) return;
      await new Promise<void>((resolve) => {
        const expire = () => {
          nowMs += ms;
          resolve();
        };
        timeouts.add(expire);
        const giveUp = () => {
          timeouts.delete(expire);
          resolve();
        };
        signal.addEventListener('abort', giveUp, { once: true });
      });
    },
    expireTimeouts() {
      for (const expire of timeouts) {
        timeouts.delete(expire);
        expire();
      }
    },
  };
}
