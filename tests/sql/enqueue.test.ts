/** Queueing messages: by plain SQL and by dm_enqueue, with the same rules. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountId,
  act,
  after,
  claim,
  MINUTE_MS,
  message,
  openAccount,
  policyOf,
  queue,
  recipientId,
  refusal,
  rowOf,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';

const NOW = new Date('2026-03-02T10:00:00Z');
let session: Session;
let account: string;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
  account = await openAccount(session, 1);
});

/** Inserts one row by plain SQL, as RevOS or a person in a console does. */
async function insert(row: Record<string, unknown>): Promise<string> {
  const columns = Object.keys(row);
  const places = columns.map((_, index) => `$${index + 1}`);
  const [inserted] = await session.query(
    `insert into dm_queue (${columns.join(', ')}) values (${places.join(', ')}) returning id`,
    Object.values(row),
  );
  return String(inserted?.id);
}

const GOOD = { recipient_id: 'ACoAA1', message: 'Hello', send_at: NOW.toISOString() };

describe('a plain insert', () => {
  it('works like dm_enqueue: the policy is made, and the message is claimed', async () => {
    const other = accountId(2);
    await session.query(
      `insert into linkedin_accounts (id, account_name, unipile_account_id) values ($1, 'B', 'u2')`,
      [other],
    );
    const id = await insert({ ...GOOD, linkedin_account_id: other });
    expect(await rowOf(session, id)).toMatchObject({
      status: 'pending',
      priority: 0,
      attempts: 0,
      reason: null,
    });
    expect(await policyOf(session, other)).toMatchObject({
      dms_per_day: 20,
      dms_per_24h: 50,
      dms_per_7d: 150,
      gap_min_s: 60,
      gap_max_s: 180,
      time_zone: 'UTC',
      window_start: '09:00:00',
      window_end: '18:00:00',
      work_days: [1, 2, 3, 4, 5],
      warm_up_from: null,
      paused_until: null,
    });
    expect((await claim(session)).map((claimed) => claimed.message_id)).toEqual([id]);
  });

  it('wakes an account that was found empty', async () => {
    expect(await claim(session)).toEqual([]);
    expect((await policyOf(session, account)).next_claim_at).toBe(Number.POSITIVE_INFINITY);
    const id = await insert({ ...GOOD, linkedin_account_id: account });
    expect((await claim(session)).map((claimed) => claimed.message_id)).toEqual([id]);
  });

  it('cannot bring its own history', async () => {
    const id = await insert({
      ...GOOD,
      linkedin_account_id: account,
      attempts: 4,
      sent_at: NOW.toISOString(),
      unipile_message_id: 'forged',
    });
    expect(await rowOf(session, id)).toMatchObject({ attempts: 0, sent_at: null, unipile_message_id: null });
  });
});

/** Every rule of a message, with the value that breaks it and the nearest value that does not. */
const RULES = [
  { code: 'DM001', field: 'linkedin_account_id', bad: accountId(9), good: accountId(1) },
  { code: 'DM002', field: 'recipient_id', bad: 'https://www.linkedin.com/in/ann', good: 'ACoAAB1' },
  { code: 'DM002', field: 'recipient_id', bad: 'ann-lee', good: 'ACoAAC1' },
  { code: 'DM002', field: 'recipient_id', bad: '', good: 'ACoAAD1' },
  { code: 'DM002', field: 'recipient_id', bad: 'ACo', good: 'ACoA' },
  { code: 'DM002', field: 'recipient_id', bad: `ACo${'A'.repeat(197)}`, good: `ACo${'A'.repeat(196)}` },
  { code: 'DM002', field: 'recipient_id', bad: 'ACoAA 1', good: 'ACoAA_-1' },
  { code: 'DM003', field: 'message', bad: '', good: '.' },
  { code: 'DM003', field: 'message', bad: ' \n\t ', good: ' \n. ' },
  { code: 'DM004', field: 'message', bad: 'é'.repeat(8001), good: 'é'.repeat(8000) },
  { code: 'DM005', field: 'message', bad: 'Hi {{first_name}}', good: 'Hi {json: 1}' },
  { code: 'DM005', field: 'message', bad: 'Hi {{first_name', good: 'Hi {first_name' },
  { code: 'DM005', field: 'message', bad: 'Hi name}}', good: 'Hi name}' },
  { code: 'DM006', field: 'chat_id', bad: 'c'.repeat(201), good: 'c'.repeat(200) },
  { code: 'DM006', field: 'chat_id', bad: '', good: null },
  { code: 'DM006', field: 'dedupe_key', bad: 'k'.repeat(201), good: 'k'.repeat(200) },
  { code: 'DM006', field: 'dedupe_key', bad: '', good: null },
  { code: 'DM007', field: 'priority', bad: 10, good: 9 },
  { code: 'DM007', field: 'priority', bad: -1, good: 0 },
];

describe('every rule holds for both ways in', () => {
  it.each(RULES)('$code $field: $bad', async ({ code, field, bad, good }) => {
    const row = { linkedin_account_id: account, ...GOOD };
    expect(await refusal(insert({ ...row, [field]: bad }))).toEqual({ code, field });

    const enqueued = session.dm.enqueue([{ ...row, [field]: bad }]);
    await expect(enqueued).rejects.toMatchObject({ kind: 'rule', code: 'DM021' });
    const problems = JSON.parse(await enqueued.then(String, (error: { detail: string }) => error.detail));
    expect([
      ...new Set(
        problems.map((problem: { row: number; field: string }) => `${problem.row} ${problem.field}`),
      ),
    ]).toEqual([`0 ${field}`]);

    expect(await insert({ ...row, [field]: good })).toMatch(/^[0-9a-f-]{36}$/);
    const twin = field === 'dedupe_key' && good !== null ? `${String(good).slice(1)}2` : good;
    expect((await session.dm.enqueue([{ ...row, [field]: twin } as never])).enqueued).toBe(1);
  });

  it('DM008: a new message is pending', async () => {
    for (const status of ['sent', 'sending', 'failed', 'unknown', 'cancelled']) {
      expect(await refusal(insert({ ...GOOD, linkedin_account_id: account, status }))).toEqual({
        code: 'DM008',
        field: 'status',
      });
    }
  });

  it('a bad edit of a waiting message is refused like a bad insert', async () => {
    const id = await insert({ ...GOOD, linkedin_account_id: account });
    // Whether or not its writer keeps updated_at, as claims and answers do.
    const edit = async (column: string, value: unknown) => {
      const refused = await refusal(
        session.query(`update dm_queue set ${column} = $2 where id = $1`, [id, value]),
      );
      const kept = `${column} = $2, updated_at = updated_at + interval '1 second'`;
      expect(await refusal(session.query(`update dm_queue set ${kept} where id = $1`, [id, value]))).toEqual(
        refused,
      );
      return refused;
    };
    expect(await edit('message', 'Hi {{name}}')).toEqual({ code: 'DM005', field: 'message' });
    expect(await edit('recipient_id', 'ann')).toEqual({ code: 'DM002', field: 'recipient_id' });
    expect(await edit('linkedin_account_id', accountId(9))).toEqual({
      code: 'DM001',
      field: 'linkedin_account_id',
    });
    expect(await edit('priority', 10)).toEqual({ code: 'DM007', field: 'priority' });
    expect(await edit('chat_id', '')).toEqual({ code: 'DM006', field: 'chat_id' });
  });
});

describe('dm_enqueue', () => {
  const detailOf = async (rows: unknown): Promise<unknown> => {
    try {
      await session.rpc.call('dm_enqueue', { rows });
    } catch (error) {
      const { code, detail } = error as { code: string; detail: string };
      expect(code).toBe('DM021');
      return (JSON.parse(detail) as Array<Record<string, unknown>>).map(({ row, field }) => [row, field]);
    }
    throw new Error('it was not refused');
  };

  it('queues all or nothing, and lists every bad row', async () => {
    const detail = await detailOf([
      message(account),
      message(account, { recipient_id: 'ann', message: 'Hi {{name}}' }),
      'no object',
      { ...message(account), subject: 'Hi', send_at: 'tomorrow', priority: 'high' },
      message(account),
      { ...message(account), linkedin_account_id: 'x', campaign_id: 'y', lead_id: null },
      { recipient_id: 7, message: null },
    ]);
    expect(detail).toEqual([
      [1, 'message'],
      [1, 'recipient_id'],
      [2, null],
      [3, 'priority'],
      [3, 'send_at'],
      [3, 'subject'],
      [5, 'campaign_id'],
      [5, 'linkedin_account_id'],
      [6, 'linkedin_account_id'],
      [6, 'message'],
      [6, 'recipient_id'],
      [6, 'recipient_id'],
    ]);
    expect(await session.query(`select from dm_queue`, [])).toEqual([]);
  });

  it.each([
    ['2026-03-02T10:00:00Z', true],
    ['2026-03-02T10:00Z', true],
    ['2026-03-02T10:00:00.123456+05:45', true],
    ['2026-03-02 10:00:00-03', true],
    ['2026-03-02T10:00:00', false],
    ['2026-02-30T10:00:00Z', false],
    ['2026-03-02', false],
    ['now', false],
    ['infinity', false],
    [7, false],
  ])('send_at %s is an instant with a zone: %s', async (sendAt, accepted) => {
    const enqueued = session.rpc.call('dm_enqueue', { rows: [{ ...message(account), send_at: sendAt }] });
    if (accepted) await expect(enqueued).resolves.toMatchObject({ enqueued: 1 });
    else await expect(enqueued).rejects.toMatchObject({ code: 'DM021' });
  });

  it.each([[null], [{}], ['text'], [7]])('DM020: %j is no array', async (rows) => {
    await expect(session.rpc.call('dm_enqueue', { rows })).rejects.toMatchObject({
      kind: 'rule',
      code: 'DM020',
    });
  });

  it('nothing of nothing', async () => {
    expect(await session.dm.enqueue([])).toEqual({
      enqueued: 0,
      existing: 0,
      messages: [],
      repeated: 0,
      warnings: [],
    });
  });

  it('a dedupe key counts once, in a call and across calls', async () => {
    const keyed = (key: string | null) => message(account, { dedupe_key: key });
    const first = await session.dm.enqueue([keyed('a'), keyed('a'), keyed('b'), keyed(null), keyed(null)]);
    expect(first).toMatchObject({ enqueued: 4, existing: 1 });
    expect(first.messages.map(({ row, is_new }) => [row, is_new])).toEqual([
      [0, true],
      [1, false],
      [2, true],
      [3, true],
      [4, true],
    ]);
    const [a, twin, b] = first.messages;
    expect(twin?.id).toBe(a?.id);

    const second = await session.dm.enqueue([keyed('b'), keyed('c'), keyed('a')]);
    expect(second).toMatchObject({ enqueued: 1, existing: 2 });
    expect(second.messages.map(({ id, is_new }) => [id === b?.id || id === a?.id, is_new])).toEqual([
      [true, false],
      [false, true],
      [true, false],
    ]);
  });

  it('a dedupe key counts after its message has gone out or was taken out', async () => {
    const { messages } = await session.dm.enqueue([message(account, { dedupe_key: 'a' })]);
    await act(session, 'cancel', [messages[0]?.id ?? ''], { reason: 'wrong list' });
    expect(await session.dm.enqueue([message(account, { dedupe_key: 'a' })])).toMatchObject({
      enqueued: 0,
      existing: 1,
      messages: [{ row: 0, id: messages[0]?.id, is_new: false }],
    });
  });

  it('10,000 rows in one call, and not one more', { timeout: 120_000 }, async () => {
    const rows = Array.from({ length: 10_000 }, (_, index) =>
      message(account, { recipient_id: recipientId(index), dedupe_key: `k${index}` }),
    );
    await expect(session.dm.enqueue([...rows, message(account)])).rejects.toMatchObject({ code: 'DM020' });
    expect(await session.dm.enqueue(rows)).toMatchObject({ enqueued: 10_000, existing: 0 });
    expect(await session.dm.enqueue(rows)).toMatchObject({ enqueued: 0, existing: 10_000 });
    const [claimed] = await claim(session);
    expect(claimed?.recipient_id).toBe(recipientId(0));
  });
});

describe('the order of an account’s messages', () => {
  it('first queued goes first among messages due at the same instant', async () => {
    const order = await queue(session, account, 30);
    const gone: string[] = [];
    for (const _ of order) {
      const [claimed] = await claim(session);
      if (!claimed) break;
      gone.push(claimed.message_id);
      await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent' }]);
    }
    expect(gone).toEqual(order);
  });

  it('higher priority first, then the longest due, then the first queued', async () => {
    const ids = Object.fromEntries(
      await Promise.all(
        [
          ['third', { priority: 5, send_at: NOW.toISOString() }],
          ['fourth', { priority: 0, send_at: after(NOW, -2 * MINUTE_MS).toISOString() }],
          ['first', { priority: 9, send_at: NOW.toISOString() }],
          ['second', { priority: 5, send_at: after(NOW, -MINUTE_MS).toISOString() }],
          ['not yet', { priority: 9, send_at: after(NOW, 1).toISOString() }],
        ].map(async ([name, over]) => [(await queue(session, account, 1, over as never))[0], name]),
      ),
    );
    const gone: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      const [claimed] = await claim(session);
      if (!claimed) break;
      gone.push(ids[claimed.message_id]);
      await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent' }]);
    }
    expect(gone).toEqual(['first', 'second', 'third', 'fourth']);
  });

  it('due exactly at send_at, not a millisecond before', async () => {
    await queue(session, account, 1, { send_at: after(NOW, 1000).toISOString() });
    session.clock.now = after(NOW, 999);
    expect(await claim(session)).toEqual([]);
    session.clock.now = after(NOW, 1000);
    expect(await claim(session)).toHaveLength(1);
  });
});
