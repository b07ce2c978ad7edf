/** The environment of the jobs API, and of the workers, who need none of its credentials. The only file here that reads it. */
import querystring from 'node:querystring';
import { commaSeparated, EnvironmentError, isSafeAddress, readEnv } from '@revos/core/config';
import type { JobSettings } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { type DatabaseAddress, readCertificates, readDatabaseUrl } from '@revos/core/rpc/postgres';
import Type, { type Static } from 'typebox';
import { areOpsTokens, areSigningSecrets, areTokens, opsTokens } from './credentials.ts';

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

/** What travels in a header is visible ASCII: a key that was pasted with a line break is refused here, by name. */
const Key = Type.String({ pattern: '^[!-~]+$' });

const RedisUrl = Type.Refine(Type.String({ pattern: '^rediss?://' }), (url) => URL.canParse(url));

/** What every process reads that works on runs. */
const WorkEnv = Type.Object({
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
  JOB_ENGINE: Type.Union([Type.Literal('in-process'), Type.Literal('bullmq')], { default: 'in-process' }),
  /** The queue of the runs, with `bullmq`, and where analytics keep their cache besides Postgres. */
  REDIS_URL: Type.Optional(RedisUrl),
  REDIS_FALLBACK: Type.Union([Type.Literal('in-process'), Type.Literal('none')], { default: 'in-process' }),
  RUN_SLICES: Type.Integer({ minimum: 1, maximum: 32, default: 3 }),
  WORKER_CONCURRENCY: Type.Integer({ minimum: 1, maximum: 64, default: 8 }),
  SEND_CONCURRENCY: Type.Integer({ minimum: 1, maximum: 200, default: 20 }),
  JOB_SCHEDULES: Type.Optional(Type.Refine(Type.String(), areSchedules)),
  SCHEDULER: Type.Union([Type.Literal('off'), Type.Literal('internal')], { default: 'off' }),
  CATCH_UP: Type.Union([Type.Literal('off'), Type.Literal('latest')], { default: 'latest' }),
  LOG_LEVEL: Type.Union(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info' },
  ),
  SHUTDOWN_GRACE_SECONDS: Type.Integer({ minimum: 1, maximum: 280, default: 18 }),
  /** Set by Render: the commit that runs. */
  RENDER_GIT_COMMIT: Type.Optional(Type.String({ maxLength: 64 })),
});
type WorkEnv = Static<typeof WorkEnv>;

/** What the jobs API reads besides. */
const ApiEnv = Type.Object({
  JOB_SECRET: Type.Refine(Type.String(), areTokens),
  JOBS_SIGNING_SECRETS: Type.Refine(Type.String(), areSigningSecrets),
  OPS_TOKENS: Type.Refine(Type.String(), areOpsTokens),
  PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 10_000 }),
  HOST: Type.String({ default: '0.0.0.0' }),
  PROXY_HOPS: Type.Integer({ minimum: 0, maximum: 5, default: 0 }),
});

/** Names that are needed only because of what others say. */
const neededBesides = (source: NodeJS.ProcessEnv) => ({
  ...(source.DATABASE_URL?.trim() ? {} : { SUPABASE_SECRET_KEY: Key }),
  ...(source.JOB_ENGINE?.trim() === 'bullmq' ? { REDIS_URL: RedisUrl } : {}),
});

/** The way to the database: the REST API of Supabase, or connections to Postgres itself. */
export type DatabaseConfig =
  | { readonly kind: 'rest'; readonly secretKey: string }
  | { readonly kind: 'postgres'; readonly address: DatabaseAddress; readonly connectionsMax: number };

/** Where runs are worked on: in the process that they are triggered in, or by whoever takes them out of Redis. */
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

export interface WorkerConfig {
  readonly supabaseUrl: string;
  readonly database: DatabaseConfig;
  readonly unipileDsn: string;
  readonly unipileApiKey: string;
  readonly engine: EngineConfig;
  readonly settings: JobSettings;
  readonly sendConcurrency: number;
  readonly jobSchedules: string | undefined;
  readonly scheduler: 'off' | 'internal';
  readonly catchUp: 'off' | 'latest';
  readonly logLevel: string;
  readonly shutdownGraceMs: number;
  readonly commit: string | undefined;
  /** Every secret by itself, for the log to cut out wherever it should turn up. */
  readonly secrets: readonly string[];
}

export interface Config extends WorkerConfig {
  readonly cronTokens: readonly string[];
  readonly signingSecrets: readonly string[];
  readonly opsTokens: ReadonlyArray<readonly [name: string, token: string]>;
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
  const schema = Type.Object({ ...WorkEnv.properties, ...ApiEnv.properties, ...neededBesides(source) });
  const env = readEnv(schema, withNewerNames(source));
  const cronTokens = commaSeparated(env.JOB_SECRET);
  const signingSecrets = commaSeparated(env.JOBS_SIGNING_SECRETS);
  const ops = opsTokens(env.OPS_TOKENS);
  // A token that is both could pass as ops without a signature.
  if (ops.some(([, token]) => cronTokens.includes(token))) {
    throw new EnvironmentError([], ['JOB_SECRET', 'OPS_TOKENS']);
  }
  return {
    ...workerConfigOf(env, [...signingSecrets, ...cronTokens, ...ops.map(([, token]) => token)]),
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
export function loadWorkerConfig(source: NodeJS.ProcessEnv = process.env): WorkerConfig {
  const schema = Type.Object({ ...WorkEnv.properties, ...neededBesides(source) });
  return workerConfigOf(readEnv(schema, withNewerNames(source)), []);
}

/** @param credentials secrets that only the jobs API has */
function workerConfigOf(env: WorkEnv, credentials: readonly string[]): WorkerConfig {
  return {
    supabaseUrl: env.SUPABASE_URL,
    database: databaseOf(env),
    unipileDsn: env.UNIPILE_DSN,
    unipileApiKey: env.UNIPILE_API_KEY,
    engine: engineOf(env),
    settings: {
      unknownPolicy: env.UNKNOWN_POLICY,
      postLateLimitMinutes: env.POST_LATE_LIMIT_MINUTES,
      ...(env.REDIS_URL === undefined ? {} : { redisUrl: env.REDIS_URL }),
    },
    sendConcurrency: env.SEND_CONCURRENCY,
    jobSchedules: env.JOB_SCHEDULES,
    scheduler: env.SCHEDULER,
    catchUp: env.CATCH_UP,
    logLevel: env.LOG_LEVEL,
    shutdownGraceMs: env.SHUTDOWN_GRACE_SECONDS * 1_000,
    commit: env.RENDER_GIT_COMMIT,
    secrets: [
      ...[env.SUPABASE_SECRET_KEY, env.UNIPILE_API_KEY].filter((key) => key !== undefined),
      ...credentials,
      ...passwordsIn(env.REDIS_URL),
      ...passwordsIn(env.DATABASE_URL),
    ],
  };
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
function databaseOf(env: WorkEnv): DatabaseConfig {
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
