/**
 * A machine: one process of the product, with a clock of its own, that may die at any step.
 *
 * Its code runs only when something is delivered to it: a timer, an answer, a trigger. Between two of
 * these it may crash, stand still, or find its clock set to another time.
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
import { type NetworkParts, transportOf } from './network.ts';
import type { Plan } from './plan.ts';
import type { Sabotage } from './sabotages.ts';

export interface MachineParts extends NetworkParts {
  readonly plan: Plan;
  readonly database: SimulatedDatabase;
  readonly sabotage: Sabotage | null;
  /** A line of the log, without its end. */
  readonly onLog: (line: string) => void;
}

export interface Machine {
  readonly name: string;
  isUp(): boolean;
  /** Delivers in `inMs` milliseconds, or when the machine goes on; never, if it has died by then. */
  deliver(inMs: number, happen: () => unknown): void;
  /** @returns its undoing */
  onDeath(listener: () => void): () => void;
  /** What people and triggers reach; null while it is down. */
  runs(): Runs | null;
  /** Dies at once, and starts again after so many milliseconds. */
  crash(downMs: number): void;
  /** Ends in peace, within the grace, and starts again. */
  deploy(): void;
  /** Goes on after so many milliseconds; what comes meanwhile waits. */
  freeze(ms: number): void;
  setClock(offsetMs: number): void;
}

const GRACE_MS = 280_000;

/** Fetches nothing: the simulation's posts have no files. */
const noMedia: MediaFetcher = {
  fetch: () => Promise.reject(new Error('no post of the simulation has files')),
  close: async () => {},
};

export function createMachine(name: string, parts: MachineParts): Machine {
  const { timeline, random, plan, record, sabotage, strikes } = parts;
  let generation = 0;
  /** It may be alive and not take triggers any more: during a deploy. */
  let isAlive = false;
  let process: { runs: Runs; engine: Engine } | null = null;
  let frozenUntilMs = 0;
  let clockOffsetMs = 0;
  /** What the monotonic clock has missed. */
  let sleptMs = 0;
  const deathListeners = new Set<() => void>();

  const machine: Machine = {
    name,
    isUp: () => process !== null,
    runs: () => process?.runs ?? null,
    deliver(inMs, happen) {
      const born = generation;
      const arrive = (): unknown => {
        if (born !== generation) return;
        if (timeline.nowMs < frozenUntilMs) return void timeline.in(frozenUntilMs - timeline.nowMs, arrive);
        if (strikes('crash')) return machine.crash(random.integer(500, 300_000));
        if (strikes('freeze')) {
          machine.freeze(random.integer(1_000, 400_000));
          return void timeline.in(frozenUntilMs - timeline.nowMs, arrive);
        }
        return happen();
      };
      timeline.in(inMs, arrive);
    },
    onDeath(listener) {
      deathListeners.add(listener);
      return () => deathListeners.delete(listener);
    },
    crash(downMs) {
      if (!isAlive) return;
      record('a machine dies', name);
      down();
      timeline.in(downMs, start);
    },
    deploy() {
      if (process === null) return;
      record('a machine is asked to end', name);
      const { engine } = process;
      const born = generation;
      process = null;
      const end = (): void => {
        if (born !== generation) return;
        record('a machine has ended', name);
        down();
        timeline.in(2_000, start);
      };
      void engine.close(GRACE_MS).then(end);
      // The platform waits no longer.
      timeline.in(GRACE_MS + 20_000, end);
    },
    freeze(ms) {
      record('a machine stands still', `${name} for ${ms} ms`);
      // Its process waited; or the whole machine slept, and the monotonic clock with it; or its clock was set meanwhile.
      const way = random.integer(1, 3);
      if (way === 2) sleptMs += ms;
      if (way === 3) clockOffsetMs -= random.integer(0, 2 * ms);
      frozenUntilMs = Math.max(frozenUntilMs, timeline.nowMs + ms);
    },
    setClock(offsetMs) {
      record('a clock is set', `${name} by ${offsetMs} ms`);
      clockOffsetMs = offsetMs;
    },
  };

  const down = (): void => {
    generation += 1;
    isAlive = false;
    process = null;
    frozenUntilMs = 0;
    for (const listener of [...deathListeners]) listener();
    deathListeners.clear();
  };

  const start = (): void => {
    generation += 1;
    isAlive = true;
    record('a machine starts', name);
    const effects = sabotage?.effects?.(effectsOf()) ?? effectsOf();
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
      unipile: sabotage?.unipile?.(unipile) ?? unipile,
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

/** What a timer is late by: only those that wait for seconds, as a machine that is busy shows it. */
function lateBy(ms: number, { timersLateMsMax }: Plan, random: Random): number {
  return ms < 2_000 || ms > 10_000
    ? random.integer(0, 20)
    : random.integer(timersLateMsMax / 2, timersLateMsMax);
}
