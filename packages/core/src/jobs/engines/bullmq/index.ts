/**
 * Runs over BullMQ: the engine of whoever triggers, and the workers. Not part of `jobs/index.ts`,
 * so that who needs no Redis loads none of it.
 */
import type { JobDefinition, JobServices } from '../../definition.ts';
import type { RunStore } from '../../run-store.ts';
import { createSliceRunner } from '../../slice-runner.ts';
import { type BullmqEngine, type BullmqEngineOptions, createBullmqEngine } from './engine.ts';
import { openRedis } from './redis.ts';
import { runResubmitter } from './resubmit.ts';
import { openSliceQueue, type SliceQueue } from './slice-queue.ts';
import { type BullmqWorker, startBullmqWorker } from './worker.ts';

export type { BullmqEngine } from './engine.ts';
export type { SliceQueue } from './slice-queue.ts';
export { type BullmqWorker, LET_GO_MS_MAX } from './worker.ts';

/**
 * Slices of different runs that a process may work on besides those a worker takes: of its own
 * triggers, Redis being away.
 */
const OWN_SLICES_MAX = 16;

export interface BullmqOptions extends Pick<BullmqEngineOptions, 'slicesPerRun' | 'fallback'> {
  /** `redis://…` or `rediss://…` */
  readonly redisUrl: string;
  /** Slices that a worker of this process works on at once, 1 to 64. */
  readonly concurrency: number;
}

export interface Bullmq {
  readonly engine: BullmqEngine;
  /** For a page that shows what waits. */
  readonly queue: SliceQueue;
  /** What becomes of runs while Redis is away. */
  readonly fallback: 'in-process' | 'none';
  /** Puts into Redis again what it lost, until `signal` aborts; resolves then, and never rejects. */
  keepSubmitted(signal: AbortSignal): Promise<void>;
  /** Takes slices out of Redis, in this process as well. */
  startWorker(): BullmqWorker;
  /** Lets Redis go, once everything else is closed. */
  disconnect(): Promise<void>;
}

export function createBullmq(
  jobs: readonly JobDefinition[],
  store: RunStore,
  services: JobServices,
  options: BullmqOptions,
): Bullmq {
  const { effects, logger, reports } = services;
  const { redisUrl, concurrency, ...engineOptions } = options;
  const redis = openRedis(redisUrl, logger);
  const queue = openSliceQueue(redis);
  // One for both, so that a process never has two slices of one run.
  const runner = createSliceRunner({
    ...{ jobs, store, services },
    slicesMax: concurrency + OWN_SLICES_MAX,
    afterShutdown: 'waiting',
  });
  const parts = { jobs, store, runner, redis, effects, logger, reports };
  const engine = createBullmqEngine({ ...parts, queue, ...engineOptions });
  return {
    engine,
    queue,
    fallback: options.fallback,
    keepSubmitted: (signal) => runResubmitter({ engine, effects, logger, reports, signal }),
    startWorker: () => startBullmqWorker({ ...parts, concurrency }),
    async disconnect() {
      await queue.close();
      redis.close();
    },
  };
}
