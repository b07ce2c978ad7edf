/**
 * One slot, worked on by the function that was called for it, up to its own end.
 *
 * The slot makes the same run whoever asks for it. Where that is worked on elsewhere by now, or has ended, there is
 * nothing to do here. What is left at the end goes with the next slot; a function that is cut off leaves its attempts to
 * their leases, like any process that dies.
 */
import { within } from '@revos/core/effects';
import { createInProcessEngine, createRuns, type JobDefinition, type Run } from '@revos/core/jobs';
import { loadDirectConfig } from '../env.ts';
import { openParts } from '../services.ts';
import { REPORTS_MS_MAX } from '../start.ts';

/** What the end takes, in milliseconds: stopping what is under way, and letting go of the database and of Unipile. */
const STOP_MS = 5_000;
const END_MS = STOP_MS + 2_000;

export interface DirectSlot {
  /** Of the registry. */
  readonly job: JobDefinition;
  readonly scheduledFor: Date;
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
  { job, scheduledFor }: DirectSlot,
  remainingMs: () => number,
  source?: NodeJS.ProcessEnv,
): Promise<DirectRun> {
  const config = loadDirectConfig(source);
  const parts = await openParts(config, 'direct');
  const { jobs, store, jobServices, effects, logger, reports } = parts;
  try {
    const engine = createInProcessEngine(jobs, store, jobServices, { untilEnd: () => remainingMs });
    const runs = createRuns(store, engine, effects);
    const started = await runs.start({
      ...{ job, scheduledFor, trigger: 'vercel-cron', requestedBy: 'cron' },
    });
    const stop = async (): Promise<void> => {
      logger.warn({ run_id: started.run.id, job: job.name }, 'the function ends: its run is stopped');
      await engine.close(STOP_MS);
    };
    await within(effects, Math.max(remainingMs() - END_MS, 0), engine.idle(), stop);
    return { outcome: started.outcome, run: (await store.get(started.run.id)) ?? started.run };
  } finally {
    await Promise.all([parts.close(), reports.flush(REPORTS_MS_MAX)]);
  }
}
