/** The environment of the jobs API. The only file here that reads it. */
import querystring from 'node:querystring';
import { commaSeparated, EnvironmentError, readEnv } from '@revos/core/config';
import type { JobSettings } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { isSigningSecret } from '@revos/core/signing';
import Type, { type Static } from 'typebox';

/** Bearer tokens are at least this long. */
const TOKEN_LENGTH_MIN = 16;

/** The characters of a bearer token (RFC 6750); a comma would end it here. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

const OPS_NAME = /^[a-z0-9-]{1,64}$/;

/** Names that runs and the audit trail show for the machines. */
const RESERVED: ReadonlySet<string> = new Set(['cron', 'scheduler', 'watchdog', 'sql']);

const isToken = (token: string): boolean => token.length >= TOKEN_LENGTH_MIN && TOKEN.test(token);

const areTokens = (value: string): boolean => {
  const tokens = commaSeparated(value);
  return tokens.length > 0 && tokens.every(isToken);
};

const areSigningSecrets = (value: string): boolean => {
  const secrets = commaSeparated(value);
  return secrets.length > 0 && secrets.every(isSigningSecret);
};

/** `name:token` pairs; a token may hold no colon, so the first one ends the name. */
const opsTokens = (value: string): ReadonlyArray<readonly [name: string, token: string]> =>
  commaSeparated(value).map((entry) => {
    const colon = entry.indexOf(':');
    return [entry.slice(0, Math.max(colon, 0)), entry.slice(colon + 1)] as const;
  });

const areOpsTokens = (value: string): boolean => {
  const pairs = opsTokens(value);
  const names = new Set(pairs.map(([name]) => name));
  const tokens = new Set(pairs.map(([, token]) => token));
  return (
    pairs.length > 0 &&
    names.size === pairs.length &&
    tokens.size === pairs.length &&
    pairs.every(([name, token]) => OPS_NAME.test(name) && !RESERVED.has(name) && isToken(token))
  );
};

const areSchedules = (value: string): boolean => {
  try {
    jobsWithSchedules(value);
    return true;
  } catch {
    return false;
  }
};

/** An address with a name and a password in it is none: clients quote it in their errors. */
const isAddress = (value: string): boolean => {
  const url = URL.parse(value);
  return url !== null && url.username === '' && url.password === '';
};

const isDsn = (value: string): boolean => isAddress(/^https?:\/\//.test(value) ? value : `https://${value}`);

/** What travels in a header is visible ASCII: a key that was pasted with a line break is refused here, by name. */
const Key = Type.String({ pattern: '^[!-~]+$' });

const Env = Type.Object({
  SUPABASE_URL: Type.Refine(Type.String({ pattern: '^https?://' }), isAddress),
  SUPABASE_SECRET_KEY: Key,
  UNIPILE_DSN: Type.Refine(Type.String(), isDsn),
  UNIPILE_API_KEY: Key,
  JOB_SECRET: Type.Refine(Type.String(), areTokens),
  JOBS_SIGNING_SECRETS: Type.Refine(Type.String(), areSigningSecrets),
  OPS_TOKENS: Type.Refine(Type.String(), areOpsTokens),
  UNKNOWN_POLICY: Type.Union([Type.Literal('resend-when-absent'), Type.Literal('hold')], {
    default: 'resend-when-absent',
  }),
  POST_LATE_LIMIT_MINUTES: Type.Integer({ minimum: 1, maximum: 10_080, default: 360 }),
  /** Where analytics keep their cache besides Postgres. */
  REDIS_URL: Type.Optional(Type.Refine(Type.String({ pattern: '^rediss?://' }), (url) => URL.canParse(url))),
  SEND_CONCURRENCY: Type.Integer({ minimum: 1, maximum: 200, default: 20 }),
  JOB_SCHEDULES: Type.Optional(Type.Refine(Type.String(), areSchedules)),
  SCHEDULER: Type.Union([Type.Literal('off'), Type.Literal('internal')], { default: 'off' }),
  CATCH_UP: Type.Union([Type.Literal('off'), Type.Literal('latest')], { default: 'latest' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 10_000 }),
  HOST: Type.String({ default: '0.0.0.0' }),
  PROXY_HOPS: Type.Integer({ minimum: 0, maximum: 5, default: 0 }),
  LOG_LEVEL: Type.Union(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info' },
  ),
  SHUTDOWN_GRACE_SECONDS: Type.Integer({ minimum: 1, maximum: 280, default: 18 }),
  /** Set by Render: the commit that runs. */
  RENDER_GIT_COMMIT: Type.Optional(Type.String({ maxLength: 64 })),
});

export interface Config {
  readonly supabaseUrl: string;
  readonly supabaseSecretKey: string;
  readonly unipileDsn: string;
  readonly unipileApiKey: string;
  readonly cronTokens: readonly string[];
  readonly signingSecrets: readonly string[];
  readonly opsTokens: ReadonlyArray<readonly [name: string, token: string]>;
  readonly settings: JobSettings;
  readonly sendConcurrency: number;
  readonly jobSchedules: string | undefined;
  readonly scheduler: 'off' | 'internal';
  readonly catchUp: 'off' | 'latest';
  readonly port: number;
  readonly host: string;
  readonly proxyHops: number;
  readonly logLevel: string;
  readonly shutdownGraceMs: number;
  readonly commit: string | undefined;
  /** Every secret by itself, for the log to cut out wherever it should turn up. */
  readonly secrets: readonly string[];
}

/**
 * Reads the environment once.
 *
 * @throws {EnvironmentError} naming every bad or missing variable at once, and no value
 */
export function loadConfig(source: NodeJS.ProcessEnv = process.env): Config {
  const env = readEnv(Env, {
    ...source,
    // The older name of the key is accepted.
    SUPABASE_SECRET_KEY: source.SUPABASE_SECRET_KEY || source.SUPABASE_SERVICE_ROLE_KEY,
  });
  const cronTokens = commaSeparated(env.JOB_SECRET);
  const ops = opsTokens(env.OPS_TOKENS);
  // A token that is both could pass as ops without a signature.
  if (ops.some(([, token]) => cronTokens.includes(token))) {
    throw new EnvironmentError([], ['JOB_SECRET', 'OPS_TOKENS']);
  }
  return {
    supabaseUrl: env.SUPABASE_URL,
    supabaseSecretKey: env.SUPABASE_SECRET_KEY,
    unipileDsn: env.UNIPILE_DSN,
    unipileApiKey: env.UNIPILE_API_KEY,
    cronTokens,
    signingSecrets: commaSeparated(env.JOBS_SIGNING_SECRETS),
    opsTokens: ops,
    settings: {
      unknownPolicy: env.UNKNOWN_POLICY,
      postLateLimitMinutes: env.POST_LATE_LIMIT_MINUTES,
      ...(env.REDIS_URL === undefined ? {} : { redisUrl: env.REDIS_URL }),
    },
    sendConcurrency: env.SEND_CONCURRENCY,
    jobSchedules: env.JOB_SCHEDULES,
    scheduler: env.SCHEDULER,
    catchUp: env.CATCH_UP,
    port: env.PORT,
    host: env.HOST,
    proxyHops: env.PROXY_HOPS,
    logLevel: env.LOG_LEVEL,
    shutdownGraceMs: env.SHUTDOWN_GRACE_SECONDS * 1_000,
    commit: env.RENDER_GIT_COMMIT,
    secrets: secretsOf(env, [...cronTokens, ...ops.map(([, token]) => token)]),
  };
}

function secretsOf(env: Static<typeof Env>, tokens: readonly string[]): string[] {
  const redisPassword = env.REDIS_URL === undefined ? '' : (URL.parse(env.REDIS_URL)?.password ?? '');
  const passwords = redisPassword === '' ? [] : [redisPassword, querystring.unescape(redisPassword)];
  return [
    env.SUPABASE_SECRET_KEY,
    env.UNIPILE_API_KEY,
    ...commaSeparated(env.JOBS_SIGNING_SECRETS),
    ...tokens,
    ...new Set(passwords),
  ];
}
