/** `/metrics`: who may see it, what it counts, and what it says while the database is away. */
import { globSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type Effects, realEffects } from '@revos/core/effects';
import type { JobDefinition, Run } from '@revos/core/jobs';
import { type Rpc, RpcError } from '@revos/core/rpc';
import { createLogger } from '@revos/core/telemetry';
import { createUnipileV1 } from '@revos/core/unipile';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createMetrics, type Metrics } from '../src/metrics/index.ts';
import { createMeters } from '../src/metrics/meters.ts';
import { observeRpc } from '../src/metrics/observed-rpc.ts';
import { READ_FRESH_MS } from '../src/metrics/shared-read.ts';
import {
  asOps,
  CRON_TOKEN,
  createTestApp,
  OPS_TOKEN,
  slotNow,
  type TestApp,
  type TestAppOptions,
} from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { failingJob, gatedJob, quickJob } from './support/jobs.ts';
import { headOf, rawRequest } from './support/raw-http.ts';

const TOKEN = 'scraper-token-0123456789';
const asScraper = { authorization: `Bearer ${TOKEN}` };

const logger = createLogger('jobs-api', 'silent');
let database: TestDatabase;
const opened: Array<() => Promise<unknown>> = [];

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  database.reachable = true;
  await database.clear();
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

interface Measured extends TestApp {
  readonly metrics: Metrics;
  /** Calls of `system_metrics`. */
  readonly reads: () => number;
}

async function measuredApp(
  jobs: readonly JobDefinition[] = [quickJob('quick')],
  { effects = realEffects, ...more }: Partial<TestAppOptions> & { readonly port?: number } = {},
): Promise<Measured> {
  let reads = 0;
  const counted: Rpc = {
    call: (name, args) => {
      if (name === 'system_metrics') reads += 1;
      return database.rpc.call(name, args);
    },
    close: async () => {},
  };
  const metrics = createMetrics({ jobs, effects, logger, commit: 'abc', port: more.port });
  const test = await createTestApp({
    jobs,
    effects,
    rpc: counted,
    metrics,
    metricsTokens: [TOKEN, `${TOKEN}-next`],
    ...more,
  });
  opened.push(
    () => test.app.close(),
    () => metrics.close(),
  );
  return { ...test, metrics, reads: () => reads };
}

const scrape = async ({ app }: TestApp): Promise<string> => {
  const { statusCode, payload } = await app.inject({ url: '/metrics', headers: asScraper });
  expect(statusCode).toBe(200);
  return payload;
};

/** The samples of one metric, as `{labels}` and value. */
function samplesOf(text: string, name: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return Object.fromEntries(
    lines.map((line) => {
      const [, labels = '', value] = /^\w+(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return [labels, Number(value)];
    }),
  );
}

async function ranToEnd(test: TestApp, job: string): Promise<Run> {
  const { payload } = await test.app.inject({
    method: 'POST',
    url: `/api/jobs/${job}`,
    headers: { ...asOps, prefer: 'wait=20' },
  });
  return (JSON.parse(payload) as { run: Run }).run;
}

describe('who may see them', () => {
  it('nobody where nothing is configured: there is no such path', async () => {
    const test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    opened.push(() => test.app.close());
    for (const headers of [{}, asOps, asScraper]) {
      expect((await test.app.inject({ url: '/metrics', headers })).statusCode).toBe(404);
    }
  });

  it('nobody over the jobs API where there is a port alone', async () => {
    const test = await measuredApp([quickJob('quick')], { port: 0, metricsTokens: [] });
    expect((await test.app.inject({ url: '/metrics', headers: asScraper })).statusCode).toBe(404);
  });

  it.each([
    ['no token', {}],
    ['another token', { authorization: 'Bearer scraper-token-9876543210' }],
    ['the beginning of it', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ['more than it', { authorization: `Bearer ${TOKEN}0` }],
    ['nothing after the scheme', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Basic ${Buffer.from(`:${TOKEN}`).toString('base64')}` }],
    ['an ops token', { authorization: `Bearer ${OPS_TOKEN}` }],
    ['the cron token', { authorization: `Bearer ${CRON_TOKEN}` }],
  ])('nobody with %s', async (_what, headers) => {
    const { app, reads } = await measuredApp();
    const response = await app.inject({ url: '/metrics', headers });
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([
      401,
      'Bearer realm="revos-jobs"',
    ]);
    expect(response.payload).not.toContain('revos_');
    expect(reads()).toBe(0);
  });

  it('nobody who shows two credentials', async () => {
    const { app } = await measuredApp();
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const answer = await rawRequest(
      port,
      `GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\nauthorization: Bearer ${TOKEN}-x\r\nconnection: close\r\n\r\n`,
    );
    expect(headOf(answer).status).toBe(401);
  });

  it('who has any of the tokens, which open nothing else', async () => {
    const { app } = await measuredApp();
    for (const authorization of [`Bearer ${TOKEN}`, `bearer ${TOKEN}-next`]) {
      const response = await app.inject({ url: '/metrics', headers: { authorization } });
      expect(response.statusCode).toBe(200);
      expect(response.headers).toMatchObject({
        'content-type': 'text/plain; version=0.0.4; charset=utf-8',
        'cache-control': 'no-store',
      });
    }
    for (const url of ['/api/jobs', '/api/verdict', '/docs']) {
      expect((await app.inject({ url, headers: asScraper })).statusCode, url).toBe(401);
    }
  });

  it('they do not stand in the document of the API', async () => {
    const { app } = await measuredApp();
    const document = (await app.inject({ url: '/api/openapi.json', headers: asOps })).json();
    expect(Object.keys((document as { paths: object }).paths)).not.toContain('/metrics');
  });

  it('whoever reaches the port of their own, which has nothing else', async () => {
    const { metrics, logLines } = await measuredApp([quickJob('quick')], { port: 0 });
    expect(logLines.join()).not.toContain('metrics server listening');
    const served = Promise.withResolvers<number>();
    const own = createMetrics({
      jobs: [],
      effects: realEffects,
      logger: createLogger('worker', 'info', {
        destination: { write: (line: string) => served.resolve((JSON.parse(line) as { port: number }).port) },
      }),
      commit: undefined,
      port: 0,
    });
    await own.listen();
    opened.push(() => own.close());
    const url = `http://127.0.0.1:${await served.promise}`;
    const response = await fetch(`${url}/metrics?x=1`);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, metrics.contentType]);
    expect(await response.text()).toContain('revos_build_info{version="0.1.0",commit="unknown"} 1');
    expect((await fetch(`${url}/metrics`, { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405);
    for (const at of ['/', '/health', '/api/jobs', '/metrics/']) {
      expect((await fetch(url + at, { headers: asOps })).status, at).toBe(404);
    }
  });
});

describe('what they count', () => {
  it('runs by how they ended, from 0 on', async () => {
    const test = await measuredApp([quickJob('quick'), failingJob('fails')]);
    const before = await scrape(test);
    expect(samplesOf(before, 'revos_runs_ended_total')).toEqual(
      Object.fromEntries(
        ['quick', 'fails'].flatMap((job) =>
          ['succeeded', 'failed', 'cancelled', 'interrupted'].map((status) => [
            `job_name="${job}",status="${status}"`,
            0,
          ]),
        ),
      ),
    );
    await ranToEnd(test, 'quick');
    await ranToEnd(test, 'quick');
    await ranToEnd(test, 'fails');
    const text = await scrape(test);
    expect(samplesOf(text, 'revos_runs_ended_total')).toMatchObject({
      'job_name="quick",status="succeeded"': 2,
      'job_name="quick",status="failed"': 0,
      'job_name="fails",status="failed"': 1,
    });
    expect(samplesOf(text, 'revos_run_duration_seconds_count')).toEqual({
      'job_name="quick"': 2,
      'job_name="fails"': 1,
    });
    // Asked for by hand: they have no slot to be late for.
    expect(samplesOf(text, 'revos_slot_lateness_seconds_count')).toEqual({
      'job_name="quick"': 0,
      'job_name="fails"': 0,
    });
  });

  it('how late a slot was begun', async () => {
    const test = await measuredApp();
    const job = quickJob('quick');
    const slot = slotNow();
    const { run } = await test.runs.start({
      job,
      trigger: 'vercel-cron',
      scheduledFor: slot,
      requestedBy: 'cron',
    });
    const ended = await test.runs.waitForEnd(run, 20_000, new AbortController().signal);
    const lateS = (Date.parse(ended.started_at ?? '') - slot.getTime()) / 1_000;
    const text = await scrape(test);
    expect(samplesOf(text, 'revos_slot_lateness_seconds_count')).toEqual({ 'job_name="quick"': 1 });
    expect(samplesOf(text, 'revos_slot_lateness_seconds_sum')['job_name="quick"']).toBeCloseTo(lateS, 3);
  });

  it('an end once, though its answer was lost and it is recorded again', async () => {
    const job = gatedJob('gated');
    const test = await measuredApp([job.definition]);
    const { run } = await test.runs.start({
      job: job.definition,
      trigger: 'ops',
      scheduledFor: null,
      requestedBy: 'ada',
    });
    await job.nextStart();
    job.open();
    const ended = await test.runs.waitForEnd(run, 20_000, new AbortController().signal);
    const again = await test.store.finish(run.id, ended.worker ?? '', {
      status: 'succeeded',
      stats: {},
      error: null,
      horizonSeen: new Date(ended.horizon_at),
    });
    expect(again).toMatchObject({ owned: true, run: { status: 'succeeded' } });
    expect(
      samplesOf(await scrape(test), 'revos_runs_ended_total')['job_name="gated",status="succeeded"'],
    ).toBe(1);
  });

  const askFor = (store: TestApp['store'], scheduledFor: Date | null = null) =>
    store.start({
      job: 'quick',
      trigger: 'ops',
      scheduledFor,
      requestedBy: 'ada',
      horizonAt: new Date(Date.now() + 60_000),
    });

  it('no end that the database gave a run: it was nobody’s here', async () => {
    const test = await measuredApp();
    const { run } = await askFor(test.store);
    await test.store.begin(run.id, 'w');
    await test.store.cancel(run.id, 'ada');
    // The next one makes room for itself.
    await askFor(test.store);
    const told = await test.store.finish(run.id, 'w', {
      status: 'cancelled',
      stats: {},
      error: null,
      horizonSeen: new Date(run.horizon_at),
    });
    expect(told).toMatchObject({ owned: true, run: { status: 'cancelled' } });
    const counted = samplesOf(await scrape(test), 'revos_runs_ended_total');
    expect(Object.values(counted)).toEqual([0, 0, 0, 0]);
  });

  it('no lateness of a run that another process had begun', async () => {
    const [first, second] = [await measuredApp(), await measuredApp()];
    const { run } = await askFor(first.store, slotNow());
    await first.store.begin(run.id, 'first');
    await database.asOwner(
      `update public.run_slices set heartbeat_at = heartbeat_at - interval '1 minute';
       update public.job_runs set started_at = started_at - interval '1 minute'`,
    );
    expect(await second.store.begin(run.id, 'second')).toMatchObject({ owned: true });
    const [counted, notCounted] = [await scrape(first), await scrape(second)].map(
      (text) => samplesOf(text, 'revos_slot_lateness_seconds_count')['job_name="quick"'],
    );
    expect([counted, notCounted]).toEqual([1, 0]);
  });

  it('what runs have claimed ahead, until they end', async () => {
    const gate = Promise.withResolvers<void>();
    const reported = Promise.withResolvers<void>();
    const job: JobDefinition = {
      ...quickJob('ahead'),
      loadHandler: async () => async (context) => {
        context.report({ claimed_ahead: 3 });
        reported.resolve();
        await gate.promise;
        return { claimed_ahead: 3 };
      },
    };
    const test = await measuredApp([job]);
    const { run } = await test.runs.start({ job, trigger: 'ops', scheduledFor: null, requestedBy: 'ada' });
    await reported.promise;
    expect(samplesOf(await scrape(test), 'revos_claimed_ahead')).toEqual({ 'job_name="ahead"': 3 });
    gate.resolve();
    await test.runs.waitForEnd(run, 20_000, new AbortController().signal);
    expect(samplesOf(await scrape(test), 'revos_claimed_ahead')).toEqual({ 'job_name="ahead"': 0 });
  });

  it('attempts by outcome and by a reason of the list, and no other', async () => {
    const meters = createMeters({ jobs: [], version: '1', commit: undefined });
    const answers = [
      { applied: 'recorded', status: 'sent' },
      { applied: 'recorded', status: 'unknown' },
      { applied: 'recorded', status: 'pending' },
      { applied: 'recorded', status: 'failed' },
      { applied: 'recorded', status: 'pending' },
      { applied: 'missing', status: null },
      { applied: 'ignored', status: 'sent' },
      { applied: 'ignored', status: 'failed' },
    ];
    const rpc = observeRpc(
      { call: async () => answers as never, close: async () => {} },
      meters,
      realEffects,
    );
    await rpc.call('dm_record', {
      results: [
        { outcome: 'sent' },
        { outcome: 'unknown', reason: 'answer_lost' },
        { outcome: 'not_sent', next_step: 'retry', reason: 'unreachable' },
        { outcome: 'not_sent', next_step: 'fail', reason: 'what Ada Moreau said' },
        { outcome: 'not_sent', next_step: 'release' },
        { outcome: 'sent' },
        // Recorded before, by a call whose answer was lost.
        { outcome: 'sent' },
        { outcome: 'sent' },
      ],
    });
    const counted = samplesOf(await meters.ofProcess.metrics(), 'revos_attempts_total');
    expect(counted).toEqual({
      'kind="message",outcome="sent",reason="none"': 2,
      'kind="post",outcome="sent",reason="none"': 0,
      'kind="message",outcome="unknown",reason="answer_lost"': 1,
      'kind="message",outcome="retried",reason="unreachable"': 1,
      'kind="message",outcome="failed",reason="other"': 1,
      'kind="message",outcome="released",reason="none"': 1,
      'kind="message",outcome="late",reason="none"': 2,
    });
  });

  it('calls of SQL functions, and how they fail', async () => {
    const meters = createMeters({ jobs: [], version: '1', commit: undefined });
    const failing = (error: Error): Rpc =>
      observeRpc({ call: () => Promise.reject(error), close: async () => {} }, meters, realEffects);
    for (const kind of ['rule', 'unavailable', 'bug'] as const) {
      await expect(failing(new RpcError(kind, 'dm_claim', '', 'no')).call('dm_claim')).rejects.toThrow('no');
    }
    await expect(failing(new TypeError('ours')).call('dm_claim')).rejects.toThrow('ours');
    const text = await meters.ofProcess.metrics();
    expect(samplesOf(text, 'revos_database_errors_total')).toEqual({
      'function="dm_claim",kind="rule"': 1,
      'function="dm_claim",kind="unavailable"': 1,
      'function="dm_claim",kind="bug"': 2,
    });
    expect(samplesOf(text, 'revos_database_call_duration_seconds_count')).toEqual({
      'function="dm_claim"': 4,
    });
  });

  it('calls to Unipile, what their answer was, and what is under way', async () => {
    const metrics = createMetrics({
      jobs: [],
      effects: realEffects,
      logger,
      commit: undefined,
      port: undefined,
    });
    const unipile = metrics.observeUnipile(
      // Nobody listens there.
      createUnipileV1({
        dsn: 'http://127.0.0.1:9',
        apiKey: 'none',
        onReadRepeated: metrics.onUnipileRepeated,
      }),
    );
    opened.push(() => unipile.close());
    const sending = unipile.sendMessage({
      accountId: 'a',
      recipientId: 'ACoAA1',
      chatId: null,
      text: 'Hello',
    });
    expect(samplesOf(await metrics.scrape(), 'revos_unipile_calls_in_flight')).toMatchObject({
      'operation="send_message"': 1,
    });
    await sending;
    await unipile.readPost({ accountId: 'a', postId: '1' });
    const text = await metrics.scrape();
    expect(samplesOf(text, 'revos_unipile_calls_in_flight')).toMatchObject({
      'operation="send_message"': 0,
      'operation="read_post"': 0,
    });
    expect(samplesOf(text, 'revos_unipile_call_duration_seconds_count')).toEqual({
      'operation="send_message",outcome="unreachable"': 1,
      'operation="read_post",outcome="unreachable"': 1,
    });
    expect(samplesOf(text, 'revos_retries_total')).toMatchObject({ 'of="unipile_read"': 1 });
  });

  it('the deployment, as the database has it', async () => {
    const test = await measuredApp();
    const account = await database.account('Ada');
    await database.rpc.call('dm_enqueue', {
      rows: [{ linkedin_account_id: account, recipient_id: 'ACoAA1', message: 'Hello' }],
    });
    await database.rpc.call('account_pause', {
      account_id: account,
      reason: 'Ada is on holiday',
      actor: 'ben',
    });
    await ranToEnd(test, 'quick');
    const text = await scrape(test);
    expect(samplesOf(text, 'revos_database_up')).toEqual({ '': 1 });
    expect(samplesOf(text, 'revos_messages_due')).toEqual({ '': 1 });
    expect(samplesOf(text, 'revos_accounts_ready')).toEqual({ '': 0 });
    expect(samplesOf(text, 'revos_accounts_paused')).toMatchObject({
      'reason="person"': 1,
      'reason="breaker"': 0,
    });
    expect(samplesOf(text, 'revos_job_last_run_status')).toMatchObject({
      'job_name="quick",status="succeeded"': 1,
      'job_name="quick",status="failed"': 0,
    });
    expect(samplesOf(text, 'revos_job_last_success_timestamp_seconds')['job_name="quick"']).toBeGreaterThan(
      1e9,
    );
    expect(samplesOf(text, 'revos_job_slot_missed')).toEqual({ 'job_name="quick"': 0 });
    expect(text).not.toMatch(/Ada|ben|Hello|ACoAA|[0-9a-f]{8}-[0-9a-f]{4}-/);
  });
});

describe('a scrape', () => {
  it('of many at once, and of the next seconds, is one question to the database', async () => {
    let nowMs = 0;
    const test = await measuredApp([quickJob('quick')], {
      effects: { ...realEffects, monotonicMs: () => nowMs },
    });
    await Promise.all(Array.from({ length: 50 }, () => scrape(test)));
    nowMs += READ_FRESH_MS - 1;
    await scrape(test);
    expect(test.reads()).toBe(1);
    nowMs += 1;
    await scrape(test);
    expect(test.reads()).toBe(2);
  });

  it('succeeds while the database is away, says so, and leaves out what it cannot know', async () => {
    let nowMs = 0;
    const effects: Effects = { ...realEffects, monotonicMs: () => nowMs };
    const test = await measuredApp([quickJob('quick')], { effects });
    expect(await scrape(test)).toContain('revos_messages_due 0');
    database.reachable = false;
    nowMs += READ_FRESH_MS;
    const text = await scrape(test);
    expect(samplesOf(text, 'revos_database_up')).toEqual({ '': 0 });
    const ofDeployment = createMeters({ jobs: [], version: '1', commit: undefined }).ofDeployment;
    for (const { name } of ofDeployment.getMetricsAsArray()) expect(text).not.toContain(`# TYPE ${name} `);
    expect(text).toContain('process_resident_memory_bytes');
    database.reachable = true;
    nowMs += READ_FRESH_MS;
    expect(await scrape(test)).toContain('revos_messages_due 0');
  });

  it('waits for no database that hangs, and takes its answer the next time', async () => {
    const held = database.hold('system_metrics');
    // Its time is over at once.
    const effects: Effects = { ...realEffects, sleep: async () => void (await held.called) };
    const metrics = createMetrics({ jobs: [], effects, logger, commit: undefined, port: undefined });
    metrics.measure({ rpc: database.rpc, engine: { onChange: () => () => {} }, bullmq: null });
    expect(samplesOf(await metrics.scrape(), 'revos_database_up')).toEqual({ '': 0 });
    expect(samplesOf(await metrics.scrape(), 'revos_database_up')).toEqual({ '': 0 });
    const answered = database.answered('system_metrics');
    held.release();
    await answered;
    await expect.poll(async () => samplesOf(await metrics.scrape(), 'revos_database_up')).toEqual({ '': 1 });
  });
});

describe('a process that tells no metrics', () => {
  it('loads none of them: they are imported where they are asked for', () => {
    const src = path.resolve(import.meta.dirname, '../src');
    const files = globSync(['*.ts', '{plugins,routes}/**/*.ts', 'metrics/port.ts'], { cwd: src });
    const loading = files.filter((file) =>
      /^import (?!type )[^;]*from '(?:prom-client|[./]+\/metrics\/(?!port\.ts)[^']+)'/m.test(
        readFileSync(path.join(src, file), 'utf8'),
      ),
    );
    expect(files.length).toBeGreaterThan(30);
    expect(loading).toEqual([]);
    expect(readFileSync(path.join(src, 'services.ts'), 'utf8')).toContain(
      "await import('./metrics/index.ts')",
    );
  });
});

describe('docs/metrics.md', () => {
  const document = readFileSync(path.resolve(import.meta.dirname, '../../../docs/metrics.md'), 'utf8');

  it('has each metric of ours with its type and labels, whose deployment it is, and no other', () => {
    const { ofProcess, ofDeployment } = createMeters({ jobs: [], version: '1', commit: undefined });
    // The state of the queue is shared too, and told with the process's: it has a place of its own
    // to be away from.
    const shared = new Set([
      'revos_queue_slices',
      ...ofDeployment.getMetricsAsArray().map(({ name }) => name),
    ]);
    const rows = [...ofProcess.getMetricsAsArray(), ...ofDeployment.getMetricsAsArray()]
      .filter(({ name }) => name.startsWith('revos_'))
      .map((metric) => {
        const { name, type, labelNames } = metric as unknown as {
          name: string;
          type: string;
          labelNames: string[];
        };
        const labels = labelNames.map((label) => `\`${label}\``).join(', ') || '–';
        return `| \`${name}\`${shared.has(name) ? ' †' : ''} | ${type} | ${labels} |`;
      });
    const documented = [
      ...document.matchAll(/^(\| `revos_\w+`(?: †)? \| \w+ \| [^|]+ \|) [^|]+ \| .+ \|$/gm),
    ].map(([, row]) => row);
    expect(documented.sort()).toEqual(rows.sort());
  });

  it('is of names and units as Prometheus has them', () => {
    const { ofProcess, ofDeployment } = createMeters({ jobs: [], version: '1', commit: undefined });
    const own = [...ofProcess.getMetricsAsArray(), ...ofDeployment.getMetricsAsArray()].filter(({ name }) =>
      name.startsWith('revos_'),
    ) as unknown as ReadonlyArray<{ name: string; type: string; help: string; labelNames: string[] }>;
    expect(own.length).toBeGreaterThan(25);
    expect(own.filter(({ name, type }) => name.endsWith('_total') !== (type === 'counter'))).toEqual([]);
    expect(own.filter(({ name, type }) => type === 'histogram' && !name.endsWith('_seconds'))).toEqual([]);
    // Prometheus calls its targets so, and would rename ours.
    expect(
      own.filter(({ labelNames }) => labelNames.includes('job') || labelNames.includes('instance')),
    ).toEqual([]);
    const shared = new Set(ofDeployment.getMetricsAsArray().map(({ name }) => name));
    expect(own.filter(({ name, help }) => shared.has(name) && !help.includes('Of the deployment'))).toEqual(
      [],
    );
  });
});
