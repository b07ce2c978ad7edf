/**
 * Rows that cannot stand beside another one: a key of another message, a chat of another recipient,
 * a text that was said.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  act,
  after,
  claim,
  claimOne,
  DAY_MS,
  MINUTE_MS,
  message,
  openAccount,
  queue,
  refusal,
  rowOf,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';

const NOW = new Date('2026-03-02T10:00:00Z');
let session: Session;
let account: string;
let other: string;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
  account = await openAccount(session, 1);
  other = await openAccount(session, 2);
});

interface Problem {
  readonly row: number;
  readonly field: string;
  readonly problem: string;
  readonly twin_row?: number;
  readonly twin_id?: string;
}

/** What a call is refused for, after checking that nothing of it was queued. */
async function problemsOf(rows: readonly unknown[]): Promise<Problem[]> {
  const [before] = await session.query('select count(*) from dm_queue', []);
  try {
    await session.rpc.call('dm_enqueue', { rows });
  } catch (error) {
    const { code, detail } = error as { code: string; detail: string };
    expect(code).toBe('DM021');
    expect(await session.query('select count(*) from dm_queue', [])).toEqual([before]);
    return JSON.parse(detail) as Problem[];
  }
  throw new Error('it was not refused');
}

/**
 * Inserts one row by plain SQL; `ignoring` as an upsert that ignores duplicates. Gives the id if it
 * was inserted.
 */
async function insert(row: object, ignoring = false): Promise<string | null> {
  const columns = Object.keys(row);
  const [inserted] = await session.query(
    `insert into dm_queue (${columns.join(', ')}) values (${columns.map((_, index) => `$${index + 1}`).join(', ')})
     ${ignoring ? 'on conflict (dedupe_key) do nothing' : ''} returning id`,
    Object.values(row),
  );
  return inserted === undefined ? null : String(inserted.id);
}

/** One message that was sent in a chat. */
async function sentIn(chat: string, recipient: string): Promise<string> {
  const [id] = await queue(session, account, 1, { recipient_id: recipient });
  const claimed = await claimOne(session, { accountIds: [account] });
  await session.dm.record([
    { attempt_id: claimed.attempt_id, outcome: 'sent', unipile_message_id: `m-${recipient}`, chat_id: chat },
  ]);
  return id ?? '';
}

/** As if it had ended 31 days ago, and been deleted. */
async function retire(): Promise<void> {
  await session.asOwner('set session_replication_role = replica', []);
  await session.asOwner(`update dm_queue set status = 'sent', updated_at = $1`, [
    after(session.clock.now, -31 * DAY_MS),
  ]);
  await session.asOwner('reset session_replication_role', []);
  await session.rpc.call('history_delete', { kind: 'messages' });
  expect(await session.query('select from dm_queue', [])).toEqual([]);
}

const keyed = (over: Record<string, unknown> = {}) => ({
  ...message(account, { dedupe_key: 'k' }),
  ...over,
});

/** What differs from the message that has the key, and how that is told. */
const OTHERS = [
  { over: { recipient_id: 'ACoAA2' }, told: 'another recipient' },
  { over: { message: 'Hello again' }, told: 'another text' },
  { over: () => ({ linkedin_account_id: other }), told: 'another account' },
  {
    over: () => ({ linkedin_account_id: other, recipient_id: 'ACoAA2', message: 'Bye' }),
    told: 'another account and recipient and text',
  },
].map(({ over, told }) => ({ told, row: () => keyed(typeof over === 'function' ? over() : over) }));

describe('a dedupe key that comes back', () => {
  it.each(OTHERS)('in one call with $told is refused with its twin', async ({ told, row }) => {
    expect(await problemsOf([message(account, { recipient_id: 'ACoAA9' }), keyed(), row(), keyed()])).toEqual(
      [{ row: 2, field: 'dedupe_key', problem: `is that of another row, with ${told}`, twin_row: 1 }],
    );
  });

  it.each(OTHERS)('later with $told is refused with its twin, by every way in', async ({ told, row }) => {
    const { messages } = await session.dm.enqueue([keyed()]);
    const twin_id = messages[0]?.id;
    expect(await problemsOf([message(account), row()])).toEqual([
      {
        row: 1,
        field: 'dedupe_key',
        problem: `is that of a message that was queued before, with ${told}`,
        twin_id,
      },
    ]);
    for (const ignoring of [false, true]) {
      await expect(insert(row(), ignoring)).rejects.toMatchObject({
        code: 'DM016',
        detail: JSON.stringify({ field: 'dedupe_key', twin_id }).replaceAll(/[:,]/g, '$& '),
      });
    }
  });

  it.each(OTHERS)('with $told after its message is gone is refused too', async ({ row }) => {
    const { messages } = await session.dm.enqueue([keyed()]);
    await retire();
    expect(await problemsOf([row()])).toEqual([
      {
        row: 0,
        field: 'dedupe_key',
        problem: 'is that of a message that has ended, with another account, recipient or text',
        twin_id: messages[0]?.id,
      },
    ]);
    for (const ignoring of [false, true]) {
      expect(await refusal(insert(row(), ignoring))).toEqual({ code: 'DM016', field: 'dedupe_key' });
    }
  });

  it('with the same message is the one that exists, then, now and in one call', async () => {
    const first = await session.dm.enqueue([
      keyed(),
      keyed({ priority: 9, send_at: '2026-04-01T00:00:00Z' }),
    ]);
    expect(first).toMatchObject({ enqueued: 1, existing: 1, repeated: 0, warnings: [] });
    const again = await session.dm.enqueue([keyed({ linkedin_account_id: account.toUpperCase() })]);
    expect(again).toMatchObject({
      enqueued: 0,
      existing: 1,
      repeated: 0,
      messages: [first.messages[1]].map((m) => ({ ...m, row: 0 })),
    });
    expect(await insert(keyed(), true)).toBeNull();
    await expect(insert(keyed())).rejects.toMatchObject({ code: '23505' });
    await retire();
    expect(await session.dm.enqueue([keyed()])).toMatchObject({ enqueued: 0, existing: 1, repeated: 0 });
    expect(await refusal(insert(keyed()))).toEqual({ code: 'DM013', field: 'dedupe_key' });
  });

  it('in one statement of plain SQL is refused with another recipient, and passed over with the same', async () => {
    const two = (recipient: string) =>
      session.query(
        `insert into dm_queue (linkedin_account_id, recipient_id, message, dedupe_key)
         values ($1, 'ACoAA1', 'Hello', 'k'), ($1, $2, 'Hello', 'k') on conflict (dedupe_key) do nothing returning id`,
        [account, recipient],
      );
    expect(await refusal(two('ACoAA2'))).toEqual({ code: 'DM016', field: 'dedupe_key' });
    expect(await two('ACoAA1')).toHaveLength(1);
  });

  it('whose message went before there were digests is taken for the same', async () => {
    await session.dm.enqueue([keyed()]);
    await retire();
    await session.query('update dm_spent_keys set digest = null', []);
    expect(await session.dm.enqueue([keyed({ message: 'Bye' })])).toMatchObject({ enqueued: 0, existing: 1 });
  });
});

describe('a chat of another recipient', () => {
  it('is refused by every way in, from whichever account', async () => {
    await sentIn('chat-one', 'ACoAA1');
    for (const from of [account, other]) {
      const row = message(from, { recipient_id: 'ACoAA2', chat_id: 'chat-one' });
      expect(await problemsOf([message(account), row])).toEqual([
        { row: 1, field: 'chat_id', problem: 'is the chat of another recipient' },
      ]);
      expect(await refusal(insert(row))).toEqual({ code: 'DM015', field: 'chat_id' });
    }
    const mine = { message: 'Hello again', chat_id: 'chat-one' };
    expect(await session.dm.enqueue([message(account, mine)])).toMatchObject({ enqueued: 1 });
  });

  it('is refused in an update, of the chat or of the recipient', async () => {
    await sentIn('chat-one', 'ACoAA1');
    const [id] = await queue(session, account, 1, { recipient_id: 'ACoAA2' });
    const update = (set: string) => session.query(`update dm_queue set ${set} where id = $1`, [id]);
    expect(await refusal(update(`chat_id = 'chat-one'`))).toEqual({ code: 'DM015', field: 'chat_id' });
    expect(await refusal(update(`chat_id = 'chat-one', updated_at = now() + interval '1 s'`))).toEqual({
      code: 'DM015',
      field: 'chat_id',
    });
    await update(`chat_id = 'chat-one', recipient_id = 'ACoAA1'`);
    expect(await refusal(update(`recipient_id = 'ACoAA3'`))).toEqual({ code: 'DM015', field: 'chat_id' });
  });

  it('is written down where Unipile answers with it, and is then this recipient’s too', async () => {
    await sentIn('chat-one', 'ACoAA1');
    const second = await sentIn('chat-one', 'ACoAA2');
    expect(await rowOf(session, second)).toMatchObject({ status: 'sent', chat_id: 'chat-one' });
    const row = (recipient_id: string) =>
      message(account, { recipient_id, chat_id: 'chat-one', message: 'Hello again' });
    expect(await session.dm.enqueue([row('ACoAA1')])).toMatchObject({ enqueued: 1 });
    expect(await session.dm.enqueue([row('ACoAA2')])).toMatchObject({ enqueued: 1 });
    expect(await problemsOf([row('ACoAA3')])).toHaveLength(1);
  });

  it('is refused where two rows of one call have it', async () => {
    const row = (recipient_id: string) => message(account, { recipient_id, chat_id: 'chat-one' });
    expect(await problemsOf([row('ACoAA1'), row('ACoAA1'), row('ACoAA2')])).toEqual([
      { row: 2, field: 'chat_id', problem: 'is the chat of another recipient, of another row', twin_row: 0 },
    ]);
  });

  it('that was learnt after it was queued ends the message, and the account’s next one goes at once', async () => {
    const [wrong] = await queue(session, account, 1, {
      recipient_id: 'ACoAA2',
      chat_id: 'chat-one',
      priority: 5,
    });
    const [next] = await queue(session, account, 1, { recipient_id: 'ACoAA3' });
    await session.query(
      `insert into dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until, finished_at,
         outcome, effect_by, unipile_chat_id)
       values (gen_random_uuid(), $1, 'ACoAA1', gen_random_uuid(), 'w', $2, $2, $2, 'sent', $2, 'chat-one')`,
      [account, after(NOW, -DAY_MS)],
    );
    expect((await claim(session)).map(({ message_id }) => message_id)).toEqual([next]);
    expect(await rowOf(session, wrong ?? '')).toMatchObject({ status: 'failed', reason: 'chat_of_another' });
    expect(await session.query('select from dm_attempts where message_id = $1', [wrong])).toEqual([]);

    // Without the chat it goes to whom it is for.
    await session.query('update dm_queue set chat_id = null where id = $1', [wrong]);
    await act(session, 'retry', [wrong ?? '']);
    await session.dm.record([
      {
        attempt_id: String(
          (await session.query('select id from dm_attempts where finished_at is null', []))[0]?.id,
        ),
        outcome: 'sent',
      },
    ]);
    expect((await claim(session)).map(({ message_id }) => message_id)).toEqual([wrong]);
  });
});

describe('the same text to the same person', () => {
  const say = (over: Record<string, unknown> = {}) => ({ ...message(account), ...over });

  it('is told with its twin: in one call, and of what waits, from another account or campaign', async () => {
    const campaign_id = crypto.randomUUID();
    const first = await session.dm.enqueue([
      say(),
      say({ recipient_id: 'ACoAA2' }),
      say({ campaign_id }),
      say({ linkedin_account_id: other }),
    ]);
    expect(first).toMatchObject({
      enqueued: 4,
      repeated: 2,
      warnings: [2, 3].map((row) => ({
        row,
        field: 'message',
        problem: 'says the same to the same person as another row',
        twin_row: 0,
      })),
    });
    const later = await session.dm.enqueue([say({ linkedin_account_id: other }), say({ message: 'Bye' })]);
    expect(later).toMatchObject({
      enqueued: 2,
      repeated: 1,
      warnings: [{ row: 0, problem: 'says the same to the same person as a message that waits' }],
    });
    expect(first.messages.map(({ id }) => id)).toContain(later.warnings[0]?.twin_id);
  });

  it('is told of what was sent, or may have been, and not of what provably was not', async () => {
    for (const [outcome, repeated] of [
      ['sent', 1],
      ['unknown', 1],
      ['not_sent', 0],
    ] as const) {
      await session.reset();
      account = await openAccount(session, 1);
      const [id] = await queue(session, account);
      const { attempt_id } = await claimOne(session);
      await session.dm.record([
        outcome === 'not_sent'
          ? { attempt_id, outcome, next_step: 'fail', reason: 'rejected' }
          : { attempt_id, outcome },
      ]);
      const answer = await session.dm.enqueue([say()]);
      expect(answer).toMatchObject({
        enqueued: 1,
        repeated,
        warnings:
          repeated === 0
            ? []
            : [{ twin_id: id, problem: /may have been/ }].map((w) => ({
                ...w,
                problem: expect.stringMatching(w.problem),
              })),
      });
    }
  });

  it('is told of each row, and the first 1,000 are named', async () => {
    const answer = await session.dm.enqueue(Array.from({ length: 1_102 }, () => say()));
    expect(answer).toMatchObject({ enqueued: 1_102, repeated: 1_101 });
    expect(answer.warnings).toHaveLength(1_000);
  });

  describe('where the account’s policy forbids it', () => {
    const forbid = (id: string, no_repeat_days: number) =>
      session.rpc.call('account_policy_set', { account_id: id, patch: { no_repeat_days } });

    it('is refused in one call, and beside what waits, by every way in', async () => {
      await forbid(account, 7);
      expect(await problemsOf([say(), say()])).toEqual([
        { row: 1, field: 'message', problem: 'says the same to the same person as another row', twin_row: 0 },
      ]);
      const [id] = await queue(session, other);
      expect(await problemsOf([say({ recipient_id: 'ACoAA2' }), say()])).toEqual([
        {
          row: 1,
          field: 'message',
          problem: 'says the same to the same person as a message that waits',
          twin_id: id,
        },
      ]);
      expect(await refusal(insert(say()))).toEqual({ code: 'DM017', field: 'message' });
      // The other account may.
      expect(await session.dm.enqueue([say({ linkedin_account_id: other })])).toMatchObject({
        enqueued: 1,
        repeated: 1,
      });
    });

    it('is refused within its days of what was sent, and only told after them', async () => {
      await forbid(account, 7);
      await queue(session, account);
      const { attempt_id } = await claimOne(session);
      await session.dm.record([{ attempt_id, outcome: 'sent' }]);
      session.clock.now = after(NOW, 7 * DAY_MS - MINUTE_MS);
      expect(await problemsOf([say()])).toHaveLength(1);
      session.clock.now = after(NOW, 7 * DAY_MS);
      expect(await session.dm.enqueue([say()])).toMatchObject({ enqueued: 1, repeated: 1 });
    });

    it('ends at the claim what was queued before it was forbidden', async () => {
      await queue(session, other);
      const sent = await claimOne(session);
      await session.dm.record([{ attempt_id: sent.attempt_id, outcome: 'sent' }]);
      const [id] = await queue(session, account);
      const [next] = await queue(session, account, 1, { recipient_id: 'ACoAA2' });
      await forbid(account, 7);
      expect((await claim(session)).map(({ message_id }) => message_id)).toEqual([next]);
      expect(await rowOf(session, id ?? '')).toMatchObject({ status: 'failed', reason: 'repeated' });
    });

    it('lets one of two go that are claimed at once, queued before it was forbidden', async () => {
      const [first] = await queue(session, other);
      const [second] = await queue(session, account);
      await forbid(account, 7);
      await forbid(other, 7);
      expect((await claim(session)).map(({ message_id }) => message_id)).toEqual([first]);
      expect(await rowOf(session, second ?? '')).toMatchObject({ status: 'failed', reason: 'repeated' });
    });

    it('does not stop a message from being tried again', async () => {
      await forbid(account, 7);
      const [id] = await queue(session, account);
      const first = await claimOne(session);
      await session.dm.record([
        {
          attempt_id: first.attempt_id,
          outcome: 'not_sent',
          next_step: 'retry',
          reason: 'unreachable',
          retry_after_ms: 0,
        },
      ]);
      expect((await claimOne(session)).message_id).toBe(id);
    });
  });
});

describe('refusing takes as long as the rows are many', { timeout: 300_000 }, () => {
  const FEW = 400;
  const MANY = 16 * FEW;
  const good = (n: number) => message(account, { recipient_id: `ACoAA${n}`, dedupe_key: `k${n}` });
  const unknown = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, f) => [`f${f}`, 1]));
  /**
   * Microseconds of processor: the database is in this thread, and whatever else runs on the
   * machine does not count.
   */
  const timed = async (rows: readonly unknown[]): Promise<number> => {
    const before = process.threadCpuUsage();
    expect(new Set((await problemsOf(rows)).map(({ row }) => row)).size).toBeGreaterThanOrEqual(
      rows.length - 1,
    );
    const { user, system } = process.threadCpuUsage(before);
    return user + system;
  };

  it.each([
    { what: 'empty rows', row: () => ({}) },
    { what: 'rows of unknown fields', row: (n: number) => ({ ...good(n), ...unknown(8) }) },
    {
      what: 'rows of accounts that are none',
      row: (n: number) => ({ ...good(n), linkedin_account_id: crypto.randomUUID() }),
    },
    { what: 'rows of instants that are none', row: (n: number) => ({ ...good(n), send_at: `x${n}` }) },
    { what: 'rows of one key', row: (n: number) => ({ ...good(n), dedupe_key: 'k' }) },
    { what: 'rows of one chat', row: (n: number) => ({ ...good(n), chat_id: 'c' }) },
  ])('$what', async ({ row }) => {
    const rows = Array.from({ length: MANY }, (_, n) => row(n));
    await timed(rows.slice(0, FEW));
    const few = Math.min(await timed(rows.slice(0, FEW)), await timed(rows.slice(0, FEW)));
    // Sixteen times the rows take about sixteen times as long; compared with each other, they took
    // a hundred times and more.
    const many = Math.min(await timed(rows), await timed(rows));
    expect(many / few).toBeLessThan(40);
  });

  it('of a row’s unknown fields, ten are named and the others counted', async () => {
    const problems = await problemsOf([{ ...good(1), ...unknown(200) }]);
    expect(problems).toHaveLength(11);
    expect(problems.filter(({ field }) => field === null)).toEqual([
      { row: 0, field: null, problem: 'has 190 more fields that are not of a message' },
    ]);
  });
});
