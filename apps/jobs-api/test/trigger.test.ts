import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { simulatedEffects } from '@revos/core/effects';
import { RunParams } from '@revos/core/jobs';
import { TRIGGER_CHECK } from '@revos/core/signing';
import { NO_SPAN, NO_TRACES, type Traces } from '@revos/core/telemetry';
import Type from 'typebox';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  asOps,
  createTestApp,
  cronRequest,
  FOREIGN_SECRET,
  operator,
  type ProblemAnswer,
  runOf,
  slotNow,
  type TestApp,
} from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { failingJob, gatedJob, quickJob } from './support/jobs.ts';

let database: TestDatabase;
let test: TestApp;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());
afterEach(async () => {
  await test.app.close();
  await database.clear();
});

/** One for all, so that no test straddles the next. */
const slot = slotNow();

const cron = (job: string, headers: Record<string, string> = {}) => {
  const { body, headers: signed } = cronRequest({ job, slot });
  return test.app.inject({
    method: 'POST',
    url: `/api/jobs/${job}`,
    headers: { ...signed, ...headers },
    payload: body,
  });
};

const ops = (job: string, headers: Record<string, string> = {}) =>
  test.app.inject({ method: 'POST', url: `/api/jobs/${job}`, headers: { ...asOps, ...headers } });

const outcomeOf = (response: { json: () => unknown }): string =>
  (response.json() as { outcome: string }).outcome;

describe('the trace of a trigger', () => {
  const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const started: Array<readonly [name: string, traceparent: string | undefined]> = [];
  const traces: Traces = {
    ...NO_TRACES,
    start(name, _facts, traceparent) {
      started.push([name, traceparent]);
      return { ...NO_SPAN, traceparent: `the span ${name}` };
    },
  };
  beforeEach(async () => {
    started.length = 0;
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')], traces });
  });

  it('goes on under whoever signed it, down to the slice', async () => {
    expect((await cron('quick', { traceparent: TRACEPARENT })).statusCode).toBe(202);
    expect(started).toEqual([
      ['request', TRACEPARENT],
      ['start run', 'the span request'],
      ['slice', 'the span start run'],
    ]);
  });

  it.each([
    { what: 'no header', headers: {} },
    { what: 'what is no name of a span', headers: { traceparent: 'Hello' } },
    { what: 'two of them', headers: { traceparent: [TRACEPARENT, TRACEPARENT] } },
  ])('begins anew with $what, and the run is the same', async ({ headers }) => {
    const { body, headers: signed } = cronRequest({ job: 'quick', slot });
    const response = await test.app.inject({
      ...{ method: 'POST', url: '/api/jobs/quick', payload: body },
      headers: { ...signed, ...headers },
    });
    expect(response.statusCode).toBe(202);
    expect(started[0]).toEqual(['request', undefined]);
  });

  it('begins anew for an operator, who signs nothing', async () => {
    expect((await ops('quick', { traceparent: TRACEPARENT })).statusCode).toBe(202);
    expect(started[0]).toEqual(['request', undefined]);
  });

  it.each([
    { what: 'without a credential', headers: { authorization: '' }, status: 401 },
    {
      what: 'whose signature does not hold',
      headers: { 'webhook-signature': `v1,${btoa('x'.repeat(32))}` },
      status: 401,
    },
  ])('is none of a request $what', async ({ headers, status }) => {
    expect((await cron('quick', { traceparent: TRACEPARENT, ...headers })).statusCode).toBe(status);
    expect(started).toEqual([]);
  });
});

describe('POST /api/jobs/:job', () => {
  it('gives one run to 50 requests for one slot at once', async () => {
    const gated = gatedJob('gated');
    test = await createTestApp({ rpc: database.rpc, jobs: [gated.definition] });
    const responses = await Promise.all(Array.from({ length: 50 }, () => cron('gated')));
    expect(new Set(responses.map((response) => runOf(response).id)).size).toBe(1);
    expect(responses.filter(({ statusCode }) => statusCode === 202)).toHaveLength(1);
    expect(responses.filter(({ statusCode }) => statusCode === 200)).toHaveLength(49);
    expect((await test.store.list({ limit: 200 })).items).toHaveLength(1);
    gated.open();
  });

  it('leads in the log from the request to its run, and every line of the run to both its slot and itself', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [failingJob('failing')] });
    const response = await cron('failing');
    const { id, scheduled_for } = runOf(response);
    await expect.poll(() => test.logLines.join()).toContain('slice ended');
    const lines = test.logLines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const [ofRequest, ofSlice] = ['request_id', 'slice'].map((name) => lines.filter((line) => name in line));
    expect(ofRequest?.map(({ msg }) => msg)).toEqual(['run requested', 'request completed']);
    const request_id = response.headers['x-request-id'];
    for (const line of ofRequest ?? []) expect(line).toMatchObject({ request_id });
    const run = { job: 'failing', run_id: id, slot: scheduled_for };
    expect(ofRequest?.[0]).toMatchObject({ ...run, trigger: 'vercel-cron', outcome: 'created' });
    expect(ofSlice?.map(({ msg }) => msg)).toEqual(['slice started', 'run failed', 'slice ended']);
    for (const line of ofSlice ?? []) expect(line).toMatchObject({ ...run, slice: 0 });
    expect(ofSlice?.at(-1)).toMatchObject({ status: 'failed', duration_ms: expect.any(Number) });
  });

  it('answers a new slot with the run that is still active, and a repeat of it likewise', async () => {
    const gated = gatedJob('gated');
    test = await createTestApp({ rpc: database.rpc, jobs: [gated.definition] });
    const byHand = await ops('gated');
    expect([byHand.statusCode, outcomeOf(byHand)]).toEqual([202, 'created']);
    const bySlot = await cron('gated');
    expect([bySlot.statusCode, outcomeOf(bySlot)]).toEqual([200, 'coalesced']);
    const again = await cron('gated');
    expect([again.statusCode, outcomeOf(again)]).toEqual([200, 'exists']);
    expect(runOf(again).id).toBe(runOf(byHand).id);
    gated.open();
  });

  it('works on a late slot until the next one from now on', async () => {
    const gated = gatedJob('gated');
    test = await createTestApp({ rpc: database.rpc, jobs: [gated.definition] });
    const late = new Date(slot.getTime() - 60 * 60_000);
    const { body, headers } = cronRequest({ job: 'gated', slot: late });
    const response = await test.app.inject({
      method: 'POST',
      url: '/api/jobs/gated',
      headers,
      payload: body,
    });
    expect(new Date(runOf(response).horizon_at).getTime()).toBeGreaterThan(Date.now());
    gated.open();
  });

  it('by hand consumes no slot', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const first = await ops('quick', { prefer: 'wait=10' });
    const bySlot = await cron('quick');
    expect(runOf(first).status).toBe('succeeded');
    expect([bySlot.statusCode, outcomeOf(bySlot)]).toEqual([202, 'created']);
  });

  it.each(['', '{}', ' { } '])('takes %j as the body of a run by hand', async (payload) => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const headers = { ...asOps, 'content-type': 'application/json' };
    const response = await test.app.inject({ method: 'POST', url: '/api/jobs/quick', headers, payload });
    expect(response.statusCode).toBe(202);
  });
});

describe('a run that is told something', () => {
  const ACCOUNT = '00000000-0000-4000-8000-00000000000a';
  const told = {
    ...quickJob('told'),
    params: Type.Pick(RunParams, ['account_ids', 'dry_run', 'limit', 'days', 'from', 'to']),
  };
  const operate = operator(() => test);

  it('has its parameters and its priority, and stands beside the normal one', async () => {
    const gated = gatedJob('gated');
    const job = { ...gated.definition, params: Type.Pick(RunParams, ['account_ids', 'dry_run', 'limit']) };
    test = await createTestApp({ rpc: database.rpc, jobs: [job] });
    const normal = await ops('gated');
    await gated.nextStart();
    const params = { account_ids: [ACCOUNT], dry_run: true, limit: 5 };
    const scoped = await operate.post('/api/jobs/gated', { ...params, priority: 7 });
    expect([scoped.status, scoped.body]).toMatchObject([
      202,
      { outcome: 'created', run: { params, priority: 7, trigger: 'ops' } },
    ]);
    const context = await gated.nextStart();
    expect(context.run.params).toEqual(params);
    expect(runOf({ json: () => scoped.body }).id).not.toBe(runOf(normal).id);
    expect(await database.latestAudit()).toMatchObject({
      actor: 'anna',
      action: 'run.start',
      params: { job: 'gated', params, priority: 7 },
    });
    // The slot is answered with the normal run.
    expect(runOf(await cron('gated')).id).toBe(runOf(normal).id);
    gated.open();
  });

  it.each([
    { what: 'a limit of 0', body: { limit: 0 }, field: 'body/limit' },
    { what: 'a limit that is text', body: { limit: '5' }, field: 'body/limit' },
    { what: 'an account that is none', body: { account_ids: ['anna'] }, field: 'body/account_ids/0' },
    { what: 'the same account twice', body: { account_ids: [ACCOUNT, ACCOUNT] }, field: 'body/account_ids' },
    { what: 'a priority of 10', body: { priority: 10 }, field: 'body/priority' },
    { what: 'an unknown field', body: { force: true }, field: 'body/force' },
    {
      what: 'days beside a range',
      body: { days: 3, from: '2026-03-01', to: '2026-03-02' },
      field: 'body/days',
    },
    { what: 'half a range', body: { to: '2026-03-02' }, field: 'body/from' },
    { what: 'a range backwards', body: { from: '2026-03-02', to: '2026-03-01' }, field: 'body/to' },
    { what: 'more than 400 days', body: { from: '2025-01-01', to: '2026-02-05' }, field: 'body/to' },
    { what: 'a day of year 0', body: { from: '0000-01-01', to: '0000-01-02' }, field: 'body/from' },
  ])('is refused for $what', async ({ body, field }) => {
    test = await createTestApp({ rpc: database.rpc, jobs: [told] });
    const answer = await operate.post('/api/jobs/told', body);
    expect(answer.status).toBe(400);
    expect((answer.body as ProblemAnswer).errors?.map((error) => error.field)).toContain(field);
    expect((await test.store.list({ limit: 1 })).items).toEqual([]);
  });

  it('is refused for what its job does not take, by name', async () => {
    test = await createTestApp({
      rpc: database.rpc,
      jobs: [{ ...quickJob('told'), params: Type.Pick(RunParams, ['dry_run']) }, quickJob('quick')],
    });
    const { jobs } = (await operate.get('/api/jobs')).body as { jobs: object[] };
    expect(jobs).toMatchObject([
      { name: 'told', params: ['dry_run'] },
      { name: 'quick', params: [] },
    ]);
    for (const [job, body] of [
      ['told', { dry_run: true, days: 3 }],
      ['quick', { days: 3 }],
    ] as const) {
      const answer = await operate.post(`/api/jobs/${job}`, body);
      expect([job, answer.status]).toEqual([job, 400]);
      expect((answer.body as ProblemAnswer).errors?.map(({ field }) => field)).toEqual(['body/days']);
    }
  });

  it('is refused to cron: its signed body has no room for parameters', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [told] });
    const { body, headers } = cronRequest({ job: 'told', slot });
    const payload = JSON.stringify({ ...JSON.parse(body), dry_run: true });
    const response = await test.app.inject({ method: 'POST', url: '/api/jobs/told', headers, payload });
    expect(response.statusCode).toBe(401);
  });
});

describe('Prefer: wait', () => {
  it('answers with the run that has ended', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const response = await cron('quick', { prefer: 'wait=10' });
    expect(response.statusCode).toBe(202);
    expect(response.headers['preference-applied']).toBe('wait=10');
    expect(runOf(response)).toMatchObject({ status: 'succeeded', stats: { seen: 1, sent: 1 } });
  });

  it('answers with a run that has failed, and why', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [failingJob('failing')] });
    const response = await cron('failing', { prefer: 'wait=10' });
    expect(runOf(response)).toMatchObject({ status: 'failed', error: 'it fails' });
  });

  it('answers with the run as it stands when the time is over', async () => {
    const gated = gatedJob('gated');
    test = await createTestApp({ rpc: database.rpc, jobs: [gated.definition] });
    const response = await cron('gated', { prefer: 'wait=1' });
    expect(response.headers['preference-applied']).toBe('wait=1');
    expect(runOf(response)).toMatchObject({ status: 'running', stats: { seen: 3, sent: 1 } });
    gated.open();
  });

  it('is capped', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const response = await cron('quick', { prefer: 'wait=86400' });
    expect(response.headers['preference-applied']).toBe('wait=300');
  });

  it('is not claimed to be applied when nobody asked', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const response = await cron('quick');
    expect(response.headers['preference-applied']).toBeUndefined();
  });

  it('ends with the client', async () => {
    const gated = gatedJob('gated');
    const effects = simulatedEffects(new Date());
    test = await createTestApp({ rpc: database.rpc, jobs: [gated.definition], effects });
    await test.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = test.app.server.address() as AddressInfo;
    const request = httpRequest({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: '/api/jobs/gated',
      headers: { ...asOps, prefer: 'wait=300' },
    });
    request.on('error', () => {}).end();
    await gated.nextStart();
    // The run's heartbeat, the wait's limit, and its next look.
    await expect.poll(() => effects.sleeperCount(), { interval: 1 }).toBe(3);
    request.destroy();
    await expect.poll(() => effects.sleeperCount(), { interval: 1 }).toBe(1);
    gated.open();
  });

  it('ends with the database: the run was started, and is the answer', async () => {
    const gated = gatedJob('gated');
    test = await createTestApp({ rpc: database.rpc, jobs: [gated.definition] });
    // A run that is worked on elsewhere: only the database knows it.
    const { run } = await test.store.start({
      job: 'gated',
      trigger: 'worker',
      scheduledFor: null,
      requestedBy: 'another process',
      horizonAt: new Date(Date.now() + 900_000),
    });
    await test.store.begin(run.id, 'another process');
    const looked = database.answered('run_get');
    const waiting = cron('gated', { prefer: 'wait=60' });
    await looked;
    database.reachable = false;
    const response = await waiting;
    database.reachable = true;
    expect(response.statusCode).toBe(200);
    expect(runOf(response).id).toBe(run.id);
    expect(test.logLines.join()).toContain('waiting for the run failed');
  });
});

describe('POST /api/trigger-check', () => {
  const check = (job: string, change: { secret?: string; headers?: Record<string, string> } = {}) => {
    const { body, headers } = cronRequest({ job, slot, ...(change.secret ? { secret: change.secret } : {}) });
    return test.app.inject({
      method: 'POST',
      url: '/api/trigger-check',
      headers: { ...headers, ...change.headers },
      payload: body,
    });
  };

  it('accepts what a cron would send, and starts nothing', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const response = await check(TRIGGER_CHECK);
    expect([response.statusCode, response.json()]).toEqual([200, { accepted: true }]);
    expect((await test.store.list({ limit: 200 })).items).toEqual([]);
  });

  it.each([
    { what: 'another signing secret', change: { secret: FOREIGN_SECRET }, kind: 'signature-invalid' },
    {
      what: 'another token',
      change: { headers: { authorization: 'Bearer of-nobody-0123456789' } },
      kind: 'unauthenticated',
    },
    { what: 'an ops token', change: { headers: asOps }, kind: 'credential-not-allowed' },
    { what: 'the trigger of a job', job: 'quick', change: {}, kind: 'job-mismatch' },
  ])('refuses $what', async ({ job = TRIGGER_CHECK, change, kind }) => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    expect((await check(job, change)).json<ProblemAnswer>().type).toBe(`/problems/${kind}`);
  });

  it('cannot be turned on a job', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const { body, headers } = cronRequest({ job: TRIGGER_CHECK, slot });
    const response = await test.app.inject({
      method: 'POST',
      url: '/api/jobs/quick',
      headers,
      payload: body,
    });
    expect(response.json<ProblemAnswer>().type).toBe('/problems/job-mismatch');
    expect((await test.store.list({ limit: 200 })).items).toEqual([]);
  });
});
