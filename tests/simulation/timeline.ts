/**
 * The timeline: one simulated clock, and the queue of events scheduled on it.
 *
 * Events run one by one, by their instants and then in the order in which they were scheduled.
 * Nothing else advances the clock, so a simulation depends on its seed alone.
 */
import { setImmediate as turn } from 'node:timers/promises';

export interface Timeline {
  /** Milliseconds since 1970, by the simulated clock, which is the database's. */
  readonly nowMs: number;
  readonly now: () => Date;
  /** Runs `action` in `delayMs` milliseconds. Returns a function that cancels it. */
  schedule(delayMs: number, action: () => unknown): () => void;
  /**
   * Runs the next event, and all that follows from it at once. False if there is none by `untilMs`.
   */
  step(untilMs: number): Promise<boolean>;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => unknown;
}

/** Turns of Node's event loop after which nothing of an event is pending: none does any I/O. */
const TURNS = 2;

export function createTimeline(start: Date): Timeline {
  /** Latest first. */
  const events: Event[] = [];
  let nowMs = start.getTime();
  let order = 0;
  const isBefore = (left: Event, right: Event): boolean =>
    left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);

  return {
    get nowMs() {
      return nowMs;
    },
    now: () => new Date(nowMs),
    schedule(delayMs, action) {
      order += 1;
      const event = { atMs: nowMs + Math.max(0, Math.ceil(delayMs)), order, action };
      let [low, high] = [0, events.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (isBefore(event, events[middle] as Event)) low = middle + 1;
        else high = middle;
      }
      events.splice(low, 0, event);
      return () => {
        const index = events.indexOf(event);
        if (index >= 0) events.splice(index, 1);
      };
    },
    async step(untilMs) {
      const next = events.at(-1);
      if (next === undefined || next.atMs > untilMs) {
        nowMs = Math.max(nowMs, untilMs);
        return false;
      }
      events.pop();
      nowMs = next.atMs;
      await next.action();
      for (let count = 0; count < TURNS; count += 1) await turn();
      return true;
    },
  };
}
