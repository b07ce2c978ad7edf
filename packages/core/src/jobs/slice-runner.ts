/**
 * The slices that this process works on, whoever hands them over: at most one of a run, so that a
 * run never has more than `SEND_CONCURRENCY` calls in flight here, and other processes find
 * something left to take.
 */
import pLimit from 'p-limit';
import { within } from '../effects/index.ts';
import type { JobDefinition, JobServices } from './definition.ts';
import type { Engine } from './engine.ts';
import { executeRun, type SliceExit, type StopReason } from './execute-run.ts';
import { type Run, runFacts } from './run.ts';
import type { RunStore } from './run-store.ts';

/** How long marking slices that did not end in time may take, in milliseconds. */
const GIVE_UP_MS_MAX = 1_000;

export interface SliceRunnerOptions {
  readonly jobs: readonly JobDefinition[];
  readonly store: RunStore;
  readonly services: JobServices;
  /** Slices at once; a further one waits. */
  readonly slicesMax: number;
  /** What a shutdown makes of a slice: the end of it, or one that waits for another worker. */
  readonly afterShutdown: 'interrupted' | 'waiting';
  /**
   * Where this process is ended at a given instant, whatever it does: asked as a slice is taken,
   * and answers with the milliseconds that are left at any time. Default: it is asked to stop
   * first.
   */
  readonly untilEnd?: () => () => number;
}

export interface SliceRunner extends Pick<Engine, 'cancel' | 'snapshot' | 'onChange' | 'close'> {
  /**
   * Works on a slice, and resolves once it and this process have parted. Null if a slice of the run
   * is worked on here already.
   *
   * @param traceparent of the span that the slice's is a child of
   * @throws {RangeError} if there is no such job
   */
  take(run: Run, slice: number, traceparent?: string): Promise<SliceExit> | null;
  /** Resolves once nothing is worked on here. */
  idle(): Promise<void>;
}

interface ActiveSlice {
  run: Run;
  readonly slice: number;
  readonly stop: AbortController;
  readonly parted: Promise<SliceExit>;
}

export function createSliceRunner(options: SliceRunnerOptions): SliceRunner {
  const { jobs, store, services, afterShutdown, untilEnd = () => () => Number.POSITIVE_INFINITY } = options;
  const limit = pLimit(options.slicesMax);
  const active = new Map<string, ActiveSlice>();
  const listeners = new Set<(run: Run) => void>();
  let closing = false;

  const publish = (run: Run): void => {
    const entry = active.get(run.id);
    if (entry) entry.run = run;
    for (const listener of listeners) listener(run);
  };

  const work = async (
    definition: JobDefinition,
    run: Run,
    slice: number,
    stop: AbortController,
    traceparent: string | undefined,
  ): Promise<SliceExit> => {
    try {
      return await executeRun({
        ...{ definition, run, slice, traceparent, services, store, stop, afterShutdown },
        remainingMs: untilEnd(),
        onChange: publish,
      });
    } catch (error) {
      // Nothing that is expected gets here. Its heartbeats have stopped, so it is recovered.
      services.logger.error(
        { err: error, ...runFacts(run, slice) },
        'slice crashed, leaving it to its lease',
      );
      services.reports?.error(error, runFacts(run, slice));
      return 'unrecorded';
    } finally {
      const last = active.get(run.id)?.run;
      active.delete(run.id);
      if (last) for (const listener of listeners) listener(last);
    }
  };

  return {
    take(run, slice, traceparent) {
      const definition = jobs.find((job) => job.name === run.job);
      if (!definition) throw new RangeError(`No such job: ${run.job}`);
      if (active.has(run.id)) return null;
      const stop = new AbortController();
      if (closing) stop.abort('shutdown' satisfies StopReason);
      // The entry stands before the work begins, so that its first change finds it.
      const admitted = Promise.withResolvers<void>();
      const parted = limit(async () => {
        await admitted.promise;
        return work(definition, run, slice, stop, traceparent);
      });
      active.set(run.id, { run, slice, stop, parted });
      admitted.resolve();
      return parted;
    },
    cancel: (id) => active.get(id)?.stop.abort('cancelled' satisfies StopReason),
    snapshot: (id) => active.get(id)?.run ?? null,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async idle() {
      while (active.size > 0) await Promise.all([...active.values()].map(({ parted }) => parted));
    },
    async close(graceMs) {
      closing = true;
      const partings = [...active.values()].map(({ stop, parted }) => {
        stop.abort('shutdown' satisfies StopReason);
        return parted;
      });
      const all = Promise.all(partings).then(() => true);
      const isInTime = await within(services.effects, graceMs, all, () => false);
      if (!isInTime) await giveUp([...active.values()]);
      return isInTime;
    },
  };

  /** Marks slices that did not end in time, so that nobody waits for their heartbeats. */
  async function giveUp(slices: readonly ActiveSlice[]): Promise<void> {
    const marked = slices.map(({ run, slice }) =>
      store.finish(
        run.id,
        services.worker,
        {
          status: afterShutdown,
          stats: run.stats,
          error: 'stopped: shutdown, with messages in flight',
          horizonSeen: new Date(run.horizon_at),
        },
        slice,
      ),
    );
    const all = Promise.allSettled(marked).then((results) => results.map(({ status }) => status));
    const results = await within(services.effects, GIVE_UP_MS_MAX, all, () => 'not in time' as const);
    services.logger.warn({ count: slices.length, results }, 'runs did not end in time');
  }
}
