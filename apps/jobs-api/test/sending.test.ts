import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestApp, operator, type ProblemAnswer, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

let database: TestDatabase;
let test: TestApp;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
beforeEach(() => database.clear());

const ops = operator(() => test);

const NOT_PAUSED = {
  paused: false,
  reason: null,
  paused_at: null,
  paused_until: null,
  paused_by: null,
  due: 0,
};

describe('the pause of all sending', () => {
  it('is off, goes on, holds messages back, and goes off', async () => {
    expect((await ops.get('/api/sending')).body).toEqual(NOT_PAUSED);
    const account = await database.account('anna');
    await ops.post('/api/messages', {
      messages: [{ linkedin_account_id: account, recipient_id: 'ACo1', message: 'Hello' }],
    });

    const paused = await ops.post('/api/sending/pause', { reason: 'LinkedIn is out of order' });
    expect([paused.status, paused.body]).toMatchObject([
      200,
      { paused: true, reason: 'LinkedIn is out of order', paused_until: null, paused_by: 'anna', due: 1 },
    ]);
    expect((await ops.get('/api/sending')).body).toEqual(paused.body);
    expect(await database.latestAudit()).toMatchObject({ actor: 'anna', action: 'sending.pause' });
    const { items } = (await ops.get('/api/messages')).body as { items: { id: string }[] };
    const explanation = await ops.get(`/api/messages/${items[0]?.id}/explanation`);
    expect(explanation.body).toMatchObject({ reason: 'all_paused', can_go_at: null });

    expect((await ops.post('/api/sending/resume')).body).toEqual({ ...NOT_PAUSED, due: 1 });
    expect(await database.latestAudit()).toMatchObject({ actor: 'anna', action: 'sending.resume' });
  });

  it('ends by itself at its instant', async () => {
    const { body } = await ops.post('/api/sending/pause', { reason: 'a', until: '2001-01-01T00:00:00Z' });
    expect(body).toEqual(NOT_PAUSED);
  });

  it.each([
    { what: 'no reason', body: {}, field: 'body/reason' },
    { what: 'an unknown field', body: { reason: 'a', by: 'ben' }, field: 'body/by' },
  ])('refuses $what', async ({ body, field }) => {
    const answer = await ops.post('/api/sending/pause', body);
    expect(answer.status).toBe(400);
    expect((answer.body as ProblemAnswer).errors?.map((error) => error.field)).toContain(field);
    expect((await ops.get('/api/sending')).body).toEqual(NOT_PAUSED);
  });
});

describe('GET /api/audit', () => {
  const actionsOf = async (query: string): Promise<string[]> => {
    const { body } = await ops.get(`/api/audit${query}`);
    return (body as { items: { action: string }[] }).items.map(({ action }) => action);
  };

  beforeEach(async () => {
    const account = await database.account('anna');
    await ops.post(`/api/accounts/${account}/pause`, { reason: 'holiday' });
    await ops.post(`/api/accounts/${account}/resume`);
    await ops.post('/api/sending/pause', { reason: 'a' });
    await test.app.inject({
      method: 'POST',
      url: '/api/sending/resume',
      headers: { authorization: 'Bearer ops-token-of-ben-0123' },
    });
  });

  it('goes through all of them by pages, newest first', async () => {
    const { body } = await ops.get('/api/audit?limit=3');
    const { items, next_cursor } = body as { items: object[]; next_cursor: string };
    expect(items).toMatchObject([
      { actor: 'ben', action: 'sending.resume', subject: null },
      { actor: 'anna', action: 'sending.pause', params: { reason: 'a' } },
      { action: 'account.resume', params: { due: 0 } },
    ]);
    expect(await actionsOf(`?limit=3&cursor=${next_cursor}`)).toEqual(['account.pause']);
  });

  it('filters', async () => {
    const [anna] = await database.rows<{ id: string }>('select id from public.linkedin_accounts');
    expect(await actionsOf('?actor=ben')).toEqual(['sending.resume']);
    expect(await actionsOf('?action=account.pause&action=account.resume')).toEqual([
      'account.resume',
      'account.pause',
    ]);
    expect(await actionsOf(`?subject=${anna?.id}&actor=ben`)).toEqual([]);
    expect(await actionsOf('?to=2001-01-01T00:00:00Z')).toEqual([]);
  });
});
