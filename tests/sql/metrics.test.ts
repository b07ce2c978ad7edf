/**
 * What a scrape reads of the database: each number caused, and gone again; and nothing in it that
 * is no number.
 */
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
  pastAttempt,
  queue,
  refusal,
  send,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { claimPost, insertPost, postingAccount, recordPost, UNKNOWN } from '../support/posts.ts';

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

interface Facts {
  readonly messages: Record<string, number | null>;
  readonly unknowns: Record<string, Record<string, number>>;
  readonly accounts: Record<string, unknown>;
  readonly all_paused: boolean;
  readonly jobs: Record<string, unknown>;
}
const facts = (jobs: readonly string[] = ['dm-queue']): Promise<Facts> =>
  session.rpc.call('system_metrics', { jobs });
const advance = (ms: number): void => {
  session.clock.now = after(session.clock.now, ms);
};
const pause = (n: number, reason: string, until: Date | null = null): Promise<unknown> =>
  session.rpc.call('account_pause', {
    account_id: accountId(n),
    reason,
    until: until?.toISOString() ?? null,
    actor: 'ada',
  });

const NO_MESSAGES = { due: 0, oldest_due_s: null, ready: 0, oldest_ready_s: null };

describe('system_metrics', () => {
  it('of nothing are zeros', async () => {
    expect(await facts()).toEqual({
      now: expect.any(String),
      messages: NO_MESSAGES,
      unknowns: { message: {}, post: {}, held: { message: 0, post: 0 } },
      accounts: { total: 0, paused: {}, blocked: {}, day_limit_used: {} },
      all_paused: false,
      jobs: { 'dm-queue': { last_success_s: null, last_run: null } },
    });
  });

  it('tell what is due apart from what could go', async () => {
    for (const n of [1, 2, 3]) await openAccount(session, n);
    await queue(session, accountId(1), 3, { send_at: after(NOW, -HOUR_MS).toISOString() });
    await queue(session, accountId(2), 2, { send_at: after(NOW, -MINUTE_MS).toISOString() });
    await queue(session, accountId(3), 1, { send_at: after(NOW, HOUR_MS).toISOString() });
    expect((await facts()).messages).toEqual({
      due: 5,
      oldest_due_s: 3_600,
      ready: 2,
      oldest_ready_s: 3_600,
    });
    await pause(1, 'holidays');
    expect((await facts()).messages).toEqual({ due: 5, oldest_due_s: 3_600, ready: 1, oldest_ready_s: 60 });
    await session.rpc.call('sending_pause_set', { reason: 'stop', actor: 'ada' });
    expect(await facts()).toMatchObject({
      messages: { due: 5, ready: 0, oldest_ready_s: null },
      all_paused: true,
    });
    // What a pause of all sending held back has not waited for longer than since its end.
    await session.rpc.call('sending_resume', { actor: 'ada' });
    advance(30_000);
    expect((await facts()).messages).toMatchObject({ ready: 1, oldest_ready_s: 30 });
  });

  it('take nobody for ready whose message is under way, or whose limit is used up', async () => {
    await openAccount(session, 1, { dms_per_day: 1 });
    await queue(session, accountId(1), 2);
    await send(session);
    expect((await facts()).messages).toMatchObject({ due: 1, ready: 0 });
  });

  it('tell what is unknown by its age, and what is held apart from it', async () => {
    await openAccount(session, 1);
    await queue(session, accountId(1));
    const { attempt_id } = await claimOne(session);
    await session.dm.record([{ attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
    for (const [ms, age] of [
      [5 * MINUTE_MS - 1, '5m'],
      [1, '30m'],
      [25 * MINUTE_MS, '2h'],
      [90 * MINUTE_MS, '1d'],
      [DAY_MS, 'older'],
    ] as const) {
      advance(ms);
      expect((await facts()).unknowns.message).toEqual({ [age]: 1 });
    }
    await session.dm.resolve([{ attempt_id, found: 'absent' }], 'hold');
    advance(HOUR_MS);
    await session.dm.resolve([{ attempt_id, found: 'absent' }], 'hold');
    expect((await facts()).unknowns).toEqual({ message: {}, post: {}, held: { message: 1, post: 0 } });
    const [row] = await session.query('select id from dm_queue', []);
    await act(session, 'settle', [String(row?.id)], { decision: 'sent' });
    expect((await facts()).unknowns.held).toEqual({ message: 0, post: 0 });
  });

  it('tell the same of posts', async () => {
    const account = await postingAccount(session, 1);
    const id = await insertPost(session, {
      linkedin_account_id: account,
      content: 'Hello',
      scheduled_for: NOW,
    });
    await recordPost(session, await claimPost(session), UNKNOWN);
    advance(MINUTE_MS);
    expect((await facts()).unknowns).toMatchObject({ post: { '5m': 1 }, held: { post: 0 } });
    await session.asOwner(`update post_publications set reason = 'unknown_held' where post_id = $1`, [id]);
    expect((await facts()).unknowns).toMatchObject({ post: {}, held: { post: 1 } });
  });

  it('tell why accounts are paused, and of what people write only that they did', async () => {
    for (const n of [1, 2, 3, 4]) await openAccount(session, n);
    await pause(1, 'Ada Moreau is on holiday');
    await pause(2, 'breaker', after(NOW, HOUR_MS));
    await pause(3, 'account_restricted');
    expect((await facts()).accounts).toMatchObject({
      total: 4,
      paused: { person: 1, breaker: 1, account_restricted: 1 },
    });
    expect(JSON.stringify(await facts())).not.toContain('Ada');
    advance(HOUR_MS);
    expect((await facts()).accounts.paused).toEqual({ person: 1, account_restricted: 1 });
  });

  it('tell which accounts are out of order', async () => {
    await openAccount(session, 1);
    await queue(session, accountId(1));
    await session.query(`update linkedin_accounts set status = 'expired'`, []);
    await claim(session);
    expect(await facts()).toMatchObject({
      accounts: { blocked: { account_inactive: 1 } },
      messages: { due: 1, ready: 0 },
    });
  });

  it('tell how much of the day’s limit each account has used, on its own day', async () => {
    const used = [0, 1, 2, 4, 5, 7, 8, 9, 12];
    for (const [n, count] of used.entries()) {
      await openAccount(session, n, { dms_per_day: 8 });
      for (let k = 0; k < count; k += 1) await pastAttempt(session, accountId(n), after(NOW, -k * MINUTE_MS));
    }
    expect((await facts()).accounts.day_limit_used).toEqual({
      '0%': 1,
      '1-25%': 2,
      '26-50%': 1,
      '51-75%': 1,
      '76-99%': 1,
      '100%': 3,
    });
    advance(14 * HOUR_MS);
    expect((await facts()).accounts.day_limit_used).toEqual({ '0%': used.length });
  });

  it('have the last run of each job and its last success, and nothing that was told to do something else', async () => {
    const run = async (status: string, params: object = {}): Promise<void> => {
      const started = await session.rpc.call<{ run: { id: string } }>('run_start', {
        job: 'dm-queue',
        scheduled_for: null,
        trigger: 'ops',
        horizon_at: NOW,
        requested_by: 'ada',
        params,
      });
      await session.rpc.call('run_begin', { id: started.run.id, worker: 'w' });
      advance(MINUTE_MS);
      await session.rpc.call('run_finish', {
        id: started.run.id,
        worker: 'w',
        status,
        stats: {},
        error: null,
        horizon_seen: NOW,
      });
    };
    await run('succeeded');
    await run('failed');
    await run('succeeded', { dry_run: true });
    expect((await facts()).jobs).toMatchObject({
      'dm-queue': { last_success_s: after(NOW, MINUTE_MS).getTime() / 1_000, last_run: { status: 'failed' } },
    });
  });

  it('have no id, name or text in them', async () => {
    await openAccount(session, 1);
    await queue(session, accountId(1), 3);
    const { attempt_id } = await claimOne(session);
    await session.dm.record([{ attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
    const said = JSON.stringify(await facts());
    expect(said).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}|ACoAA|Hello|Account 1|unipile-/);
  });

  it.each([[null], [Array.from({ length: 101 }, String)]])('refuse %j as jobs', async (jobs) => {
    expect(await refusal(session.rpc.call('system_metrics', { jobs }))).toMatchObject({ code: 'RN005' });
  });
});
