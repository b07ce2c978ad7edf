import { EnvironmentError } from '@revos/core/config';
import { describe, expect, it } from 'vitest';
import { selfSigned } from '../../../packages/core/test/support/self-signed.ts';
import { loadConfig, loadWorkerConfig } from '../src/env.ts';

const SECRET = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
const OTHER_SECRET = `whsec_${Buffer.alloc(64, 2).toString('base64')}`;

const DATABASE_URL = 'postgres://jobs:canary-of-a-password@db.example.com:5432/postgres';

const GOOD = {
  SUPABASE_URL: 'https://project.supabase.co',
  SUPABASE_SECRET_KEY: 'sb_secret_canary',
  UNIPILE_DSN: 'api1.unipile.com:13211',
  UNIPILE_API_KEY: 'unipile-canary',
  JOB_SECRET: 'cron-canary-0123456789',
  JOBS_SIGNING_SECRETS: SECRET,
  OPS_TOKENS: 'anna:ops-canary-0123456789',
};

/** The variables that a bad environment names. */
function badNames(change: Record<string, string | undefined>): readonly string[] {
  try {
    loadConfig({ ...GOOD, ...change });
  } catch (error) {
    if (error instanceof EnvironmentError) {
      expect(error.message).not.toMatch(/canary/);
      return error.variables;
    }
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('has defaults for everything that is no secret and no address', () => {
    expect(loadConfig(GOOD)).toEqual({
      alerts: { webhook: null, slackUrl: null, heartbeatUrl: null },
      sentry: null,
      traces: null,
      supabaseUrl: GOOD.SUPABASE_URL,
      database: { kind: 'rest', secretKey: GOOD.SUPABASE_SECRET_KEY },
      unipileDsn: GOOD.UNIPILE_DSN,
      unipileApiKey: GOOD.UNIPILE_API_KEY,
      cronTokens: [GOOD.JOB_SECRET],
      signingSecrets: [SECRET],
      opsTokens: [['anna', 'ops-canary-0123456789']],
      engine: { kind: 'in-process' },
      settings: { unknownPolicy: 'resend-when-absent', postLateLimitMinutes: 360 },
      sendConcurrency: 20,
      jobSchedules: undefined,
      scheduler: 'off',
      catchUp: 'latest',
      metrics: null,
      port: 10_000,
      host: '0.0.0.0',
      proxyHops: 0,
      logLevel: 'info',
      shutdownGraceMs: 18_000,
      commit: undefined,
      secrets: [
        GOOD.SUPABASE_SECRET_KEY,
        GOOD.UNIPILE_API_KEY,
        SECRET,
        GOOD.JOB_SECRET,
        'ops-canary-0123456789',
      ],
    });
  });

  it('names everything that is missing at once', () => {
    expect(badNames(Object.fromEntries(Object.keys(GOOD).map((name) => [name, undefined])))).toEqual(
      Object.keys(GOOD).sort(),
    );
  });

  it('names missing and bad ones together', () => {
    expect(badNames({ UNIPILE_DSN: undefined, JOB_SECRET: 'short', PORT: 'canary' })).toEqual([
      'JOB_SECRET',
      'PORT',
      'UNIPILE_DSN',
    ]);
  });

  it('takes the older name of the key, and prefers the newer', () => {
    const older = { ...GOOD, SUPABASE_SECRET_KEY: '', SUPABASE_SERVICE_ROLE_KEY: 'older' };
    expect(loadConfig(older).database).toMatchObject({ secretKey: 'older' });
    expect(loadConfig({ ...older, SUPABASE_SECRET_KEY: 'newer' }).database).toMatchObject({
      secretKey: 'newer',
    });
  });

  it('needs no key where it has the URL of the database, and then speaks to that', () => {
    const { database, secrets } = loadConfig({
      ...GOOD,
      SUPABASE_SECRET_KEY: undefined,
      DATABASE_URL: 'postgresql://jobs:w%2Ford-canary@db.example.com/postgres',
      DATABASE_CA: selfSigned.cert.replaceAll('\n', '\\n'),
      DATABASE_POOL_MAX: '7',
    });
    expect(database).toMatchObject({
      kind: 'postgres',
      address: { host: 'db.example.com', password: 'w/ord-canary', tls: { ca: [selfSigned.cert] } },
      connectionsMax: 7,
    });
    expect(secrets).toEqual(expect.arrayContaining(['w%2Ford-canary', 'w/ord-canary']));
    expect(secrets).not.toContain(undefined);
  });

  it('refuses a CA beside a URL that says not to look at it', () => {
    const change = { DATABASE_URL: `${DATABASE_URL}?sslmode=no-verify`, DATABASE_CA: selfSigned.cert };
    expect(badNames(change)).toEqual(['DATABASE_CA', 'DATABASE_URL']);
  });

  it('takes lists, for rotation', () => {
    const config = loadConfig({
      ...GOOD,
      JOB_SECRET: ' one-token-0123456789 , two-token-0123456789 ',
      JOBS_SIGNING_SECRETS: `${SECRET},${OTHER_SECRET}`,
      OPS_TOKENS: 'anna:anna-0123456789abcdef, ben-2:ben-0123456789abcdef==',
    });
    expect(config.cronTokens).toEqual(['one-token-0123456789', 'two-token-0123456789']);
    expect(config.signingSecrets).toEqual([SECRET, OTHER_SECRET]);
    expect(config.opsTokens).toEqual([
      ['anna', 'anna-0123456789abcdef'],
      ['ben-2', 'ben-0123456789abcdef=='],
    ]);
  });

  it.each([
    { name: 'SUPABASE_URL', value: 'project.supabase.co' },
    { name: 'SUPABASE_URL', value: 'https://' },
    { name: 'SUPABASE_URL', value: 'https://canary:canary@project.supabase.co' },
    { name: 'SUPABASE_URL', value: 'http://canary.supabase.co' },
    { name: 'SUPABASE_URL', value: 'http://127.0.0.1.canary.example.com' },
    { name: 'SUPABASE_URL', value: 'http://10.0.0.1:8000' },
    { name: 'SUPABASE_URL', value: 'ftp://127.0.0.1' },
    { name: 'UNIPILE_DSN', value: 'http://api1.canary.com:13211' },
    { name: 'UNIPILE_DSN', value: 'HTTP://api1.canary.com:13211' },
    { name: 'UNIPILE_DSN', value: 'ftp://127.0.0.1:13211' },
    { name: 'SUPABASE_SECRET_KEY', value: 'sb_secret_canary\nsecond' },
    { name: 'SUPABASE_SECRET_KEY', value: 'sb_secret_cänary' },
    { name: 'DATABASE_URL', value: 'https://a:canary@db.example.com/postgres' },
    { name: 'DATABASE_URL', value: 'postgres://postgres:canary@pooler.supabase.com:6543/postgres' },
    { name: 'DATABASE_URL', value: `${DATABASE_URL}?sslmode=prefer` },
    { name: 'DATABASE_CA', value: '/canary/ca.pem' },
    { name: 'DATABASE_POOL_MAX', value: '0' },
    { name: 'DATABASE_POOL_MAX', value: '51' },
    { name: 'UNIPILE_DSN', value: 'not a host' },
    { name: 'UNIPILE_DSN', value: 'canary:canary@api1.unipile.com:13211' },
    { name: 'UNIPILE_API_KEY', value: 'canary\tsecond' },
    { name: 'JOB_SECRET', value: 'x'.repeat(15) },
    { name: 'JOB_SECRET', value: 'cron-canary-0123456789,short' },
    { name: 'JOB_SECRET', value: 'with a space 0123456789' },
    { name: 'JOB_SECRET', value: ',' },
    { name: 'JOBS_SIGNING_SECRETS', value: 'whsec_short' },
    { name: 'JOBS_SIGNING_SECRETS', value: SECRET.slice('whsec_'.length) },
    { name: 'JOBS_SIGNING_SECRETS', value: `whsec_${Buffer.alloc(23).toString('base64')}` },
    { name: 'JOBS_SIGNING_SECRETS', value: `whsec_${Buffer.alloc(65).toString('base64')}` },
    { name: 'JOBS_SIGNING_SECRETS', value: `${SECRET},canary` },
    { name: 'OPS_TOKENS', value: 'canary-0123456789abcdef' },
    { name: 'OPS_TOKENS', value: ':canary-0123456789abcdef' },
    { name: 'OPS_TOKENS', value: 'anna:short' },
    { name: 'OPS_TOKENS', value: 'Anna:canary-0123456789abcdef' },
    { name: 'OPS_TOKENS', value: 'cron:canary-0123456789abcdef' },
    { name: 'OPS_TOKENS', value: 'a:canary-0123456789abcdef,a:canary-fedcba9876543210' },
    { name: 'OPS_TOKENS', value: 'a:canary-0123456789abcdef,b:canary-0123456789abcdef' },
    { name: 'UNKNOWN_POLICY', value: 'resend' },
    { name: 'POST_LATE_LIMIT_MINUTES', value: '0' },
    { name: 'POST_LATE_LIMIT_MINUTES', value: '10081' },
    { name: 'REDIS_URL', value: 'https://canary' },
    { name: 'SEND_CONCURRENCY', value: '0' },
    { name: 'SEND_CONCURRENCY', value: '201' },
    { name: 'JOB_SCHEDULES', value: 'no-such-job=* * * * *' },
    { name: 'JOB_SCHEDULES', value: 'dm-queue=canary' },
    { name: 'SCHEDULER', value: 'on' },
    { name: 'CATCH_UP', value: 'all' },
    { name: 'PORT', value: '65536' },
    { name: 'PROXY_HOPS', value: '-1' },
    { name: 'PROXY_HOPS', value: 'two' },
    { name: 'PROXY_HOPS', value: '6' },
    { name: 'LOG_LEVEL', value: 'loud' },
    { name: 'SHUTDOWN_GRACE_SECONDS', value: '0' },
    { name: 'SHUTDOWN_GRACE_SECONDS', value: '281' },
    { name: 'SENTRY_DSN', value: 'https://o1.ingest.sentry.io/42' },
    { name: 'SENTRY_DSN', value: 'https://canary@o1.ingest.sentry.io/42' },
    { name: 'SENTRY_DSN', value: `https://${'0'.repeat(32)}:canary@o1.ingest.sentry.io/42` },
    { name: 'SENTRY_DSN', value: `https://${'0'.repeat(32)}@o1.ingest.sentry.io/project` },
    { name: 'SENTRY_DSN', value: `https://${'0'.repeat(32)}@o1.ingest.sentry.io/42?a=b` },
    { name: 'SENTRY_DSN', value: `http://${'0'.repeat(32)}@o1.ingest.sentry.io/42` },
    { name: 'SENTRY_ENVIRONMENT', value: 'a b' },
    { name: 'SENTRY_ENVIRONMENT', value: 'x'.repeat(65) },
  ])('refuses $name=$value', ({ name, value }) => {
    expect(badNames({ [name]: value })).toEqual([name]);
  });

  it.each([
    { name: 'DATABASE_URL', value: DATABASE_URL },
    { name: 'DATABASE_URL', value: `${DATABASE_URL}?sslmode=verify-full` },
    { name: 'DATABASE_CA', value: selfSigned.cert },
    { name: 'DATABASE_POOL_MAX', value: '50' },
    { name: 'SENTRY_DSN', value: `https://${'0'.repeat(32)}@o1.ingest.sentry.io/42` },
    { name: 'SENTRY_DSN', value: `https://${'a'.repeat(32)}@sentry.example.com/behind/a-path/42` },
    { name: 'SENTRY_DSN', value: `http://${'0'.repeat(32)}@127.0.0.1:9000/42` },
    { name: 'SENTRY_ENVIRONMENT', value: 'staging-2' },
    { name: 'UNIPILE_DSN', value: 'http://127.0.0.1:4010' },
    { name: 'UNIPILE_DSN', value: 'HTTP://localhost:4010' },
    { name: 'UNIPILE_DSN', value: 'http://[::1]:4010' },
    { name: 'SUPABASE_URL', value: 'http://127.0.0.1:54321' },
    { name: 'SUPABASE_URL', value: 'http://localhost:54321' },
    { name: 'SUPABASE_URL', value: 'http://[::1]:54321' },
    { name: 'JOB_SECRET', value: 'x'.repeat(16) },
    { name: 'UNKNOWN_POLICY', value: 'hold' },
    { name: 'POST_LATE_LIMIT_MINUTES', value: '10080' },
    { name: 'REDIS_URL', value: 'rediss://user:canary@host:6379' },
    { name: 'SEND_CONCURRENCY', value: '1' },
    { name: 'SEND_CONCURRENCY', value: '200' },
    { name: 'JOB_SCHEDULES', value: 'dm-queue=*/20 * * * * *' },
    { name: 'SHUTDOWN_GRACE_SECONDS', value: '280' },
  ])('takes $name=$value', ({ name, value }) => {
    expect(badNames({ [name]: value })).toEqual([]);
  });

  it('refuses a token that is both cron and ops: it could pass without a signature', () => {
    expect(badNames({ OPS_TOKENS: `anna:${GOOD.JOB_SECRET}` })).toEqual(['JOB_SECRET', 'OPS_TOKENS']);
  });
});

describe('traces', () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'https://collector.example.com/otlp';
  const OTEL_EXPORTER_OTLP_HEADERS = 'authorization=Bearer%20token-of%2Fthe-collector, x-tenant=tenant-0123';

  it('are told where the endpoint says, with all that the standard variables say', () => {
    const config = loadConfig({
      ...GOOD,
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS },
      OTEL_SERVICE_NAME: 'jobs',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,service.name=another',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    });
    expect(config.traces).toEqual({
      endpoint: OTEL_EXPORTER_OTLP_ENDPOINT,
      headers: { authorization: 'Bearer token-of/the-collector', 'x-tenant': 'tenant-0123' },
      resource: { 'deployment.environment.name': 'staging', 'service.name': 'jobs' },
      sampler: { name: 'parentbased_traceidratio', ratio: 0.25 },
    });
    for (const form of ['token-of/the-collector', 'token-of%2Fthe-collector', 'tenant-0123']) {
      expect(config.secrets).toContain(form);
    }
  });

  it('are not there without an endpoint, whatever else is said', () => {
    expect(loadConfig({ ...GOOD, OTEL_EXPORTER_OTLP_HEADERS }).traces).toBeNull();
  });

  it.each([
    { endpoint: 'http://collector:4318', headers: undefined, bad: [] },
    { endpoint: 'http://127.0.0.1:4318', headers: OTEL_EXPORTER_OTLP_HEADERS, bad: [] },
    // They would travel as they are.
    {
      endpoint: 'http://collector:4318',
      headers: OTEL_EXPORTER_OTLP_HEADERS,
      bad: ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_HEADERS'],
    },
    { endpoint: 'https://ada:canary@collector', headers: undefined, bad: ['OTEL_EXPORTER_OTLP_ENDPOINT'] },
    { endpoint: 'https://collector?key=canary', headers: undefined, bad: ['OTEL_EXPORTER_OTLP_ENDPOINT'] },
    { endpoint: 'grpc://collector:4317', headers: undefined, bad: ['OTEL_EXPORTER_OTLP_ENDPOINT'] },
    { endpoint: 'https://collector', headers: 'canary', bad: ['OTEL_EXPORTER_OTLP_HEADERS'] },
    { endpoint: 'https://collector', headers: 'a=canary%0Ab', bad: ['OTEL_EXPORTER_OTLP_HEADERS'] },
    { endpoint: 'https://collector', headers: 'a=%canary', bad: ['OTEL_EXPORTER_OTLP_HEADERS'] },
  ])('$endpoint with $headers: $bad', ({ endpoint, headers, bad }) => {
    const change = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers };
    expect(badNames(change)).toEqual(bad);
  });

  it.each([
    { OTEL_TRACES_SAMPLER: 'sometimes' },
    { OTEL_TRACES_SAMPLER_ARG: '2' },
    { OTEL_TRACES_SAMPLER_ARG: 'half' },
    { OTEL_RESOURCE_ATTRIBUTES: 'staging' },
  ])('%o is refused', (change) => {
    expect(badNames(change)).toEqual(Object.keys(change));
  });
});

describe('metrics', () => {
  const METRICS_TOKEN = 'scraper-canary-0123456789';

  it('have tokens, a port, or both; a token is kept out of the log', () => {
    const { metrics, secrets } = loadConfig({ ...GOOD, METRICS_TOKEN, METRICS_PORT: '9464' });
    expect(metrics).toEqual({ port: 9_464, tokens: [METRICS_TOKEN] });
    expect(secrets).toContain(METRICS_TOKEN);
    expect(loadConfig({ ...GOOD, METRICS_PORT: '0' }).metrics).toEqual({ port: 0, tokens: [] });
    expect(loadConfig({ ...GOOD, METRICS_TOKEN: `${METRICS_TOKEN}, ${METRICS_TOKEN}2` }).metrics).toEqual({
      port: undefined,
      tokens: [METRICS_TOKEN, `${METRICS_TOKEN}2`],
    });
  });

  it('of a worker have a port alone', () => {
    expect(loadWorkerConfig({ ...GOOD, METRICS_TOKEN }).metrics).toBeNull();
    expect(loadWorkerConfig({ ...GOOD, METRICS_TOKEN, METRICS_PORT: '9464' }).metrics).toEqual({
      port: 9_464,
      tokens: [],
    });
  });

  it.each([
    { change: { METRICS_TOKEN: 'x'.repeat(15) }, bad: ['METRICS_TOKEN'] },
    { change: { METRICS_TOKEN: GOOD.JOB_SECRET }, bad: ['JOB_SECRET', 'METRICS_TOKEN'] },
    { change: { METRICS_TOKEN: 'ops-canary-0123456789' }, bad: ['METRICS_TOKEN', 'OPS_TOKENS'] },
    { change: { METRICS_PORT: '65536' }, bad: ['METRICS_PORT'] },
    { change: { METRICS_PORT: '10000' }, bad: ['METRICS_PORT', 'PORT'] },
  ])('$change is refused', ({ change, bad }) => {
    expect(badNames(change)).toEqual(bad);
  });
});

describe('the engine', () => {
  const REDIS_URL = 'rediss://default:canary-of-a-password@queue.example.com:6379';

  it('with a queue has its defaults, and keeps the password out of the log', () => {
    const { engine, secrets } = loadConfig({ ...GOOD, JOB_ENGINE: 'bullmq', REDIS_URL });
    expect(engine).toEqual({
      kind: 'bullmq',
      redisUrl: REDIS_URL,
      slicesPerRun: 3,
      fallback: 'in-process',
      concurrency: 8,
    });
    expect(secrets).toContain('canary-of-a-password');
  });

  it('without one needs no Redis, and takes none for a queue', () => {
    expect(loadConfig({ ...GOOD, REDIS_URL }).engine).toEqual({ kind: 'in-process' });
  });

  it.each([
    { change: { JOB_ENGINE: 'bullmq' }, bad: ['REDIS_URL'] },
    { change: { JOB_ENGINE: ' bullmq ', REDIS_URL: ' ' }, bad: ['REDIS_URL'] },
    { change: { JOB_ENGINE: 'bullmq', REDIS_URL: 'https://canary' }, bad: ['REDIS_URL'] },
    { change: { JOB_ENGINE: 'redis' }, bad: ['JOB_ENGINE'] },
    { change: { REDIS_FALLBACK: 'wait' }, bad: ['REDIS_FALLBACK'] },
    { change: { RUN_SLICES: '0' }, bad: ['RUN_SLICES'] },
    { change: { RUN_SLICES: '33' }, bad: ['RUN_SLICES'] },
    { change: { WORKER_CONCURRENCY: '65' }, bad: ['WORKER_CONCURRENCY'] },
  ])('$change is refused', ({ change, bad }) => {
    expect(badNames(change)).toEqual(bad);
  });
});

describe('loadWorkerConfig', () => {
  it('needs none of the credentials of the API, and has none', () => {
    const { JOB_SECRET, JOBS_SIGNING_SECRETS, OPS_TOKENS, ...worker } = GOOD;
    const config = loadWorkerConfig(worker);
    expect(config).toMatchObject({ unipileDsn: GOOD.UNIPILE_DSN, engine: { kind: 'in-process' } });
    expect(JSON.stringify(loadWorkerConfig(GOOD))).not.toMatch(
      new RegExp(
        [JOB_SECRET, JOBS_SIGNING_SECRETS, OPS_TOKENS.split(':')[1]].join('|').replaceAll('+', '\\+'),
      ),
    );
    expect(() => loadWorkerConfig({})).toThrow(
      'missing: SUPABASE_SECRET_KEY, SUPABASE_URL, UNIPILE_API_KEY, UNIPILE_DSN)',
    );
  });
});
