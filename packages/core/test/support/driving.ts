import { setImmediate as turn } from 'node:timers/promises';
import type { SimulatedEffects } from '../../src/effects/index.ts';
import type { Rpc } from '../../src/rpc/index.ts';
import type { Unipile } from '../../src/unipile/index.ts';

/** Simulated time over real calls: time moves only while no call is under way. */
export interface Driver {
  rpc(rpc: Rpc): Rpc;
  unipile(unipile: Unipile): Unipile;
  /** As long as this takes, the clock stands still for everybody else. */
  during<T>(call: () => Promise<T>): Promise<T>;
  /** Lets what is under way come to rest, without moving the clock. */
  settle(): Promise<void>;
  /** Moves the clock by `ms`, a step at a time, letting every call end between two steps. */
  pass(ms: number, stepMs?: number): Promise<void>;
  /** Moves the clock until `work` has come to its end. @throws after a simulated day */
  untilEnd<T>(work: Promise<T>, stepMs?: number): Promise<T>;
}

const TURNS_AT_REST = 5;
const DAY_MS = 86_400_000;

export function createDriver(effects: SimulatedEffects): Driver {
  let underWay = 0;
  const during = async <T>(call: () => Promise<T>): Promise<T> => {
    underWay += 1;
    try {
      return await call();
    } finally {
      underWay -= 1;
    }
  };

  const settle = async (): Promise<void> => {
    for (let atRest = 0; atRest < TURNS_AT_REST; atRest += 1) {
      await turn();
      if (underWay > 0) atRest = -1;
    }
  };

  const pass = async (ms: number, stepMs = 1_000): Promise<void> => {
    await settle();
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      await effects.advance(Math.min(stepMs, ms - passedMs));
      await settle();
    }
  };

  return {
    rpc: (rpc) => ({ call: (name, args) => during(() => rpc.call(name, args)), close: () => rpc.close() }),
    unipile: (unipile) => ({
      sendMessage: (request) => during(() => unipile.sendMessage(request)),
      createPost: (request) => during(() => unipile.createPost(request)),
      findMessage: (request) => during(() => unipile.findMessage(request)),
      findPost: (request) => during(() => unipile.findPost(request)),
      readPost: (request) => during(() => unipile.readPost(request)),
      close: () => unipile.close(),
    }),
    during,
    settle,
    pass,
    async untilEnd(work, stepMs = 1_000) {
      let isOver = false;
      const over = () => {
        isOver = true;
      };
      work.then(over, over);
      await settle();
      for (let passedMs = 0; !isOver; passedMs += stepMs) {
        if (passedMs > DAY_MS) throw new Error('a simulated day has passed');
        await effects.advance(stepMs);
        await settle();
      }
      return work;
    },
  };
}
