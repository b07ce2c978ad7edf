/**
 * The doctor, over a whole deployment on this machine: good ones of each way, and bad ones of which
 * each says what to do.
 */
import type { AddressInfo } from 'node:net';
import { type Effects, realEffects } from '@revos/core/effects';
import { createSupabaseRpc } from '@revos/core/rpc';
import { type LocalSupabase, startSupabase } from '@revos/local-stack';
import { type Receiver, startReceiver } from '@revos/local-stack/receiver';
import { type Sandbox, startSandbox } from '@revos/unipile-sandbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cloneDatabase, type TestDatabase } from '../../../tests/support/test-postgres.ts';
import type { Environment, Way } from '../src/doctor/env.ts';
import { type Examination, examine } from '../src/doctor/examine.ts';
import type { Finding } from '../src/doctor/finding.ts';
import { reportText } from '../src/doctor/report.ts';
import { secretsOf } from '../src/doctor/variables.ts';
import { CRON_TOKEN, createTestApp, FOREIGN_SECRET, OPS_TOKEN, SIGNING_SECRET } from './support/app.ts';
import { quickJob } from './support/jobs.ts';

/** Nothing listens there. */
const NOWHERE = 'http://127.0.0.1:9';

let supabase: LocalSupabase;
let bare: LocalSupabase;
let database: TestDatabase;
let sandbox: Sandbox;
let test: Awaited<ReturnType<typeof createTestApp>>;
let receiver: Receiver;
let closeRpc: () => Promise<void>;
let shared: Environment;
const good = {} as Record<Way, Environment>;

beforeAll(async () => {
  [supabase, bare, sandbox, database, receiver] = await Promise.all([
    startSupabase({ connection: { dataDir: 'memory://' } }),
    startSupabase({ connection: { dataDir: 'memory://' }, migrations: [] }),
    startSandbox(),
    cloneDatabase(),
    startReceiver(),
  ]);
  const { id } = sandbox.world.declareAccount({ name: 'Ada Moreau' });
  const rpc = createSupabaseRpc({ url: supabase.url, secretKey: supabase.secretKey });
  closeRpc = () => rpc.close();
  await addAccount('Ada Moreau', id);
  test = await createTestApp({ rpc, jobs: [quickJob('quick')] });
  await test.app.listen({ host: '127.0.0.1', port: 0 });

  shared = {
    SUPABASE_URL: supabase.url,
    SUPABASE_SECRET_KEY: supabase.secretKey,
    UNIPILE_DSN: sandbox.url,
    UNIPILE_API_KEY: sandbox.apiKey,
    SLACK_WEBHOOK_URL: `${receiver.address}/slack`,
    ALERT_WEBHOOK_URL: `${receiver.address}/webhook`,
    ALERT_WEBHOOK_SECRET: FOREIGN_SECRET,
  };
  const people = { OPS_TOKENS: `anna:${OPS_TOKEN}`, OPS_TOKEN, CRON_SECRET: 'cron-secret-of-tests-1' };
  good.direct = { ...shared, ...people };
  good.worker = { ...shared, SCHEDULER: 'internal' };
  good.hybrid = {
    ...good.direct,
    JOBS_API_URL: `http://127.0.0.1:${(test.app.server.address() as AddressInfo).port}`,
    JOB_SECRET: CRON_TOKEN,
    JOBS_SIGNING_SECRETS: SIGNING_SECRET,
  };
});
afterAll(async () => {
  await test?.app.close();
  await closeRpc?.();
  await Promise.all([
    supabase?.close(),
    bare?.close(),
    sandbox?.close(),
    database?.drop(),
    receiver?.close(),
  ]);
});

async function addAccount(name: string, unipileId: string): Promise<void> {
  const response = await fetch(`${supabase.url}/rest/v1/linkedin_accounts`, {
    method: 'POST',
    headers: { apikey: supabase.secretKey, 'content-type': 'application/json' },
    body: JSON.stringify({ account_name: name, unipile_account_id: unipileId }),
  });
  expect(response.status).toBe(201);
}

/** Looks, and sees to it that no secret and no name of a person comes out. */
async function look(env: Environment, way?: Way, effects: Effects = realEffects): Promise<Examination> {
  const examination = await examine(env, { way, effects });
  const told = JSON.stringify(examination) + reportText(examination);
  for (const secret of secretsOf(env)) expect(told).not.toContain(secret);
  expect(told).not.toMatch(/Ada|Moreau/);
  return examination;
}

const issues = ({ findings }: Examination): Finding[] =>
  findings.filter(({ level }) => level === 'wrong' || level === 'warning');

describe('a good environment', () => {
  it.each(['hybrid', 'direct', 'worker'] as const)('of %s has nothing wrong', async (way) => {
    const examination = await look(good[way]);
    expect(issues(examination)).toEqual([]);
    expect(examination.findings.filter(({ level }) => level === 'skipped')).toEqual([]);
    expect(examination).toMatchObject({ ok: true, way });
    const told = reportText(examination);
    for (const line of [
      /^ok +UNIPILE_DSN: is set$/m,
      /^ok +database: is reached, by SUPABASE_URL, SUPABASE_SECRET_KEY$/m,
      /^ok +role: service_role/m,
      /^ok +schema: has version \d+$/m,
      /^ok +linkedin_accounts: is there/m,
      /^ok +posts: is there/m,
      /^ok +Unipile: takes the key; LinkedIn accounts: 1$/m,
      /^ok +accounts: 1 of RevOS, all known to Unipile$/m,
      /^ok +clock against the database: /m,
      /^ok +clock against Unipile: /m,
      /^ok +SLACK_WEBHOOK_URL: takes alerts: a test was told$/m,
      /^ok +ALERT_WEBHOOK_URL: takes alerts: a test was told$/m,
      /^0 wrong, 0 to look at\.$/m,
    ]) {
      expect(told).toMatch(line);
    }
    expect(/trigger: token and signature are accepted/.test(told)).toBe(way === 'hybrid');
    expect(/OPS_TOKEN at the jobs API: is accepted/.test(told)).toBe(way === 'hybrid');
  });

  it('may lead to the database by itself', async () => {
    const { SUPABASE_SECRET_KEY: _, ...rest } = good.worker;
    const examination = await look({ ...rest, DATABASE_URL: database.url });
    // That database has no account yet.
    expect(issues(examination)).toMatchObject([{ level: 'warning', what: 'accounts' }]);
    expect(reportText(examination)).toMatch(/^ok +database: is reached, by DATABASE_URL$/m);
  });

  it('starts no run when a trigger is checked', async () => {
    await look(good.hybrid);
    expect((await test.store.list({ limit: 200 })).items).toEqual([]);
  });
});

interface Bad {
  readonly name: string;
  readonly way: Way;
  readonly change: () => Environment;
  readonly what: string;
  readonly found: RegExp;
  readonly remedy: RegExp;
}

const BAD: readonly Bad[] = [
  {
    name: 'no UNIPILE_DSN',
    ...{ way: 'direct', change: () => ({ UNIPILE_DSN: '' }) },
    ...{ what: 'UNIPILE_DSN', found: /missing/, remedy: /Unipile dashboard/ },
  },
  {
    name: 'a DSN where nothing listens',
    ...{ way: 'worker', change: () => ({ UNIPILE_DSN: NOWHERE }) },
    ...{
      what: 'UNIPILE_DSN',
      found: /does not answer: ECONNREFUSED|does not answer/,
      remedy: /host and port/,
    },
  },
  {
    name: 'a DSN of something else',
    ...{ way: 'worker', change: () => ({ UNIPILE_DSN: supabase.url }) },
    ...{ what: 'UNIPILE_DSN', found: /answers \d+, and no list of accounts/, remedy: /dashboard/ },
  },
  {
    name: 'a key that Unipile does not know',
    ...{ way: 'direct', change: () => ({ UNIPILE_API_KEY: 'a-key-that-is-not-known' }) },
    ...{ what: 'UNIPILE_API_KEY', found: /refused \(401\)/, remedy: /Access Tokens/ },
  },
  {
    name: 'a key with a space in it',
    ...{ way: 'worker', change: () => ({ UNIPILE_API_KEY: 'half of-a-key-0123' }) },
    ...{ what: 'UNIPILE_API_KEY', found: /malformed/, remedy: /without spaces/ },
  },
  {
    name: 'the address of no database',
    ...{ way: 'worker', change: () => ({ SUPABASE_URL: NOWHERE }) },
    ...{ what: 'database', found: /does not answer.*SUPABASE_URL/, remedy: /Project Settings/ },
  },
  {
    name: 'a key that Supabase does not know',
    ...{ way: 'worker', change: () => ({ SUPABASE_SECRET_KEY: 'sb_secret_of-another-project' }) },
    ...{ what: 'role', found: /SUPABASE_SECRET_KEY/, remedy: /secret key/ },
  },
  {
    name: 'the public key',
    ...{ way: 'worker', change: () => ({ SUPABASE_SECRET_KEY: supabase.publishableKey }) },
    ...{ what: 'SUPABASE_SECRET_KEY', found: /public key/, remedy: /sb_secret_/ },
  },
  {
    name: 'no migrations',
    ...{
      way: 'worker',
      change: () => ({ SUPABASE_URL: bare.url, SUPABASE_SECRET_KEY: bare.secretKey }),
    },
    ...{ what: 'schema', found: /system_probe is missing/, remedy: /supabase\/migrations/ },
  },
  {
    name: 'the transaction pooler',
    ...{
      way: 'worker',
      change: () => ({ DATABASE_URL: 'postgresql://postgres:a-password-0123@db.example.com:6543/postgres' }),
    },
    ...{ what: 'DATABASE_URL', found: /malformed/, remedy: /5432/ },
  },
  {
    name: 'a short CRON_SECRET',
    ...{ way: 'direct', change: () => ({ CRON_SECRET: 'too-short' }) },
    ...{ what: 'CRON_SECRET', found: /malformed/, remedy: /16 characters/ },
  },
  {
    name: 'an OPS_TOKEN that is none of OPS_TOKENS',
    ...{ way: 'direct', change: () => ({ OPS_TOKEN: 'another-token-0123456' }) },
    ...{ what: 'OPS_TOKEN', found: /none of OPS_TOKENS/, remedy: /without the name/ },
  },
  {
    name: 'an OPS_TOKEN that the jobs API does not know',
    ...{
      way: 'hybrid',
      change: () => ({ OPS_TOKEN: 'another-token-0123456', OPS_TOKENS: 'anna:another-token-0123456' }),
    },
    ...{ what: 'OPS_TOKEN', found: /refused by the jobs API \(401\)/, remedy: /OPS_TOKENS/ },
  },
  {
    name: 'another JOB_SECRET than the jobs API has',
    ...{ way: 'hybrid', change: () => ({ JOB_SECRET: 'another-secret-0123456' }) },
    ...{ what: 'JOB_SECRET', found: /refused by the jobs API/, remedy: /Render/ },
  },
  {
    name: 'another signing secret than the jobs API has',
    ...{ way: 'hybrid', change: () => ({ JOBS_SIGNING_SECRETS: FOREIGN_SECRET }) },
    ...{ what: 'JOBS_SIGNING_SECRETS', found: /signature is refused/, remedy: /Render/ },
  },
  {
    name: 'a JOBS_API_URL of something else',
    ...{ way: 'hybrid', change: () => ({ JOBS_API_URL: supabase.url }) },
    ...{ what: 'JOBS_API_URL', found: /not as the jobs API/, remedy: /Render/ },
  },
  {
    name: 'a JOBS_API_URL where nothing listens',
    ...{ way: 'hybrid', change: () => ({ JOBS_API_URL: NOWHERE }) },
    ...{ what: 'JOBS_API_URL', found: /does not answer/, remedy: /Render/ },
  },
  {
    name: 'one secret for two doors',
    ...{ way: 'hybrid', change: () => ({ CRON_SECRET: CRON_TOKEN }) },
    ...{ what: 'CRON_SECRET, JOB_SECRET', found: /in common/, remedy: /anew/ },
  },
  {
    name: 'a worker that nobody triggers',
    ...{ way: 'worker', change: () => ({ SCHEDULER: 'off' }) },
    ...{ what: 'SCHEDULER', found: /nothing else triggers/, remedy: /SCHEDULER=internal/ },
  },
  {
    name: 'a fallback from nothing',
    ...{ way: 'direct', change: () => ({ DIRECT_FALLBACK: 'on' }) },
    ...{ what: 'DIRECT_FALLBACK, JOBS_API_URL', found: /no jobs API/, remedy: /JOBS_API_URL/ },
  },
  {
    name: 'metrics on the port of the worker',
    ...{ way: 'worker', change: () => ({ PORT: '10000', METRICS_PORT: '10000' }) },
    ...{ what: 'METRICS_PORT, PORT', found: /same port/, remedy: /another one/ },
  },
  {
    name: 'a queue without a Redis',
    ...{ way: 'worker', change: () => ({ JOB_ENGINE: 'bullmq' }) },
    ...{ what: 'REDIS_URL', found: /missing/, remedy: /Key Value/ },
  },
  {
    name: 'a Redis where nothing listens',
    ...{ way: 'worker', change: () => ({ REDIS_URL: 'redis://:a-password-0123@127.0.0.1:9' }) },
    ...{ what: 'REDIS_URL', found: /does not answer/, remedy: /Key Value/ },
  },
  {
    name: 'a Slack address where nothing listens',
    ...{ way: 'direct', change: () => ({ SLACK_WEBHOOK_URL: `${NOWHERE}/services/T0/B0/x` }) },
    ...{ what: 'SLACK_WEBHOOK_URL', found: /does not take alerts/, remedy: /address/ },
  },
  {
    name: 'a webhook that could not be signed',
    ...{ way: 'worker', change: () => ({ ALERT_WEBHOOK_SECRET: '' }) },
    ...{ what: 'ALERT_WEBHOOK_SECRET', found: /missing/, remedy: /whsec_/ },
  },
  {
    name: 'two projects of Supabase',
    ...{
      way: 'worker',
      change: () => ({
        SUPABASE_URL: 'https://abcdefghijklmnopqrst.supabase.co',
        DATABASE_URL: 'postgresql://postgres.tsrqponmlkjihgfedcba:a-password-0123@127.0.0.1:9/postgres',
      }),
    },
    ...{ what: 'SUPABASE_URL, DATABASE_URL', found: /two projects/, remedy: /RevOS/ },
  },
];

describe('a bad environment', () => {
  it.each(BAD)('$name', async ({ way, change, what, found, remedy }) => {
    const examination = await look({ ...good[way], ...change() }, way);
    expect(examination.ok).toBe(false);
    const finding = examination.findings.find((one) => one.level === 'wrong' && one.what === what);
    expect(finding, reportText(examination)).toBeDefined();
    expect(finding?.found).toMatch(found);
    expect(finding?.do).toMatch(remedy);
  });

  it('does not look at what stands on something wrong, and says so', async () => {
    const { findings } = await look({ ...good.worker, SUPABASE_URL: NOWHERE });
    const skipped = findings.filter(({ level }) => level === 'skipped').map(({ what }) => what);
    expect(skipped).toEqual(expect.arrayContaining(['schema', 'role', 'RevOS’s tables', 'accounts']));
  });

  it('of which nothing is set says everything that is missing', async () => {
    const { ok, findings } = await look({}, 'hybrid');
    expect(ok).toBe(false);
    const missing = findings.filter(({ found }) => found === 'is missing').map(({ what }) => what);
    expect(missing).toEqual([
      ...['SUPABASE_URL', 'SUPABASE_SECRET_KEY', 'UNIPILE_DSN', 'UNIPILE_API_KEY', 'CRON_SECRET'],
      ...['JOBS_API_URL', 'JOB_SECRET', 'JOBS_SIGNING_SECRETS', 'OPS_TOKEN', 'OPS_TOKENS'],
    ]);
  });
});

describe('accounts', () => {
  it('that one side lacks are told by number and id', async () => {
    const { id } = sandbox.world.declareAccount({ name: 'Ada Moreau' });
    await addAccount('Ada Moreau', 'an-account-that-is-gone');
    sandbox.world.setAccountStatus(id, 'CREDENTIALS');
    const examination = await look(good.worker);
    expect(examination.ok).toBe(true);
    const found = issues(examination).map((finding) => finding.found);
    expect(found).toEqual([
      `not connected: 1 (${id})`,
      `of Unipile, unknown to RevOS: 1 (${id})`,
      'of RevOS, unknown to Unipile: 1 (an-account-that-is-gone)',
    ]);
  });
});

describe('a clock', () => {
  it.each([
    { name: 'ten minutes ahead', aheadMs: 600_000, found: /^this machine is (59\d|60\d) s ahead$/ },
    { name: 'ten minutes behind', aheadMs: -600_000, found: /^this machine is (59\d|60\d) s behind$/ },
  ])('that is $name is found out, and so is what comes of it', async ({ aheadMs, found }) => {
    const effects: Effects = { ...realEffects, now: () => new Date(realEffects.now().getTime() + aheadMs) };
    const { findings } = await look(good.hybrid, 'hybrid', effects);
    const wrong = findings.filter(({ level }) => level === 'wrong');
    expect(wrong.map(({ what }) => what)).toEqual([
      'clock against the database',
      'clock against Unipile',
      'clock',
    ]);
    expect(wrong[0]?.found).toMatch(found);
    expect(wrong[2]?.found).toMatch(/too old, or too new/);
  });
});
