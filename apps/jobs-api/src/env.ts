/**
 * The environment of the jobs API, and of the workers, who need none of its credentials. The only
 * file here that reads it.
 */
import querystring from 'node:querystring';
import type { AlertsConfig } from '@revos/core/alerts';
import { channelsConfigOf, channelVariables, neededForChannels } from '@revos/core/alerts/variables';
import {
  commaSeparated,
  EnvironmentError,
  isSafeAddress,
  isSentryDsn,
  readEnv,
  SENTRY_ENVIRONMENT,
  secretsInHeaders,
  type TracesConfig,
  tracesConfigOf,
  tracesVariables,
} from '@revos/core/config';
import type { JobSettings } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { type DatabaseAddress, readCertificates, readDatabaseUrl } from '@revos/core/rpc/database-url';
import { areSigningSecrets } from '@revos/core/signing';
import Type, { type Static } from 'typebox';
import { areOpsTokens, areTokens, opsTokens } from './credentials.ts';

const areSchedules = (value: string): boolean => {
  try {
    jobsWithSchedules(value);
    return true;
  } catch {
    return false;
  }
};

/** Host and port are https. */
const isDsn = (value: string): boolean =>
  isSafeAddress(/^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `https://${value}`);

/**
 * What travels in a header is visible ASCII: a key that was pasted with a line break is refused
 * here, by name.
 */
const Key = Type.String({ pattern: '^[!-~]+$' });

const RedisUrl = Type.Refine(Type.String({ pattern: '^rediss?://' }), (url) => URL.canParse(url));

const PORT_RANGE = { minimum: 0, maximum: 65_535 } as const;

/** What everything reads that works on runs, a function of the web app too. */
const PartsEnv = Type.Object({
  SUPABASE_URL: Type.Refine(Type.String(), isSafeAddress),
  /** Not needed where DATABASE_URL is the way to the database. */
  SUPABASE_SECRET_KEY: Type.Optional(Key),
  DATABASE_URL: Type.Optional(Type.Refine(Type.String(), (url) => readDatabaseUrl(url) !== null)),
  DATABASE_CA: Type.Optional(Type.Refine(Type.String(), (text) => readCertificates(text) !== null)),
  DATABASE_POOL_MAX: Type.Integer({ minimum: 1, maximum: 50, default: 10 }),
  UNIPILE_DSN: Type.Refine(Type.String(), isDsn),
  UNIPILE_API_KEY: Key,
  UNKNOWN_POLICY: Type.Union([Type.Literal('resend-when-absent'), Type.Literal('hold')], {
    default: 'resend-when-absent',
  }),
  POST_LATE_LIMIT_MINUTES: Type.Integer({ minimum: 1, maximum: 10_080, default: 360 }),
  /** The queue of the runs, with `bullmq`, and where analytics keep their cache besides Postgres. */
  REDIS_URL: Type.Optional(RedisUrl),
  SEND_CONCURRENCY: Type.Integer({ minimum: 1, maximum: 200, default: 20 }),
  JOB_SCHEDULES: Type.Optional(Type.Refine(Type.String(), areSchedules)),
  LOG_LEVEL: Type.Union(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info' },
  ),
  /** Errors and check-ins are told to it; to nobody without one. */
  SENTRY_DSN: Type.Optional(Type.Refine(Type.String(), isSentryDsn)),
  SENTRY_ENVIRONMENT: Type.String({ pattern: SENTRY_ENVIRONMENT, default: 'production' }),
  /** Who is told of alerts; nobody without one. */
  ...channelVariables,
  /** Asked for every minute, so that somebody outside notices when it stops. */
  HEARTBEAT_URL: Type.Optional(Type.Refine(Type.String(), isSafeAddress)),
  ...tracesVariables,
  /** Set by Render: the commit that runs. */
  RENDER_GIT_COMMIT: Type.Optional(Type.String({ maxLength: 64 })),
});
type PartsEnv = Static<typeof PartsEnv>;

/** What a process reads besides: its engine, its clock, and its end. */
const WorkEnv = Type.Object({
  ...PartsEnv.properties,
  JOB_ENGINE: Type.Union([Type.Literal('in-process'), Type.Literal('bullmq')], { default: 'in-process' }),
  REDIS_FALLBACK: Type.Union([Type.Literal('in-process'), Type.Literal('none')], { default: 'in-process' }),
  RUN_SLICES: Type.Integer({ minimum: 1, maximum: 32, default: 3 }),
  WORKER_CONCURRENCY: Type.Integer({ minimum: 1, maximum: 64, default: 8 }),
  SCHEDULER: Type.Union([Type.Literal('off'), Type.Literal('internal')], { default: 'off' }),
  CATCH_UP: Type.Union([Type.Literal('off'), Type.Literal('latest')], { default: 'latest' }),
  SHUTDOWN_GRACE_SECONDS: Type.Integer({ minimum: 1, maximum: 280, default: 18 }),
  /** Opened for metrics alone, to whoever can reach it. */
  METRICS_PORT: Type.Optional(Type.Integer(PORT_RANGE)),
});
type WorkEnv = Static<typeof WorkEnv>;

/** What the jobs API reads besides. */
const ApiEnv = Type.Object({
  JOB_SECRET: Type.Refine(Type.String(), areTokens),
  JOBS_SIGNING_SECRETS: Type.Refine(Type.String(), areSigningSecrets),
  OPS_TOKENS: Type.Refine(Type.String(), areOpsTokens),
  METRICS_TOKEN: Type.Optional(Type.Refine(Type.String(), areTokens)),
  PORT: Type.Integer({ ...PORT_RANGE, default: 10_000 }),
  HOST: Type.String({ default: '0.0.0.0' }),
  PROXY_HOPS: Type.Integer({ minimum: 0, maximum: 5, default: 0 }),
});

/** Names that are needed only because of what others say. */
const neededForDatabase = (source: NodeJS.ProcessEnv) =>
  source.DATABASE_URL?.trim() ? {} : { SUPABASE_SECRET_KEY: Key };
const neededForParts = (source: NodeJS.ProcessEnv) => ({
  ...neededForDatabase(source),
  ...neededForChannels(source),
});
const conditionallyRequired = (source: NodeJS.ProcessEnv) => ({
  ...neededForParts(source),
  ...(source.JOB_ENGINE?.trim() === 'bullmq' ? { REDIS_URL: RedisUrl } : {}),
});

/** The way to the database: the REST API of Supabase, or connections to Postgres itself. */
export type DatabaseConfig =
  | { readonly kind: 'rest'; readonly secretKey: string }
  | { readonly kind: 'postgres'; readonly address: DatabaseAddress; readonly connectionsMax: number };

/**
 * Where runs are worked on: in the process that they are triggered in, or by whoever takes them out
 * of Redis.
 */
export type EngineConfig =
  | { readonly kind: 'in-process' }
  | {
      readonly kind: 'bullmq';
      readonly redisUrl: string;
      readonly slicesPerRun: number;
      /** What is done with a run while Redis is away. */
      readonly fallback: 'in-process' | 'none';
      /** Slices that one worker works on at once. */
      readonly concurrency: number;
    };

export interface MetricsConfig {
  /** One for metrics alone, without a credential; undefined for none. */
  readonly port: number | undefined;
  /** Bearer tokens for /metrics of the jobs API; none of them, and it is not there. */
  readonly tokens: readonly string[];
}

export interface PartsConfig {
  readonly supabaseUrl: string;
  readonly database: DatabaseConfig;
  readonly unipileDsn: string;
  readonly unipileApiKey: string;
  readonly settings: JobSettings;
  readonly sendConcurrency: number;
  readonly jobSchedules: string | undefined;
  readonly logLevel: string;
  readonly commit: string | undefined;
  /** Null: nobody is told of errors. */
  readonly sentry: { readonly dsn: string; readonly environment: string } | null;
  readonly alerts: AlertsConfig;
  /** Null: nothing is traced. */
  readonly traces: TracesConfig | null;
  /** Every secret by itself, for the log to cut out wherever it should turn up. */
  readonly secrets: readonly string[];
}

export interface WorkerConfig extends PartsConfig {
  readonly engine: EngineConfig;
  readonly scheduler: 'off' | 'internal';
  readonly catchUp: 'off' | 'latest';
  /** Null: nobody may see any, and nothing is counted. */
  readonly metrics: MetricsConfig | null;
  readonly shutdownGraceMs: number;
}

/** Of a worker. */
export interface WorkerProcessConfig extends WorkerConfig {
  /** Where it says how it is; null where nobody asks. */
  readonly port: number | null;
  readonly host: string;
}

type OpsTokens = ReadonlyArray<readonly [name: string, token: string]>;

/** Of a function of the web app, which has no clock of its own and no queue. */
export interface DirectConfig extends PartsConfig {
  /** Who may ask for the job API; nobody where there are none. */
  readonly opsTokens: OpsTokens;
}

export interface Config extends WorkerConfig {
  readonly cronTokens: readonly string[];
  readonly signingSecrets: readonly string[];
  readonly opsTokens: OpsTokens;
  readonly port: number;
  readonly host: string;
  readonly proxyHops: number;
}

/** The older name of the key is accepted. */
const withNewerNames = (source: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...source,
  SUPABASE_SECRET_KEY: source.SUPABASE_SECRET_KEY || source.SUPABASE_SERVICE_ROLE_KEY,
});

/**
 * Reads the environment of the jobs API once.
 *
 * @throws {EnvironmentError} naming every bad or missing variable at once, and no value
 */
export function loadConfig(source: NodeJS.ProcessEnv = process.env): Config {
  const schema = Type.Object({
    ...WorkEnv.properties,
    ...ApiEnv.properties,
    ...conditionallyRequired(source),
  });
  const env = readEnv(schema, withNewerNames(source));
  const cronTokens = commaSeparated(env.JOB_SECRET);
  const signingSecrets = commaSeparated(env.JOBS_SIGNING_SECRETS);
  const ops = opsTokens(env.OPS_TOKENS);
  const operators = ops.map(([, token]) => token);
  const scrapers = commaSeparated(env.METRICS_TOKEN ?? '');
  refuseShared({ JOB_SECRET: cronTokens, OPS_TOKENS: operators, METRICS_TOKEN: scrapers });
  refuseSamePort(env);
  return {
    ...workerConfigOf(env, [...signingSecrets, ...cronTokens, ...operators, ...scrapers], scrapers),
    cronTokens,
    signingSecrets,
    opsTokens: ops,
    port: env.PORT,
    host: env.HOST,
    proxyHops: env.PROXY_HOPS,
  };
}

/**
 * Reads the environment of a worker once.
 *
 * @throws {EnvironmentError} as `loadConfig` does
 */
export function loadWorkerConfig(source: NodeJS.ProcessEnv = process.env): WorkerProcessConfig {
  const port = { PORT: Type.Optional(Type.Integer(PORT_RANGE)), HOST: ApiEnv.properties.HOST };
  const schema = Type.Object({ ...WorkEnv.properties, ...port, ...conditionallyRequired(source) });
  const env = readEnv(schema, withNewerNames(source));
  refuseSamePort(env);
  return { ...workerConfigOf(env, []), port: env.PORT ?? null, host: env.HOST };
}

/**
 * Reads the environment of a function that works on runs itself.
 *
 * @throws {EnvironmentError} as `loadConfig` does
 */
export function loadDirectConfig(source: NodeJS.ProcessEnv = process.env): DirectConfig {
  const schema = Type.Object({
    ...PartsEnv.properties,
    OPS_TOKENS: Type.Optional(ApiEnv.properties.OPS_TOKENS),
    /** Set by Vercel: the commit that runs. */
    VERCEL_GIT_COMMIT_SHA: Type.Optional(Type.String({ maxLength: 64 })),
    ...neededForParts(source),
  });
  const env = readEnv(schema, withNewerNames(source));
  const ops = opsTokens(env.OPS_TOKENS ?? '');
  const tokens = ops.map(([, token]) => token);
  return { ...partsConfigOf(env, tokens), commit: env.VERCEL_GIT_COMMIT_SHA, opsTokens: ops };
}

/** The way to the database, by itself. @throws {EnvironmentError} as `loadConfig` does */
export function loadDatabaseConfig(source: NodeJS.ProcessEnv): Pick<PartsConfig, 'supabaseUrl' | 'database'> {
  const { SUPABASE_URL, SUPABASE_SECRET_KEY, DATABASE_URL, DATABASE_CA, DATABASE_POOL_MAX } =
    PartsEnv.properties;
  const own = { SUPABASE_URL, SUPABASE_SECRET_KEY, DATABASE_URL, DATABASE_CA, DATABASE_POOL_MAX };
  const env = readEnv(Type.Object({ ...own, ...neededForDatabase(source) }), withNewerNames(source));
  return { supabaseUrl: env.SUPABASE_URL, database: databaseOf(env) };
}

/** Unipile, by itself. @throws {EnvironmentError} as `loadConfig` does */
export function loadUnipileConfig(source: NodeJS.ProcessEnv): {
  readonly dsn: string;
  readonly apiKey: string;
} {
  const { UNIPILE_DSN, UNIPILE_API_KEY } = PartsEnv.properties;
  const env = readEnv(Type.Object({ UNIPILE_DSN, UNIPILE_API_KEY }), source);
  return { dsn: env.UNIPILE_DSN, apiKey: env.UNIPILE_API_KEY };
}

/** Who is told of alerts, by itself. @throws {EnvironmentError} as `loadConfig` does */
export function loadAlertsConfig(source: NodeJS.ProcessEnv): AlertsConfig {
  const alerts = { ...channelVariables, HEARTBEAT_URL: PartsEnv.properties.HEARTBEAT_URL };
  return alertsOf(readEnv(Type.Object({ ...alerts, ...neededForChannels(source) }), source));
}

/** Redis, by itself. @throws {EnvironmentError} as `loadConfig` does */
export const loadRedisUrl = (source: NodeJS.ProcessEnv): string =>
  readEnv(Type.Object({ REDIS_URL: RedisUrl }), source).REDIS_URL;

/** 0 is another one each time. */
function refuseSamePort({ METRICS_PORT: own, PORT: port }: { METRICS_PORT?: number; PORT?: number }): void {
  if (own !== undefined && own !== 0 && own === port) {
    throw new EnvironmentError([], ['METRICS_PORT', 'PORT']);
  }
}

/**
 * A token that is two could do what only one of them may: be ops without a signature, or more than
 * scrape.
 */
function refuseShared(tokens: Readonly<Record<string, readonly string[]>>): void {
  const shared = Object.entries(tokens).filter(([name, own]) =>
    Object.entries(tokens).some(
      ([other, theirs]) => other !== name && own.some((token) => theirs.includes(token)),
    ),
  );
  if (shared.length > 0)
    throw new EnvironmentError(
      [],
      shared.map(([name]) => name),
    );
}

/**
 * @param credentials secrets that only the jobs API has
 * @param metricsTokens those among them that open /metrics
 */
function workerConfigOf(
  env: WorkEnv,
  credentials: readonly string[],
  metricsTokens: readonly string[] = [],
): WorkerConfig {
  return {
    ...partsConfigOf(env, credentials),
    engine: engineOf(env),
    scheduler: env.SCHEDULER,
    catchUp: env.CATCH_UP,
    metrics:
      env.METRICS_PORT === undefined && metricsTokens.length === 0
        ? null
        : { port: env.METRICS_PORT, tokens: metricsTokens },
    shutdownGraceMs: env.SHUTDOWN_GRACE_SECONDS * 1_000,
  };
}

function partsConfigOf(env: PartsEnv, credentials: readonly string[]): PartsConfig {
  return {
    supabaseUrl: env.SUPABASE_URL,
    database: databaseOf(env),
    unipileDsn: env.UNIPILE_DSN,
    unipileApiKey: env.UNIPILE_API_KEY,
    settings: {
      unknownPolicy: env.UNKNOWN_POLICY,
      postLateLimitMinutes: env.POST_LATE_LIMIT_MINUTES,
      ...(env.REDIS_URL === undefined ? {} : { redisUrl: env.REDIS_URL }),
    },
    sendConcurrency: env.SEND_CONCURRENCY,
    jobSchedules: env.JOB_SCHEDULES,
    logLevel: env.LOG_LEVEL,
    commit: env.RENDER_GIT_COMMIT,
    sentry:
      env.SENTRY_DSN === undefined ? null : { dsn: env.SENTRY_DSN, environment: env.SENTRY_ENVIRONMENT },
    alerts: alertsOf(env),
    traces: tracesConfigOf(env),
    secrets: [
      // Whoever has the address of such a webhook may use it.
      ...[
        env.SUPABASE_SECRET_KEY,
        env.UNIPILE_API_KEY,
        env.SENTRY_DSN,
        env.SLACK_WEBHOOK_URL,
        env.HEARTBEAT_URL,
        env.ALERT_WEBHOOK_URL,
      ].filter((key) => key !== undefined),
      ...commaSeparated(env.ALERT_WEBHOOK_SECRET ?? ''),
      ...credentials,
      ...passwordsIn(env.REDIS_URL),
      ...passwordsIn(env.DATABASE_URL),
      ...secretsInHeaders(env.OTEL_EXPORTER_OTLP_HEADERS),
    ],
  };
}

function alertsOf(
  env: Parameters<typeof channelsConfigOf>[0] & Pick<PartsEnv, 'HEARTBEAT_URL'>,
): AlertsConfig {
  return { ...channelsConfigOf(env), heartbeatUrl: env.HEARTBEAT_URL ?? null };
}

function engineOf(env: WorkEnv): EngineConfig {
  if (env.JOB_ENGINE === 'in-process' || env.REDIS_URL === undefined) return { kind: 'in-process' };
  return {
    kind: 'bullmq',
    redisUrl: env.REDIS_URL,
    slicesPerRun: env.RUN_SLICES,
    fallback: env.REDIS_FALLBACK,
    concurrency: env.WORKER_CONCURRENCY,
  };
}

/** @throws {EnvironmentError} where the URL and the CA contradict each other */
function databaseOf(
  env: Pick<PartsEnv, 'DATABASE_URL' | 'DATABASE_CA' | 'DATABASE_POOL_MAX' | 'SUPABASE_SECRET_KEY'>,
): DatabaseConfig {
  const { DATABASE_URL: url, DATABASE_CA: ca, SUPABASE_SECRET_KEY: secretKey = '' } = env;
  if (url === undefined) return { kind: 'rest', secretKey };
  const address = readDatabaseUrl(url, ca === undefined ? [] : (readCertificates(ca) ?? []));
  if (address === null) throw new EnvironmentError([], ['DATABASE_CA', 'DATABASE_URL']);
  return { kind: 'postgres', address, connectionsMax: env.DATABASE_POOL_MAX };
}

/** The password of a URL, as it is written there and as it is sent. */
function passwordsIn(url: string | undefined): string[] {
  const password = url === undefined ? '' : (URL.parse(url)?.password ?? '');
  return password === '' ? [] : [...new Set([password, querystring.unescape(password)])];
}
