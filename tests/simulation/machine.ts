/**
 * A machine: one simulated process of the product, with its own clock, that may crash at any step.
 *
 * Its code runs only when something is delivered to it: a timer, an answer, a trigger. Between two
 * of these it may crash, freeze, or have its clock changed.
 */
import { type Effects, seededRandom, simulatedEffects } from '@revos/core/effects';
import {
  createInProcessEngine,
  createRunStore,
  createRuns,
  type Engine,
  type JobServices,
  type Runs,
} from '@revos/core/jobs';
import type { MediaFetcher } from '@revos/core/media';
import { jobs } from '@revos/core/registry';
import { createLogger } from '@revos/core/telemetry';
import { createUnipileV1 } from '@revos/core/unipile';
import type { Random } from '../support/random.ts';
import { rpcOf, type SimulatedDatabase } from './database.ts';
import type { Mutation } from './mutations.ts';
import { type NetworkParts, transportOf } from './network.ts';
import type { Plan } from './plan.ts';

export interface MachineParts extends NetworkParts {
  readonly plan: Plan;
  readonly database: SimulatedDatabase;
  readonly mutation: Mutation | null;
  /** A line of the log, without its newline. */
  readonly onLog: (line: string) => void;
}

export interface Machine {
  readonly name: string;
  isUp(): boolean;
  /** Runs `action` in `delayMs` milliseconds, or once it is not frozen; never, if it has exited. */
  deliver(delayMs: number, action: () => unknown): void;
  /** @returns a function that removes the listener */
  onExit(listener: () => void): () => void;
  /** What people and triggers call; null while it is down. */
  runs(): Runs | null;
  /** Exits at once, and starts again after so many milliseconds. */
  crash(downMs: number): void;
  /** Shuts down within the grace period, and starts again. */
  deploy(): void;
  /** Stops for so many milliseconds; what is delivered meanwhile waits. */
  freeze(ms: number): void;
  setClock(offsetMs: number): void;
}

const GRACE_MS = 280_000;

/** Fetches nothing: simulated posts have no files. */
const noMedia: MediaFetcher = {
  fetch: () => Promise.reject(new Error('no post of the simulation has files')),
  close: async () => {},
};

export function createMachine(name: string, parts: MachineParts): Machine {
  const { timeline, random, plan, record, mutation, shouldInject } = parts;
  let generation = 0;
  /** During a deploy it is alive, and takes no more triggers. */
  let isAlive = false;
  let process: { runs: Runs; engine: Engine } | null = null;
  let frozenUntilMs = 0;
  let clockOffsetMs = 0;
  /** How far the monotonic clock is behind. */
  let sleptMs = 0;
  const exitListeners = new Set<() => void>();

  const machine: Machine = {
    name,
    isUp: () => process !== null,
    runs: () => process?.runs ?? null,
    deliver(delayMs, action) {
      const target = generation;
      const arrive = (): unknown => {
        if (target !== generation) return;
        if (timeline.nowMs < frozenUntilMs)
          return void timeline.schedule(frozenUntilMs - timeline.nowMs, arrive);
        if (shouldInject('crash')) return machine.crash(random.integer(500, 300_000));
        if (shouldInject('freeze')) {
          machine.freeze(random.integer(1_000, 400_000));
          return void timeline.schedule(frozenUntilMs - timeline.nowMs, arrive);
        }
        return action();
      };
      timeline.schedule(delayMs, arrive);
    },
    onExit(listener) {
      exitListeners.add(listener);
      return () => exitListeners.delete(listener);
    },
    crash(downMs) {
      if (!isAlive) return;
      record('machine crashed', name);
      down();
      timeline.schedule(downMs, start);
    },
    deploy() {
      if (process === null) return;
      record('machine shutting down', name);
      const { engine } = process;
      const target = generation;
      process = null;
      const end = (): void => {
        if (target !== generation) return;
        record('machine shut down', name);
        down();
        timeline.schedule(2_000, start);
      };
      void engine.close(GRACE_MS).then(end);
      // The platform waits no longer.
      timeline.schedule(GRACE_MS + 20_000, end);
    },
    freeze(ms) {
      record('machine frozen', `${name} for ${ms} ms`);
      // The process is paused; or the host sleeps, and its monotonic clock stops; or the wall clock
      // is set back.
      const kind = random.integer(1, 3);
      if (kind === 2) sleptMs += ms;
      if (kind === 3) clockOffsetMs -= random.integer(0, 2 * ms);
      frozenUntilMs = Math.max(frozenUntilMs, timeline.nowMs + ms);
    },
    setClock(offsetMs) {
      record('clock set', `${name} by ${offsetMs} ms`);
      clockOffsetMs = offsetMs;
    },
  };

  const down = (): void => {
    generation += 1;
    isAlive = false;
    process = null;
    frozenUntilMs = 0;
    for (const listener of [...exitListeners]) listener();
    exitListeners.clear();
  };

  const start = (): void => {
    generation += 1;
    isAlive = true;
    record('machine started', name);
    const effects = mutation?.effects?.(effectsOf()) ?? effectsOf();
    const rpc = rpcOf(machine, parts);
    const unipile = createUnipileV1({
      dsn: 'http://unipile',
      apiKey: 'simulated',
      effects,
      transport: transportOf(machine, parts),
    });
    const services: JobServices = {
      effects,
      rpc,
      unipile: mutation?.unipile?.(unipile) ?? unipile,
      media: noMedia,
      settings: { unknownPolicy: plan.unknownPolicy, postLateLimitMinutes: 360 },
      logger: createLogger('simulation', 'debug', { destination: { write: parts.onLog } }),
      worker: `${name}:${generation}`,
      sendConcurrency: plan.sendConcurrency,
    };
    const store = createRunStore(rpc);
    const engine = createInProcessEngine(jobs, store, services);
    process = { engine, runs: createRuns(store, engine, effects) };
  };

  const effectsOf = (): Effects => {
    const draw = seededRandom(random.integer(0, 2 ** 31));
    return {
      now: () => new Date(timeline.nowMs + clockOffsetMs),
      monotonicMs: () => timeline.nowMs - sleptMs,
      random: draw,
      uuid: simulatedEffects(timeline.now(), random.integer(0, 2 ** 31)).uuid,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          let isAwake = false;
          const wake = (): void => {
            if (isAwake) return;
            isAwake = true;
            signal?.removeEventListener('abort', wake);
            resolve();
          };
          signal?.addEventListener('abort', wake, { once: true });
          machine.deliver(Math.max(ms, 0) + lateBy(ms, plan, random), () => wake());
        }),
    };
  };

  start();
  return machine;
}

/** How late a timer fires: notably only those of a few seconds, as on a busy machine. */
function lateBy(ms: number, { timersLateMsMax }: Plan, random: Random): number {
  return ms < 2_000 || ms > 10_000
    ? random.integer(0, 20)
    : random.integer(timersLateMsMax / 2, timersLateMsMax);
}
