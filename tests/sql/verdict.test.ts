/** What the verdict is judged from: each fact caused, counted, dated, and gone again. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountId,
  act,
  after,
  at,
  claim,
  claimOne,
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  openAccount,
  queue,
  refusal,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { claimPosts, insertPost, LATE_LIMIT_MINUTES, postingAccount } from '../support/posts.ts';

/** A Monday. */
const NOW = at('2026-03-02T10:00:00Z');
let session: Session;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
});

const facts = () =>
  session.rpc.call<Record<string, unknown>>('system_facts', {
    jobs: ['dm-queue', 'post-scheduler'],
    late_limit_minutes: LATE_LIMIT_MINUTES,
  });
const advance = (ms: number): void => {
  session.clock.now = after(session.clock.now, ms);
};
/** One of the facts that count, with its instant as such. */
async function waiting(name: string): Promise<Record<string, unknown>> {
  const fact = (await facts())[name] as { since: string | null };
  return { ...fact, since: fact.since === null ? null : at(fact.since) };
}
const NONE = { count: 0, is_more: false, since: null, ids: [] };
/** As if it had been queued at NOW: rows are made by the real clock. */
const queuedNow = () => session.query('update dm_queue set created_at = $1', [NOW.toISOString()]);

describe('system_facts', () => {
  it('of nothing are empty', async () => {
    expect(await facts()).toEqual({
      now: expect.any(String),
      ...{ first_run_at: null, last_runs: {}, last_ended_runs: {} },
      ...{ all_paused: null, key_refused_since: null },
      accounts: { ...NONE, first: [] },
      ...{ held_messages: NONE, held_unknown_posts: NONE, missed_posts: NONE },
      held_posts: { ...NONE, by_reason: {} },
      ...{ late_messages: NONE, late_posts: NONE },
    });
  });

  it('have the last run of each job, and none that was told to do something else', async () => {
    const start = (job: string, params: object) =>
      session.rpc.call('run_start', {
        job,
        scheduled_for: null,
        trigger: 'ops',
        horizon_at: after(NOW, HOUR_MS),
        requested_by: 'ada',
        params,
      });
    await start('dm-queue', {});
    advance(MINUTE_MS);
    await start('dm-queue', { dry_run: true });
    const { first_run_at, last_runs } = await facts();
    expect(at(String(first_run_at))).toEqual(NOW);
    expect(last_runs).toMatchObject({ 'dm-queue': { job: 'dm-queue', params: {} } });
    expect(Object.keys(last_runs as object)).toEqual(['dm-queue']);
  });

  it('have the last run that ended by itself, beside one that is active or was cancelled', async () => {
    const start = async (): Promise<string> => {
      advance(MINUTE_MS);
      const { run } = await session.rpc.call<{ run: { id: string } }>('run_start', {
        ...{ job: 'dm-queue', scheduled_for: null, trigger: 'ops', requested_by: 'ada', params: {} },
        horizon_at: after(NOW, HOUR_MS),
      });
      await session.rpc.call('run_begin', { id: run.id, worker: 'w' });
      return run.id;
    };
    const finish = (id: string, status: string) =>
      session.rpc.call('run_finish', {
        ...{ id, worker: 'w', status, stats: {}, error: null, horizon_seen: after(NOW, DAY_MS) },
      });
    const lastEnded = async () => {
      const { last_ended_runs } = await facts();
      return (last_ended_runs as Record<string, { id: string }>)['dm-queue']?.id;
    };
    const failed = await start();
    await finish(failed, 'failed');
    const cancelled = await start();
    expect(await lastEnded()).toBe(failed);
    await session.rpc.call('run_cancel', { id: cancelled, requested_by: 'ada' });
    await finish(cancelled, 'cancelled');
    expect(await lastEnded()).toBe(failed);
    const silent = await start();
    advance(61_000);
    await session.rpc.call('run_recover');
    expect(await lastEnded()).toBe(silent);
  });

  it('have the pause of all sending while it lasts', async () => {
    await session.rpc.call('sending_pause_set', { reason: 'stop', actor: 'ada' });
    expect((await facts()).all_paused).toMatchObject({
      reason: 'stop',
      paused_by: 'ada',
      paused_until: null,
    });
    await session.rpc.call('sending_resume', { actor: 'ada' });
    expect((await facts()).all_paused).toBeNull();
    await session.rpc.call('sending_pause_set', { reason: 'stop', until: after(NOW, HOUR_MS).toISOString() });
    advance(HOUR_MS);
    expect((await facts()).all_paused).toBeNull();
  });

  it('have the accounts that are paused for good while messages wait, and no others', async () => {
    const [waits, , timed, idle] = [
      await openAccount(session, 1),
      await openAccount(session, 2),
      await openAccount(session, 3),
      await openAccount(session, 4),
    ];
    for (const n of [1, 2, 3]) await queue(session, accountId(n));
    for (const [account, until] of [
      [waits, null],
      [timed, after(NOW, HOUR_MS).toISOString()],
      [idle, null],
    ]) {
      await session.rpc.call('account_pause', {
        account_id: account,
        reason: 'holidays',
        until,
        actor: 'ada',
      });
    }
    expect(await waiting('accounts')).toMatchObject({
      ...{ count: 1, since: NOW },
      ids: [waits],
      first: [{ account_name: expect.any(String), reason: 'holidays' }],
    });
    await session.rpc.call('account_resume', { account_id: waits, actor: 'ada' });
    expect(await waiting('accounts')).toEqual({ ...NONE, first: [] });
  });

  it('have the accounts that are out of order while messages wait', async () => {
    await queue(session, await openAccount(session, 1));
    await session.query(`update linkedin_accounts set status = 'expired'`, []);
    await session.rpc.call('dm_claim', { worker: 'w', limit: 1, lease_ms: 60_000 });
    expect(await waiting('accounts')).toMatchObject({ count: 1, first: [{ reason: 'account_inactive' }] });
  });

  it('have what is unknown and held, and not what is still looked for', async () => {
    const [id = ''] = await queue(session, await openAccount(session, 1));
    const { attempt_id } = await claimOne(session);
    await session.dm.record([{ attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
    expect(await waiting('held_messages')).toEqual(NONE);
    advance(DAY_MS);
    await session.dm.resolve([{ attempt_id, found: 'absent' }], 'hold');
    advance(HOUR_MS);
    await session.dm.resolve([{ attempt_id, found: 'absent' }], 'hold');
    expect(await waiting('held_messages')).toEqual({ count: 1, is_more: false, since: NOW, ids: [id] });
    await act(session, 'settle', [id], { decision: 'sent' });
    expect(await waiting('held_messages')).toEqual(NONE);
  });

  it('have what waits because our key is refused', async () => {
    await queue(session, await openAccount(session, 1));
    const { attempt_id } = await claimOne(session);
    const ending = { outcome: 'not_sent', next_step: 'wait', reason: 'platform_key_refused' } as const;
    await session.dm.record([{ attempt_id, ...ending }]);
    expect((await facts()).key_refused_since).toEqual(expect.any(String));
  });

  it('have posts that were missed, that are held, and that are late, as they are at this moment', async () => {
    const account = await postingAccount(session, 1);
    const post = (content: string, ms: number) =>
      insertPost(session, { linkedin_account_id: account, content, scheduled_for: after(NOW, ms) });
    const missed = await post('missed', -(LATE_LIMIT_MINUTES + 1) * MINUTE_MS);
    const empty = await post(' ', HOUR_MS);
    await post('late', -20 * MINUTE_MS);
    await post('in time', -19 * MINUTE_MS);
    await post('far', 2 * DAY_MS);
    expect(await waiting('missed_posts')).toEqual({
      ...{ count: 1, is_more: false, since: after(NOW, -MINUTE_MS), ids: [missed] },
    });
    expect(await waiting('held_posts')).toMatchObject({
      ...{ count: 1, by_reason: { post_empty: 1 }, ids: [empty] },
    });
    expect(await waiting('late_posts')).toEqual({
      ...{ count: 1, is_more: false, since: after(NOW, -20 * MINUTE_MS), ids: [] },
    });
    // Somebody paused the account: nobody is late.
    await session.rpc.call('account_pause', { account_id: account, reason: 'holidays', actor: 'ada' });
    expect(await waiting('late_posts')).toEqual(NONE);
    await session.rpc.call('account_resume', { account_id: account, actor: 'ada' });
    await claimPosts(session);
    expect(await waiting('late_posts')).toEqual(NONE);
  });

  it('lose nothing behind any number of what has nothing to be done', async () => {
    // Each with a policy of its own, paused, and nothing to send.
    await session.query(
      `insert into linkedin_accounts (id, account_name, unipile_account_id)
      select gen_random_uuid(), n, n from generate_series(1, 501) as n`,
      [],
    );
    await session.query(
      `insert into account_policies (account_id, paused_until, paused_at, pause_reason)
      select id, 'infinity', $1, 'ill' from linkedin_accounts`,
      [after(NOW, HOUR_MS).toISOString()],
    );
    await queue(session, await openAccount(session, 1));
    await session.rpc.call('account_pause', { account_id: accountId(1), reason: 'ill', actor: 'ada' });
    expect(await waiting('accounts')).toMatchObject({ count: 1, is_more: false, ids: [accountId(1)] });
    const account = await postingAccount(session, 2);
    const missed = await insertPost(session, {
      ...{ linkedin_account_id: account, content: 'Missed' },
      scheduled_for: after(NOW, -(LATE_LIMIT_MINUTES + 1) * MINUTE_MS),
    });
    await session.query(
      `insert into posts (linkedin_account_id, content, status, scheduled_for)
      select $1, 'Ahead', 'scheduled', $2 from generate_series(1, 1001)`,
      [account, after(NOW, HOUR_MS).toISOString()],
    );
    expect(await waiting('missed_posts')).toMatchObject({ count: 1, is_more: false, ids: [missed] });
  });

  it('name all that they count, the newest first, and say where they did not look at all', async () => {
    const account = await postingAccount(session, 1);
    const insert = (count: number, minutes: number) =>
      session.query(
        `insert into posts (linkedin_account_id, content, status, scheduled_for)
        select $1, 'Missed', 'scheduled', $2::timestamptz - n * interval '1 minute' from generate_series(1, $3) as n`,
        [account, after(NOW, -minutes * MINUTE_MS).toISOString(), count],
      );
    const named = async () =>
      (await waiting('missed_posts')) as { ids: string[]; count: number; is_more: boolean };
    await insert(250, LATE_LIMIT_MINUTES);
    const first = await named();
    expect([first.count, first.is_more, new Set(first.ids).size]).toEqual([250, false, 250]);
    const [newest] = await session.query('select id from posts order by scheduled_for desc limit 1', []);
    expect(first.ids[0]).toBe(newest?.id);
    // Those that look at 1,000 see no end of it.
    await insert(751, LATE_LIMIT_MINUTES + 250);
    const all = await named();
    expect([all.count, all.is_more, new Set(all.ids).size]).toEqual([1_000, true, 1_000]);
  });

  it('have accounts whose message could have gone a quarter of an hour ago', async () => {
    await openAccount(session, 1);
    await claim(session);
    await queue(session, accountId(1), 3);
    await queuedNow();
    advance(15 * MINUTE_MS - 1);
    expect(await waiting('late_messages')).toEqual(NONE);
    advance(1);
    expect(await waiting('late_messages')).toMatchObject({ count: 1, is_more: false });
    await claimOne(session);
    expect(await waiting('late_messages')).toEqual(NONE);
  });

  it('take nobody for late who may not send, or whom a pause of all sending held back', async () => {
    await openAccount(session, 1, { window_end: '10:10' });
    await openAccount(session, 2);
    // A look first: an account that nobody has looked at yet says nothing of when it could have gone.
    await claim(session);
    for (const n of [1, 2]) await queue(session, accountId(n));
    await queuedNow();
    await session.rpc.call('sending_pause_set', { reason: 'stop', actor: 'ada' });
    advance(HOUR_MS);
    expect(await waiting('late_messages')).toEqual(NONE);
    await session.rpc.call('sending_resume', { actor: 'ada' });
    const resumedAt = session.clock.now;
    expect(await waiting('late_messages')).toEqual(NONE);
    advance(15 * MINUTE_MS);
    expect(await waiting('late_messages')).toEqual({ count: 1, is_more: false, since: resumedAt, ids: [] });
  });

  it.each([
    { jobs: null, late_limit_minutes: 360 },
    { jobs: Array.from({ length: 101 }, String), late_limit_minutes: 360 },
    { jobs: [], late_limit_minutes: -1 },
  ])('refuse $late_limit_minutes minutes and $jobs.length jobs', async (args) => {
    expect(await refusal(session.rpc.call('system_facts', args))).toMatchObject({ code: 'PO030' });
  });
});
