/**
 * A database that was put back: what becomes suspected, what counts meanwhile, and what is looked
 * for before it goes out.
 */

import type { Restore } from '@revos/core/admin';
import type { DmReconcileResult } from '@revos/core/dm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  act,
  after,
  at,
  claim,
  claimOne,
  DAY_MS,
  HOUR_MS,
  LEASE_MS,
  MINUTE_MS,
  openAccount,
  pastAttempt,
  queue,
  recipientId,
  refusal,
  rowOf,
  send,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { claimPost, insertPost, postingAccount, postsOf } from '../support/posts.ts';

/** A Monday. The database is put back to it, and told so two hours later. */
const TO = at('2026-03-02T10:00:00Z');
const NOW = after(TO, 2 * HOUR_MS);
let session: Session;
let account: string;

beforeAll(async () => {
  session = await openSession(TO);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = TO;
  await session.reset();
  account = await openAccount(session, 1);
});

const mark = (over: Readonly<Record<string, unknown>> = {}): Promise<Restore> =>
  session.rpc.call('restore_mark', { to: TO.toISOString(), dry_run: false, actor: 'ada', ...over });

/** Tells it two hours later. */
const restored = (over: Readonly<Record<string, unknown>> = {}): Promise<Restore> => {
  session.clock.now = NOW;
  return mark(over);
};

/** What LinkedIn shows of all that is to be looked for now. */
async function look(
  found: DmReconcileResult['found'],
  ids: Partial<DmReconcileResult> = {},
  policy: 'resend-when-absent' | 'hold' = 'resend-when-absent',
) {
  const { items } = await session.dm.unknowns(100);
  const results = items.map(({ attempt_id }) => ({ attempt_id, found, ...ids }));
  return (await session.dm.resolve(results, policy)).map(({ resolution }) => resolution);
}

/** Looks on schedule until an absence of half an hour was seen. */
async function seeAbsence(policy: 'resend-when-absent' | 'hold' = 'resend-when-absent'): Promise<void> {
  const start = session.clock.now;
  for (const minutes of [1, 5, 31, 32]) {
    session.clock.now = after(start, minutes * MINUTE_MS);
    await look('absent', {}, policy);
  }
}

const usageOf = async (id = account) =>
  (await session.rpc.call<{ usage: { day: number; last_7d: number } }>('account_get', { id })).usage;

const attemptsOf = (id: string) =>
  session.query('select * from dm_attempts where message_id = $1 order by position', [id]);

describe('what is suspected', () => {
  it('all that was due, of messages, and nothing else', async () => {
    const [failed = ''] = await queue(session, account, 1, { recipient_id: recipientId(7) });
    const claimed = await claimOne(session);
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'not_sent', next_step: 'fail' }]);
    const [cancelled = ''] = await queue(session, account, 1, { recipient_id: recipientId(8) });
    await act(session, 'cancel', [cancelled]);
    await queue(session, account, 1, { recipient_id: recipientId(9) });
    const { message_id: sent } = await send(session);

    const [due = ''] = await queue(session, account);
    const [between = ''] = await queue(session, account, 1, { send_at: after(TO, HOUR_MS).toISOString() });
    const [later = ''] = await queue(session, account, 1, { send_at: after(NOW, 1).toISOString() });

    expect(await restored({ dry_run: true })).toMatchObject({
      marked_at: null,
      is_marked: false,
      paused: false,
      suspected: { messages: 2, posts: 0 },
      last_attempt_at: '2026-03-02T10:00:00+00:00',
    });
    expect(await mark()).toMatchObject({
      is_marked: true,
      paused: true,
      marked_by: 'ada',
      suspected: { messages: 0, posts: 0 },
      messages: { looked_for: 2, sent: 0, released: 0, held: 0 },
    });
    const states = await Promise.all(
      [failed, cancelled, sent, due, between, later].map(async (id) => {
        const { status, reason } = await rowOf(session, id);
        return [status, reason];
      }),
    );
    expect(states).toEqual([
      ['failed', null],
      ['cancelled', 'cancelled'],
      ['sent', null],
      ['unknown', 'restored'],
      ['unknown', 'restored'],
      ['pending', null],
    ]);
    expect((await session.dm.explain(due))?.reason).toBe('restored');
    const { items } = await session.dm.unknowns(100);
    expect(items).toEqual([]);
    session.clock.now = after(NOW, 15_000);
    const sought = (await session.dm.unknowns(100)).items;
    expect(sought.map(({ started_at }) => new Date(started_at))).toEqual([TO, TO]);
  });

  it('what was on its way at that instant, since its call began', async () => {
    const [id = ''] = await queue(session, account);
    const { attempt_id } = await claimOne(session);
    await restored();
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown', reason: 'answer_lost' });
    expect(await attemptsOf(id)).toMatchObject([{ id: attempt_id, outcome: 'unknown', started_at: TO }]);
  });

  it('what was unknown: an absence that was seen before is forgotten, and so is who looked', async () => {
    const [id = ''] = await queue(session, account);
    const { attempt_id } = await claimOne(session);
    await session.dm.record([{ attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
    session.clock.now = after(TO, 3 * MINUTE_MS);
    await look('absent');
    expect((await attemptsOf(id))[0]?.absent_since).not.toBeNull();
    expect(await restored()).toMatchObject({ unknown_before: 1 });
    expect(await attemptsOf(id)).toMatchObject([{ absent_since: null, effect_by: NOW }]);
    const args = { decision: 'resend', looked_at: after(NOW, -1).toISOString() };
    expect(await act(session, 'settle', [id], args)).toMatchObject({ changed: 0 });
    // One look is not enough now, however long ago it was lost.
    session.clock.now = after(NOW, 15_000);
    expect(await look('absent')).toEqual(['unknown']);
  });

  it('posts that were due and have no word of LinkedIn’s, missed ones too', async () => {
    const author = await postingAccount(session, 2);
    const due = await insertPost(session, { linkedin_account_id: author, content: 'due' });
    const missed = await insertPost(session, {
      linkedin_account_id: author,
      content: 'missed',
      scheduled_for: after(TO, -DAY_MS),
    });
    await insertPost(session, { linkedin_account_id: author, scheduled_for: after(NOW, 1) });
    await insertPost(session, { linkedin_account_id: author, status: 'draft' });
    await insertPost(session, { linkedin_account_id: author, unipile_post_id: 'urn:1' });
    await session.query(`update posts set created_at = $1`, [TO]);
    expect(await restored()).toMatchObject({ posts: { looked_for: 2, sent: 0, released: 0, held: 0 } });
    const rows = await session.query(
      `select post_id, reason from post_publications where state = 'unknown' order by 1`,
      [],
    );
    expect(rows).toEqual([due, missed].sort().map((post_id) => ({ post_id, reason: 'restored' })));

    session.clock.now = after(NOW, 15_000);
    const posts = postsOf(session);
    const { items } = await posts.unknowns(10);
    const sentAt = after(TO, HOUR_MS).toISOString();
    const results = items.map(({ attempt_id, text }) =>
      text === 'due'
        ? ({
            attempt_id,
            found: 'sent',
            unipile_post_id: 'urn:2',
            sent_at: sentAt,
            share_url: 'https://l/2',
          } as const)
        : ({ attempt_id, found: 'absent' } as const),
    );
    await posts.resolve(results, 'resend-when-absent');
    const [row] = await session.query(
      'select status, published_at, unipile_post_id from posts where id = $1',
      [due],
    );
    expect(row).toEqual({ status: 'published', published_at: after(TO, HOUR_MS), unipile_post_id: 'urn:2' });
    const [attempt] = await session.query('select effect_by from post_attempts where post_id = $1', [due]);
    expect(attempt).toEqual({ effect_by: after(TO, HOUR_MS) });
  });
});

describe('told again', () => {
  it('changes nothing, and says how far it is', async () => {
    await queue(session, account, 3);
    const first = await restored();
    session.clock.now = after(NOW, MINUTE_MS);
    await session.rpc.call('sending_resume');
    const { messages, assumed, paused, marked_at } = await mark({ actor: 'ben' });
    expect({ messages, assumed, paused, marked_at }).toEqual({
      ...{ messages: first.messages, assumed: first.assumed, marked_at: first.marked_at },
      // Who resumed it is not overruled.
      paused: false,
    });
    const [{ count } = {}] = await session.query(
      `select count(*) from audit_log where action = 'restore.mark'`,
      [],
    );
    expect(count).toBe(1);
  });

  it('goes on where it was interrupted: some accounts a call', async () => {
    for (const n of [2, 3]) await queue(session, await openAccount(session, n), 2);
    await queue(session, account, 2);
    expect(await restored({ limit: 1 })).toMatchObject({
      is_marked: false,
      suspected: { messages: 4 },
      messages: { looked_for: 2 },
    });
    // Somebody may have ended the pause by hand.
    await session.query('delete from sending_pause', []);
    expect(await mark({ limit: 2 })).toMatchObject({
      is_marked: false,
      paused: true,
      suspected: { messages: 0 },
      messages: { looked_for: 6 },
    });
    expect(await mark({ limit: 2 })).toMatchObject({ is_marked: true, messages: { looked_for: 6 } });
  });

  it('with an earlier instant, looks from there', async () => {
    const [id = ''] = await queue(session, account);
    await restored({ to: after(TO, HOUR_MS).toISOString() });
    await mark();
    expect(await attemptsOf(id)).toMatchObject([{ started_at: TO, outcome: 'unknown' }]);
  });

  it.each([
    {
      what: 'an instant that has not come',
      over: { to: after(NOW, 1).toISOString() },
      code: 'RS001',
      field: 'to',
    },
    {
      what: 'one long ago',
      over: { to: after(NOW, -90 * DAY_MS).toISOString() },
      code: 'RS001',
      field: 'to',
    },
    { what: 'no instant', over: { to: null }, code: 'RS001', field: 'to' },
    { what: 'no word of a dry run', over: { dry_run: null }, code: 'RS002', field: 'dry_run' },
    { what: 'no accounts', over: { limit: 0 }, code: 'RS002', field: 'limit' },
  ])('refuses $what', async ({ over, code, field }) => {
    expect(await refusal(restored(over))).toEqual({ code, field });
  });
});

describe('what became of it', () => {
  it('found: sent, at its time', async () => {
    const [id = ''] = await queue(session, account);
    await restored();
    session.clock.now = after(NOW, 15_000);
    const sent_at = after(TO, HOUR_MS).toISOString();
    expect(await look('sent', { unipile_message_id: 'm1', chat_id: 'c1', sent_at })).toEqual(['sent']);
    expect(await rowOf(session, id)).toMatchObject({
      ...{ status: 'sent', reason: null, unipile_message_id: 'm1', sent_at: after(TO, HOUR_MS) },
    });
    expect(await attemptsOf(id)).toMatchObject([{ outcome: 'sent', effect_by: after(TO, HOUR_MS) }]);
    expect(await mark()).toMatchObject({ messages: { looked_for: 0, sent: 1 } });
  });

  it('absent for half an hour: released, and looked for once more before it goes', async () => {
    const [id = ''] = await queue(session, account);
    await restored();
    session.clock.now = after(NOW, 29 * MINUTE_MS);
    expect(await look('absent')).toEqual(['unknown']);
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown' });
    session.clock.now = after(NOW, 59 * MINUTE_MS);
    expect(await look('absent')).toEqual(['waiting']);
    expect(await rowOf(session, id)).toMatchObject({ status: 'pending', reason: null });
    expect(await mark()).toMatchObject({ messages: { looked_for: 0, released: 1 } });
    expect(await claim(session)).toEqual([]);

    // The next day: of this one nobody knows what was used.
    session.clock.now = after(NOW, DAY_MS);
    await session.rpc.call('sending_resume');
    const claimed = await claimOne(session);
    expect(claimed.was_unknown_since).toBe('2026-03-02T10:00:00+00:00');
    // It was no try: a real one may be lost, and be tried once more.
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'unknown' }]);
    session.clock.now = after(session.clock.now, LEASE_MS);
    await seeAbsence();
    expect(await rowOf(session, id)).toMatchObject({ status: 'pending', reason: 'absent_on_linkedin' });
  });

  it('absent, where nothing is resent without a person: held, and settled', async () => {
    const [id = ''] = await queue(session, account);
    await restored();
    await seeAbsence('hold');
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown', reason: 'unknown_held' });
    expect(await mark()).toMatchObject({ messages: { looked_for: 0, held: 1 } });
    expect(await act(session, 'settle', [id], { decision: 'resend' })).toMatchObject({ changed: 1 });
    expect(await rowOf(session, id)).toMatchObject({ status: 'pending' });
  });

  it('an account out of order proves nothing: held after a week', async () => {
    const [id = ''] = await queue(session, account);
    await restored();
    for (let hours = 1; hours <= 7 * 24 + 1; hours += 2) {
      session.clock.now = after(NOW, hours * HOUR_MS);
      await look('account_out_of_order');
    }
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown', reason: 'unknown_held' });
  });
});

describe('limits', () => {
  const LIMITED = { dms_per_day: 5, dms_per_24h: 50, dms_per_7d: 150 };

  it('each day since counts as used, but for what is known of it', async () => {
    account = await openAccount(session, 2, { ...LIMITED, work_days: [1, 2, 3, 4, 5] });
    await pastAttempt(session, account, after(TO, -HOUR_MS));
    // From Monday to the next one: five days of work, a weekend without, and a Monday.
    session.clock.now = after(TO, 7 * DAY_MS);
    const { assumed } = await mark();
    // Account 1 may send 50 on each of eight days.
    expect(assumed).toBe(4 + 4 * 5 + 5 + 8 * 50);
    expect(await usageOf()).toMatchObject({ day: 5 });
    const [first] = await session.query(
      `select min(effect_by) as at from dm_attempts where account_id = $1 and error_type = 'assumed'`,
      [account],
    );
    expect(first?.at).toEqual(at('2026-03-02T23:59:59.999Z'));
  });

  it('nothing is assumed of an account whose window was closed all along', async () => {
    account = await openAccount(session, 2, { ...LIMITED, window_start: '14:00', window_end: '18:00' });
    await restored();
    expect(await usageOf()).toMatchObject({ day: 0 });
  });

  it('what is found takes the place of what was assumed, and what is suspected counts until then', async () => {
    account = await openAccount(session, 2, LIMITED);
    await queue(session, account, 2);
    await restored();
    expect(await usageOf()).toMatchObject({ day: 7 });
    session.clock.now = after(NOW, 15_000);
    const { items } = await session.dm.unknowns(10);
    const sent_at = after(TO, HOUR_MS).toISOString();
    const found = items.map(({ attempt_id }, n) => ({
      ...{ attempt_id, found: 'sent' as const, unipile_message_id: `m${n}`, chat_id: `c${n}`, sent_at },
    }));
    await session.dm.resolve(found, 'hold');
    expect(await usageOf()).toMatchObject({ day: 5 });
  });
});

describe('a restore that is marked in part', () => {
  const resume = () => session.rpc.call('sending_resume', { actor: 'ada' });
  const pauseUntil = (until: string | null) =>
    session.rpc.call('sending_pause_set', { reason: 'stop', until, actor: 'ada' });

  it('holds all sending until it is marked whole', async () => {
    for (const n of [2, 3]) await queue(session, await openAccount(session, n));
    expect(await restored({ limit: 1 })).toMatchObject({ is_marked: false, paused: true });
    await expect(resume()).rejects.toThrow('repeat ops restored --to 2026-03-02T10:00:00.000000Z');
    // A pause that ends by itself would end before it, or might.
    expect(await refusal(pauseUntil(after(NOW, HOUR_MS).toISOString()))).toMatchObject({ code: 'RS003' });
    expect(await pauseUntil(null)).toMatchObject({ paused_until: null });
    await mark({ to: '2026-03-02T10:00:00.000000Z' });
    expect(await resume()).toMatchObject({ paused: false });
  });
});

it('a restore that was begun is marked whole however late it is, and none is begun then', async () => {
  for (const n of [2, 3]) await queue(session, await openAccount(session, n));
  await restored({ limit: 1 });
  session.clock.now = after(TO, 91 * DAY_MS);
  const later = after(TO, 1).toISOString();
  expect(await refusal(mark({ to: later }))).toMatchObject({ code: 'RS001' });
  expect(await mark()).toMatchObject({ is_marked: true });
});

describe('before anything goes out', () => {
  it.each([
    { what: 'what is due later', sendAt: 3 * DAY_MS, queuedAfter: 0, since: true },
    { what: 'what is queued within a week after', sendAt: 0, queuedAfter: 6 * DAY_MS, since: true },
    { what: 'not what is queued later', sendAt: 0, queuedAfter: 8 * DAY_MS, since: false },
  ])('$what is looked for since the instant: $since', async ({ sendAt, queuedAfter, since }) => {
    const queueOne = () => queue(session, account, 1, { send_at: after(TO, sendAt).toISOString() });
    if (queuedAfter === 0) await queueOne();
    await restored();
    await session.rpc.call('sending_resume');
    if (queuedAfter > 0) {
      session.clock.now = after(NOW, queuedAfter);
      await queueOne();
    }
    session.clock.now = after(NOW, sendAt + queuedAfter + DAY_MS);
    expect((await claimOne(session)).was_unknown_since).toBe(since ? '2026-03-02T10:00:00+00:00' : null);
  });

  it('a post as well', async () => {
    const author = await postingAccount(session, 2);
    await insertPost(session, { linkedin_account_id: author, scheduled_for: after(NOW, HOUR_MS) });
    await session.query(`update posts set created_at = $1`, [TO]);
    await restored();
    await session.rpc.call('sending_resume');
    session.clock.now = after(NOW, HOUR_MS);
    const { was_unknown } = await claimPost(session);
    expect(was_unknown).toMatchObject([{ started_at: '2026-03-02T10:00:00+00:00', text: 'Hello' }]);
  });

  it('without a restore nothing is', async () => {
    await queue(session, account);
    expect((await claimOne(session)).was_unknown_since).toBeNull();
  });
});
