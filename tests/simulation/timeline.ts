/**
 * The timeline: one simulated clock, and everything that will happen at its time.
 *
 * Events happen one by one, in the order of their instants and then of their making. Nothing else moves
 * the clock, so a simulation depends on its seed alone.
 */
import { setImmediate as turn } from 'node:timers/promises';

export interface Timeline {
  /** Milliseconds since 1970, by the true clock, which is the database's. */
  readonly nowMs: number;
  readonly now: () => Date;
  /** Lets `happen` happen in `inMs` milliseconds. Gives its undoing. */
  in(inMs: number, happen: () => unknown): () => void;
  /** The next event, up to everything that follows from it at once. False if there is none before `untilMs`. */
  step(untilMs: number): Promise<boolean>;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => unknown;
}

/** Turns of Node's loop after which whatever an event set off has come to rest: it does no input or output. */
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
    in(inMs, happen) {
      order += 1;
      const event = { atMs: nowMs + Math.max(0, Math.ceil(inMs)), order, happen };
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
      await next.happen();
      for (let count = 0; count < TURNS; count += 1) await turn();
      return true;
    },
  };
}
