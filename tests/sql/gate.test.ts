/** When a message may leave an account: each rule at its exact boundary. */
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
  LEASE_MS,
  MINUTE_MS,
  openAccount,
  type PolicyFields,
  pastAttempt,
  policyOf,
  queue,
  reasonOf,
  refusal,
  rowOf,
  send,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';

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

/**
 * Asserts that at an instant nothing is claimed, for this reason, and that a millisecond before
 * `opens` it is still so; then claims at `opens`. Asks the explanation and the claim alike.
 */
async function expectBlockedUntil(id: string, reason: string, opens: Date): Promise<void> {
  const explained = await session.dm.explain(id);
  expect(explained).toMatchObject({ status: 'pending', reason });
  expect(new Date(explained?.can_go_at ?? 0)).toEqual(opens);
  expect(await claim(session)).toEqual([]);
  session.clock.now = after(opens, -1);
  expect(await claim(session)).toEqual([]);
  session.clock.now = opens;
  expect(await reasonOf(session, id)).toBe('ready');
  expect((await claim(session)).map((claimed) => claimed.message_id)).toEqual([id]);
}

async function first(policy: Partial<PolicyFields> = {}): Promise<{ account: string; id: string }> {
  const account = await openAccount(session, 1, policy);
  const [id = ''] = await queue(session, account, 1);
  return { account, id };
}

describe('an account out of order', () => {
  const set = (sql: string) => session.query(sql, [accountId(1)]);
  it.each([
    {
      reason: 'account_inactive',
      out: `update linkedin_accounts set status = 'expired' where id = $1`,
      back: `update linkedin_accounts set status = 'active' where id = $1`,
    },
    {
      reason: 'account_inactive',
      out: `update linkedin_accounts set status = null where id = $1`,
      back: `update linkedin_accounts set status = 'active' where id = $1`,
    },
    {
      reason: 'account_not_connected',
      out: `update linkedin_accounts set unipile_account_id = null where id = $1`,
      back: `update linkedin_accounts set unipile_account_id = 'u' where id = $1`,
    },
    {
      reason: 'account_missing',
      out: `delete from linkedin_accounts where id = $1`,
      back: `insert into linkedin_accounts (id, account_name, unipile_account_id) values ($1, 'Again', 'u')`,
    },
  ])('$reason: blocked without end, and back by itself', async ({ reason, out, back }) => {
    const { id } = await first();
    await set(out);
    expect(await session.dm.explain(id)).toMatchObject({ reason, can_go_at: null });
    expect(await claim(session)).toEqual([]);
    session.clock.now = after(NOW, 30 * DAY_MS);
    expect(await claim(session)).toEqual([]);
    await set(back);
    expect(await session.rpc.call('dm_recover')).toEqual({ lost: 0, returned: 1 });
    expect(await session.rpc.call('dm_recover')).toEqual({ lost: 0, returned: 0 });
    expect((await claim(session)).map((claimed) => claimed.message_id)).toEqual([id]);
  });

  it.each([['account_disconnected'], ['account_missing']])(
    'a pause for %s ends with the account’s return, once it was seen out of order',
    async (reason) => {
      const { id, account } = await first();
      await session.rpc.call('account_pause', { account_id: account, reason });
      // RevOS has not noticed yet: the account still looks active, and that is no return.
      expect(await session.rpc.call('dm_recover')).toMatchObject({ returned: 0 });
      expect(await reasonOf(session, id)).toBe('paused');
      await set(`update linkedin_accounts set status = 'error' where id = $1`);
      expect(await session.rpc.call('dm_recover')).toMatchObject({ returned: 0 });
      expect(await claim(session)).toEqual([]);
      await set(`update linkedin_accounts set status = 'active' where id = $1`);
      expect(await session.rpc.call('dm_recover')).toMatchObject({ returned: 1 });
      expect(await policyOf(session, account)).toMatchObject({ paused_until: null, pause_reason: null });
      expect(await claim(session)).toHaveLength(1);
    },
  );

  it('of many that wait to be in order, each look takes some, and whoever is in order returns', async () => {
    const ID = `('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid`;
    await session.query(
      `insert into linkedin_accounts (id, account_name, unipile_account_id, status)
       select ${ID}, n::text, n::text, case when n <= 400 then 'error' else 'active' end from generate_series(1, 450) as n`,
      [],
    );
    await session.query(
      `insert into account_policies (account_id, blocked_by)
       select ${ID}, 'account_inactive' from generate_series(1, 450) as n`,
      [],
    );
    const returned: number[] = [];
    for (let look = 1; look <= 50; look += 1) {
      session.clock.now = after(NOW, look * 1_000);
      returned.push((await session.rpc.call<{ returned: number }>('dm_recover')).returned);
    }
    // Fifty are in order again, and the four hundred others are not in their way.
    expect(returned[0]).toBeLessThan(50);
    expect(returned.reduce((sum, count) => sum + count)).toBe(50);
  });

  it.each([
    ['deleted', `delete from linkedin_accounts where id = $1`],
    ['without its Unipile id', `update linkedin_accounts set unipile_account_id = null where id = $1`],
  ])('a pause ends with the return of an account that was %s', async (_, out) => {
    const { account } = await first();
    await session.rpc.call('account_pause', { account_id: account, reason: 'account_missing' });
    await set(out);
    expect(await session.rpc.call('dm_recover')).toMatchObject({ returned: 0 });
    await set(`delete from linkedin_accounts where id = $1`);
    await set(
      `insert into linkedin_accounts (id, account_name, unipile_account_id) values ($1, 'Again', 'u')`,
    );
    expect(await session.rpc.call('dm_recover')).toMatchObject({ returned: 1 });
    expect(await claim(session)).toHaveLength(1);
  });

  it('a pause without an end given is without end', async () => {
    const { account, id } = await first();
    await session.rpc.call('account_pause', { account_id: account, reason: 'holidays', until: null });
    expect(await session.dm.explain(id)).toMatchObject({ reason: 'paused', can_go_at: null });
  });

  it('a person’s pause outlasts the account’s return', async () => {
    const { id, account } = await first();
    await set(`update linkedin_accounts set status = 'expired' where id = $1`);
    expect(await claim(session)).toEqual([]);
    await session.rpc.call('account_pause', { account_id: account, reason: 'holidays' });
    await set(`update linkedin_accounts set status = 'active' where id = $1`);
    expect(await claim(session)).toEqual([]);
    expect(await reasonOf(session, id)).toBe('paused');
  });
});

describe('a pause', () => {
  it('ends at its instant', async () => {
    const { account, id } = await first();
    const until = after(NOW, 90 * MINUTE_MS);
    await session.rpc.call('account_pause', {
      account_id: account,
      reason: 'holidays',
      until: until.toISOString(),
    });
    await expectBlockedUntil(id, 'paused', until);
  });

  it('without end waits for a person', async () => {
    const { account, id } = await first();
    await session.rpc.call('account_pause', { account_id: account, reason: 'holidays' });
    expect(await session.dm.explain(id)).toMatchObject({
      reason: 'paused',
      can_go_at: null,
      account: { paused_until: 'infinity', pause_reason: 'holidays' },
    });
    session.clock.now = after(NOW, 365 * DAY_MS);
    expect(await claim(session)).toEqual([]);
    expect(await session.rpc.call('account_resume', { account_id: account })).toMatchObject({
      due: 1,
      paused_until: null,
      pause_reason: null,
    });
    expect(await claim(session)).toHaveLength(1);
  });

  it('needs a reason, and an account', async () => {
    await first();
    const pause = (n: number, reason: string) =>
      session.rpc.call('account_pause', { account_id: accountId(n), reason });
    await expect(pause(1, '  ')).rejects.toMatchObject({ code: 'AC005' });
    await expect(pause(9, 'why')).rejects.toMatchObject({ code: 'AC002' });
    await expect(session.rpc.call('account_resume', { account_id: accountId(9) })).rejects.toMatchObject({
      code: 'AC002',
    });
  });

  it('is replaced by a later word, also by a shorter one', async () => {
    const { account, id } = await first();
    await session.rpc.call('account_pause', { account_id: account, reason: 'long' });
    const until = after(NOW, MINUTE_MS);
    await session.rpc.call('account_pause', {
      account_id: account,
      reason: 'short',
      until: until.toISOString(),
    });
    await expectBlockedUntil(id, 'paused', until);
  });
});

describe('in flight', () => {
  it('one message at a time, until the answer or the end of the lease', async () => {
    const account = await openAccount(session, 1);
    const [, second = ''] = await queue(session, account, 2);
    const claimed = await claimOne(session);
    expect(await session.dm.explain(second)).toMatchObject({ reason: 'in_flight' });
    expect(new Date((await session.dm.explain(second))?.can_go_at ?? 0)).toEqual(after(NOW, LEASE_MS));
    session.clock.now = after(NOW, LEASE_MS - 1);
    expect(await claim(session)).toEqual([]);
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent' }]);
    expect(await claim(session)).toHaveLength(1);
  });

  it('one message an account, all accounts at once', async () => {
    for (const n of [1, 2, 3]) await queue(session, await openAccount(session, n), 3);
    expect((await claim(session)).map((claimed) => claimed.account_id).sort()).toEqual(
      [1, 2, 3].map(accountId),
    );
    expect(await claim(session)).toEqual([]);
  });
});

describe('an answer that was lost', () => {
  const ANSWERED_MS = 15_000;

  /** Two messages; the answer to the first was lost, and the account has been looked at since. */
  async function lose(): Promise<{ lost: string; attempt: string; second: string }> {
    const account = await openAccount(session, 1);
    const [lost = '', second = ''] = await queue(session, account, 2);
    const { attempt_id: attempt } = await claimOne(session);
    session.clock.now = after(NOW, ANSWERED_MS);
    await session.dm.record([{ attempt_id: attempt, outcome: 'unknown' }]);
    expect(await claim(session)).toEqual([]);
    return { lost, attempt, second };
  }

  it('leaves the call in flight until its lease ends: Unipile may be at work on it still', async () => {
    const { second } = await lose();
    await expectBlockedUntil(second, 'in_flight', after(NOW, LEASE_MS));
  });

  it('of a process that went away is noticed at the end of the lease, and not waited for again', async () => {
    const account = await openAccount(session, 1);
    const [, second = ''] = await queue(session, account, 2);
    await claimOne(session);
    session.clock.now = after(NOW, LEASE_MS + MINUTE_MS);
    expect((await claimOne(session)).message_id).toBe(second);
  });

  it('holds up no other account', async () => {
    await lose();
    const [theirs = ''] = await queue(session, await openAccount(session, 2));
    expect((await claimOne(session)).message_id).toBe(theirs);
  });

  interface Lost {
    readonly lost: string;
    readonly attempt: string;
  }
  const SENT = { outcome: 'sent', unipile_message_id: 'm1' } as const;
  const ENDS: ReadonlyArray<readonly [string, (lost: Lost) => Promise<void>]> = [
    [
      'it is found on LinkedIn',
      async ({ attempt }) => {
        session.clock.now = after(NOW, 2 * ANSWERED_MS);
        expect((await session.dm.unknowns(1)).items).toHaveLength(1);
        await session.dm.resolve([{ attempt_id: attempt, found: 'sent', unipile_message_id: 'm1' }], 'hold');
      },
    ],
    [
      'the answer comes late',
      async ({ attempt }) => {
        const [recorded] = await session.dm.record([{ attempt_id: attempt, ...SENT }]);
        expect(recorded?.applied).toBe('late');
      },
    ],
    ['a person says it was sent', async ({ lost }) => settle(lost, 'sent')],
  ];
  const settle = async (id: string, decision: string): Promise<void> => {
    expect(await act(session, 'settle', [id], { decision })).toMatchObject({ changed: 1 });
  };

  it.each(ENDS)('holds the account up no longer once %s', async (_end, settled) => {
    const { second, ...lost } = await lose();
    await settled(lost);
    const next = await claimOne(session);
    const isThere = (await rowOf(session, lost.lost)).status === 'sent';
    expect(next.message_id).toBe(isThere ? second : lost.lost);
  });

  it.each<readonly [string, (lost: Lost) => Promise<void>]>([
    ['a person gives it up', async ({ lost }) => settle(lost, 'drop')],
    [
      'a person says that it was not sent, which is not believed yet',
      async ({ lost }) => {
        expect(await act(session, 'settle', [lost], { decision: 'resend' })).toMatchObject({ changed: 0 });
      },
    ],
    [
      'it is not on LinkedIn yet',
      async ({ attempt }) => {
        session.clock.now = after(NOW, 2 * ANSWERED_MS);
        expect((await session.dm.unknowns(1)).items).toHaveLength(1);
        await session.dm.resolve([{ attempt_id: attempt, found: 'absent' }], 'resend-when-absent');
      },
    ],
    [
      'somebody says late that it was not sent, which is not believed',
      async ({ attempt }) => {
        await session.dm.record([{ attempt_id: attempt, outcome: 'not_sent', next_step: 'release' }]);
      },
    ],
  ])('holds it up all the same when %s', async (_event, happen) => {
    const { second, ...lost } = await lose();
    await happen(lost);
    await expectBlockedUntil(second, 'in_flight', after(NOW, LEASE_MS));
  });
});

/** The local days of zones where midnight is not simply midnight, and of some where it is. */
const DAYS = [
  { zone: 'UTC', sent: '2026-03-02T00:00:00Z', now: '2026-03-02T12:00:00Z', next: '2026-03-03T00:00:00Z' },
  {
    zone: 'UTC',
    sent: '2026-03-02T23:59:59.999Z',
    now: '2026-03-02T23:59:59.999Z',
    next: '2026-03-03T00:00:00Z',
  },
  {
    zone: 'Asia/Kathmandu',
    sent: '2026-03-02T12:00:00Z',
    now: '2026-03-02T18:14:00Z',
    next: '2026-03-02T18:15:00Z',
  },
  {
    zone: 'Pacific/Kiritimati',
    sent: '2026-03-01T10:00:00Z',
    now: '2026-03-02T09:59:00Z',
    next: '2026-03-02T10:00:00Z',
  },
  {
    zone: 'Pacific/Niue',
    sent: '2026-03-02T11:00:00Z',
    now: '2026-03-03T10:59:00Z',
    next: '2026-03-03T11:00:00Z',
  },
  // Midnight comes twice on the 2nd of November 2025: at 04:00 and, the clock set back, at 05:00.
  {
    zone: 'America/Havana',
    sent: '2025-11-01T20:00:00Z',
    now: '2025-11-01T21:00:00Z',
    next: '2025-11-02T04:00:00Z',
  },
  {
    zone: 'America/Havana',
    sent: '2025-11-02T04:30:00Z',
    now: '2025-11-02T05:30:00Z',
    next: '2025-11-03T05:00:00Z',
  },
  // The clock goes back from midnight to 23:00: the day before has that hour twice.
  {
    zone: 'America/Santiago',
    sent: '2026-04-04T20:00:00Z',
    now: '2026-04-05T03:30:00Z',
    next: '2026-04-05T04:00:00Z',
  },
  // No midnight: the day begins at 01:00.
  {
    zone: 'America/Santiago',
    sent: '2025-09-06T20:00:00Z',
    now: '2025-09-07T03:59:00Z',
    next: '2025-09-07T04:00:00Z',
  },
  {
    zone: 'Africa/Cairo',
    sent: '2026-04-23T12:00:00Z',
    now: '2026-04-23T21:59:00Z',
    next: '2026-04-23T22:00:00Z',
  },
  {
    zone: 'Asia/Beirut',
    sent: '2026-10-24T12:00:00Z',
    now: '2026-10-24T21:30:00Z',
    next: '2026-10-24T22:00:00Z',
  },
  {
    zone: 'Atlantic/Azores',
    sent: '2026-10-24T12:00:00Z',
    now: '2026-10-24T23:30:00Z',
    next: '2026-10-25T00:00:00Z',
  },
  // Half an hour of summer time.
  {
    zone: 'Australia/Lord_Howe',
    sent: '2026-04-04T12:00:00Z',
    now: '2026-04-04T12:59:00Z',
    next: '2026-04-04T13:00:00Z',
  },
  {
    zone: 'Australia/Lord_Howe',
    sent: '2026-04-04T14:00:00Z',
    now: '2026-04-05T13:00:00Z',
    next: '2026-04-05T13:30:00Z',
  },
];

describe('the day limit', () => {
  it.each(DAYS)(
    '$zone: after $sent, seen at $now, the next day begins at $next',
    async ({ zone, sent, now, next }) => {
      session.clock.now = at(now);
      const { account, id } = await first({ time_zone: zone, dms_per_day: 1 });
      await pastAttempt(session, account, at(sent));
      await expectBlockedUntil(id, 'day_limit', at(next));
    },
  );

  it('counts what is in flight, unknown and sent; not what was not sent', async () => {
    const { account, id } = await first({ dms_per_day: 3 });
    await pastAttempt(session, account, after(NOW, -3000), 'sent');
    await pastAttempt(session, account, after(NOW, -2000), 'unknown');
    await pastAttempt(session, account, after(NOW, -1000), 'not_sent');
    expect(await reasonOf(session, id)).toBe('ready');
    await pastAttempt(session, account, after(NOW, -1000), 'unknown');
    expect(await reasonOf(session, id)).toBe('day_limit');
  });

  it('an attempt whose effect may come after midnight counts for the new day', async () => {
    session.clock.now = at('2026-03-02T23:59:30Z');
    const account = await openAccount(session, 1, { dms_per_day: 1 });
    const [, second = ''] = await queue(session, account, 2);
    const claimed = await claimOne(session);
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'unknown' }]);
    await expectBlockedUntil(second, 'day_limit', at('2026-03-04T00:00:00Z'));
  });

  it('a limit that rises overnight is looked at again at midnight', async () => {
    session.clock.now = at('2026-03-02T23:59:30Z');
    const account = await openAccount(session, 1, { dms_per_day: 7, warm_up_from: '2026-03-01' });
    const [, second = ''] = await queue(session, account, 2);
    const claimed = await claimOne(session);
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'unknown' }]);
    // One on the 2nd, two on the 3rd: what may still come after midnight leaves room for one.
    // That day begins while it may still be under way. Were only the 4th asked, that would be named.
    await expectBlockedUntil(second, 'in_flight', at('2026-03-03T00:01:30Z'));
  });

  /** The specified shares, in whole numbers: (26 + 8 × day) / 130 of 20, and of 13. */
  it.each([
    [-1, 4, 2],
    [0, 4, 2],
    [1, 5, 3],
    [2, 6, 4],
    [3, 7, 5],
    [4, 8, 5],
    [5, 10, 6],
    [6, 11, 7],
    [7, 12, 8],
    [8, 13, 9],
    [9, 15, 9],
    [10, 16, 10],
    [11, 17, 11],
    [12, 18, 12],
    [13, 20, 13],
    [14, 20, 13],
    [400, 20, 13],
  ])('warm-up day %i: %i of 20 a day, %i of 13', async (day, of20, of13) => {
    const { account, id } = await first({
      warm_up_from: after(NOW, -day * DAY_MS)
        .toISOString()
        .slice(0, 10),
    });
    for (const [perDay, limit] of [
      [20, of20],
      [13, of13],
    ] as const) {
      await session.rpc.call('account_policy_set', { account_id: account, patch: { dms_per_day: perDay } });
      await session.query('delete from dm_attempts', []);
      for (let sent = 1; sent < limit; sent += 1)
        await pastAttempt(session, account, after(NOW, -sent * 1000));
      expect(await reasonOf(session, id)).toBe('ready');
      await pastAttempt(session, account, NOW);
      expect(await reasonOf(session, id)).toBe('day_limit');
    }
  });

  it('a warm-up never forbids everything', async () => {
    const { id } = await first({ dms_per_day: 1, warm_up_from: '2026-03-02' });
    expect(await reasonOf(session, id)).toBe('ready');
  });
});

describe('the rolling limits', () => {
  it.each([
    { reason: 'rolling_24h_limit', policy: { dms_per_24h: 2 }, period: DAY_MS },
    { reason: 'rolling_7d_limit', policy: { dms_per_7d: 2 }, period: 7 * DAY_MS },
  ])(
    '$reason: free again exactly when the oldest that counts has left',
    async ({ reason, policy, period }) => {
      const { account, id } = await first(policy);
      const oldest = after(NOW, -5 * HOUR_MS);
      await pastAttempt(session, account, after(oldest, -HOUR_MS), 'not_sent');
      await pastAttempt(session, account, oldest, 'unknown');
      await pastAttempt(session, account, after(NOW, -HOUR_MS));
      await expectBlockedUntil(id, reason, after(oldest, period));
    },
  );

  it('are free again at once when an attempt turns out not to have been sent', async () => {
    const account = await openAccount(session, 1, { dms_per_24h: 1 });
    const [, second = ''] = await queue(session, account, 2);
    const claimed = await claimOne(session);
    await session.dm.record([
      { attempt_id: claimed.attempt_id, outcome: 'not_sent', next_step: 'fail', reason: 'rejected' },
    ]);
    expect((await claimOne(session)).message_id).toBe(second);
  });
});

describe('the gap', () => {
  const { stringify } = JSON;
  it('is drawn between gap_min_s and gap_max_s, and kept from claim to claim', async () => {
    const gaps: number[] = [];
    for (const draw of [0, 0.25, 0.5, 0.75, 0.999999]) {
      await session.reset();
      session.clock.now = NOW;
      const account = await openAccount(session, 1, { gap_min_s: 60, gap_max_s: 180 });
      const [, second = ''] = await queue(session, account, 2);
      const claimed = await claimOne(session, { draw });
      await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent' }]);
      const explained = await session.dm.explain(second);
      expect(explained?.reason).toBe('gap');
      gaps.push((Date.parse(explained?.can_go_at ?? '') - NOW.getTime()) / 1000);
    }
    for (const gap of gaps) expect(gap >= 60 && gap <= 180, stringify(gaps)).toBe(true);
    // One turn of the circle: five draws, a quarter of the range apart.
    const sorted = gaps.slice(0, 4).sort((a, b) => a - b);
    for (const [index, gap] of sorted.slice(1).entries())
      expect(gap - (sorted[index] ?? 0)).toBeCloseTo(30, 3);
    expect(Math.abs((gaps[4] ?? 0) - (gaps[0] ?? 0)) % 120).toBeCloseTo(0, 2);
  });

  it.each([0, 0.999])('without a range the draw %d changes nothing', async (draw) => {
    const account = await openAccount(session, 1, { gap_min_s: 60, gap_max_s: 60 });
    const [, second = ''] = await queue(session, account, 2);
    const claimed = await claimOne(session, { draw });
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent' }]);
    await expectBlockedUntil(second, 'gap', after(NOW, MINUTE_MS));
  });

  it('the shortest gap is kept from the end of a slow call too', async () => {
    const account = await openAccount(session, 1, { gap_min_s: 60, gap_max_s: 60 });
    const [, second = ''] = await queue(session, account, 2);
    const claimed = await claimOne(session);
    session.clock.now = after(NOW, 50_000);
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent' }]);
    await expectBlockedUntil(second, 'gap', after(NOW, 110_000));
  });
});

/** [zone, window, work days, holidays, closed at, reason, opens at] */
const WINDOWS: ReadonlyArray<{
  name: string;
  policy: Partial<PolicyFields>;
  now: string;
  reason: string;
  opens: string;
}> = [
  {
    name: 'before it opens',
    policy: {},
    now: '2026-03-02T08:59:59.999Z',
    reason: 'outside_hours',
    opens: '2026-03-02T09:00:00Z',
  },
  {
    name: 'at its end, which is not part of it',
    policy: {},
    now: '2026-03-02T18:00:00Z',
    reason: 'outside_hours',
    opens: '2026-03-03T09:00:00Z',
  },
  {
    name: 'Friday evening',
    policy: {},
    now: '2026-03-06T18:00:00Z',
    reason: 'outside_hours',
    opens: '2026-03-09T09:00:00Z',
  },
  {
    name: 'Saturday',
    policy: {},
    now: '2026-03-07T12:00:00Z',
    reason: 'day_off',
    opens: '2026-03-09T09:00:00Z',
  },
  {
    name: 'a holiday',
    policy: { holidays: ['2026-03-02', '2026-03-03'] },
    now: '2026-03-02T12:00:00Z',
    reason: 'day_off',
    opens: '2026-03-04T09:00:00Z',
  },
  {
    name: 'one work day a week',
    policy: { work_days: [3] },
    now: '2026-03-04T18:00:00Z',
    reason: 'outside_hours',
    opens: '2026-03-11T09:00:00Z',
  },
  {
    name: 'the day off is the account’s own',
    policy: { time_zone: 'Pacific/Kiritimati' },
    now: '2026-03-06T12:00:00Z',
    reason: 'day_off',
    opens: '2026-03-08T19:00:00Z',
  },
  {
    name: 'to 24:00, over the weekend',
    policy: { window_end: '24:00' },
    now: '2026-03-07T00:00:00Z',
    reason: 'day_off',
    opens: '2026-03-09T09:00:00Z',
  },
  {
    name: 'a zone of 45 minutes',
    policy: { time_zone: 'Asia/Kathmandu' },
    now: '2026-03-02T03:14:00Z',
    reason: 'outside_hours',
    opens: '2026-03-02T03:15:00Z',
  },
  // Berlin, 29 March 2026: 02:00 becomes 03:00. The window begins in the hour that is not there.
  {
    name: 'a start that the clock skips',
    policy: { time_zone: 'Europe/Berlin', window_start: '02:30', work_days: [7] },
    now: '2026-03-29T00:59:00Z',
    reason: 'outside_hours',
    opens: '2026-03-29T01:00:00Z',
  },
  {
    name: 'a whole window that the clock skips',
    policy: { time_zone: 'Europe/Berlin', window_start: '02:00', window_end: '03:00', work_days: [7] },
    now: '2026-03-29T00:59:00Z',
    reason: 'outside_hours',
    opens: '2026-04-05T00:00:00Z',
  },
  // Berlin, 25 October 2026: 03:00 becomes 02:00. 02:30 comes twice.
  {
    name: 'a start that comes twice, before the first',
    policy: { time_zone: 'Europe/Berlin', window_start: '02:30', window_end: '03:00', work_days: [7] },
    now: '2026-10-25T00:00:00Z',
    reason: 'outside_hours',
    opens: '2026-10-25T00:30:00Z',
  },
  {
    name: 'a start that comes twice, between',
    policy: { time_zone: 'Europe/Berlin', window_start: '02:30', window_end: '03:00', work_days: [7] },
    now: '2026-10-25T01:00:00Z',
    reason: 'outside_hours',
    opens: '2026-10-25T01:30:00Z',
  },
  {
    name: 'a start that comes twice and is on no quarter',
    policy: { time_zone: 'Europe/Berlin', window_start: '02:37', work_days: [7] },
    now: '2026-10-25T00:00:00Z',
    reason: 'outside_hours',
    opens: '2026-10-25T00:37:00Z',
  },
  {
    name: 'half an hour comes twice',
    policy: { time_zone: 'Australia/Lord_Howe', window_start: '01:40', window_end: '02:00', work_days: [7] },
    now: '2026-04-04T14:00:00Z',
    reason: 'outside_hours',
    opens: '2026-04-04T14:40:00Z',
  },
  {
    name: 'half an hour comes twice, between',
    policy: { time_zone: 'Australia/Lord_Howe', window_start: '01:40', window_end: '02:00', work_days: [7] },
    now: '2026-04-04T15:00:00Z',
    reason: 'outside_hours',
    opens: '2026-04-04T15:10:00Z',
  },
  {
    name: 'two hours come twice',
    policy: { time_zone: 'Antarctica/Troll', window_start: '01:37', work_days: [7] },
    now: '2026-10-24T23:00:00Z',
    reason: 'outside_hours',
    opens: '2026-10-24T23:37:00Z',
  },
  {
    name: 'the day after a clock change, between two quarters of an hour',
    policy: {
      time_zone: 'Atlantic/Azores',
      window_start: '00:08',
      window_end: '01:38',
      work_days: [1, 2, 3, 4, 5, 6, 7],
    },
    now: '2025-03-30T11:03:00Z',
    reason: 'outside_hours',
    opens: '2025-03-31T00:08:00Z',
  },
  {
    name: 'a day without midnight',
    policy: { time_zone: 'America/Santiago', window_start: '00:00', work_days: [7] },
    now: '2025-09-07T03:59:00Z',
    reason: 'day_off',
    opens: '2025-09-07T04:00:00Z',
  },
  {
    name: 'a day with two midnights',
    policy: { time_zone: 'America/Havana', window_start: '00:00', window_end: '00:30', work_days: [7] },
    now: '2025-11-02T04:30:00Z',
    reason: 'outside_hours',
    opens: '2025-11-02T05:00:00Z',
  },
];

describe('the window', () => {
  const OFFICE: Partial<PolicyFields> = {
    window_start: '09:00',
    window_end: '18:00',
    work_days: [1, 2, 3, 4, 5],
  };
  it.each(WINDOWS)('$name', async ({ policy, now, reason, opens }) => {
    session.clock.now = at(now);
    const { id } = await first({ ...OFFICE, ...policy });
    await expectBlockedUntil(id, reason, at(opens));
  });

  it.each(['2026-03-02T09:00:00Z', '2026-03-02T17:59:59.999Z'])('is open at %s', async (now) => {
    session.clock.now = at(now);
    await first(OFFICE);
    expect(await claim(session)).toHaveLength(1);
  });

  it('to 24:00 is open to the last millisecond of the day', async () => {
    session.clock.now = at('2026-03-02T23:59:59.999Z');
    await first({ ...OFFICE, window_end: '24:00' });
    expect(await claim(session)).toHaveLength(1);
  });

  it('is found beyond more than a year of holidays', async () => {
    const mondays = Array.from({ length: 90 }, (_, week) =>
      after(NOW, week * 7 * DAY_MS)
        .toISOString()
        .slice(0, 10),
    );
    const { id } = await first({ ...OFFICE, work_days: [1], holidays: mondays });
    const explained = await session.dm.explain(id);
    expect(new Date(explained?.can_go_at ?? 0)).toEqual(after(at('2026-03-02T09:00:00Z'), 90 * 7 * DAY_MS));
  });

  it('whatever else blocks, the instant named is inside the window', async () => {
    const { account, id } = await first(OFFICE);
    const until = at('2026-03-06T19:00:00Z');
    await session.rpc.call('account_pause', {
      account_id: account,
      reason: 'away',
      until: until.toISOString(),
    });
    await expectBlockedUntil(id, 'paused', at('2026-03-09T09:00:00Z'));
  });
});

describe('a message’s own time', () => {
  it('scheduled for the future', async () => {
    const account = await openAccount(session, 1);
    const sendAt = after(NOW, 3 * HOUR_MS);
    const [id = ''] = await queue(session, account, 1, { send_at: sendAt.toISOString() });
    await expectBlockedUntil(id, 'scheduled', sendAt);
  });

  it('scheduled for a closed hour waits for the window', async () => {
    const account = await openAccount(session, 1, { window_end: '18:00', window_start: '09:00' });
    const [id = ''] = await queue(session, account, 1, { send_at: '2026-03-02T20:00:00Z' });
    expect(await session.dm.explain(id)).toMatchObject({ reason: 'scheduled' });
    session.clock.now = at('2026-03-02T20:00:00Z');
    await expectBlockedUntil(id, 'outside_hours', at('2026-03-03T09:00:00Z'));
  });

  it('not_before holds it back like send_at, the later of the two', async () => {
    const account = await openAccount(session, 1);
    const [id = ''] = await queue(session, account, 1);
    const notBefore = after(NOW, HOUR_MS);
    await session.query(`update dm_queue set not_before = $2 where id = $1`, [id, notBefore.toISOString()]);
    await expectBlockedUntil(id, 'retry_later', notBefore);
  });
});

describe('a policy', () => {
  it('that is relaxed lets a message go at once', async () => {
    const account = await openAccount(session, 1, { dms_per_day: 1 });
    await queue(session, account, 2);
    await send(session);
    expect(await claim(session)).toEqual([]);
    await session.rpc.call('account_policy_set', { account_id: account, patch: { dms_per_day: 2 } });
    expect(await claim(session)).toHaveLength(1);
  });

  const DAYS = 'must be a list of 1 to 7 days of the week, from 1 (Monday) to 7';
  const HOLIDAYS = 'must be a list of at most 400 days, such as 2026-12-25';
  const SECONDS = 'must be a whole number of seconds from 0 to 86400';
  const UP_TO_50 = 'must be a whole number from 1 to 50';
  const TIME = 'must be a time of the day, such as 09:00; 24:00 is its end';
  const ZONE = 'must be the name of a place, such as Europe/Berlin, or UTC';
  const MIDNIGHT = 'a window over midnight is not possible';

  it.each([
    { patch: { dms_per_day: 0 }, field: 'dms_per_day', rule: UP_TO_50 },
    { patch: { dms_per_day: 51 }, field: 'dms_per_day', rule: UP_TO_50 },
    { patch: { dms_per_day: null }, field: 'dms_per_day', rule: UP_TO_50 },
    { patch: { dms_per_day: 'many' }, field: 'dms_per_day', rule: UP_TO_50 },
    { patch: { dms_per_day: 1.5 }, field: 'dms_per_day', rule: UP_TO_50 },
    { patch: { dms_per_day: 3_000_000_000 }, field: 'dms_per_day', rule: UP_TO_50 },
    { patch: { dms_per_24h: 51 }, field: 'dms_per_24h', rule: UP_TO_50 },
    { patch: { dms_per_7d: 351 }, field: 'dms_per_7d', rule: 'must be a whole number from 1 to 350' },
    { patch: { gap_min_s: -1 }, field: 'gap_min_s', rule: SECONDS },
    { patch: { gap_max_s: 86_401 }, field: 'gap_max_s', rule: SECONDS },
    { patch: { post_gap_s: 86_401 }, field: 'post_gap_s', rule: SECONDS },
    { patch: { post_gap_s: null }, field: 'post_gap_s', rule: SECONDS },
    { patch: { gap_min_s: 10, gap_max_s: 9 }, field: 'gap_max_s', rule: 'must not be below gap_min_s (10)' },
    { patch: { gap_min_s: 10 }, field: 'gap_min_s', rule: 'must not be above gap_max_s (0)' },
    {
      patch: { window_start: '18:00', window_end: '18:00' },
      field: 'window_end',
      rule: `must be after window_start (18:00): ${MIDNIGHT}`,
    },
    {
      patch: { window_start: '22:00', window_end: '06:00' },
      field: 'window_end',
      rule: `must be after window_start (22:00): ${MIDNIGHT}`,
    },
    {
      patch: { window_start: '24:00' },
      field: 'window_start',
      rule: `must be before window_end (24:00): ${MIDNIGHT}`,
    },
    { patch: { window_end: '25:00' }, field: 'window_end', rule: TIME },
    { patch: { window_start: null }, field: 'window_start', rule: TIME },
    { patch: { work_days: [] }, field: 'work_days', rule: DAYS },
    { patch: { work_days: [0] }, field: 'work_days', rule: DAYS },
    { patch: { work_days: [1, 8] }, field: 'work_days', rule: DAYS },
    { patch: { work_days: [1, null] }, field: 'work_days', rule: DAYS },
    { patch: { work_days: [[1], [2]] }, field: 'work_days', rule: DAYS },
    { patch: { work_days: 'all' }, field: 'work_days', rule: DAYS },
    { patch: { work_days: null }, field: 'work_days', rule: DAYS },
    { patch: { holidays: ['2026-02-30'] }, field: 'holidays', rule: HOLIDAYS },
    { patch: { holidays: ['0000-01-01'] }, field: 'holidays', rule: HOLIDAYS },
    { patch: { holidays: ['infinity'] }, field: 'holidays', rule: HOLIDAYS },
    { patch: { holidays: [null] }, field: 'holidays', rule: HOLIDAYS },
    { patch: { holidays: [['2026-12-25']] }, field: 'holidays', rule: HOLIDAYS },
    { patch: { holidays: Array(401).fill('2026-12-25') }, field: 'holidays', rule: HOLIDAYS },
    // Days before it could not be counted, and every claim of its account would fail.
    {
      patch: { warm_up_from: 'infinity' },
      field: 'warm_up_from',
      rule: 'must be a day, such as 2026-12-25, or null',
    },
    {
      patch: { warm_up_from: '0000-01-01' },
      field: 'warm_up_from',
      rule: 'must be a day, such as 2026-12-25, or null',
    },
    { patch: { time_zone: null }, field: 'time_zone', rule: ZONE },
    { patch: { time_zone: 'A'.repeat(65) }, field: 'time_zone', rule: ZONE },
  ])('$patch is refused by its field and its rule: $field $rule', async ({ patch, field, rule }) => {
    const account = await openAccount(session, 1);
    const before = await policyOf(session, account);
    const set = session.rpc.call('account_policy_set', { account_id: account, patch });
    await expect(set).rejects.toMatchObject({
      kind: 'rule',
      code: 'AC004',
      message: `account_policy_set: ${field} ${rule}`,
      detail: expect.stringContaining(`"${field}"`),
    });
    expect(await policyOf(session, account)).toEqual(before);
  });

  it.each([
    { patch: { time_zone: 'Mars/Olympus' }, code: 'AC001' },
    { patch: { time_zone: '+02:00' }, code: 'AC001' },
    { patch: { time_zone: '' }, code: 'AC001' },
    ...[
      'IST',
      'ist',
      'BST',
      'PST',
      'EST',
      'CST',
      'GMT',
      'utc',
      'Z',
      'UTC+2',
      'EST5EDT',
      'Japan',
      'Singapore',
      'Berlin',
      'localtime',
    ].map((time_zone) => ({ patch: { time_zone }, code: 'AC001' })),
    ...[
      'europe/berlin',
      'Europe/Berlin ',
      'Foo/Bar3',
      'posix/Europe/Berlin',
      'Europe/',
      '/UTC',
      'Europe/Berlin/',
    ].map((time_zone) => ({
      patch: { time_zone },
      code: 'AC001',
    })),
    { patch: { no_repeat_days: -1 }, code: 'AC004' },
    { patch: { no_repeat_days: 91 }, code: 'AC004' },
    { patch: { no_repeat_days: null }, code: 'AC004' },
    { patch: { paused_until: 'infinity' }, code: 'AC003' },
    { patch: { next_claim_at: 'infinity' }, code: 'AC003' },
    { patch: { nonsense: 1 }, code: 'AC003' },
    { patch: [], code: 'AC003' },
    { patch: null, code: 'AC003' },
  ])('$patch is refused: $code', async ({ patch, code }) => {
    const account = await openAccount(session, 1);
    const before = await policyOf(session, account);
    await expect(
      session.rpc.call('account_policy_set', { account_id: account, patch }),
    ).rejects.toMatchObject({
      kind: 'rule',
      code,
    });
    expect(await policyOf(session, account)).toEqual(before);
  });

  it('is bounded for plain SQL too, by rules whose names say what they are', async () => {
    const account = await openAccount(session, 1);
    const write = (assignment: string) =>
      session.query(`update account_policies set ${assignment} where account_id = $1`, [account]);
    await expect(write(`window_start = '22:00', window_end = '06:00'`)).rejects.toThrow(
      'window_start_before_window_end',
    );
    await expect(write('gap_min_s = 2, gap_max_s = 1')).rejects.toThrow('gap_min_s_up_to_gap_max_s');
    await expect(write(`warm_up_from = 'infinity'`)).rejects.toThrow('warm_up_from_is_a_day');
  });

  it.each(['Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5', 'UTC', 'America/Port-au-Prince'])(
    'knows the zone %s',
    async (zone) => {
      const account = await openAccount(session, 1, { time_zone: zone });
      expect((await policyOf(session, account)).time_zone).toBe(zone);
    },
  );

  it.each([
    ['IST', /Asia\/Kolkata, Europe\/Dublin, Asia\/Jerusalem/],
    ['BST', /Europe\/London/],
    ['pdt', /America\/Los_Angeles/],
    ['CEST', /Europe\/Paris, Europe\/Berlin/],
    ['europe/berlin', /near it: Europe\/Berlin/],
    ['Berlin', /near it: Europe\/Berlin/],
    ['New York', /near it: America\/New_York/],
    ['Europe/Berln', /near it: .*Europe\/Berlin/],
    ['Asia/Calcuta', /Asia\/Calcutta/],
    ['Japan', /Asia\/Tokyo/],
    ['nowhere', /UTC$/],
  ])('for the zone %s it names some that are near', async (time_zone, near) => {
    const account = await openAccount(session, 1);
    await expect(
      session.rpc.call('account_policy_set', { account_id: account, patch: { time_zone } }),
    ).rejects.toMatchObject({ code: 'AC001', message: expect.stringMatching(near) });
  });

  it('a zone that is written into the table is looked at the same way', async () => {
    const account = await openAccount(session, 1);
    const update = session.query(`update account_policies set time_zone = 'IST' where account_id = $1`, [
      account,
    ]);
    expect(await refusal(update)).toEqual({ code: 'AC001', field: 'time_zone' });
    const insert = session.query(
      `insert into account_policies (account_id, time_zone) values (gen_random_uuid(), 'EST')`,
      [],
    );
    expect(await refusal(insert)).toEqual({ code: 'AC001', field: 'time_zone' });
  });

  it('AC002: of no account', async () => {
    await expect(
      session.rpc.call('account_policy_set', { account_id: accountId(9), patch: {} }),
    ).rejects.toMatchObject({ code: 'AC002' });
  });
});

describe('dm_claim', () => {
  it.each([
    { limit: 0 },
    { limit: 1001 },
    { limit: null },
    { lease_ms: 999 },
    { lease_ms: 3_600_001 },
    { lease_ms: null },
    { draw: -0.001 },
    { draw: 1 },
    { draw: null },
    { worker: '' },
    { worker: 'w'.repeat(201) },
    { worker: null },
  ])('DM030: %j', async (over) => {
    await first();
    const call = session.rpc.call('dm_claim', { worker: 'w', limit: 1, lease_ms: 1000, draw: 0, ...over });
    await expect(call).rejects.toMatchObject({ kind: 'rule', code: 'DM030' });
  });

  it('gives all that a sender needs, and writes the ledger first', async () => {
    const { account, id } = await first();
    const claimId = crypto.randomUUID();
    const answer = await session.dm.claim({ claimId, worker: 'w', limit: 1, leaseMs: LEASE_MS, draw: 0 });
    expect(answer.items).toEqual([
      {
        attempt_id: expect.any(String),
        message_id: id,
        account_id: account,
        unipile_account_id: 'unipile-1',
        recipient_id: 'ACoAA1',
        chat_id: null,
        message: 'Hello',
        attempts: 0,
        was_unknown_since: null,
        known_message_ids: [],
        lease_until: expect.any(String),
      },
    ]);
    expect(new Date(answer.next_claim_at ?? 0)).toEqual(after(NOW, LEASE_MS));
    const ledger = await session.query('select * from dm_attempts', []);
    expect(ledger).toEqual([
      expect.objectContaining({
        id: answer.items[0]?.attempt_id,
        message_id: id,
        account_id: account,
        claim_id: claimId,
        worker: 'w',
        started_at: NOW,
        lease_until: after(NOW, LEASE_MS),
        effect_by: after(NOW, LEASE_MS),
        finished_at: null,
        outcome: null,
      }),
    ]);
  });

  it('never gives more than its limit', async () => {
    for (let n = 1; n <= 5; n += 1) await queue(session, await openAccount(session, n), 1);
    expect(await claim(session, { limit: 2 })).toHaveLength(2);
    expect(await claim(session, { limit: 2 })).toHaveLength(2);
    expect(await claim(session, { limit: 2 })).toHaveLength(1);
    expect(await claim(session, { limit: 2 })).toHaveLength(0);
  });

  it('one account never holds up another: blocked ones are moved on', async () => {
    const accounts: string[] = [];
    for (let n = 1; n <= 40; n += 1) {
      const account = await openAccount(session, n, n <= 39 ? { holidays: ['2026-03-02'] } : {});
      await queue(session, account, 3);
      accounts.push(account);
    }
    expect((await claim(session, { limit: 1 })).map((claimed) => claimed.account_id)).toEqual([accounts[39]]);
  });

  it('says when to look again, to the instant', async () => {
    const account = await openAccount(session, 1, { holidays: ['2026-03-02'] });
    await queue(session, account, 1);
    const look = () =>
      session.dm.claim({ claimId: crypto.randomUUID(), worker: 'w', limit: 1, leaseMs: LEASE_MS, draw: 0 });
    expect(new Date((await look()).next_claim_at ?? 0)).toEqual(at('2026-03-03T00:00:00Z'));
    await session.query(`update dm_queue set send_at = '2026-03-05T10:00:00Z'`, []);
    session.clock.now = at('2026-03-03T00:00:00Z');
    expect(new Date((await look()).next_claim_at ?? 0)).toEqual(at('2026-03-05T10:00:00Z'));
    await session.query(`delete from dm_queue`, []);
    session.clock.now = at('2026-03-05T10:00:00Z');
    expect((await look()).next_claim_at).toBeNull();
  });
});
