/** Each variable that a deployment needs, or may have: where to find its value, and what it looks like. */
import { WAYS, type Way } from './env.ts';

export interface Variable {
  /** The ways that cannot do without it. */
  readonly neededBy: readonly Way[];
  /** The ways that read it. */
  readonly readBy: readonly Way[];
  /** What to do where it is missing or malformed. */
  readonly remedy: string;
}

const everywhere = (remedy: string): Variable => ({ neededBy: WAYS, readBy: WAYS, remedy });
const neededBy = (ways: readonly Way[], remedy: string): Variable => ({
  neededBy: ways,
  readBy: ways,
  remedy,
});
const optional = (readBy: readonly Way[], remedy: string): Variable => ({ neededBy: [], readBy, remedy });

const PROCESSES = ['hybrid', 'worker'] as const;
const WEB = ['hybrid', 'direct'] as const;

const RANDOM = 'make one with: openssl rand -base64 32';

export const VARIABLES: Readonly<Record<string, Variable>> = {
  SUPABASE_URL: everywhere(
    'Supabase → Project Settings → Data API: the project URL, https://<ref>.supabase.co',
  ),
  SUPABASE_SECRET_KEY: optional(
    WAYS,
    'Supabase → Project Settings → API Keys: a secret key, sb_secret_…, without spaces; or set DATABASE_URL',
  ),
  SUPABASE_SERVICE_ROLE_KEY: optional(WAYS, 'the older name: set SUPABASE_SECRET_KEY instead'),
  DATABASE_URL: optional(
    WAYS,
    'Supabase → Connect: the direct connection or the session pooler, at port 5432, with user, password and database; special characters of the password as %40 and the like',
  ),
  DATABASE_CA: optional(
    WAYS,
    'Supabase → Database Settings → SSL Configuration: the certificate, in PEM; not beside an sslmode that verifies nothing',
  ),
  DATABASE_POOL_MAX: optional(WAYS, 'a whole number from 1 to 50, or leave it out'),
  UNIPILE_DSN: everywhere(
    'Unipile dashboard: the DSN at the top, host and port, such as api1.unipile.com:13211',
  ),
  UNIPILE_API_KEY: everywhere('Unipile dashboard → Access Tokens: generate one, and paste it without spaces'),
  CRON_SECRET: neededBy(WEB, `16 characters or more, set on Vercel; ${RANDOM}`),
  JOBS_API_URL: neededBy(
    ['hybrid'],
    'Render → the service revos-jobs-api: its address, https, without a password',
  ),
  JOB_SECRET: neededBy(['hybrid'], `the same on Vercel and Render, 16 characters or more; ${RANDOM}`),
  JOBS_SIGNING_SECRETS: neededBy(
    ['hybrid'],
    'the same on Vercel and Render: whsec_ and the output of openssl rand -base64 32',
  ),
  OPS_TOKEN: neededBy(WEB, 'one token of OPS_TOKENS, without its name, 16 characters or more'),
  OPS_TOKENS: neededBy(WEB, `name:token for each person, comma-separated; ${RANDOM}`),
  METRICS_TOKEN: optional(PROCESSES, `16 characters or more, and no other token’s; ${RANDOM}`),
  METRICS_PORT: optional(PROCESSES, 'a port of its own, not PORT'),
  REDIS_URL: optional(WAYS, 'Render → the Key Value: its internal URL, redis://…'),
  JOB_ENGINE: optional(PROCESSES, 'in-process or bullmq'),
  REDIS_FALLBACK: optional(PROCESSES, 'in-process or none'),
  RUN_SLICES: optional(PROCESSES, 'a whole number from 1 to 32'),
  WORKER_CONCURRENCY: optional(PROCESSES, 'a whole number from 1 to 64'),
  SCHEDULER: neededBy(['worker'], 'internal: nothing else triggers a worker'),
  CATCH_UP: optional(PROCESSES, 'latest or off'),
  DIRECT_FALLBACK: optional(WEB, 'on or off'),
  UNKNOWN_POLICY: optional(WAYS, 'resend-when-absent or hold'),
  POST_LATE_LIMIT_MINUTES: optional(WAYS, 'a whole number from 1 to 10080'),
  SEND_CONCURRENCY: optional(WAYS, 'a whole number from 1 to 200'),
  SHUTDOWN_GRACE_SECONDS: optional(PROCESSES, 'a whole number from 1 to 280'),
  PORT: optional(PROCESSES, 'a port; Render sets it'),
  HOST: optional(PROCESSES, 'leave it out'),
  PROXY_HOPS: optional(PROCESSES, '2 on Render'),
  SENTRY_DSN: optional(WAYS, 'Sentry → Project Settings → Client Keys: https://<key>@<host>/<number>'),
  SENTRY_ENVIRONMENT: optional(WAYS, 'up to 64 letters, digits and ._-'),
  ALERT_WEBHOOK_URL: optional(WAYS, 'https, the address that takes alerts; it needs ALERT_WEBHOOK_SECRET'),
  ALERT_WEBHOOK_SECRET: optional(
    WAYS,
    'whsec_ and the output of openssl rand -base64 32; the receiver has it too',
  ),
  SLACK_WEBHOOK_URL: optional(WAYS, 'Slack → the app → Incoming Webhooks: the address of one'),
  HEARTBEAT_URL: optional(PROCESSES, 'the ping address of a check, such as one of healthchecks.io'),
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(WAYS, 'https, where the collector takes OTLP over HTTP'),
  OTEL_EXPORTER_OTLP_HEADERS: optional(WAYS, 'name=value, comma-separated, as the collector says'),
  OTEL_SERVICE_NAME: optional(WAYS, 'leave it out, or a name'),
  OTEL_RESOURCE_ATTRIBUTES: optional(WAYS, 'name=value, comma-separated'),
  OTEL_TRACES_SAMPLER: optional(WAYS, 'a sampler of docs/environment.md'),
  OTEL_TRACES_SAMPLER_ARG: optional(WAYS, 'a number from 0 to 1'),
  JOB_SCHEDULES: optional(WAYS, 'for development alone: leave it out'),
  LOG_LEVEL: optional(WAYS, 'trace, debug, info, warn, error, fatal or silent'),
  RENDER_GIT_COMMIT: optional(PROCESSES, 'Render sets it: leave it out'),
};

/** Their values, or parts of them, are secrets. */
const IS_SECRET = /SECRET|TOKEN|KEY|DSN|URL|HEADERS|_CA$/;

/** Whoever has one of these addresses may use it. */
const SECRET_ADDRESSES = ['ALERT_WEBHOOK_URL', 'SLACK_WEBHOOK_URL', 'HEARTBEAT_URL'];

/** Every secret of an environment, and each part of one by itself, longest first. */
export function secretsOf(env: Readonly<Record<string, string | undefined>>): string[] {
  const values = Object.entries(env).flatMap(([name, value]) =>
    value && IS_SECRET.test(name) ? [value] : [],
  );
  const parts = values.flatMap((value) => [
    ...value.split(','),
    ...value.split(',').map((one) => one.slice(one.indexOf(':') + 1)),
    decoded(URL.parse(value)?.password ?? ''),
    URL.parse(value)?.password ?? '',
  ]);
  const plainAddress = (text: string): boolean =>
    URL.parse(text)?.password === '' && /^(https?|\/\/)/.test(text);
  const addresses = SECRET_ADDRESSES.flatMap((name) => env[name]?.trim() || []);
  const cut = parts
    .map((part) => part.trim())
    .filter((part) => part.length >= 8 && !plainAddress(part) && !part.startsWith('//'));
  return [...new Set([...cut, ...addresses])].sort((a, b) => b.length - a.length);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
