/**
 * The explanation and the claim agree, and `next_claim_at` is never late: for random accounts at
 * random moments, held against a scan of every minute. A failure prints its seed.
 */
import type { SqlQuery } from '@revos/core/rpc';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isWindowOpen, limitsReached } from '../support/account-rules.ts';
import {
  accountId,
  after,
  at,
  claim,
  claimOne,
  DAY_MS,
  HOUR_MS,
  LEASE_MS,
  MINUTE_MS,
  openAccount,
  type PolicyFields,
  pastAttempt,
  queue,
  rowOf,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { localDate } from '../support/local-time.ts';
import { createRandom, type Random } from '../support/random.ts';
import { type Trials, trials } from '../support/trials.ts';

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

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/Santiago',
  'America/Havana',
  'Africa/Cairo',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Pacific/Kiritimati',
  'Pacific/Chatham',
  'Atlantic/Azores',
  'Antarctica/Troll',
];
/** Days on which at least one of these zones changes its clocks. */
const STARTS = [
  '2025-03-30',
  '2025-04-05',
  '2025-04-24',
  '2025-09-06',
  '2025-10-04',
  '2025-10-25',
  '2025-10-30',
  '2025-11-01',
  '2025-06-11',
];

const clock = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;

interface State {
  readonly now: Date;
  readonly policy: PolicyFields;
  /**
   * When the counted attempts count, in whole minutes. Those ahead are unknown: until then they may
   * be under way.
   */
  readonly effectsMs: readonly number[];
  readonly pausedUntilMs: number;
}

/** All in whole minutes, so that a scan of minutes misses nothing. */
function randomState(random: Random): State {
  const now = after(at(`${random.pick(STARTS)}T00:00:00Z`), random.integer(-36 * 60, 36 * 60) * MINUTE_MS);
  const zone = random.pick(ZONES);
  const start = random.chance(0.4) ? 0 : random.integer(0, 23 * 60);
  const days = [1, 2, 3, 4, 5, 6, 7];
  const some = days.filter(() => random.chance(0.6));
  return {
    now,
    policy: {
      dms_per_day: random.integer(1, 5),
      dms_per_24h: random.integer(1, 6),
      dms_per_7d: random.integer(2, 12),
      gap_min_s: 0,
      gap_max_s: 0,
      time_zone: zone,
      window_start: clock(start),
      window_end: clock(random.chance(0.4) ? 24 * 60 : random.integer(start + 1, 24 * 60)),
      work_days: some.length === 0 || random.chance(0.4) ? days : some,
      holidays: [0, 1, 2, 5]
        .filter(() => random.chance(0.15))
        .map((day) => localDate(zone, now.getTime() + day * DAY_MS)),
      warm_up_from: random.chance(0.3)
        ? localDate(zone, now.getTime() - random.integer(0, 13) * DAY_MS)
        : null,
    },
    // A few lie ahead: the ends of the leases of what is unknown.
    effectsMs: Array.from(
      { length: random.integer(0, 12) },
      () => now.getTime() - random.integer(-3, random.pick([600, 3000, 10_000])) * MINUTE_MS,
    ),
    pausedUntilMs: random.chance(0.2) ? now.getTime() + random.integer(1, 3000) * MINUTE_MS : 0,
  };
}

async function build(state: State, waiting: number): Promise<string[]> {
  await session.reset();
  session.clock.now = state.now;
  const account = await openAccount(session, 1, state.policy);
  for (const effectMs of state.effectsMs) {
    const outcome = effectMs > state.now.getTime() ? 'unknown' : 'sent';
    await pastAttempt(session, account, new Date(effectMs), outcome);
  }
  if (state.pausedUntilMs > 0) {
    await session.rpc.call('account_pause', {
      account_id: account,
      reason: 'rest',
      until: new Date(state.pausedUntilMs).toISOString(),
    });
  }
  return queue(session, account, waiting);
}

/** By the rules as the oracle has them. */
const isOpen = ({ policy, effectsMs, pausedUntilMs }: State, atMs: number): boolean =>
  atMs >= pausedUntilMs &&
  effectsMs.every((effectMs) => effectMs <= atMs) &&
  isWindowOpen(policy, atMs) &&
  limitsReached(policy, effectsMs, atMs).length === 0;

/** Random states of an account. */
const STATES: Trials = { min: 10, max: 60, seconds: 3 };

async function nextClaimIsTheFirstMinute(seed: number): Promise<void> {
  const state = randomState(createRandom(seed));
  await build(state, 1);
  const answer = await session.dm.claim({
    claimId: crypto.randomUUID(),
    worker: 'w',
    limit: 1,
    leaseMs: LEASE_MS,
    draw: 0,
  });
  const nowMs = state.now.getTime();
  expect(answer.items.length > 0, `SEED=${seed}`).toBe(isOpen(state, nowMs));
  if (answer.items.length > 0) return;

  const next = Date.parse(answer.next_claim_at ?? '');
  let minute = nowMs;
  while (!isOpen(state, minute) && minute < nowMs + 60 * DAY_MS) minute += MINUTE_MS;
  expect(new Date(next).toISOString(), `SEED=${seed} ${JSON.stringify(state)}`).toBe(
    new Date(minute).toISOString(),
  );
  session.clock.now = new Date(next);
  expect(await claim(session), `SEED=${seed}`).toHaveLength(1);
}

async function explanationAgrees(seed: number): Promise<void> {
  const random = createRandom(seed);
  const state = randomState(random);
  const ids = await build(state, 3);
  for (const id of ids) {
    if (random.chance(0.5)) {
      await session.query(`update dm_queue set send_at = $2, priority = $3 where id = $1`, [
        id,
        after(state.now, random.integer(-60, 900) * MINUTE_MS).toISOString(),
        random.integer(0, 9),
      ]);
    }
  }
  if (random.chance(0.1)) await session.query(`update linkedin_accounts set status = 'expired'`, []);

  const explained = await Promise.all(ids.map((id) => session.dm.explain(id)));
  const label = `SEED=${seed} ${JSON.stringify(explained)}`;
  const ready = explained.filter((explanation) => explanation?.reason === 'ready');
  expect(ready.length, label).toBeLessThanOrEqual(1);
  const earliest = Math.min(
    ...explained.map((explanation) => Date.parse(explanation?.can_go_at ?? '') || Number.POSITIVE_INFINITY),
  );
  if (ready.length === 1) {
    expect(earliest, label).toBe(state.now.getTime());
    expect((await claimOne(session)).message_id, label).toBe(ready[0]?.id);
    return;
  }

  expect(await claim(session), label).toEqual([]);
  if (earliest === Number.POSITIVE_INFINITY) {
    session.clock.now = after(state.now, 100 * DAY_MS);
    expect(await claim(session), label).toEqual([]);
    return;
  }
  // Nothing goes out before that instant, whenever the claim looks.
  for (let step = 1; step <= 6; step += 1) {
    session.clock.now = new Date(
      state.now.getTime() + Math.floor(((earliest - 1 - state.now.getTime()) * step) / 6),
    );
    expect(await claim(session), label).toEqual([]);
  }
  // At that instant the one that was first goes out.
  session.clock.now = new Date(earliest);
  const first = explained
    .filter((explanation) => Date.parse(explanation?.can_go_at ?? '') === earliest)
    .map((explanation) => explanation?.id);
  const then = await Promise.all(ids.map((id) => session.dm.explain(id)));
  const claimed = await claimOne(session);
  expect(then.find((explanation) => explanation?.reason === 'ready')?.id, label).toBe(claimed.message_id);
  expect(first, label).toContain(claimed.message_id);
}

describe('in random states', () => {
  it('next_claim_at is the first minute at which the account opens', { timeout: 300_000 }, async () => {
    for (const seed of trials(STATES)) await nextClaimIsTheFirstMinute(seed);
  });

  it('the explanation agrees with the claim', { timeout: 300_000 }, async () => {
    for (const seed of trials(STATES)) await explanationAgrees(seed);
  });
});

describe('dm_explain', () => {
  it('answers null for no message', async () => {
    expect(await session.dm.explain(accountId(1))).toBeNull();
  });

  it('says that no account is known where the policy was deleted', async () => {
    const [id = ''] = await queue(session, await openAccount(session, 1));
    await session.query('delete from account_policies', []);
    expect(await claim(session)).toEqual([]);
    const [row] = await session.query('select dm_explain($1, $2) as why', [id, NOW.toISOString()]);
    expect(row?.why).toMatchObject({ reason: 'account_missing', can_go_at: null });
  });

  it('names the place in the queue', async () => {
    const account = await openAccount(session, 1);
    const ids = await queue(session, account, 3);
    const explained = await Promise.all(ids.map((id) => session.dm.explain(id)));
    expect(explained.map((explanation) => [explanation?.reason, explanation?.ahead])).toEqual([
      ['ready', 0],
      ['queued_behind', 1],
      ['queued_behind', 2],
    ]);
  });

  it.each([
    [{ outcome: 'sent' }, 'sent', 'sent'],
    [{ outcome: 'unknown' }, 'unknown', 'answer_lost'],
    [
      { outcome: 'not_sent', next_step: 'fail', reason: 'not_connected', error: 'No.' },
      'failed',
      'not_connected',
    ],
    [
      { outcome: 'not_sent', next_step: 'wait', reason: 'recipient_later', retry_after_ms: HOUR_MS },
      'pending',
      'recipient_later',
    ],
  ] as const)('after %j: %s, %s', async (ending, status, reason) => {
    const [id = ''] = await queue(session, await openAccount(session, 1));
    const claimed = await claimOne(session);
    expect(await session.dm.explain(id)).toMatchObject({
      status: 'sending',
      reason: 'sending',
      can_go_at: null,
    });
    await session.dm.record([{ attempt_id: claimed.attempt_id, ...ending }]);
    const explained = await session.dm.explain(id);
    expect(explained).toMatchObject({ status, reason });
    if (status === 'pending') expect(new Date(explained?.can_go_at ?? 0)).toEqual(after(NOW, HOUR_MS));
    else expect(explained?.can_go_at).toBeNull();
  });
});

describe('what a look costs', () => {
  const ATTEMPTS = 5_000;

  /** An hour apart, the last one an hour ago. */
  async function loseMany(account: string): Promise<void> {
    for (const [table, thing, fields, values] of [
      ['dm_attempts', 'message_id', 'recipient_id', `'ACoAA0'`],
      ['post_attempts', 'post_id', 'text, mentions', `'Hello', '[]'`],
    ]) {
      await session.query(
        `insert into ${table} (${thing}, account_id, ${fields}, claim_id, worker, started_at, lease_until,
           finished_at, outcome, effect_by)
         select gen_random_uuid(), $1, ${values}, gen_random_uuid(), 'worker-0', past.at, past.at, past.at, 'unknown', past.at
         from (select $2::timestamptz - make_interval(hours => n) from generate_series(1, ${ATTEMPTS}) as n) as past (at)`,
        [account, NOW.toISOString()],
      );
    }
  }

  it.each([
    [
      'a message',
      `select reason, clear_at from account_gates(array(select account_id from account_policies), $1)`,
    ],
    ['a post', `select gate.* from account_policies as policy, post_gate(policy.account_id, $1) as gate`],
  ])('for %s does not grow with the answers that an account has lost', async (_name, look) => {
    const account = await openAccount(session, 1, { dms_per_day: 5, dms_per_24h: 50, dms_per_7d: 200 });
    await session.query('update account_policies set post_gap_s = 0', []);
    await loseMany(account);
    // As autovacuum does. What was read until now is not counted.
    await session.asOwner('analyze dm_attempts, post_attempts', []);
    await session.asOwner('select pg_stat_force_next_flush()', []);
    await session.query('begin', []);
    try {
      const [gate] = await session.query(look, [NOW.toISOString()]);
      const read = await session.query(
        `select relname, seq_tup_read::int as by_scan, coalesce(idx_tup_fetch, 0)::int as by_index
         from pg_stat_xact_user_tables where relname in ('dm_attempts', 'post_attempts')`,
        [],
      );
      expect(gate?.reason ?? null).toBe(look.includes('post_gate') ? null : 'day_limit');
      expect(read).toHaveLength(2);
      for (const { relname, by_scan, by_index } of read) {
        expect(by_scan, `${relname} ${by_index}`).toBe(0);
        // No more than the limits ask for.
        expect(by_index, String(relname)).toBeLessThan(300);
      }
    } finally {
      await session.query('commit', []);
    }
  });
});

describe('what waits, and why', () => {
  /** Four accounts: open, paused, capped by the window, and with nothing due. */
  async function fill(): Promise<void> {
    await queue(session, await openAccount(session, 1), 3);
    const paused = await openAccount(session, 2);
    await session.rpc.call('account_pause', { account_id: paused, reason: 'rest' });
    await queue(session, paused, 2);
    await queue(session, await openAccount(session, 3, { window_start: '12:00' }), 4);
    await queue(session, await openAccount(session, 4), 5, { send_at: after(NOW, HOUR_MS).toISOString() });
  }

  it('dm_backlog counts by the account’s reason', async () => {
    expect(await session.dm.backlog()).toEqual({
      due: 0,
      scheduled: 0,
      by_reason: {},
      next_at: null,
      is_complete: true,
    });
    await fill();
    const backlog = await session.dm.backlog();
    expect(backlog).toMatchObject({
      due: 9,
      scheduled: 5,
      by_reason: { ready: 3, paused: 2, outside_hours: 4, scheduled: 5 },
    });
    expect(new Date(backlog.next_at ?? 0)).toEqual(NOW);
  });

  it('dm_backlog agrees with the explanations, and names the next instant', async () => {
    await fill();
    await session.query(`delete from dm_queue where linkedin_account_id = $1`, [accountId(1)]);
    expect(new Date((await session.dm.backlog()).next_at ?? 0)).toEqual(after(NOW, HOUR_MS));
    await session.query(`delete from dm_queue where linkedin_account_id = $1`, [accountId(4)]);
    expect(new Date((await session.dm.backlog()).next_at ?? 0)).toEqual(after(NOW, 2 * HOUR_MS));
    await session.query(`delete from dm_queue where linkedin_account_id = $1`, [accountId(3)]);
    expect(await session.dm.backlog()).toEqual({
      due: 2,
      scheduled: 0,
      by_reason: { paused: 2 },
      next_at: null,
      is_complete: true,
    });
  });

  it('dm_backlog looks at 2,000 accounts and 50,000 messages at most, and says so', async () => {
    // As accountId.
    const ID = (n: string) => `('00000000-0000-4000-8000-' || lpad((${n})::text, 12, '0'))::uuid`;
    const fillMany = async (accounts: number, messages: number): Promise<void> => {
      await session.reset();
      await session.asOwner('set session_replication_role = replica', []);
      await session.asOwner(
        `insert into linkedin_accounts (id, account_name, unipile_account_id)
         select ${ID('n')}, n::text, n::text from generate_series(1, $1::int) as n`,
        [accounts],
      );
      await session.asOwner(
        `insert into account_policies (account_id, next_claim_at)
         select ${ID('n')}, $2::timestamptz + make_interval(mins => n) from generate_series(1, $1::int) as n`,
        [accounts, NOW.toISOString()],
      );
      await session.asOwner(
        `insert into dm_queue (linkedin_account_id, recipient_id, message, send_at)
         select ${ID('1 + n % $1::int')}, 'ACoAA1', 'Hello', $3::timestamptz
         from generate_series(1, $2::int) as n`,
        [accounts, messages, NOW.toISOString()],
      );
      await session.asOwner('reset session_replication_role', []);
    };

    await fillMany(2_000, 2_000);
    expect(await session.dm.backlog()).toMatchObject({ due: 2_000, is_complete: true });
    await fillMany(2_001, 2_001);
    const ofMany = await session.dm.backlog();
    expect(ofMany).toMatchObject({ due: 2_000, is_complete: false });
    // The earliest at which a claim can succeed, of those that were not looked at too.
    expect(new Date(ofMany.next_at ?? 0)).toEqual(after(NOW, MINUTE_MS));
    expect((await session.dm.backlog([accountId(1), accountId(2)])).is_complete).toBe(true);
    await fillMany(2, 50_000);
    expect(await session.dm.backlog()).toMatchObject({ due: 50_000, is_complete: true });
    await fillMany(2, 50_001);
    expect(await session.dm.backlog()).toMatchObject({ due: 50_000, is_complete: false });
  });

  it('dm_counts, dm_unsent and account_list show the same queue', async () => {
    await fill();
    const [first] = await claim(session);
    const call = <Result>(name: string, args = {}): Promise<Result> => session.rpc.call<Result>(name, args);
    expect(await call('dm_counts')).toEqual({ pending: 13, sending: 1 });
    const unsent = await call<Array<Record<string, unknown>>>('dm_unsent', { limit: 1000 });
    expect(unsent).toHaveLength(14);
    expect(unsent[0]).toMatchObject({ id: first?.message_id, status: 'sending', reason: 'sending' });
    const { items: accounts } = await call<{ items: Array<Record<string, unknown>> }>('account_list');
    expect(accounts.map((account) => account.messages)).toEqual([
      { pending: 2, sending: 1 },
      { pending: 2 },
      { pending: 4 },
      { pending: 5 },
    ]);
    for (const limit of [0, 1001, null])
      await expect(call('dm_unsent', { limit })).rejects.toMatchObject({ code: 'DM050' });
  });
});

it('works alike in a session of another time zone', async () => {
  const query: SqlQuery = session.query;
  await query(`set time zone 'Asia/Kathmandu'`, []);
  try {
    const account = await openAccount(session, 1, {
      time_zone: 'Antarctica/Troll',
      window_start: '01:37',
      work_days: [7],
    });
    session.clock.now = at('2026-10-24T23:00:00Z');
    const [id = ''] = await queue(session, account);
    const explained = await session.dm.explain(id);
    expect(new Date(explained?.can_go_at ?? 0)).toEqual(at('2026-10-24T23:37:00Z'));
    expect((await rowOf(session, id)).send_at).toEqual(session.clock.now);
  } finally {
    await query(`set time zone 'UTC'`, []);
  }
});
