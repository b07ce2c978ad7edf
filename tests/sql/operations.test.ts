/** What operators do: lists, actions on many, the pause of all sending, and the trail they leave. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountId,
  act,
  after,
  at,
  claim,
  claimOne,
  HOUR_MS,
  MINUTE_MS,
  openAccount,
  queue,
  reasonOf,
  refusal,
  rowOf,
  send,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';

const NOW = at('2026-03-02T10:00:00Z');
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

type Json = Readonly<Record<string, unknown>>;
interface Page {
  readonly items: readonly Json[];
  readonly next_cursor: string | null;
}
const list = (filter: object = {}, more: object = {}): Promise<Page> =>
  session.rpc.call('dm_list', { filter, ...more });
const idsOf = (page: Page) => page.items.map(({ id }) => id);
const acting = (args: Json): Promise<Json> =>
  session.rpc.call('dm_act', { args: {}, dry_run: false, actor: 'ada', ...args });
const trail = async (filter: object = {}) => (await session.rpc.call<Page>('audit_list', { filter })).items;

/** Fails one claimed message for good. */
async function fail(): Promise<string> {
  const { attempt_id, message_id } = await claimOne(session);
  await session.dm.record([
    { attempt_id, outcome: 'not_sent', next_step: 'fail', reason: 'rejected', error: 'Refused' },
  ]);
  return message_id;
}

describe('dm_list', () => {
  it('the last queued first, a page at a time, without the texts', async () => {
    const ids = await queue(session, account, 5);
    const first = await list({}, { limit: 2 });
    expect(idsOf(first)).toEqual([ids[4], ids[3]]);
    const second = await list({}, { limit: 2, after: first.next_cursor });
    const third = await list({}, { limit: 2, after: second.next_cursor });
    expect([...idsOf(second), ...idsOf(third)]).toEqual([ids[2], ids[1], ids[0]]);
    expect(third.next_cursor).toBeNull();
    expect(first.items[0]).toMatchObject({
      account_name: 'Account 1',
      status: 'pending',
      recipient_id: 'ACoAA5',
    });
    expect(first.items[0]).not.toHaveProperty('message');
  });

  it('a page is not moved by what is queued meanwhile', async () => {
    const ids = await queue(session, account, 3);
    const first = await list({}, { limit: 2 });
    await queue(session, account, 2);
    expect(idsOf(await list({}, { limit: 2, after: first.next_cursor }))).toEqual([ids[0]]);
  });

  it('by every field of its filter', async () => {
    const other = await openAccount(session, 2);
    const [sent = ''] = await queue(session, account, 1, {
      campaign_id: accountId(90),
      lead_id: accountId(91),
    });
    const [waiting = ''] = await queue(session, other, 1, {
      dedupe_key: 'k',
      send_at: after(NOW, HOUR_MS).toISOString(),
    });
    await send(session);
    const found = async (filter: object) => idsOf(await list(filter));
    expect(await found({ status: 'sent' })).toEqual([sent]);
    expect(await found({ status: ['sent', 'pending'] })).toEqual([waiting, sent]);
    expect(await found({ account_id: other })).toEqual([waiting]);
    expect(await found({ campaign_id: accountId(90) })).toEqual([sent]);
    expect(await found({ lead_id: accountId(91) })).toEqual([sent]);
    expect(await found({ dedupe_key: 'k' })).toEqual([waiting]);
    expect(await found({ recipient_id: 'ACoAA1' })).toEqual([waiting, sent]);
    expect(await found({ due_before: after(NOW, 1).toISOString() })).toEqual([sent]);
    expect(
      await found({ created_from: NOW.toISOString(), created_to: after(NOW, 1).toISOString() }),
    ).toHaveLength(2);
    expect(await found({ created_to: NOW.toISOString() })).toEqual([]);
    expect(await found({ reason: 'rejected' })).toEqual([]);
    expect(await found({ ids: [sent, accountId(7)] })).toEqual([sent]);
    expect(await found({ status: null })).toHaveLength(2);
  });

  it('SE003: a cursor of no list, or of another, or forged', async () => {
    const forged = (place: unknown) => Buffer.from(JSON.stringify(place)).toString('base64url');
    for (const after of ['x', forged({}), forged([]), forged(['1', '2']), forged(['one'])]) {
      expect(await refusal(list({}, { after }))).toEqual({ code: 'SE003', field: 'cursor' });
    }
    for (const [name, place] of [
      ['run_list', ['soon', accountId(1)]],
      ['account_list', ['Ada', 'not a uuid']],
      ['post_list', [1, 2]],
      ['analytics_daily_list', ['2026-02-31', null, null]],
      ['audit_list', [1.5]],
    ] as const) {
      expect(await refusal(session.rpc.call(name, { after: forged(place) }))).toEqual({
        code: 'SE003',
        field: 'cursor',
      });
    }
  });

  it('SE001: a field it does not know, and a value it cannot read, by name', async () => {
    expect(await refusal(list({ colour: 'red' }))).toEqual({ code: 'SE001', field: 'colour' });
    expect(await refusal(list({ account_id: 'Ada' }))).toEqual({ code: 'SE001', field: 'account_id' });
    expect(await refusal(list({ created_from: "now'; drop table dm_queue; --" }))).toEqual({
      code: 'SE001',
      field: 'created_from',
    });
    expect(await refusal(session.rpc.call('dm_list', { filter: [] }))).toEqual({
      code: 'SE001',
      field: 'filter',
    });
    // What only looks like SQL is a value like any other.
    expect(idsOf(await list({ status: ["x' or true --"] }))).toEqual([]);
  });
});

describe('dm_get', () => {
  it('the text, the ledger and the reason; null where there is none', async () => {
    const [id = ''] = await queue(session, account);
    await fail();
    expect(await session.rpc.call('dm_get', { id })).toMatchObject({
      id,
      message: 'Hello',
      explanation: { status: 'failed', reason: 'rejected' },
      attempts: [{ outcome: 'not_sent', worker: 'worker-1', read_backs: 0, next_read_at: null }],
    });
    expect(await session.rpc.call('dm_get', { id: accountId(7) })).toBeNull();
  });
});

describe('actions', () => {
  it('cancel takes out what waits, and says what it could not', async () => {
    const [first = '', second = ''] = await queue(session, account, 2);
    await claimOne(session);
    expect(await act(session, 'cancel', [first, second, accountId(7)], { reason: 'wrong list' })).toEqual({
      action: 'cancel',
      dry_run: false,
      matched: 2,
      changed: 1,
      refused: [
        { id: first, status: 'sending', problem: 'only what is pending can be, and it is sending' },
        { id: accountId(7), status: null, problem: 'there is no such message' },
      ],
      sample: [second],
    });
    expect(await rowOf(session, second)).toMatchObject({
      status: 'cancelled',
      reason: 'cancelled',
      error: 'wrong list',
    });
    expect(await trail({ action: 'message.cancel' })).toMatchObject([
      { actor: 'ada', subject: second, params: { matched: 2, changed: 1, args: { reason: 'wrong list' } } },
    ]);
  });

  it('retry gives what failed all its tries again, and it goes out', async () => {
    const [id = ''] = await queue(session, account);
    await fail();
    expect(await claim(session)).toEqual([]);
    expect(await act(session, 'retry', [id])).toMatchObject({ changed: 1 });
    expect(await rowOf(session, id)).toMatchObject({
      status: 'pending',
      reason: null,
      error: null,
      attempts: 0,
    });
    expect(await claimOne(session)).toMatchObject({ message_id: id });
    expect(await act(session, 'retry', [id])).toMatchObject({ changed: 0 });
  });

  it('reschedule moves what waits, both ways, and its account looks again', async () => {
    const [id = ''] = await queue(session, account, 1, { send_at: after(NOW, HOUR_MS).toISOString() });
    expect(await claim(session)).toEqual([]);
    await act(session, 'reschedule', [id], { send_at: NOW.toISOString() });
    await act(session, 'reschedule', [id], { send_at: after(NOW, MINUTE_MS).toISOString() });
    expect(await reasonOf(session, id)).toBe('scheduled');
    session.clock.now = after(NOW, MINUTE_MS);
    expect(await claimOne(session)).toMatchObject({ message_id: id });
  });

  it('a filter needs a dry run, and the number it told', async () => {
    await queue(session, account, 3);
    const cancel = { action: 'cancel', selection: { filter: { status: 'pending' } } };
    expect(await refusal(acting(cancel))).toEqual({ code: 'DM065', field: 'expected_count' });
    const rows = () => session.query('select * from dm_queue order by position', []);
    const before = await rows();
    expect(await acting({ ...cancel, dry_run: true })).toMatchObject({
      matched: 3,
      changed: 3,
      dry_run: true,
    });
    expect(await rows()).toEqual(before);
    expect(await trail()).toEqual([]);
    await queue(session, account, 1);
    expect(await refusal(acting({ ...cancel, expected_count: 3 }))).toEqual({
      code: 'DM062',
      field: 'expected_count',
    });
    expect(await acting({ ...cancel, expected_count: 4 })).toMatchObject({ matched: 4, changed: 4 });
  });

  it.each([
    { args: { action: 'explode', selection: { ids: [] } }, code: 'DM060', field: 'action' },
    { args: { action: 'cancel', selection: {} }, code: 'DM061', field: 'selection' },
    { args: { action: 'cancel', selection: { ids: [], filter: {} } }, code: 'DM061', field: 'selection' },
    { args: { action: 'cancel', selection: { ids: ['x'] } }, code: 'SE001', field: 'ids' },
    {
      args: { action: 'cancel', selection: { ids: [] }, args: { send_at: 'x' } },
      code: 'DM064',
      field: 'send_at',
    },
    { args: { action: 'reschedule', selection: { ids: [] } }, code: 'DM064', field: 'send_at' },
    {
      args: { action: 'reschedule', selection: { ids: [] }, args: { send_at: 'tomorrow' } },
      code: 'DM064',
      field: 'send_at',
    },
    {
      args: { action: 'settle', selection: { ids: [] }, args: { decision: 'maybe' } },
      code: 'DM064',
      field: 'decision',
    },
    {
      args: { action: 'settle', selection: { ids: [] }, args: { decision: 'resend', looked_at: 'today' } },
      code: 'DM064',
      field: 'looked_at',
    },
  ])('$code: $args', async ({ args, code, field }) => {
    expect(await refusal(acting(args))).toEqual({ code, field });
  });

  it('DM063: more than 10,000 at once', async () => {
    await session.query(
      `insert into dm_queue (linkedin_account_id, recipient_id, message)
       select $1, 'ACoAA' || n, 'Hi' from generate_series(1, 10001) as n`,
      [account],
    );
    const all = { action: 'cancel', selection: { filter: {} } };
    expect(await refusal(acting({ ...all, dry_run: true }))).toMatchObject({ code: 'DM063' });
  });
});

describe('the pause of all sending', () => {
  it('nothing is claimed, everything says so, and what waited goes on when it ends', async () => {
    const [id = ''] = await queue(session, account);
    expect(await refusal(session.rpc.call('sending_pause_set', { reason: ' ' }))).toEqual({
      code: 'SE004',
      field: 'reason',
    });
    expect(
      await session.rpc.call('sending_pause_set', { reason: 'LinkedIn is down', actor: 'ada' }),
    ).toMatchObject({
      paused: true,
      reason: 'LinkedIn is down',
      paused_until: null,
      paused_by: 'ada',
      due: 1,
    });
    expect(await claim(session)).toEqual([]);
    expect(await session.dm.explain(id)).toMatchObject({ reason: 'all_paused', can_go_at: null });
    expect((await session.dm.backlog()).by_reason).toEqual({ all_paused: 1 });
    expect(await session.rpc.call('sending_resume', { actor: 'ben' })).toMatchObject({
      paused: false,
      reason: null,
      due: 1,
    });
    expect(await claimOne(session)).toMatchObject({ message_id: id });
    expect(await trail()).toMatchObject([
      { actor: 'ben', action: 'sending.resume' },
      { actor: 'ada', action: 'sending.pause', params: { reason: 'LinkedIn is down' } },
    ]);
  });

  it('ends by itself at its time', async () => {
    const [id = ''] = await queue(session, account);
    const until = after(NOW, HOUR_MS).toISOString();
    await session.rpc.call('sending_pause_set', { reason: 'lunch', until, actor: 'ada' });
    const explained = await session.dm.explain(id);
    expect(new Date(explained?.can_go_at ?? 0)).toEqual(after(NOW, HOUR_MS));
    session.clock.now = after(NOW, HOUR_MS);
    expect(await claimOne(session)).toMatchObject({ message_id: id });
  });
});

describe('accounts', () => {
  it('are listed by name, a page at a time, by status, by pause and by name', async () => {
    const paused = await openAccount(session, 2);
    await openAccount(session, 3);
    await session.query(`update linkedin_accounts set status = 'expired' where id = $1`, [accountId(3)]);
    await session.rpc.call('account_pause', { account_id: paused, reason: 'holiday', actor: 'ada' });
    const accounts = (filter: object = {}, more: object = {}) =>
      session.rpc.call<Page>('account_list', { filter, ...more });
    const first = await accounts({}, { limit: 2 });
    expect(first.items.map(({ account_name }) => account_name)).toEqual(['Account 1', 'Account 2']);
    expect(idsOf(await accounts({}, { limit: 2, after: first.next_cursor }))).toEqual([accountId(3)]);
    expect(idsOf(await accounts({ status: 'expired' }))).toEqual([accountId(3)]);
    expect(idsOf(await accounts({ paused: true }))).toEqual([paused]);
    expect(idsOf(await accounts({ paused: false }))).toEqual([account, accountId(3)]);
    expect(idsOf(await accounts({ names: ['Account 2', 'Nobody'] }))).toEqual([paused]);
  });

  it('account_get tells what the limits allow, as the gate counts', async () => {
    await queue(session, account, 2);
    await send(session);
    expect(await session.rpc.call('account_get', { id: account })).toMatchObject({
      account_name: 'Account 1',
      messages: { sent: 1, pending: 1 },
      usage: { day: 1, day_limit: 50, last_24h: 1, limit_24h: 50, last_7d: 1, limit_7d: 350 },
      gate: { reason: null, clear_at: null },
    });
    await session.rpc.call('account_policy_set', {
      account_id: account,
      patch: { dms_per_day: 1 },
      actor: 'ada',
    });
    expect(await session.rpc.call('account_get', { id: account })).toMatchObject({
      gate: { reason: 'day_limit' },
    });
    expect(await session.rpc.call('account_get', { id: accountId(7) })).toBeNull();
  });

  it('every action on one is in the audit trail, and none without a person', async () => {
    await queue(session, account, 2);
    await session.rpc.call('account_pause', { account_id: account, reason: 'holiday' });
    expect(await trail()).toEqual([]);
    await session.rpc.call('account_pause', { account_id: account, reason: 'holiday', actor: 'ada' });
    await session.rpc.call('account_resume', { account_id: account, actor: 'ben' });
    await session.rpc.call('account_policy_set', {
      account_id: account,
      patch: { dms_per_day: 5 },
      actor: 'ada',
    });
    expect(await trail({ subject: account })).toMatchObject([
      { actor: 'ada', action: 'account.policy', params: { dms_per_day: 5 } },
      { actor: 'ben', action: 'account.resume', params: { due: 2 } },
      { actor: 'ada', action: 'account.pause', params: { reason: 'holiday' } },
    ]);
    expect(await trail({ actor: 'ben' })).toHaveLength(1);
  });
});

describe('only some accounts', () => {
  it('a claim, a backlog and a preview of these, and no other', async () => {
    const other = await openAccount(session, 2);
    await queue(session, account, 2);
    const [theirs = ''] = await queue(session, other, 3);
    expect(await session.dm.preview([other])).toMatchObject({ due: 3, would_send: [theirs] });
    expect(await session.dm.preview()).toMatchObject({ due: 5, by_reason: { ready: 5 } });
    expect((await session.dm.preview()).would_send).toHaveLength(2);
    expect(await claim(session, { accountIds: [other] })).toMatchObject([{ message_id: theirs }]);
    expect(await session.dm.backlog([account])).toMatchObject({ due: 2, by_reason: { ready: 2 } });
  });
});
