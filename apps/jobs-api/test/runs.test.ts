import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { asOps, createTestApp, type ProblemAnswer, runOf, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { gatedJob, quickJob } from './support/jobs.ts';

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

const get = (url: string) => test.app.inject({ method: 'GET', url, headers: asOps });
const post = (url: string, headers: Record<string, string> = {}) =>
  test.app.inject({ method: 'POST', url, headers: { ...asOps, ...headers } });

const UNKNOWN = '00000000-0000-4000-8000-000000000000';

describe('GET /api/jobs', () => {
  it('shows every job with its next slot and its latest run', async () => {
    test = await createTestApp({
      rpc: database.rpc,
      jobs: [quickJob('quick'), quickJob('daily', '0 0 * * *')],
    });
    const run = runOf(await post('/api/jobs/quick', { prefer: 'wait=10' }));
    const { jobs } = (await get('/api/jobs')).json() as { jobs: Record<string, unknown>[] };
    expect(jobs).toMatchObject([
      { name: 'quick', summary: 'Is done at once.', schedule: '*/15 * * * *', last_run: { id: run.id } },
      { name: 'daily', next_slot: expect.stringMatching(/T00:00:00\.000Z$/), last_run: null },
    ]);
  });
});

describe('GET /api/runs', () => {
  it('lists the newest first, by job and status, up to the limit', async () => {
    const gated = gatedJob('gated');
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick'), gated.definition] });
    const first = runOf(await post('/api/jobs/quick', { prefer: 'wait=10' }));
    const second = runOf(await post('/api/jobs/quick', { prefer: 'wait=10' }));
    const active = runOf(await post('/api/jobs/gated'));
    await gated.nextStart();
    const ids = async (query: string): Promise<string[]> =>
      ((await get(`/api/runs${query}`)).json() as { items: { id: string }[] }).items.map(({ id }) => id);

    expect(await ids('')).toEqual([active.id, second.id, first.id]);
    expect(await ids('?limit=1')).toEqual([active.id]);
    expect(await ids('?job=quick')).toEqual([second.id, first.id]);
    expect(await ids('?status=running')).toEqual([active.id]);
    expect(await ids('?status=succeeded&job=gated&limit=200')).toEqual([]);
    expect(await ids('?trigger=ops&job=quick')).toEqual([second.id, first.id]);
    expect(await ids('?trigger=worker')).toEqual([]);
    gated.open();
  });

  it('goes through all of them by pages', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const started: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      started.unshift(runOf(await post('/api/jobs/quick', { prefer: 'wait=10' })).id);
    }
    interface Page {
      readonly items: { id: string }[];
      readonly next_cursor: string | null;
    }
    const first = (await get('/api/runs?limit=2')).json() as Page;
    const second = (await get(`/api/runs?limit=2&cursor=${first.next_cursor}`)).json() as Page;
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(started);
    expect(second.next_cursor).toBeNull();
  });
});

describe('GET /api/runs/:id', () => {
  it('shows a run, and no run', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const run = runOf(await post('/api/jobs/quick', { prefer: 'wait=10' }));
    expect((await get(`/api/runs/${run.id}`)).json()).toEqual(run);
    const missing = await get(`/api/runs/${UNKNOWN}`);
    expect(missing.statusCode).toBe(404);
    expect((missing.json() as ProblemAnswer).type).toBe('/problems/run-not-found');
  });
});

describe('POST /api/runs/:id/cancel', () => {
  it('stops a run that is working, and names who asked', async () => {
    const gated = gatedJob('gated');
    test = await createTestApp({ rpc: database.rpc, jobs: [gated.definition] });
    const { id } = runOf(await post('/api/jobs/gated'));
    const context = await gated.nextStart();

    const response = await post(`/api/runs/${id}/cancel`);
    expect(response.statusCode).toBe(200);
    expect(response.json()).toMatchObject({ id, error: 'cancelled by anna' });
    expect(context.signal.aborted).toBe(true);
    const run = await test.store.get(id);
    if (run === null) throw new Error('the run is gone');
    const ended = await test.runs.waitForEnd(run, 10_000, new AbortController().signal);
    expect(ended).toMatchObject({ status: 'cancelled', stats: { seen: 3, sent: 1 } });
  });

  it('returns a run that has ended as it is, also with an empty JSON body', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    const run = runOf(await post('/api/jobs/quick', { prefer: 'wait=10' }));
    const response = await test.app.inject({
      method: 'POST',
      url: `/api/runs/${run.id}/cancel`,
      headers: { ...asOps, 'content-type': 'application/json' },
      payload: '{}',
    });
    expect(response.json()).toEqual(run);
  });

  it('is 404 for no run', async () => {
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    expect((await post(`/api/runs/${UNKNOWN}/cancel`)).statusCode).toBe(404);
  });
});
