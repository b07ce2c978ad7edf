/** The parts the jobs API is made of, built from its configuration. */
import { hostname } from 'node:os';
import { type Analytics, createAnalytics } from '@revos/core/analytics';
import { type Effects, realEffects } from '@revos/core/effects';
import {
  createInProcessEngine,
  createRunStore,
  createRuns,
  type Engine,
  type JobDefinition,
  type RunStore,
  type Runs,
} from '@revos/core/jobs';
import { createMediaFetcher, type MediaFetcher } from '@revos/core/media';
import { jobsWithSchedules } from '@revos/core/registry';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import { createLogger, type Logger } from '@revos/core/telemetry';
import { createUnipileV1, type Unipile } from '@revos/core/unipile';
import type { Config } from './env.ts';

export interface Services {
  readonly jobs: readonly JobDefinition[];
  readonly store: RunStore;
  readonly runs: Runs;
  readonly engine: Engine;
  readonly rpc: Rpc;
  readonly unipile: Unipile;
  readonly media: MediaFetcher;
  readonly analytics: Analytics;
  readonly effects: Effects;
  readonly logger: Logger;
}

export function buildServices(config: Config): Services {
  const logger = createLogger('jobs-api', config.logLevel, { secrets: config.secrets });
  const effects = realEffects;
  const rpc = createSupabaseRpc({ url: config.supabaseUrl, secretKey: config.supabaseSecretKey });
  const unipile = createUnipileV1({ dsn: config.unipileDsn, apiKey: config.unipileApiKey });
  // RevOS keeps a post's files in Supabase Storage.
  const media = createMediaFetcher({ allowedOrigins: [new URL(config.supabaseUrl).origin] });
  const analytics = createAnalytics(rpc, { effects, logger, redisUrl: config.settings.redisUrl });
  const jobs = jobsWithSchedules(config.jobSchedules);
  const store = createRunStore(rpc);
  const engine = createInProcessEngine(jobs, store, {
    effects,
    rpc,
    unipile,
    media,
    settings: config.settings,
    logger,
    // Unlike any other process, also the one that had this host and pid before it.
    worker: `jobs-api@${hostname()}:${process.pid}:${effects.uuid().slice(0, 8)}`,
    sendConcurrency: config.sendConcurrency,
  });
  return {
    jobs,
    store,
    runs: createRuns(store, engine, effects),
    engine,
    rpc,
    unipile,
    media,
    analytics,
    effects,
    logger,
  };
}
