/** The parts that the jobs API and the workers are made of, built from their configuration. */
import { hostname } from 'node:os';
import { type Analytics, createAnalytics } from '@revos/core/analytics';
import { type Effects, realEffects, within } from '@revos/core/effects';
import {
  createInProcessEngine,
  createRunStore,
  createRuns,
  type Engine,
  type JobDefinition,
  type JobServices,
  type RunStore,
  type Runs,
  withCheckIns,
} from '@revos/core/jobs';
import type { Bullmq } from '@revos/core/jobs/engines/bullmq';
import { createMediaFetcher } from '@revos/core/media';
import { jobsWithSchedules } from '@revos/core/registry';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import {
  createLogger,
  type Logger,
  NO_REPORTS,
  NO_TRACES,
  type Reports,
  type Traces,
} from '@revos/core/telemetry';
import { createUnipileV1, type Unipile } from '@revos/core/unipile';
import type { PartsConfig, WorkerConfig } from './env.ts';
import type { Metrics } from './metrics/index.ts';
import { CLIENTS_MS_MAX } from './start.ts';
import { versionOf } from './version.ts';

/** What every process has that works on runs, whatever its engine is. */
export interface Parts {
  readonly jobs: readonly JobDefinition[];
  readonly store: RunStore;
  readonly jobServices: JobServices;
  readonly rpc: Rpc;
  readonly analytics: Analytics;
  /** Null where nobody may see them: then nothing is counted. */
  readonly metrics: Metrics | null;
  readonly effects: Effects;
  readonly logger: Logger;
  readonly reports: Reports;
  readonly traces: Traces;
  /** Lets go of the database and of Unipile, once nothing works any more. */
  close(): Promise<void>;
}

export interface Services extends Parts {
  readonly runs: Runs;
  readonly engine: Engine;
  /** Null where runs are worked on in the process that they are triggered in. */
  readonly bullmq: Bullmq | null;
}

/** `direct` is a function of the web app. */
type ProcessName = 'jobs-api' | 'worker' | 'direct';

type MakeMetrics = (parts: Pick<Parts, 'jobs' | 'effects' | 'logger'>) => Metrics;

/**
 * @param name what the process is: it stands in the log, and before its place in the ledger
 * @param makeMetrics null to count nothing
 */
export async function openParts(
  config: PartsConfig,
  name: ProcessName,
  makeMetrics: MakeMetrics | null = null,
): Promise<Parts> {
  const logger = createLogger(name, config.logLevel, { secrets: config.secrets });
  const effects = realEffects;
  const jobs = jobsWithSchedules(config.jobSchedules);
  const metrics = makeMetrics?.({ jobs, effects, logger }) ?? null;
  const reports = await openReports(config, name);
  const traces = await openTraces(config, name, logger);
  const rpc = await openRpc(config, logger, metrics);
  const unipile = openUnipile(config, metrics);
  // RevOS keeps a post's files in Supabase Storage.
  const media = createMediaFetcher({ allowedOrigins: [new URL(config.supabaseUrl).origin] });
  const analytics = createAnalytics(rpc, { effects, logger, redisUrl: config.settings.redisUrl });
  const runStore = openRunStore(rpc, metrics);
  const store =
    config.sentry === null ? runStore : withCheckIns(runStore, { jobs, reports, effects, logger });
  const jobServices: JobServices = {
    effects,
    rpc,
    unipile,
    media,
    settings: config.settings,
    logger,
    reports,
    traces,
    // Unlike any other process, also the one that had this host and pid before it.
    worker: `${name}@${hostname()}:${process.pid}:${effects.uuid().slice(0, 8)}`,
    sendConcurrency: config.sendConcurrency,
  };
  return {
    ...{ jobs, store, jobServices, rpc, analytics, metrics, effects, logger, reports, traces },
    close: () =>
      closeInTime({ effects, logger }, [unipile.close(), media.close(), analytics.close(), rpc.close()]),
  };
}

/** The parts, and the engine that the configuration says. */
export async function buildServices(config: WorkerConfig, name: 'jobs-api' | 'worker'): Promise<Services> {
  const parts = await openParts(config, name, await loadMetrics(config));
  const { jobs, store, jobServices, rpc, metrics, effects, traces } = parts;
  const bullmq = await openBullmq(config, jobs, store, jobServices);
  const engine = bullmq?.engine ?? createInProcessEngine(jobs, store, jobServices);
  metrics?.measure({ rpc, engine, bullmq });
  return {
    ...parts,
    runs: createRuns(store, engine, effects, traces),
    engine,
    bullmq,
    async close() {
      const others = [bullmq?.disconnect(), metrics?.close()];
      await Promise.all([parts.close(), closeInTime(parts, others)]);
    },
  };
}

/** A call that is still out would hold this up, and it has its lease. */
async function closeInTime(
  { effects, logger }: Pick<Parts, 'effects' | 'logger'>,
  closing: readonly (Promise<unknown> | undefined)[],
): Promise<void> {
  await within(effects, CLIENTS_MS_MAX, Promise.all(closing), () =>
    logger.warn('clients did not close in time'),
  );
}

/** Sentry's code is loaded only where there is one to tell. */
async function openReports(config: PartsConfig, name: ProcessName): Promise<Reports> {
  const { sentry, secrets } = config;
  if (sentry === null) return NO_REPORTS;
  const { createSentryReports } = await import('@revos/sentry');
  return createSentryReports({
    ...{ ...sentry, secrets, release: versionOf(config) },
    process: name === 'direct' ? 'web' : name,
  });
}

/** OpenTelemetry is loaded only where there is a collector. */
async function openTraces(config: PartsConfig, name: ProcessName, logger: Logger): Promise<Traces> {
  if (config.traces === null) return NO_TRACES;
  const { createOtelTraces } = await import('@revos/otel');
  const process = name === 'direct' ? 'web' : name;
  return createOtelTraces({ ...config.traces, process, release: versionOf(config), logger });
}

/** Loaded only where it is wanted. */
async function openBullmq(
  { engine }: WorkerConfig,
  ...parts: [jobs: readonly JobDefinition[], store: RunStore, services: JobServices]
): Promise<Bullmq | null> {
  if (engine.kind === 'in-process') return null;
  const { createBullmq } = await import('@revos/core/jobs/engines/bullmq');
  return createBullmq(...parts, engine);
}

/** Loaded only where they are wanted. */
async function loadMetrics({ metrics, commit }: WorkerConfig): Promise<MakeMetrics | null> {
  if (metrics === null) return null;
  const { createMetrics } = await import('./metrics/index.ts');
  return (parts) => createMetrics({ ...parts, commit, port: metrics.port });
}

function openUnipile(
  { unipileDsn: dsn, unipileApiKey: apiKey }: PartsConfig,
  metrics: Metrics | null,
): Unipile {
  const unipile = createUnipileV1({ dsn, apiKey, onReadRepeated: metrics?.onUnipileRepeated });
  return metrics?.observeUnipile(unipile) ?? unipile;
}

function openRunStore(rpc: Rpc, metrics: Metrics | null): RunStore {
  const store = createRunStore(rpc);
  return metrics?.observeStore(store) ?? store;
}

async function openRpc(config: PartsConfig, logger: Logger, metrics: Metrics | null): Promise<Rpc> {
  const rpc = await connect(config, logger, metrics?.onDatabaseRepeated);
  return metrics?.observeRpc(rpc) ?? rpc;
}

async function connect(
  { database, supabaseUrl: url }: PartsConfig,
  logger: Logger,
  onRepeated?: () => void,
): Promise<Rpc> {
  if (database.kind === 'rest') return createSupabaseRpc({ url, secretKey: database.secretKey, onRepeated });
  const { address, connectionsMax } = database;
  if (address.isExposed) {
    logger.warn('DATABASE_URL asks for an unverified connection: remove its sslmode');
  }
  // Loaded only where it is wanted.
  const { createPostgresRpc } = await import('@revos/core/rpc/postgres');
  return createPostgresRpc({
    address,
    connectionsMax,
    onRepeated,
    onConnectionLost: (err) => logger.warn({ err }, 'database connection lost, reconnecting'),
  });
}
