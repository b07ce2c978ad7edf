/**
 * Several sessions at once, on a real Postgres. Races are steps in named sessions: nothing waits
 * for a clock.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pidOf, untilBlocked } from '../support/blocked.ts';
import {
  accountId,
  after,
  at,
  claim,
  claimOne,
  LEASE_MS,
  MINUTE_MS,
  message,
  openAccount,
  policyOf,
  queue,
  recipientId,
  rowOf,
} from '../support/builders.ts';
import { type Clock, openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';

const NOW = at('2026-03-02T10:00:00Z');
const SESSIONS = 20;
const clock: Clock = { now: NOW };
let database: SharedDatabase;
let sessions: Session[];
let ann: Session;
let bob: Session;
let watcher: Session;

beforeAll(async () => {
  database = await openSharedDatabase();
  sessions = [];
  for (let count = 0; count < SESSIONS; count += 1) sessions.push(await database.openSession(clock));
  [ann, bob] = sessions as [Session, Session];
  watcher = sessions[SESSIONS - 1] as Session;
});
afterAll(() => database?.close());
beforeEach(async () => {
  clock.now = NOW;
  // What a test that failed left open.
  for (const session of [ann, bob]) await session.query('rollback', []);
  await ann.query('reset statement_timeout', []);
  await ann.reset();
});

describe('a restore', () => {
  const to = NOW.toISOString();
  const mark = (session: Session) =>
    session.rpc.call('restore_mark', { to, dry_run: false, limit: 1, actor: 'ann' });

  it.each([
    { what: 'a resume', end: () => bob.rpc.call('sending_resume', { actor: 'bob' }) },
    {
      what: 'a pause that ends by itself',
      end: () =>
        bob.rpc.call('sending_pause_set', {
          reason: 'stop',
          until: after(NOW, 1).toISOString(),
          actor: 'bob',
        }),
    },
  ])('that is being marked is waited for by $what, which is refused then', async ({ end }) => {
    for (const n of [1, 2]) await queue(ann, await openAccount(ann, n));
    await ann.rpc.call('sending_pause_set', {
      reason: 'stop',
      until: after(NOW, MINUTE_MS).toISOString(),
      actor: 'ann',
    });
    const pid = await pidOf(bob);
    await ann.query('begin', []);
    await mark(ann);
    const ending = end();
    ending.catch(() => {});
    await untilBlocked(watcher, pid);
    await ann.query('commit', []);
    await expect(ending).rejects.toMatchObject({ code: 'RS003' });
    expect(await ann.rpc.call('sending_status', {})).toMatchObject({ paused: true, paused_until: null });
  });
});

describe('claims', () => {
  it('20 sessions that claim at once give every message to one of them', async () => {
    for (let n = 1; n <= 30; n += 1) await queue(ann, await openAccount(ann, n), 3);
    const claimed = (await Promise.all(sessions.map((session) => claim(session, { limit: 5 })))).flat();
    const rest = await claim(ann, { limit: 100 });
    const all = [...claimed, ...rest];
    expect(new Set(all.map((one) => one.message_id)).size).toBe(all.length);
    expect(all.map((one) => one.account_id).sort()).toEqual(
      Array.from({ length: 30 }, (_, n) => accountId(n + 1)),
    );
  });

  it('one account, 20 sessions, a limit of one: one message', async () => {
    await queue(ann, await openAccount(ann, 1, { dms_per_day: 1 }), 30);
    const claimed = (await Promise.all(sessions.map((session) => claim(session)))).flat();
    expect(claimed).toHaveLength(1);
  });

  it('passes over an account that another session is at, and does not wait', async () => {
    for (const n of [1, 2]) await queue(ann, await openAccount(ann, n));
    await bob.query('begin', []);
    await bob.query('select from account_policies where account_id = $1 for update', [accountId(1)]);
    expect((await claim(ann)).map((one) => one.account_id)).toEqual([accountId(2)]);
    await bob.query('rollback', []);
    expect((await claim(ann)).map((one) => one.account_id)).toEqual([accountId(1)]);
  });

  it('passes over a paused account that another session is at, which was just seen out of order', async () => {
    for (const n of [1, 2]) await queue(ann, await openAccount(ann, n));
    await ann.rpc.call('account_pause', { account_id: accountId(1), reason: 'account_disconnected' });
    await ann.query(`update linkedin_accounts set status = 'expired' where id = $1`, [accountId(1)]);
    await ann.query(`set statement_timeout = '5s'`, []);
    await bob.query('begin', []);
    await bob.query('select from account_policies where account_id = $1 for update', [accountId(1)]);
    expect((await claim(ann)).map((one) => one.account_id)).toEqual([accountId(2)]);
    await bob.query('rollback', []);
    await ann.query('reset statement_timeout', []);
    await ann.rpc.call('dm_recover');
    expect(await policyOf(ann, accountId(1))).toMatchObject({ seen_inactive: true });
  });

  it('passes over a lost message that another session is at; it is recovered afterwards', async () => {
    const [lost = ''] = await queue(ann, await openAccount(ann, 1));
    await claimOne(ann);
    await queue(ann, await openAccount(ann, 2));
    clock.now = after(NOW, LEASE_MS);
    await ann.query(`set statement_timeout = '5s'`, []);
    await bob.query('begin', []);
    await bob.query('update dm_queue set lead_id = null where id = $1', [lost]);
    expect((await claim(ann)).map((one) => one.account_id)).toEqual([accountId(2)]);
    expect(await rowOf(ann, lost)).toMatchObject({ status: 'sending' });
    await bob.query('commit', []);
    await ann.query('reset statement_timeout', []);
    expect(await ann.rpc.call('dm_recover')).toMatchObject({ lost: 1 });
    expect(await rowOf(ann, lost)).toMatchObject({ status: 'unknown' });
  });

  it('a message that somebody is writing is passed over, and looked at again soon', async () => {
    const [first = '', second = ''] = await queue(ann, await openAccount(ann, 1), 2);
    await bob.query('begin', []);
    await bob.query(`update dm_queue set lead_id = null where id = $1`, [first]);
    expect((await claimOne(ann)).message_id).toBe(second);
    await bob.query('rollback', []);
  });

  it('holds no message of an account that may not send', async () => {
    await queue(ann, await openAccount(ann, 1), 3);
    await ann.rpc.call('account_pause', { account_id: accountId(1), reason: 'holidays' });
    await ann.query('begin', []);
    expect(await claim(ann)).toEqual([]);
    expect(await bob.query('select from dm_queue for update skip locked', [])).toHaveLength(3);
    await ann.query('rollback', []);
  });

  it('an insert that is not committed yet is claimed as soon as it is', async () => {
    await openAccount(ann, 1);
    await bob.query('begin', []);
    await queue(bob, accountId(1));
    expect(await claim(ann)).toEqual([]);
    await bob.query('commit', []);
    expect(await claim(ann)).toHaveLength(1);
  });

  it('a claim that finds nothing while an insert waits for it does not put the account to sleep', async () => {
    const account = await openAccount(ann, 1);
    const pid = await pidOf(bob);
    await ann.query('begin', []);
    expect(await claim(ann)).toEqual([]);
    const queued = queue(bob, account);
    await untilBlocked(watcher, pid);
    await ann.query('commit', []);
    await queued;
    expect(await claim(ann)).toHaveLength(1);
  });
});

describe('enqueues', () => {
  it('a key that another session is just queueing is answered with its id', async () => {
    const account = await openAccount(ann, 1);
    const pid = await pidOf(bob);
    const keyed = [message(account, { dedupe_key: 'a' })];
    await ann.query('begin', []);
    const { messages } = await ann.dm.enqueue(keyed);
    const second = bob.dm.enqueue(keyed);
    await untilBlocked(watcher, pid);
    await ann.query('commit', []);
    expect(await second).toEqual({
      enqueued: 0,
      existing: 1,
      messages: [{ row: 0, id: messages[0]?.id, is_new: false }],
      repeated: 0,
      warnings: [],
    });
  });

  it('a key that another session is just queueing with another recipient is refused with its twin', async () => {
    const account = await openAccount(ann, 1);
    const pid = await pidOf(bob);
    await ann.query('begin', []);
    const { messages } = await ann.dm.enqueue([message(account, { dedupe_key: 'a' })]);
    const second = bob.dm.enqueue([
      message(account, { recipient_id: recipientId(7) }),
      message(account, { recipient_id: recipientId(2), dedupe_key: 'a' }),
    ]);
    const refused = expect(second).rejects.toMatchObject({
      code: 'DM021',
      detail: expect.stringContaining(String(messages[0]?.id)),
    });
    await untilBlocked(watcher, pid);
    await ann.query('commit', []);
    await refused;
    expect(await ann.query('select count(*)::int as count from dm_queue', [])).toEqual([{ count: 1 }]);
  });

  it('what an account may not repeat is not queued by two sessions at once', async () => {
    const account = await openAccount(ann, 1);
    await ann.rpc.call('account_policy_set', { account_id: account, patch: { no_repeat_days: 7 } });
    const pid = await pidOf(bob);
    await ann.query('begin', []);
    await ann.dm.enqueue([message(account)]);
    const second = expect(bob.dm.enqueue([message(account)])).rejects.toMatchObject({ code: 'DM017' });
    await untilBlocked(watcher, pid);
    await ann.query('commit', []);
    await second;
    expect(await ann.query('select count(*)::int as count from dm_queue', [])).toEqual([{ count: 1 }]);
  });

  it.each([
    { first: 'insert', second: 'insert', code: 'DM016' },
    { first: 'enqueue', second: 'insert', code: 'DM016' },
    { first: 'insert', second: 'enqueue', code: 'DM021' },
  ] as const)(
    'one key of two messages at once, by $first and $second: the second is refused, and not passed over',
    async ({ first, second, code }) => {
      const account = await openAccount(ann, 1);
      const ways = {
        insert: (session: Session, text: string) =>
          session.query(
            `insert into dm_queue (linkedin_account_id, recipient_id, message, dedupe_key) values ($1, $2, $3, 'k')
             on conflict do nothing`,
            [account, recipientId(1), text],
          ),
        enqueue: (session: Session, text: string) =>
          session.dm.enqueue([message(account, { message: text, dedupe_key: 'k' })]),
      };
      const pid = await pidOf(bob);
      await ann.query('begin', []);
      await ways[first](ann, 'Hello');
      const refused = expect(ways[second](bob, 'Hello again')).rejects.toMatchObject({ code });
      await untilBlocked(watcher, pid);
      await ann.query('commit', []);
      await refused;
      // The same message under its key is passed over, as it was.
      await ways[second](bob, 'Hello');
      expect(await ann.query('select message from dm_queue', [])).toEqual([{ message: 'Hello' }]);
    },
  );

  it('the same keys from 20 sessions at once are queued once, and all are told the same ids', async () => {
    const account = await openAccount(ann, 1);
    const rows = Array.from({ length: 20 }, (_, n) =>
      message(account, { recipient_id: recipientId(n), dedupe_key: `k${n}` }),
    );
    const answers = await Promise.all(sessions.map((session) => session.dm.enqueue(rows)));
    const ids = answers.map((answer) => answer.messages.map(({ id }) => id));
    for (const told of ids) expect(told).toEqual(ids[0]);
    expect(ids[0]?.every((id) => /^[0-9a-f-]{36}$/.test(id))).toBe(true);
    expect(answers.reduce((sum, answer) => sum + answer.enqueued, 0)).toBe(20);
    expect(await ann.query('select count(*)::int as count from dm_queue', [])).toEqual([{ count: 20 }]);
  });

  it('the same keys in opposite orders do not deadlock, and keep the order they were given in', async () => {
    const account = await openAccount(ann, 1);
    for (let round = 0; round < 10; round += 1) {
      const rows = Array.from({ length: 300 }, (_, n) =>
        message(account, { recipient_id: recipientId(n), dedupe_key: `r${round}-${(n * 7919) % 300}` }),
      );
      const [first, second] = await Promise.all([ann.dm.enqueue(rows), bob.dm.enqueue(rows.toReversed())]);
      expect((first?.enqueued ?? 0) + (second?.enqueued ?? 0)).toBe(300);
    }
    const ordered = Array.from({ length: 50 }, (_, n) =>
      message(account, { dedupe_key: `o${(n * 37) % 50}` }),
    );
    const { messages } = await ann.dm.enqueue(ordered);
    const positions = await ann.query(
      'select id from dm_queue where id = any ($1::uuid[]) order by position',
      [messages.map(({ id }) => id)],
    );
    expect(positions.map(({ id }) => id)).toEqual(messages.map(({ id }) => id));
  });

  it('a key whose message is just being deleted is not queued anew', async () => {
    const account = await openAccount(ann, 1);
    const row = message(account, { dedupe_key: 'spring-1' });
    const [id] = await queue(ann, account, 1, { dedupe_key: 'spring-1' });
    await ann.asOwner('set session_replication_role = replica', []);
    await ann.asOwner(`update dm_queue set status = 'sent', updated_at = $1`, [
      after(NOW, -31 * 24 * 60 * MINUTE_MS).toISOString(),
    ]);
    await ann.asOwner('reset session_replication_role', []);

    const bobsPid = await pidOf(bob);
    await ann.query('begin', []);
    expect(await ann.rpc.call('history_delete', { kind: 'messages' })).toMatchObject({ deleted: 1 });
    const waiting = bob.dm.enqueue([row]);
    waiting.catch(() => {});
    await untilBlocked(watcher, bobsPid);
    await ann.query('commit', []);
    await expect(waiting).rejects.toMatchObject({ kind: 'rule', code: 'DM013' });
    expect(await bob.dm.enqueue([row])).toMatchObject({ enqueued: 0, messages: [{ id, is_new: false }] });
  });

  it('to the same new accounts in every order do not deadlock', async () => {
    for (let n = 1; n <= 20; n += 1) {
      await ann.query(
        `insert into linkedin_accounts (id, account_name, unipile_account_id) values ($1::uuid, $1::text, $1::text)`,
        [accountId(n)],
      );
    }
    const accounts = Array.from({ length: 20 }, (_, n) => accountId(n + 1));
    await Promise.all(
      sessions.map(async (session, index) => {
        const rotated = [...accounts.slice(index), ...accounts.slice(0, index)];
        const order = index % 2 === 0 ? rotated : rotated.reverse();
        for (let turn = 0; turn < 3; turn += 1) await session.dm.enqueue(order.map((id) => message(id)));
      }),
    );
    expect(await ann.query('select count(*)::int as count from dm_queue', [])).toEqual([
      { count: 20 * 20 * 3 },
    ]);
    expect(await ann.query('select count(*)::int as count from account_policies', [])).toEqual([
      { count: 20 },
    ]);
  });
});

describe('records', () => {
  it('one attempt reported by 20 sessions at once is recorded once', async () => {
    const [id = ''] = await queue(ann, await openAccount(ann, 1));
    const claimed = await claimOne(ann);
    const answers = await Promise.all(
      sessions.map((session) =>
        session.dm.record([
          { attempt_id: claimed.attempt_id, outcome: 'not_sent', next_step: 'retry', reason: 'unreachable' },
        ]),
      ),
    );
    expect(
      answers
        .flat()
        .map((answer) => answer.applied)
        .sort(),
    ).toEqual([...Array(19).fill('ignored'), 'recorded']);
    expect(await rowOf(ann, id)).toMatchObject({ attempts: 1, status: 'pending' });
  });

  it('an answer and the end of its lease at once: whoever is first, the message was sent', async () => {
    for (let round = 0; round < 20; round += 1) {
      await ann.reset();
      clock.now = NOW;
      const [id = ''] = await queue(ann, await openAccount(ann, 1));
      const claimed = await claimOne(ann);
      clock.now = after(NOW, LEASE_MS);
      const [answers] = await Promise.all([
        ann.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent', unipile_message_id: 'm' }]),
        bob.rpc.call('dm_recover'),
      ]);
      expect(['recorded', 'late']).toContain(answers[0]?.applied);
      expect(await rowOf(ann, id)).toMatchObject({ status: 'sent', unipile_message_id: 'm' });
    }
  });
});

describe('runs', () => {
  const slot = (session: Session, scheduledFor: Date) =>
    session.runs.start({
      job: 'dm-queue',
      trigger: 'vercel-cron',
      scheduledFor,
      requestedBy: 'cron',
      horizonAt: after(scheduledFor, 15 * MINUTE_MS),
    });

  /** Every session at once, each with its share of the items one after the other. */
  const onEverySession = async <Item, Answer>(
    items: readonly Item[],
    ask: (session: Session, item: Item) => Promise<Answer>,
  ): Promise<Answer[]> => {
    const answers = await Promise.all(
      sessions.map(async (session, turn) => {
        const own: Answer[] = [];
        for (let n = turn; n < items.length; n += SESSIONS) own.push(await ask(session, items[n] as Item));
        return own;
      }),
    );
    return answers.flat();
  };

  it('1,000 requests for one slot make one run, and all are told its id', { timeout: 60_000 }, async () => {
    const started = await onEverySession(
      Array.from({ length: 1000 }, () => NOW),
      slot,
    );
    expect(new Set(started.map(({ run }) => run.id)).size).toBe(1);
    expect(started.filter(({ outcome }) => outcome === 'created')).toHaveLength(1);
    expect(started.filter(({ outcome }) => outcome === 'exists')).toHaveLength(999);
    expect(await ann.query('select count(*)::int as runs from job_runs', [])).toEqual([{ runs: 1 }]);
  });

  it('many slots at once: one run is active, and each slot knows its run', async () => {
    const slots = Array.from({ length: 100 }, (_, n) => after(NOW, n * 15 * MINUTE_MS));
    const started = await onEverySession(slots, slot);
    expect(new Set(started.map(({ run }) => run.id)).size).toBe(1);
    expect(await ann.query('select count(*)::int as slots from job_slots', [])).toEqual([{ slots: 100 }]);
  });

  it('one run is begun by one of 20 workers', async () => {
    const { run } = await slot(ann, NOW);
    const begun = await Promise.all(sessions.map((session, n) => session.runs.begin(run.id, `w${n}`)));
    expect(begun.filter((told) => told?.owned)).toHaveLength(1);
  });

  it('20 slices of a run that begin, tell and end at once: each by one worker, and the last ends the run', async () => {
    const { run } = await slot(ann, NOW);
    const workers = sessions.flatMap((session, n) =>
      [0, 1].map((rival) => ({ session, n, worker: `w${n}.${rival}` })),
    );
    const begun = await Promise.all(
      workers.map(({ session, n, worker }) => session.runs.begin(run.id, worker, n)),
    );
    const holders = workers.filter((_, index) => begun[index]?.owned);
    expect(holders.map(({ n }) => n)).toEqual([...sessions.keys()]);
    const stats = { sent: 1, due: 7 };
    await Promise.all(
      holders.map(({ session, n, worker }) => session.runs.heartbeat(run.id, worker, stats, n)),
    );
    const ends = await Promise.all(
      holders.map(({ session, n, worker }) =>
        session.runs.finish(
          run.id,
          worker,
          { status: 'succeeded', stats, error: null, horizonSeen: new Date(run.horizon_at) },
          n,
        ),
      ),
    );
    expect(ends.filter((told) => told.run.status === 'succeeded')).toHaveLength(1);
    expect(await ann.runs.get(run.id)).toMatchObject({
      status: 'succeeded',
      stats: { sent: sessions.length, due: 7 },
    });
  });

  it('a slot and the end of the run before it at once: the slot is never lost', async () => {
    for (let round = 0; round < 20; round += 1) {
      await ann.reset();
      const { run } = await slot(ann, NOW);
      await ann.runs.begin(run.id, 'w1');
      const next = after(NOW, 15 * MINUTE_MS);
      const [ended, started] = await Promise.all([
        ann.runs.finish(run.id, 'w1', {
          status: 'succeeded',
          stats: {},
          error: null,
          horizonSeen: new Date(run.horizon_at),
        }),
        slot(bob, next),
      ]);
      const isNew = started.outcome === 'created';
      expect(ended.run.status).toBe(isNew ? 'succeeded' : 'running');
      expect((await ann.runs.slot('dm-queue', next))?.status).toBe(isNew ? 'queued' : 'running');
    }
  });
});
