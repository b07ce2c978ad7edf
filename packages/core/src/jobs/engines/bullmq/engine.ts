/**
 * The BullMQ engine: a run's slices are put into Redis, and any number of workers take them.
 *
 * Postgres decides everything: who has a slice, how far a run is, whether it is to stop. Redis only
 * brings workers and slices together, so whatever it forgets is put there again.
 */
import { type Effects, within } from '../../../effects/index.ts';
import type { Logger } from '../../../telemetry/index.ts';
import type { JobDefinition } from '../../definition.ts';
import { type Engine, EngineUnavailable } from '../../engine.ts';
import { type Run, runFacts } from '../../run.ts';
import type { RunStore } from '../../run-store.ts';
import type { SliceRunner } from '../../slice-runner.ts';
import type { RedisConnection } from './redis.ts';
import { type SliceQueue, sliceJob } from './slice-queue.ts';

/** How long Redis may take for an answer, in milliseconds: a trigger waits for it. */
const ANSWER_MS_MAX = 2_000;

export interface BullmqEngineOptions {
  readonly jobs: readonly JobDefinition[];
  readonly store: Pick<RunStore, 'open'>;
  readonly runner: SliceRunner;
  readonly redis: RedisConnection;
  readonly queue: SliceQueue;
  readonly effects: Effects;
  readonly logger: Logger;
  /** Slices of a run whose job can be sliced, 1 to 32. */
  readonly slicesPerRun: number;
  /** What is done with a run while Redis is away: it is worked on here, or nowhere until Redis is back. */
  readonly fallback: 'in-process' | 'none';
}

export interface BullmqEngine extends Engine {
  /** Whether Redis answers. */
  isReachable(): Promise<boolean>;
  /**
   * Puts into Redis what wants a worker and may not be there: a run whose trigger found Redis away,
   * and the slices that nobody was heard of. @throws {EngineUnavailable} if Redis is away and
   * nothing else may be done
   */
  resubmit(): Promise<void>;
}

export function createBullmqEngine(options: BullmqEngineOptions): BullmqEngine {
  const { jobs, store, runner, redis, queue, effects, logger, slicesPerRun, fallback } = options;

  /** What a command of Redis answers, in time. Never queued: what is not reached now is not asked. */
  const ask = <Answer>(command: () => Promise<Answer>): Promise<Answer> => {
    const answer = redis.tried.then(() => {
      if (!redis.isReady()) throw new EngineUnavailable('Redis is away');
      return command();
    });
    return within(effects, ANSWER_MS_MAX, answer, () => {
      throw new EngineUnavailable('Redis does not answer');
    });
  };

  /** The numbers of a run's slices. What is counted, or only looked at, is done by one. */
  const slicesOf = (run: Run): number[] => {
    const definition = jobs.find(({ name }) => name === run.job);
    if (!definition) throw new RangeError(`No such job: ${run.job}`);
    const { dry_run = false, limit } = run.params;
    const isSliced = definition.isSliced === true && !dry_run && limit === undefined;
    return Array.from({ length: isSliced ? slicesPerRun : 1 }, (_, slice) => slice);
  };

  /** @param isWorkedOn then it is left to whoever works on it while Redis is away */
  const enqueueSlices = async (
    run: Run,
    slices: readonly number[],
    isWorkedOn: boolean,
    traceparent?: string,
  ): Promise<void> => {
    const [first] = slices;
    if (first === undefined) return;
    try {
      await ask(() => queue.addBulk(slices.map((slice) => sliceJob(run, slice, traceparent))));
    } catch (error) {
      if (isWorkedOn) return;
      const line = { err: error, ...runFacts(run) };
      if (fallback === 'none') {
        logger.warn(line, 'queue unavailable, run waits for it');
        throw new EngineUnavailable('the queue cannot be reached', { cause: error });
      }
      if (runner.take(run, first, traceparent) !== null) {
        logger.warn(line, 'queue unavailable, running in this process');
      }
    }
  };

  return {
    // A run may be worked on in several processes: only the database has all of it.
    snapshot: () => null,
    cancel: (id) => runner.cancel(id),
    onChange: (listener) => runner.onChange(listener),
    close: (graceMs) => runner.close(graceMs),

    submit: async (run, traceparent) => enqueueSlices(run, slicesOf(run), false, traceparent),

    async resubmit() {
      for (const { run, closed_slices, is_worked_on } of await store.open()) {
        // Of a version that knows more jobs than this one.
        if (!jobs.some(({ name }) => name === run.job)) continue;
        const slices = slicesOf(run).filter((slice) => !closed_slices.includes(slice));
        await enqueueSlices(run, slices, is_worked_on);
      }
    },

    async isReachable() {
      try {
        await ask(() => redis.client.ping());
        return true;
      } catch (error) {
        redis.report(error as Error);
        return false;
      }
    },
  };
}
