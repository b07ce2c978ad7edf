import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestApp, operator, type ProblemAnswer, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

let database: TestDatabase;
let test: TestApp;
let account: string;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
beforeEach(async () => {
  await database.clear();
  account = await database.account('anna-linkedin');
});

const ops = operator(() => test);

const UNKNOWN = '00000000-0000-4000-8000-000000000000';

const aMessage = (recipient: string, more: object = {}) => ({
  linkedin_account_id: account,
  recipient_id: recipient,
  message: `Hello ${recipient}`,
  ...more,
});

interface Enqueued {
  readonly enqueued: number;
  readonly existing: number;
  readonly messages: { row: number; id: string; is_new: boolean }[];
}

/** Queues messages to these recipients, and gives their ids. */
async function queue(...recipients: string[]): Promise<string[]> {
  const { body } = await ops.post('/api/messages', { messages: recipients.map((name) => aMessage(name)) });
  return (body as Enqueued).messages.map(({ id }) => id);
}

const statusesOf = async (...ids: string[]): Promise<string[]> => {
  const rows = await database.rows<{ id: string; status: string }>('select id, status from public.dm_queue');
  return ids.map((id) => rows.find((row) => row.id === id)?.status ?? 'missing');
};

describe('POST /api/messages', () => {
  it('queues messages, says which are new, and puts the name of the token into the audit trail', async () => {
    const { status, body } = await ops.post('/api/messages', {
      messages: [aMessage('ACo1', { dedupe_key: 'a' }), aMessage('ACo2', { dedupe_key: 'b', priority: 9 })],
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      enqueued: 2,
      existing: 0,
      messages: [
        { row: 0, id: expect.any(String), is_new: true },
        { row: 1, id: expect.any(String), is_new: true },
      ],
      repeated: 0,
      warnings: [],
    });
    expect(await database.latestAudit()).toEqual({
      actor: 'anna',
      action: 'message.enqueue',
      subject: null,
      params: { enqueued: 2, existing: 0 },
    });
  });

  it('answers a repeated call with the messages that exist', async () => {
    const messages = [aMessage('ACo1', { dedupe_key: 'a' })];
    const first = await ops.post('/api/messages', { messages });
    const again = await ops.post('/api/messages', { messages: [...messages, aMessage('ACo2')] });
    const repeated = await ops.post('/api/messages', { messages });
    const id = (first.body as Enqueued).messages[0]?.id;
    expect([again.status, again.body]).toMatchObject([
      201,
      { enqueued: 1, existing: 1, messages: [{ id, is_new: false }, { is_new: true }] },
    ]);
    expect([repeated.status, repeated.body]).toEqual([
      200,
      { enqueued: 0, existing: 1, messages: [{ row: 0, id, is_new: false }], repeated: 0, warnings: [] },
    ]);
  });

  it('tells of a text that goes to somebody twice, and refuses a key of two messages with its twin', async () => {
    const twice = await ops.post('/api/messages', { messages: [aMessage('ACo1'), aMessage('ACo1')] });
    expect([twice.status, twice.body]).toMatchObject([
      201,
      {
        repeated: 1,
        warnings: [
          {
            row: 1,
            field: 'message',
            problem: 'says the same to the same person as another row',
            twin_row: 0,
          },
        ],
      },
    ]);
    const [id] = await queue('ACo2');
    await database.rows(`update public.dm_queue set dedupe_key = 'a' where id = '${id}'`);
    const refused = await ops.post('/api/messages', {
      messages: [
        aMessage('ACo3', { dedupe_key: 'a' }),
        aMessage('ACo4', { dedupe_key: 'b' }),
        aMessage('ACo5', { dedupe_key: 'b' }),
      ],
    });
    expect([refused.status, (refused.body as ProblemAnswer).errors]).toEqual([
      422,
      [
        {
          field: 'messages/0/dedupe_key',
          message: 'is that of a message that was queued before, with another recipient and text',
          twin_id: id,
        },
        {
          field: 'messages/2/dedupe_key',
          message: 'is that of another row, with another recipient and text',
          twin_row: 1,
        },
      ],
    ]);
  });

  it('takes a placeholder that is meant, and shows so', async () => {
    const message = { message: 'Hi {{first_name}}' };
    const { body } = await ops.post('/api/messages', {
      messages: [aMessage('ACo1', { ...message, is_literal: true })],
    });
    const { id } = (body as Enqueued).messages[0] ?? { id: '' };
    expect((await ops.get(`/api/messages/${id}`)).body).toMatchObject({ ...message, is_literal: true });
    expect((await ops.post('/api/messages', { messages: [aMessage('ACo2', message)] })).status).toBe(422);
  });

  it('queues none if one is wrong, and names every field of every row that is', async () => {
    const { status, body } = await ops.post('/api/messages', {
      messages: [
        aMessage('ACo1'),
        aMessage('ACo2', { message: 'Hello {{first_name}}' }),
        { linkedin_account_id: UNKNOWN, recipient_id: 'ACo3', message: '', priority: 10, colour: 'red' },
        'no message',
      ],
    });
    expect(status).toBe(422);
    expect(body).toMatchObject({ type: '/problems/refused', code: 'DM021' });
    const fields = (body as ProblemAnswer).errors?.map(({ field }) => field);
    expect(fields).toEqual([
      'messages/1/message',
      'messages/2/colour',
      'messages/2/linkedin_account_id',
      'messages/2/message',
      'messages/2/priority',
      'messages/3',
    ]);
    expect(await database.rows('select from public.dm_queue')).toEqual([]);
  });

  it('takes 10,000 in one call, and not one more', { timeout: 60_000 }, async () => {
    const messages = Array.from({ length: 10_000 }, (_, index) =>
      aMessage(`ACo${index}`, { message: 'x'.repeat(500), dedupe_key: `key-${index}` }),
    );
    const { status, body } = await ops.post('/api/messages', { messages });
    expect([status, (body as Enqueued).enqueued]).toEqual([201, 10_000]);
    expect((body as Enqueued).messages.at(-1)?.row).toBe(9_999);

    const tooMany = await ops.post('/api/messages', { messages: [...messages, aMessage('ACo')] });
    expect(tooMany.status).toBe(400);
    expect((tooMany.body as ProblemAnswer).errors?.map(({ field }) => field)).toEqual(['body/messages']);
  });

  it.each([
    { what: 'nothing', body: {}, field: 'body/messages' },
    { what: 'no messages', body: { messages: [] }, field: 'body/messages' },
    { what: 'an unknown field', body: { messages: [{}], now: true }, field: 'body/now' },
    {
      what: 'text that Postgres does not keep',
      body: { messages: [{ message: 'a\0b' }] },
      field: 'body/messages/0/message',
    },
    {
      what: 'half a character',
      body: { messages: [{}, { message: '\ud83d' }] },
      field: 'body/messages/1/message',
    },
  ])('refuses $what', async ({ body, field }) => {
    const answer = await ops.post('/api/messages', body);
    expect(answer.status).toBe(400);
    expect((answer.body as ProblemAnswer).errors?.map((error) => error.field)).toEqual([field]);
  });
});

describe('GET /api/messages', () => {
  const idsOf = async (url: string): Promise<{ ids: string[]; cursor: string | null }> => {
    const { body } = await ops.get(url);
    const { items, next_cursor } = body as { items: { id: string }[]; next_cursor: string | null };
    return { ids: items.map(({ id }) => id), cursor: next_cursor };
  };

  it('goes through all of them by pages, the last queued first', async () => {
    const ids = await queue('ACo1', 'ACo2', 'ACo3', 'ACo4', 'ACo5');
    const seen: string[] = [];
    let cursor: string | null = '';
    let pages = 0;
    while (cursor !== null) {
      const page = await idsOf(`/api/messages?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      seen.push(...page.ids);
      cursor = page.cursor;
      pages += 1;
    }
    expect(pages).toBe(3);
    expect(seen).toEqual(ids.toReversed());
  });

  it('filters, by several values and several fields', async () => {
    const [first = '', second = '', third = ''] = await queue('ACo1', 'ACo2', 'ACo3');
    await ops.post('/api/messages/actions', { action: 'cancel', selection: { ids: [second] } });
    expect((await idsOf('/api/messages?status=cancelled')).ids).toEqual([second]);
    expect((await idsOf('/api/messages?status=cancelled&status=pending')).ids).toEqual([
      third,
      second,
      first,
    ]);
    expect((await idsOf('/api/messages?status=pending&recipient_id=ACo1&recipient_id=ACo2')).ids).toEqual([
      first,
    ]);
    expect((await idsOf(`/api/messages?account_id=${UNKNOWN}`)).ids).toEqual([]);
    expect((await idsOf('/api/messages?due_before=2001-01-01T00:00:00Z')).ids).toEqual([]);
  });

  it('shows all that the database tells, without the text', async () => {
    const [id = ''] = await queue('ACo1');
    const { body } = await ops.get('/api/messages');
    const [row] = await database.rows<{ page: unknown }>('select public.dm_list() as page');
    expect(body).toEqual(row?.page);
    expect((body as { items: object[] }).items).toMatchObject([
      { id, account_name: 'anna-linkedin', status: 'pending' },
    ]);
    expect(JSON.stringify(body)).not.toContain('Hello');
  });

  it('refuses a cursor that no list gave', async () => {
    const { status, body } = await ops.get('/api/messages?cursor=x');
    expect([status, body]).toMatchObject([422, { code: 'SE003', errors: [{ field: 'cursor' }] }]);
  });
});

describe('GET /api/messages/:id', () => {
  it('shows all that the database tells: text, attempts, explanation', async () => {
    const { body: queued } = await ops.post('/api/messages', {
      messages: [aMessage('ACo1', { send_at: '2026-03-02T09:00:00Z' })],
    });
    const id = (queued as Enqueued).messages[0]?.id;
    await database.rows(
      `select public.dm_claim('test', 1, 120000, gen_random_uuid(), 0.5, p_now => '2026-03-02T12:00:00Z')`,
    );
    const { status, body } = await ops.get(`/api/messages/${id}`);
    expect(status).toBe(200);
    const [row] = await database.rows<{ message: unknown }>(`select public.dm_get('${id}') as message`);
    expect(body).toEqual(row?.message);
    expect(body).toMatchObject({
      id,
      message: 'Hello ACo1',
      explanation: { id },
      attempts: [{ worker: 'test' }],
    });
  });

  it('explains alone, too', async () => {
    const [id = ''] = await queue('ACo1');
    // One that can go now is explained with the instant of the question.
    await database.rows(`update public.dm_queue set send_at = '2199-01-07T12:00:00Z' where id = '${id}'`);
    const { body } = await ops.get(`/api/messages/${id}/explanation`);
    const [row] = await database.rows<{ explanation: unknown }>(
      `select public.dm_explain('${id}') as explanation`,
    );
    expect(body).toEqual(row?.explanation);
    expect(body).toMatchObject({ id, reason: 'scheduled' });
  });

  it.each(['', '/explanation'])('is 404 for no message: %s', async (path) => {
    const { status, body } = await ops.get(`/api/messages/${UNKNOWN}${path}`);
    expect([status, (body as ProblemAnswer).type]).toEqual([404, '/problems/message-not-found']);
  });
});

describe('POST /api/messages/actions', () => {
  it('cancels named messages at once, and refuses what cannot be', async () => {
    const [first = '', second = ''] = await queue('ACo1', 'ACo2');
    const cancel = { action: 'cancel', selection: { ids: [first] }, args: { reason: 'wrong list' } };
    const { status, body } = await ops.post('/api/messages/actions', cancel);
    expect([status, body]).toEqual([
      200,
      { action: 'cancel', dry_run: false, matched: 1, changed: 1, refused: [], sample: [first] },
    ]);
    expect(await statusesOf(first, second)).toEqual(['cancelled', 'pending']);
    expect(await database.latestAudit()).toMatchObject({
      actor: 'anna',
      action: 'message.cancel',
      subject: first,
      params: { args: { reason: 'wrong list' } },
    });

    const again = await ops.post('/api/messages/actions', {
      action: 'cancel',
      selection: { ids: [first, second, UNKNOWN] },
    });
    expect(again.body).toMatchObject({
      matched: 2,
      changed: 1,
      refused: expect.arrayContaining([
        { id: first, status: 'cancelled', problem: expect.any(String) },
        { id: UNKNOWN, status: null, problem: 'there is no such message' },
      ]),
    });
  });

  it('does by filter what a dry run showed, and a dry run changes nothing', async () => {
    const ids = await queue('ACo1', 'ACo2');
    const cancel = { action: 'cancel', selection: { filter: { status: ['pending'] } } };
    const audited = await database.latestAudit();
    const dry = await ops.post('/api/messages/actions', { ...cancel, dry_run: true });
    expect(dry.body).toMatchObject({ dry_run: true, matched: 2, changed: 2 });
    expect(await statusesOf(...ids)).toEqual(['pending', 'pending']);
    expect(await database.latestAudit()).toEqual(audited);

    const real = await ops.post('/api/messages/actions', { ...cancel, expected_count: 2 });
    expect(real.body).toMatchObject({ dry_run: false, matched: 2, changed: 2 });
    expect(await statusesOf(...ids)).toEqual(['cancelled', 'cancelled']);
  });

  it('refuses a filter without a dry run', async () => {
    const ids = await queue('ACo1');
    const cancel = { action: 'cancel', selection: { filter: {} } };
    const { status, body } = await ops.post('/api/messages/actions', cancel);
    expect([status, body]).toMatchObject([
      422,
      { type: '/problems/refused', code: 'DM065', errors: [{ field: 'expected_count' }] },
    ]);
    expect(await statusesOf(...ids)).toEqual(['pending']);
  });

  it('does nothing if more match than the dry run showed, and says how many', async () => {
    const ids = await queue('ACo1', 'ACo2', 'ACo3');
    const { status, body } = await ops.post('/api/messages/actions', {
      action: 'cancel',
      selection: { filter: { status: ['pending'] } },
      expected_count: 2,
    });
    expect([status, body]).toMatchObject([
      409,
      { type: '/problems/selection-changed', code: 'DM062', matched: 3 },
    ]);
    expect(await statusesOf(...ids)).toEqual(['pending', 'pending', 'pending']);
  });

  it('reschedules', async () => {
    const [id = ''] = await queue('ACo1');
    await ops.post('/api/messages/actions', {
      action: 'reschedule',
      selection: { ids: [id] },
      args: { send_at: '2030-05-01T10:00:00+02:00' },
    });
    const { body } = await ops.get(`/api/messages/${id}`);
    expect(new Date((body as { send_at: string }).send_at).toISOString()).toBe('2030-05-01T08:00:00.000Z');
  });

  it.each([
    { what: 'no action', body: { action: 'burn' }, status: 400, field: 'body/action' },
    { what: 'no selection', body: { selection: undefined }, status: 400, field: 'body/selection' },
    { what: 'nobody', body: { selection: { ids: [] } }, status: 400, field: 'body/selection/ids' },
    {
      what: 'a filter by what is no field',
      body: { selection: { filter: { colour: ['red'] } } },
      status: 400,
      field: 'body/selection/filter/colour',
    },
    { what: 'an unknown argument', body: { args: { now: true } }, status: 400, field: 'body/args/now' },
    { what: 'a missing argument', body: { action: 'reschedule' }, status: 422, field: 'send_at' },
    { what: 'an argument of another', body: { args: { decision: 'sent' } }, status: 422, field: 'decision' },
  ])('refuses $what', async ({ body, status, field }) => {
    const answer = await ops.post('/api/messages/actions', {
      action: 'cancel',
      selection: { ids: [UNKNOWN] },
      ...body,
    });
    expect(answer.status).toBe(status);
    expect((answer.body as ProblemAnswer).errors?.map((error) => error.field)).toContain(field);
  });
});
