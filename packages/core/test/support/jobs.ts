import { countdown, type Effects } from '../../src/effects/index.ts';
import {
  createInProcessEngine,
  createRunStore,
  createRuns,
  type Engine,
  type JobDefinition,
  type JobHandler,
  type JobServices,
  type Run,
  RunParams,
  type RunStats,
  type RunStore,
  type Runs,
} from '../../src/jobs/index.ts';
import type { MediaFetcher } from '../../src/media/index.ts';
import type { Rpc } from '../../src/rpc/index.ts';
import type { Unipile } from '../../src/unipile/index.ts';
import { type CapturedLog, captureLog } from './log.ts';

/** A job of a test's own. */
export function jobOf(handler: JobHandler, schedule = '*/15 * * * *', name = 'test-job'): JobDefinition {
  return { name, summary: 'A job of a test.', schedule, params: RunParams, loadHandler: async () => handler };
}

/** A client that nothing may be sent with. */
export const noUnipile: Unipile = {
  sendMessage: async () => nothing(),
  createPost: async () => nothing(),
  findMessage: async () => nothing(),
  findPost: async () => nothing(),
  readPost: async () => nothing(),
  close: async () => {},
};

/** A fetcher that nothing may be fetched with. */
export const noMedia: MediaFetcher = { fetch: async () => nothing(), close: async () => {} };

function nothing(): never {
  throw new Error('this test reaches nothing');
}

export const DEFAULT_SETTINGS: JobServices['settings'] = {
  unknownPolicy: 'resend-when-absent',
  postLateLimitMinutes: 360,
};

export interface System {
  readonly runs: Runs;
  readonly engine: Engine;
  readonly store: RunStore;
  readonly services: JobServices;
  readonly log: CapturedLog;
  /** Starts a run by hand. */
  start(job: JobDefinition, params?: RunParams): Promise<Run>;
  /** Starts the run of a slot. */
  startSlot(job: JobDefinition, slot: string): ReturnType<Runs['start']>;
  /** The run as the database has it, once it has come to its end. */
  ended(id: string): Promise<Run>;
}

/**
 * One process: an in-process engine and what triggers it.
 *
 * @param endsInMs where it is ended at a given instant: so long after a run was taken up
 */
export function systemOf(
  jobs: readonly JobDefinition[],
  rpc: Rpc,
  effects: Effects,
  more: Partial<JobServices> = {},
  endsInMs?: number,
): System {
  const log = captureLog();
  const services: JobServices = {
    effects,
    rpc,
    unipile: noUnipile,
    media: noMedia,
    settings: DEFAULT_SETTINGS,
    logger: log.logger,
    worker: 'test@host:1',
    sendConcurrency: 10,
    ...more,
  };
  const store = createRunStore(rpc);
  const process = endsInMs === undefined ? {} : { untilEnd: () => countdown(effects, endsInMs) };
  const engine = createInProcessEngine(jobs, store, services, process);
  const runs = createRuns(store, engine, effects);
  return {
    runs,
    engine,
    store,
    services,
    log,
    start: async (job, params = {}) =>
      (await runs.start({ job, trigger: 'ops', scheduledFor: null, requestedBy: 'ada', params })).run,
    startSlot: (job, slot) =>
      runs.start({ job, trigger: 'vercel-cron', scheduledFor: new Date(slot), requestedBy: 'cron' }),
    ended: async (id) => {
      while (engine.snapshot(id) !== null) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const stop = engine.onChange(() => resolve());
        if (engine.snapshot(id) === null) resolve();
        await promise;
        stop();
      }
      const run = await store.get(id);
      if (run === null) throw new Error(`no such run: ${id}`);
      return run;
    },
  };
}

/** The counts of a run, without what a test does not look at. */
export const statsOf = ({ stats }: Pick<Run, 'stats'>): RunStats => stats;
