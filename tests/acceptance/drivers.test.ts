/**
 * The three ways to run, and from one to another: what Unipile saw of each.
 *
 * Hybrid: the web app triggers, the jobs API works. Direct: the web app works itself. Worker:
 * neither is asked, the jobs API has a clock of its own. A move from one to another is a change of
 * variables.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Alert } from '@revos/core/alerts';
import { countdown, realEffects } from '@revos/core/effects';
import { currentSlot, type JobDefinition, type Run } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import { clientOf, type LocalSupabase, startSupabase } from '@revos/local-stack';
import { type Collector, startCollector } from '@revos/local-stack/collector';
import { type AppProcess, startApp } from '@revos/local-stack/demo/processes';
import { findFreePort } from '@revos/local-stack/free-port';
import { startReceiver } from '@revos/local-stack/receiver';
import { startSentry } from '@revos/local-stack/sentry';
import { type Sandbox, startSandbox } from '@revos/unipile-sandbox';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { runSlot } from '../../apps/jobs-api/src/direct/run-slot.ts';
import { answerCron } from '../../apps/web/src/cron/answer-cron.ts';
import { readCronEnv } from '../../apps/web/src/env.ts';
import { jobsApiUrl } from '../../apps/web/src/jobs-api/url.ts';
import { scriptedEffects } from '../../apps/web/test/scripted-effects.ts';
import { TELLS_NOBODY } from '../../apps/web/test/tells-nobody.ts';
import { pathTo } from '../support/trace-path.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const CRON_SECRET = 'the-cron-secret-of-drivers';
const OPS_TOKEN = 'the-ops-token-of-drivers';
const AS_OPS = { authorization: `Bearer ${OPS_TOKEN}` };

let dataDir: string;
let supabase: LocalSupabase;
let rpc: Rpc;
let sandbox: Sandbox;
let collector: Collector;
let accountId: string;
const started: AppProcess[] = [];

beforeAll(async () => {
  collector = await startCollector();
  dataDir = await mkdtemp(path.join(tmpdir(), 'revos-drivers-'));
  supabase = await startSupabase({ connection: { dataDir: path.join(dataDir, 'database') } });
  rpc = createSupabaseRpc({ url: supabase.url, secretKey: supabase.secretKey });
  sandbox = await startSandbox({ accounts: [{ id: 'ada' }, { id: 'bob' }, { id: 'eve' }] });
  accountId = await openAccount('ada');
});
beforeEach(() => sandbox.world.clearFaults());
afterEach(async () => {
  await Promise.all(started.splice(0).map((app) => app.stop()));
});
afterAll(async () => {
  await rpc?.close();
  await sandbox?.close();
  await collector?.close();
  await supabase?.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** An account that may always send; its id. */
async function openAccount(name: 'ada' | 'bob' | 'eve'): Promise<string> {
  const { data, error } = await clientOf(supabase)
    .from('linkedin_accounts')
    .insert({ account_name: name, unipile_account_id: name })
    .select('id')
    .single();
  expect(error).toBeNull();
  const account_id = data?.id as string;
  const always = { window_start: '00:00', window_end: '24:00', work_days: [1, 2, 3, 4, 5, 6, 7] };
  const patch = { ...always, gap_min_s: 0, gap_max_s: 0, dms_per_day: 50 };
  await rpc.call('account_policy_set', { account_id, patch });
  return account_id;
}

let queued = 0;

/** Queues messages, and gives their texts. */
async function queue(count: number, account = accountId): Promise<string[]> {
  const texts = Array.from({ length: count }, () => `Message ${++queued}`);
  const rows = texts.map((message) => ({
    linkedin_account_id: account,
    recipient_id: `ACoAADrivers${queued}${message.slice(8)}`,
    message,
  }));
  await rpc.call('dm_enqueue', { rows });
  return texts;
}

/** Of these texts, how often LinkedIn's users saw each. */
const seen = (texts: readonly string[]): number[] =>
  texts.map(
    (text) => sandbox.world.effects({ kind: 'message' }).filter((effect) => effect.text === text).length,
  );

/** What works on runs needs, wherever it is. */
const workEnv = () => ({
  NODE_ENV: 'production',
  SUPABASE_URL: supabase.url,
  SUPABASE_SECRET_KEY: supabase.secretKey,
  UNIPILE_DSN: sandbox.url,
  UNIPILE_API_KEY: sandbox.apiKey,
  OPS_TOKENS: `ada:${OPS_TOKEN}`,
});

const COMMIT = '0123456789abcdef0123456789abcdef01234567';

const LINK = {
  JOB_SECRET: 'the-job-secret-of-drivers',
  JOBS_SIGNING_SECRETS: `whsec_${Buffer.alloc(32, 9).toString('base64')}`,
};

async function startWeb(env: Readonly<Record<string, string>>): Promise<AppProcess> {
  const app = await startApp({
    name: 'The web app',
    command: ['next', 'start', '--port', '{port}', '--hostname', '127.0.0.1'],
    cwd: path.join(ROOT, 'apps/web'),
    probePath: '/api/cron/dm-queue',
    logFile: path.join(dataDir, `web-${started.length}.log`),
    env: { NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', CRON_SECRET, OPS_TOKEN, ...env },
  });
  started.push(app);
  return app;
}

async function startJobsApi(env: Readonly<Record<string, string>>): Promise<AppProcess> {
  const app = await startApp({
    name: 'The jobs API',
    command: ['node', 'src/server.ts'],
    cwd: path.join(ROOT, 'apps/jobs-api'),
    probePath: '/health',
    logFile: path.join(dataDir, `jobs-api-${started.length}.log`),
    env: { ...workEnv(), ...LINK, ...env },
  });
  started.push(app);
  return app;
}

/** A worker, with a port for its health. */
async function startWorker(env: Readonly<Record<string, string>>): Promise<AppProcess> {
  const app = await startApp({
    name: 'The worker',
    command: ['node', 'src/worker.ts'],
    cwd: path.join(ROOT, 'apps/jobs-api'),
    probePath: '/health',
    logFile: path.join(dataDir, `worker-${started.length}.log`),
    env: { ...workEnv(), ...env },
  });
  started.push(app);
  return app;
}

async function callCron({ url }: AppProcess, job = 'dm-queue') {
  const response = await fetch(`${url}/api/cron/${job}`, {
    headers: { authorization: `Bearer ${CRON_SECRET}` },
  });
  return { status: response.status, body: (await response.json()) as Record<string, never> };
}

const asOps = (base: string, at: string, init: RequestInit = {}) =>
  fetch(jobsApiUrl(base, at), {
    ...init,
    headers: { ...AS_OPS, ...(init.body ? { 'content-type': 'application/json' } : {}) },
  });

describe('direct: the web app alone', () => {
  it('works on its slots, and serves the job API to people', async () => {
    const sentry = await startSentry();
    onTestFinished(() => sentry.close());
    const web = await startWeb({
      ...workEnv(),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      SENTRY_DSN: sentry.dsn,
      VERCEL_GIT_COMMIT_SHA: COMMIT,
    });
    const texts = await queue(2);
    expect(await callCron(web)).toMatchObject({
      status: 200,
      body: {
        driver: 'direct',
        attempts: 0,
        run: { job: 'dm-queue', status: 'succeeded', stats: { sent: 2 } },
      },
    });
    expect(seen(texts)).toEqual([1, 1]);
    // Told before the function ends, as by any other process that works on a slot.
    expect(sentry.items('check_in').map(({ payload }) => payload)).toMatchObject(
      ['in_progress', 'ok'].map((status) => ({
        ...{ monitor_slug: 'dm-queue', status, release: expect.stringContaining(COMMIT) },
      })),
    );
    // It is told after the answer.
    await expect.poll(() => collector.spans('slot')).toHaveLength(1);
    const spans = collector.spans();
    const slice = 'slot > start run > slice';
    expect(new Set(spans.map((span) => pathTo(span, spans).join(' > ')))).toEqual(
      new Set([
        'slot',
        'slot > start run',
        slice,
        `${slice} > claim`,
        `${slice} > call`,
        `${slice} > record`,
      ]),
    );
    expect(new Set(spans.map(({ service }) => service))).toEqual(new Set(['revos-web']));

    // The same slot again is the same run, and nothing more to do.
    const more = await queue(1);
    expect(await callCron(web)).toMatchObject({ status: 200, body: { outcome: 'exists' } });
    expect(seen(more)).toEqual([0]);

    // A person looks, pauses, starts a run, and resumes.
    expect((await fetch(`${web.url}/api/verdict`)).status).toBe(401);
    expect((await fetch(`${web.url}/health`)).status).toBe(200);
    expect(await (await asOps(web.url, 'ready')).json()).toMatchObject({ status: 'ready' });
    expect(await (await asOps(web.url, 'api/runs')).json()).toMatchObject({ items: [{ job: 'dm-queue' }] });
    const run = await asOps(web.url, 'api/jobs/dm-queue', { method: 'POST', body: '{}' });
    expect(run.status).toBe(202);
    const { run: begun } = (await run.json()) as { run: { id: string } };
    // It is worked on after the answer.
    const events = await asOps(web.url, `api/runs/${begun.id}/events`);
    expect(events.headers.get('content-type')).toContain('text/event-stream');
    expect(await events.text()).toContain('"status":"succeeded"');
    expect(seen(more)).toEqual([1]);

    const page = await fetch(web.url, {
      headers: { authorization: `Basic ${Buffer.from(`ada:${OPS_TOKEN}`).toString('base64')}` },
    });
    expect(await page.text()).toContain('Last runs');
  });

  it('tells people of what it finds, also one who takes his time, and writes down that it did', async () => {
    const slack = await startReceiver();
    onTestFinished(() => slack.close());
    slack.answerWith(200, {}, 1_500);
    const post = { linkedin_account_id: accountId, content: 'Too late', status: 'scheduled' };
    const { data, error } = await clientOf(supabase)
      .from('posts')
      .insert({ ...post, scheduled_for: new Date(Date.now() - 7 * 3_600_000).toISOString() })
      .select('id')
      .single();
    expect(error).toBeNull();
    const job = jobsWithSchedules(undefined).find(({ name }) => name === 'reconcile') as JobDefinition;
    const scheduledFor = currentSlot(job.schedule, new Date()) as Date;
    const env = { ...workEnv(), SLACK_WEBHOOK_URL: slack.address };
    await runSlot({ job, scheduledFor }, countdown(realEffects, 295_000), env);
    expect(slack.received.map(({ body }) => body)).toContainEqual(expect.stringContaining('posts_missed'));
    const alerts = await rpc.call<{ items: Alert[] }>('alert_list', { filter: { code: ['posts_missed'] } });
    expect(alerts.items).toMatchObject([{ subjects: [data?.id], deliveries: [{ status: 'delivered' }] }]);
    await clientOf(supabase).from('posts').delete().eq('id', data?.id);
  });

  it('whose database is away says so, and the next call goes on', async () => {
    const web = await startWeb({ ...workEnv(), SUPABASE_URL: 'http://127.0.0.1:9' });
    expect(await callCron(web)).toMatchObject({ status: 503, body: { job: 'dm-queue' } });
    expect((await asOps(web.url, 'ready')).status).toBe(503);
  });

  it('without what it needs names all of it', async () => {
    const web = await startWeb({});
    expect(await callCron(web)).toMatchObject({
      status: 500,
      body: {
        variables: ['JOBS_API_URL', 'SUPABASE_SECRET_KEY', 'SUPABASE_URL', 'UNIPILE_API_KEY', 'UNIPILE_DSN'],
      },
    });
  });
});

describe('hybrid: the web app triggers, the jobs API works', () => {
  it('serves no job API of its own', async () => {
    const jobsApi = await startJobsApi({});
    const web = await startWeb({ ...LINK, ...workEnv(), JOBS_API_URL: jobsApi.url });
    expect((await asOps(web.url, 'api/verdict')).status).toBe(401);
    expect((await fetch(`${web.url}/ready`)).status).toBe(401);
    const texts = await queue(1);
    expect(await callCron(web)).toMatchObject({ body: { driver: 'jobs-api' } });
    await asOps(jobsApi.url, 'api/jobs/dm-queue', { method: 'POST', body: '{}' });
    await expect.poll(() => seen(texts)).toEqual([1]);
  });
});

describe('a jobs API that dies', () => {
  const SLOT_MS = 15 * 60_000;

  /** As Vercel calls it at that moment: waits for the jobs API take no time. */
  async function cronAt(nowMs: number, jobsApi: string, more: Readonly<Record<string, string>> = {}) {
    const link = { ...LINK, CRON_SECRET, JOBS_API_URL: jobsApi, DIRECT_FALLBACK: 'on' };
    const env = { ...workEnv(), ...link, ...more };
    const effects = scriptedEffects(new Date(nowMs));
    const response = await answerCron(
      { job: 'dm-queue', authorization: `Bearer ${CRON_SECRET}` },
      {
        ...{ readEnv: () => readCronEnv(env), effects, fetch },
        ...TELLS_NOBODY,
        onFailure: (failure) => expect.unreachable(failure.detail),
        onFallback: () => {},
        runDirectly: (job, scheduledFor, remainingMs) => runSlot({ job, scheduledFor }, remainingMs, env),
      },
    );
    return (await response.json()) as { driver: string; outcome: string; slot: string; run: Run };
  }

  it('is stood in for, and comes back: each message goes out once, each slot is one run', async () => {
    const nowMs = Date.now();
    const dead = `http://127.0.0.1:${await findFreePort()}`;
    for (const slotsAgo of [3, 2, 1]) {
      const texts = await queue(2);
      const { driver, run } = await cronAt(nowMs - slotsAgo * SLOT_MS, dead);
      expect({ driver, status: run.status, sent: run.stats.sent }).toEqual({
        ...{ driver: 'direct', status: 'succeeded', sent: 2 },
      });
      expect(seen(texts)).toEqual([1, 1]);
    }

    // A slot that nobody has asked for yet.
    const schedules = { JOB_SCHEDULES: 'dm-queue=*/10 * * * * *' };
    const { url } = await startJobsApi({ CATCH_UP: 'off', ...schedules });
    const texts = await queue(5);
    const backMs = Date.now();
    const [hybrid, direct] = await Promise.all([
      cronAt(backMs, url, schedules),
      cronAt(backMs, dead, schedules),
    ]);
    expect([hybrid.driver, direct.driver]).toEqual(['jobs-api', 'direct']);
    expect(direct.slot).toBe(hybrid.slot);
    expect(direct.run.id).toBe(hybrid.run.id);
    await expect.poll(() => seen(texts)).toEqual([1, 1, 1, 1, 1]);
    for (const { max } of sandbox.world.concurrency()) expect(max).toBe(1);
  });
});

describe('worker: a clock of its own, and no Vercel', () => {
  it('runs each slot once, however many there are, and serves the job API where it has a port', async () => {
    const schedules = { SCHEDULER: 'internal', CATCH_UP: 'off', JOB_SCHEDULES: 'dm-queue=*/5 * * * * *' };
    const texts = await queue(3);
    const [first] = await Promise.all([
      startJobsApi(schedules),
      startJobsApi(schedules),
      startWorker(schedules),
    ]);
    await expect.poll(() => seen(texts)).toEqual([1, 1, 1]);
    const { items } = (await (await asOps(first.url, 'api/runs?job=dm-queue&limit=200')).json()) as {
      items: Run[];
    };
    const slots = items.map(({ scheduled_for }) => scheduled_for).filter((slot) => slot !== null);
    expect(new Set(slots).size).toBe(slots.length);
    expect(items.some(({ trigger }) => trigger === 'worker')).toBe(true);
  });
});

// Last: it leaves an account with a call in flight, which runs wait for.
describe('a function that is cut off', () => {
  it('in the middle of a call loses nothing, and the next slot repeats nothing', async () => {
    // A slot of its own each time.
    const env = { ...workEnv(), JOB_SCHEDULES: 'dm-queue=* * * * * *' };
    const web = await startWeb(env);
    // It is killed below, on purpose.
    web.failed.catch(() => {});
    const [account, other] = [await openAccount('eve'), await openAccount('bob')];
    const action = { kind: 'hang', effect: true } as const;
    sandbox.world.addFaults([{ match: { operation: 'send' }, action, times: 1 }]);
    const [text = ''] = await queue(1, account);
    const cut = callCron(web).catch(() => 'cut off');
    await expect.poll(() => seen([text])).toEqual([1]);
    process.kill(web.pid, 'SIGKILL');
    expect(await cut).toBe('cut off');
    const shown = async (filter: object, now?: string): Promise<unknown[]> =>
      (await rpc.call<{ items: unknown[] }>('dm_list', { filter, now })).items;
    const [left] = (await shown({ status: ['sending'] })) as { id: string }[];

    // Its attempt stays in flight until its lease ends; the other account waits for nobody.
    const texts = await queue(1, other);
    const later = new Date(Date.now() + 3 * 60_000).toISOString();
    await rpc.call('run_recover', { now: later });
    const next = await startWeb(env);
    expect(await callCron(next)).toMatchObject({
      body: { run: { status: 'succeeded', stats: { sent: 1 } } },
    });
    expect(seen([text, ...texts])).toEqual([1, 1]);
    // Then it may be on LinkedIn, and is looked for before anything else is done with it.
    await rpc.call('dm_recover', { now: later });
    expect(await shown({ status: ['unknown'] })).toMatchObject([{ id: left?.id }]);
    await rpc.call('dm_act', {
      ...{ action: 'settle', selection: { ids: [left?.id] }, args: { decision: 'sent' } },
      ...{ dry_run: false, expected_count: null, actor: 'ada' },
    });
  });
});
