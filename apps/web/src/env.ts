/**
 * The environment of the web app, and the only place that reads it. It is read for each request, so
 * that a build needs no secret and a rotated one needs no build.
 */
import querystring from 'node:querystring';
import {
  type ChannelsConfig,
  channelsConfigOf,
  channelVariables,
  neededForChannels,
} from '@revos/core/alerts/variables';
import {
  commaSeparated,
  isSafeAddress,
  isSentryDsn,
  readEnv,
  SENTRY_ENVIRONMENT,
  secretsInHeaders,
  type TracesConfig,
  tracesConfigOf,
  tracesVariables,
} from '@revos/core/config';
import { currentSlot } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { areSigningSecrets } from '@revos/core/signing';
import Type, { type Static } from 'typebox';

type Source = Readonly<Record<string, string | undefined>>;

/**
 * What travels in a header, so visible ASCII, and cannot be guessed: at least as long as the jobs
 * API wants a token.
 */
const SECRET = /^[!-~]{16,}$/;

const Secret = Type.String({ pattern: SECRET });

const JobsApiUrl = Type.Refine(Type.String(), isSafeAddress);

const SecretList = Type.Refine(Type.String(), (list: string) => {
  const secrets = commaSeparated(list);
  return secrets.length > 0 && secrets.every((secret) => SECRET.test(secret));
});

const SigningSecrets = Type.Refine(Type.String(), areSigningSecrets);

const Schedules = Type.Refine(Type.String(), (overrides: string) => {
  try {
    return jobsWithSchedules(overrides).every((job) => currentSlot(job.schedule, new Date(0)) !== undefined);
  } catch {
    return false;
  }
});

/**
 * Errors are told to it; to nobody without one. Whoever reads it wrongly set says so, as of
 * everything else.
 */
const SENTRY = {
  SENTRY_DSN: Type.Optional(Type.Refine(Type.String(), isSentryDsn)),
  SENTRY_ENVIRONMENT: Type.Optional(Type.String({ pattern: SENTRY_ENVIRONMENT })),
};

/** Set by Vercel: the commit that runs. */
const COMMIT = { VERCEL_GIT_COMMIT_SHA: Type.Optional(Type.String({ pattern: '^[0-9a-f]{7,64}$' })) };

const ReportsEnv = Type.Object({ ...SENTRY, ...COMMIT });

const TracesEnv = Type.Object({ ...tracesVariables, ...COMMIT });

const RouteEnv = Type.Object({
  ...SENTRY,
  ...tracesVariables,
  /** What Vercel sends. */
  CRON_SECRET: Secret,
  /** Other schedules than the registry's, for development. */
  JOB_SCHEDULES: Type.Optional(Schedules),
  /** Whether a slot that the jobs API gave no answer for is worked on here. */
  DIRECT_FALLBACK: Type.Union([Type.Literal('off'), Type.Literal('on')], { default: 'off' }),
});

const TriggerEnv = Type.Object({
  JOBS_API_URL: JobsApiUrl,
  /** The bearer token towards the jobs API; of several, the first is used. */
  JOB_SECRET: SecretList,
  /** `whsec_…`; the first signs. */
  JOBS_SIGNING_SECRETS: SigningSecrets,
});
export type TriggerEnv = Readonly<Static<typeof TriggerEnv>>;

export type CronEnv = Readonly<Static<typeof RouteEnv>> & {
  /** Who is told that slots get no run; null for nobody. */
  readonly alerts: ChannelsConfig | null;
  /** The way to the jobs API; null where there is none, and this app works on its slots itself. */
  readonly jobsApi: TriggerEnv | null;
};

/** Whether there is a jobs API: it has an address. */
const hasJobsApi = (source: Source): boolean => (source.JOBS_API_URL ?? '').trim() !== '';

const GateEnv = Type.Object({ OPS_TOKEN: Secret });

const DashboardEnv = Type.Object({
  ...SENTRY,
  /** Missing where this app serves the job API itself. */
  JOBS_API_URL: Type.Optional(JobsApiUrl),
  OPS_TOKEN: Secret,
});
export type DashboardEnv = Readonly<Static<typeof DashboardEnv>>;

/** Variables whose values nobody may be told. */
const SECRET_NAMES = [
  'CRON_SECRET',
  'JOB_SECRET',
  'JOBS_SIGNING_SECRETS',
  'OPS_TOKEN',
  'SENTRY_DSN',
  // Of an app that works on its slots itself.
  'OPS_TOKENS',
  'SUPABASE_SECRET_KEY',
  'SUPABASE_SERVICE_ROLE_KEY',
  'UNIPILE_API_KEY',
  'DATABASE_URL',
  'REDIS_URL',
  'ALERT_WEBHOOK_URL',
  'ALERT_WEBHOOK_SECRET',
  'SLACK_WEBHOOK_URL',
  'HEARTBEAT_URL',
] as const;

export interface ReportsConfig {
  readonly dsn: string;
  readonly environment: string;
  readonly commit: string | undefined;
  /** Every secret by itself. */
  readonly secrets: readonly string[];
}

/** A value, and the token or password in it: `name:token`, `postgresql://user:password@host`. */
function secretsIn(value: string): string[] {
  const password = URL.parse(value)?.password ?? '';
  const parts = [value, value.slice(value.indexOf(':') + 1), password, querystring.unescape(password)];
  return parts.filter((part) => part !== '');
}

/** Who is told of errors; null for nobody. @throws {EnvironmentError} */
export function readReportsEnv(source: Source = process.env): ReportsConfig | null {
  const env = readEnv(ReportsEnv, source);
  if (env.SENTRY_DSN === undefined) return null;
  return {
    dsn: env.SENTRY_DSN,
    environment: env.SENTRY_ENVIRONMENT ?? 'production',
    commit: env.VERCEL_GIT_COMMIT_SHA,
    secrets: [
      ...SECRET_NAMES.flatMap((name) => commaSeparated(source[name] ?? '').flatMap(secretsIn)),
      ...secretsInHeaders(source.OTEL_EXPORTER_OTLP_HEADERS),
    ],
  };
}

/** Where the spans of slots are sent; null for nowhere. @throws {EnvironmentError} */
export function readTracesEnv(
  source: Source = process.env,
): (TracesConfig & { readonly commit: string | undefined }) | null {
  const env = readEnv(TracesEnv, source);
  const config = tracesConfigOf(env);
  return config === null ? null : { ...config, commit: env.VERCEL_GIT_COMMIT_SHA };
}

/** What a cron route needs. @throws {EnvironmentError} */
export function readCronEnv(source: Source = process.env): CronEnv {
  tracesConfigOf(readEnv(Type.Object(tracesVariables), source));
  const route = { ...RouteEnv.properties, ...channelVariables, ...neededForChannels(source) };
  if (!hasJobsApi(source)) {
    const env = readEnv(Type.Object(route), source);
    return { ...env, alerts: alertsOf(env), jobsApi: null };
  }
  // Together, so that whatever is missing is told at once.
  const env = readEnv(Type.Object({ ...route, ...TriggerEnv.properties }), source);
  return { ...env, alerts: alertsOf(env), jobsApi: env };
}

function alertsOf(env: Parameters<typeof channelsConfigOf>[0]): ChannelsConfig | null {
  const channels = channelsConfigOf(env);
  return channels.webhook === null && channels.slackUrl === null ? null : channels;
}

/** Whether this app serves the job API itself, having no other. */
export function servesJobApi(source: Source = process.env): boolean {
  return !hasJobsApi(source);
}

/** What the door of the pages needs. @throws {EnvironmentError} */
export function readGateEnv(source: Source = process.env): Readonly<Static<typeof GateEnv>> {
  return readEnv(GateEnv, source);
}

/** What the pages need. @throws {EnvironmentError} */
export function readDashboardEnv(source: Source = process.env): DashboardEnv {
  return readEnv(DashboardEnv, source);
}
