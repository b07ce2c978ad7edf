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

describe('POST /api/restores', () => {
  it('in a dry run changes nothing; then it pauses, marks, and leaves its trail', async () => {
    const linkedin_account_id = await database.account('anna');
    await ops.post('/api/messages', {
      messages: [{ linkedin_account_id, recipient_id: 'ACo1', message: 'Hello' }],
    });
    const to = new Date(Date.now() - 3_600_000).toISOString();

    const foreseen = await ops.post('/api/restores', { to, dry_run: true });
    expect([foreseen.status, foreseen.body]).toMatchObject([
      200,
      {
        dry_run: true,
        marked_at: null,
        is_marked: false,
        paused: false,
        suspected: { messages: 1, posts: 0 },
      },
    ]);
    expect((await ops.get('/api/sending')).body).toMatchObject({ paused: false });

    const marked = await ops.post('/api/restores', { to });
    expect([marked.status, marked.body]).toMatchObject([
      200,
      {
        ...{ dry_run: false, marked_by: 'anna', is_marked: true, paused: true },
        suspected: { messages: 0, posts: 0 },
        messages: { looked_for: 1, sent: 0, released: 0, held: 0 },
      },
    ]);
    expect((await ops.get('/api/sending')).body).toMatchObject({ paused: true, paused_by: 'anna' });
    expect(await database.latestAudit()).toMatchObject({
      actor: 'anna',
      action: 'restore.mark',
      params: { is_marked: true },
    });
    expect((await ops.get('/api/messages?status=unknown&reason=restored')).body).toMatchObject({
      items: [{ linkedin_account_id }],
    });
  });

  it('marked in part, holds all sending, and says what to do', async () => {
    for (const name of ['anna', 'ben']) {
      const linkedin_account_id = await database.account(name);
      const message = { linkedin_account_id, recipient_id: `ACo${name}`, message: 'Hello' };
      expect((await ops.post('/api/messages', { messages: [message] })).status).toBe(201);
    }
    const to = new Date(Date.now() - 3_600_000).toISOString();
    await database.rpc.call('restore_mark', { to, dry_run: false, limit: 1, actor: 'anna' });
    const until = new Date(Date.now() + 3_600_000).toISOString();
    for (const refused of [
      await ops.post('/api/sending/resume', {}),
      await ops.post('/api/sending/pause', { reason: 'stop', until }),
    ]) {
      expect([refused.status, refused.body]).toMatchObject([
        409,
        {
          type: '/problems/restore-unfinished',
          detail: expect.stringContaining('repeat ops restored --to 20'),
        },
      ]);
    }
    expect(await ops.post('/api/restores', { to })).toMatchObject({ body: { is_marked: true } });
    expect((await ops.post('/api/sending/resume', {})).status).toBe(200);
  });

  it.each([
    { what: 'no instant', body: {}, status: 400, field: 'body/to' },
    { what: 'an instant without a zone', body: { to: '2026-01-01T00:00:00' }, status: 400, field: 'body/to' },
    {
      what: 'an unknown field',
      body: { to: '2026-01-01T00:00:00Z', by: 'ben' },
      status: 400,
      field: 'body/by',
    },
    { what: 'one that has not come', body: { to: '2999-01-01T00:00:00Z' }, status: 422, field: 'to' },
  ])('refuses $what', async ({ body, status, field }) => {
    const answer = await ops.post('/api/restores', body);
    expect(answer.status).toBe(status);
    expect((answer.body as ProblemAnswer).errors?.map((error) => error.field)).toContain(field);
    expect((await ops.get('/api/sending')).body).toMatchObject({ paused: false });
  });
});
