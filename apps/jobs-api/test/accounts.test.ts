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

const UNKNOWN = '00000000-0000-4000-8000-000000000000';

/** Queues a message that is due, so that the account has a policy and something to release. */
const queueFor = (account: string) =>
  ops.post('/api/messages', {
    messages: [{ linkedin_account_id: account, recipient_id: 'ACo1', message: 'Hello' }],
  });

describe('GET /api/accounts', () => {
  const namesOf = async (url: string): Promise<string[]> => {
    const { body } = await ops.get(url);
    return (body as { items: { account_name: string }[] }).items.map(({ account_name }) => account_name);
  };

  it('goes through all of them by pages, by name', async () => {
    for (const name of ['c', 'a', 'e', 'b', 'd']) await database.account(name);
    const { body } = await ops.get('/api/accounts?limit=3');
    const { next_cursor } = body as { next_cursor: string };
    expect(await namesOf('/api/accounts?limit=3')).toEqual(['a', 'b', 'c']);
    expect(await namesOf(`/api/accounts?limit=3&cursor=${next_cursor}`)).toEqual(['d', 'e']);
  });

  it('filters by name, status and pause', async () => {
    const [anna, ben] = [await database.account('anna'), await database.account('ben')];
    await database.rows(`update public.linkedin_accounts set status = 'expired' where id = '${ben}'`);
    await ops.post(`/api/accounts/${anna}/pause`, { reason: 'holiday' });
    expect(await namesOf('/api/accounts?name=anna&name=nobody')).toEqual(['anna']);
    expect(await namesOf('/api/accounts?status=expired&status=error')).toEqual(['ben']);
    expect(await namesOf('/api/accounts?paused=true')).toEqual(['anna']);
    expect(await namesOf('/api/accounts?paused=false')).toEqual(['ben']);
  });

  it('shows all that the database tells, with a policy and without', async () => {
    await database.account('anna');
    await queueFor(await database.account('ben'));
    const { body } = await ops.get('/api/accounts');
    const [row] = await database.rows<{ page: unknown }>('select public.account_list() as page');
    expect(body).toEqual(row?.page);
    expect(body).toMatchObject({
      items: [
        { account_name: 'anna', policy: null },
        { policy: { dms_per_day: 20 }, messages: { pending: 1 } },
      ],
    });
  });

  it.each(['True', '1', 'yes', ''])('refuses %j for true', async (paused) => {
    const { status, body } = await ops.get(`/api/accounts?paused=${paused}`);
    expect(status).toBe(400);
    expect((body as ProblemAnswer).errors?.map(({ field }) => field)).toEqual(['querystring/paused']);
  });
});

describe('GET /api/accounts/:id', () => {
  it('shows usage and gate, as the database tells them', async () => {
    const ben = await database.account('ben');
    await queueFor(ben);
    const { body } = await ops.get(`/api/accounts/${ben}`);
    const [row] = await database.rows<{ account: { gate: unknown } }>(
      `select public.account_get('${ben}') as account`,
    );
    // The hour of the test may be outside the account's window, and an instant is of this moment.
    expect({ ...(body as object), gate: null }).toEqual({ ...row?.account, gate: null });
    expect(body).toMatchObject({ usage: { day: 0, day_limit: 20, limit_7d: 150 } });
  });

  it('is 404 for no account', async () => {
    const { status, body } = await ops.get(`/api/accounts/${UNKNOWN}`);
    expect([status, (body as ProblemAnswer).type]).toEqual([404, '/problems/account-not-found']);
  });
});

describe('PATCH /api/accounts/:id/policy', () => {
  it('changes what is named, and puts it into the audit trail', async () => {
    const anna = await database.account('anna');
    const patch = {
      dms_per_day: 5,
      time_zone: 'Europe/Berlin',
      window_end: '24:00',
      holidays: ['2026-12-25'],
    };
    const { status, body } = await ops.patch(`/api/accounts/${anna}/policy`, patch);
    expect(status).toBe(200);
    expect(body).toMatchObject({ ...patch, window_end: '24:00:00', dms_per_7d: 150 });
    expect(await database.latestAudit()).toEqual({
      actor: 'anna',
      action: 'account.policy',
      subject: anna,
      params: patch,
    });
  });

  it.each([
    { what: 'nothing', patch: {}, status: 400, field: 'body' },
    { what: 'a limit too high', patch: { dms_per_day: 51 }, status: 400, field: 'body/dms_per_day' },
    {
      what: 'an hour that is none',
      patch: { window_start: '25:00' },
      status: 400,
      field: 'body/window_start',
    },
    {
      what: 'a day that is none',
      patch: { holidays: ['2026-02-30'] },
      status: 400,
      field: 'body/holidays/0',
    },
    { what: 'no field of a policy', patch: { paused_until: null }, status: 400, field: 'body/paused_until' },
    { what: 'a zone that is none', patch: { time_zone: 'Mars/Olympus' }, status: 422, field: 'time_zone' },
  ])('refuses $what', async ({ patch, status, field }) => {
    const anna = await database.account('anna');
    const answer = await ops.patch(`/api/accounts/${anna}/policy`, patch);
    expect(answer.status).toBe(status);
    expect((answer.body as ProblemAnswer).errors?.map((error) => error.field)).toContain(field);
    expect(await database.latestAudit()).toBeUndefined();
  });

  it.each([
    {
      what: 'gaps the wrong way round',
      patch: { gap_min_s: 900 },
      error: { field: 'gap_min_s', message: 'gap_min_s must not be above gap_max_s (180)' },
    },
    {
      what: 'a window over midnight',
      patch: { window_start: '22:00', window_end: '06:00' },
      error: {
        field: 'window_end',
        message: 'window_end must be after window_start (22:00): a window over midnight is not possible',
      },
    },
  ])('refuses $what, by field and rule', async ({ patch, error }) => {
    const anna = await database.account('anna');
    const { status, body } = await ops.patch(`/api/accounts/${anna}/policy`, patch);
    expect([status, body]).toEqual([
      422,
      expect.objectContaining({ code: 'AC004', detail: error.message, errors: [error] }),
    ]);
    expect(await database.latestAudit()).toBeUndefined();
  });

  it('is 404 for no account', async () => {
    const { status, body } = await ops.patch(`/api/accounts/${UNKNOWN}/policy`, { dms_per_day: 5 });
    expect([status, (body as ProblemAnswer).type]).toEqual([404, '/problems/account-not-found']);
  });
});

describe('POST /api/accounts/:id/pause and resume', () => {
  it('pauses until somebody resumes it, and says what that releases', async () => {
    const anna = await database.account('anna');
    await queueFor(anna);
    const paused = await ops.post(`/api/accounts/${anna}/pause`, { reason: 'holiday' });
    expect(paused.body).toMatchObject({ paused_until: 'infinity', pause_reason: 'holiday' });
    expect(await database.latestAudit()).toMatchObject({
      actor: 'anna',
      action: 'account.pause',
      subject: anna,
    });
    expect((await ops.get('/api/messages')).body).toMatchObject({ items: [{ status: 'pending' }] });
    expect((await ops.get(`/api/accounts/${anna}`)).body).toMatchObject({ gate: { reason: 'paused' } });

    const resumed = await ops.post(`/api/accounts/${anna}/resume`);
    expect(resumed.body).toMatchObject({ paused_until: null, pause_reason: null, due: 1 });
    expect(await database.latestAudit()).toMatchObject({
      actor: 'anna',
      action: 'account.resume',
      subject: anna,
    });
  });

  it('pauses until an instant', async () => {
    const anna = await database.account('anna');
    const until = '2030-01-01T00:00:00+01:00';
    const { body } = await ops.post(`/api/accounts/${anna}/pause`, { reason: 'holiday', until });
    expect(Date.parse((body as { paused_until: string }).paused_until)).toBe(Date.parse(until));
  });

  it.each([
    { what: 'no reason', body: {}, field: 'body/reason' },
    { what: 'an empty reason', body: { reason: ' ' }, field: 'body/reason' },
    { what: 'an end that is none', body: { reason: 'a', until: 'later' }, field: 'body/until' },
    {
      what: 'an end that no database knows',
      body: { reason: 'a', until: '0000-01-01T00:00:00Z' },
      field: 'body/until',
    },
  ])('refuses $what', async ({ body, field }) => {
    const anna = await database.account('anna');
    const answer = await ops.post(`/api/accounts/${anna}/pause`, body);
    expect(answer.status).toBe(400);
    expect((answer.body as ProblemAnswer).errors?.map((error) => error.field)).toContain(field);
  });

  it.each([
    { path: 'pause', body: { reason: 'holiday' } },
    { path: 'resume', body: {} },
  ])('is 404 for no account: $path', async ({ path, body }) => {
    const answer = await ops.post(`/api/accounts/${UNKNOWN}/${path}`, body);
    expect([answer.status, (answer.body as ProblemAnswer).type]).toEqual([
      404,
      '/problems/account-not-found',
    ]);
  });
});
