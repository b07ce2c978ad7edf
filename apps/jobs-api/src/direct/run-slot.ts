/**
 * One slot, worked on by the function that was called for it, up to its own end.
 *
 * The slot makes the same run whoever asks for it. Where that is worked on elsewhere by now, or has
 * ended, there is nothing to do here. What is left at the end goes with the next slot; a function
 * that is cut off leaves its attempts to their leases, like any process that dies.
 */
import { within } from '@revos/core/effects';
import { createInProcessEngine, createRuns, type JobDefinition, type Run, runFacts } from '@revos/core/jobs';
import { openAlertWatch } from '../alert-watch.ts';
import { loadDirectConfig } from '../env.ts';
import { createReadiness } from '../readiness.ts';
import { openParts } from '../services.ts';
import { flush } from '../start.ts';
import { createSystemProbe } from '../system-probe.ts';

/**
 * What the end takes, in milliseconds: stopping what is under way, and letting go of the database
 * and of Unipile.
 */
const STOP_MS = 5_000;
const END_MS = STOP_MS + 3_000;

/**
 * How much longer than the run the look at alerts may take, in milliseconds, where the function has
 * that long: as long as two who do not answer. It goes on beside the run; one that is cut off after
 * it has told somebody tells it again.
 */
const ALERTS_MS_MAX = 25_000;

export interface DirectSlot {
  /** Of the registry. */
  readonly job: JobDefinition;
  readonly scheduledFor: Date;
  /** Of the span that its run is traced under. */
  readonly traceparent?: string | undefined;
}

export interface DirectRun {
  readonly outcome: 'created' | 'exists' | 'coalesced';
  /** As it stands in the end. */
  readonly run: Run;
}

/**
 * @param remainingMs milliseconds until the function is cut off
 * @throws {EnvironmentError} naming what is missing
 * @throws {RpcError} if the run could not be started
 */
export async function runSlot(
  { job, scheduledFor, traceparent }: DirectSlot,
  remainingMs: () => number,
  source?: NodeJS.ProcessEnv,
): Promise<DirectRun> {
  const config = loadDirectConfig(source);
  const parts = await openParts(config, 'direct');
  const { jobs, store, jobServices, effects, logger, traces } = parts;
  const probe = createSystemProbe(parts.rpc, effects, config.database.kind);
  const readiness = createReadiness({ probe, checkRedis: undefined, isRedisNeeded: false });
  // The next slot is a process of its own.
  const watch = openAlertWatch(parts, config, readiness, 1);
  try {
    const engine = createInProcessEngine(jobs, store, jobServices, { untilEnd: () => remainingMs });
    const runs = createRuns(store, engine, effects, traces);
    const started = await runs.start({
      ...{ job, scheduledFor, traceparent, trigger: 'vercel-cron', requestedBy: 'cron' },
    });
    const looked = watch.look();
    const stop = async (): Promise<void> => {
      logger.warn(runFacts(started.run), 'function is about to end, stopping its run');
      await engine.close(STOP_MS);
    };
    await within(effects, Math.max(remainingMs() - END_MS, 0), engine.idle(), stop);
    // What it does not get to tell is told by the next slot.
    await within(effects, Math.min(Math.max(remainingMs() - END_MS, 0), ALERTS_MS_MAX), looked, () => {});
    return { outcome: started.outcome, run: (await store.get(started.run.id)) ?? started.run };
  } finally {
    await Promise.all([parts.close(), flush(parts)]);
  }
}
