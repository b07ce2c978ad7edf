/** The rollup: which day, which column, which client; and what is made of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountId,
  after,
  at,
  claimOne,
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  openAccount,
  type PolicyFields,
  queue,
  refusal,
  send,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import {
  insertDmAttempts,
  insertMessages,
  insertPostAttempts,
  insertPosts,
  insertPublications,
  type RawDmAttempt,
  type RawMessage,
} from '../support/raw-rows.ts';

const NOW = at('2026-03-02T10:00:00Z');
const TODAY = '2026-03-02';
let session: Session;
let account: string;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
  await session.asOwner('drop table if exists public.campaigns, public.users', []);
  account = await openAccount(session, 1);
});

type Json = Readonly<Record<string, unknown>>;
const refresh = (from: string, to = from): Promise<{ days: number; rows: number }> =>
  session.rpc.call('analytics_refresh', { from, to });
const rows = async (): Promise<Json[]> =>
  (
    await session.query(
      `select to_jsonb(daily) as row from analytics_daily as daily order by day, account_id, campaign_id nulls first`,
      [],
    )
  ).map(({ row }) => row as Json);
const days = async (count: string): Promise<Record<string, unknown>> =>
  Object.fromEntries((await rows()).filter((row) => row[count] !== 0).map((row) => [row.day, row[count]]));
const setPolicy = (patch: Partial<PolicyFields>): Promise<unknown> =>
  session.rpc.call('account_policy_set', { account_id: account, patch });

const CAMPAIGN = accountId(90);
const CLIENT = accountId(91);
const MESSAGE = accountId(50);

/** A message and its attempts, as if that had been so. */
async function past(message: Partial<RawMessage>, ...attempts: Partial<RawDmAttempt>[]): Promise<void> {
  const created = message.created_at ?? NOW.toISOString();
  const id = message.id ?? MESSAGE;
  await insertMessages(session, [
    {
      id,
      linkedin_account_id: account,
      campaign_id: null,
      status: 'sent',
      reason: null,
      send_at: created,
      created_at: created,
      ...message,
    },
  ]);
  for (const attempt of attempts) {
    const started = attempt.started_at ?? created;
    await insertDmAttempts(session, [
      {
        id: crypto.randomUUID(),
        message_id: id,
        account_id: account,
        started_at: started,
        outcome: 'sent',
        effect_by: started,
        ...attempt,
      },
    ]);
  }
}

describe('the day', () => {
  it.each([
    { zone: 'UTC', instant: '2026-03-01T23:59:59.999Z', day: '2026-03-01' },
    { zone: 'UTC', instant: '2026-03-02T00:00:00Z', day: '2026-03-02' },
    { zone: 'Pacific/Kiritimati', instant: '2026-03-01T10:00:00Z', day: '2026-03-02' },
    { zone: 'Pacific/Kiritimati', instant: '2026-03-01T09:59:59Z', day: '2026-03-01' },
    { zone: 'Etc/GMT+12', instant: '2026-03-03T11:59:59Z', day: '2026-03-02' },
    { zone: 'Etc/GMT+12', instant: '2026-03-03T12:00:00Z', day: '2026-03-03' },
    // The night on which Berlin's clocks go forward, and the one on which they go back.
    { zone: 'Europe/Berlin', instant: '2026-03-28T23:00:00Z', day: '2026-03-29' },
    { zone: 'Europe/Berlin', instant: '2026-03-29T21:59:59Z', day: '2026-03-29' },
    { zone: 'Europe/Berlin', instant: '2026-03-29T22:00:00Z', day: '2026-03-30' },
    { zone: 'Europe/Berlin', instant: '2026-10-25T22:59:59Z', day: '2026-10-25' },
    { zone: 'Europe/Berlin', instant: '2026-10-25T23:00:00Z', day: '2026-10-26' },
    // Midnight never came in Beirut, and came twice in Havana.
    { zone: 'Asia/Beirut', instant: '2026-03-28T22:00:00Z', day: '2026-03-29' },
    { zone: 'America/Havana', instant: '2026-11-01T04:30:00Z', day: '2026-11-01' },
    { zone: 'America/Havana', instant: '2026-11-01T05:30:00Z', day: '2026-11-01' },
  ])('$instant in $zone is $day', async ({ zone, instant, day }) => {
    await setPolicy({ time_zone: zone });
    await past({ created_at: instant }, {});
    await refresh('2026-01-01', '2026-12-31');
    const all = await rows();
    expect(all).toMatchObject([{ day, queued: 1, sent: 1, counted: 1 }]);
    // The day alone finds it too.
    await refresh(day);
    expect(await rows()).toEqual(all);
  });

  it('an account without a policy lives in UTC, and has no limit to show', async () => {
    await session.query('delete from account_policies', []);
    await past({ created_at: '2026-03-01T23:59:59Z' }, {});
    await refresh(TODAY);
    expect(await rows()).toEqual([]);
    await refresh('2026-03-01');
    expect(await rows()).toMatchObject([{ day: '2026-03-01', day_limit: null }]);
  });

  it('follows the zone of the policy as it is now, when it is recounted', async () => {
    await past({ created_at: '2026-03-02T23:30:00Z' }, {});
    await refresh('2026-03-01', '2026-03-04');
    await setPolicy({ time_zone: 'Europe/Berlin' });
    expect(await days('sent')).toEqual({ '2026-03-02': 1 });
    await refresh('2026-03-01', '2026-03-04');
    expect(await days('sent')).toEqual({ '2026-03-03': 1 });
  });

  it('each event has its own: queued, sent and counted on three', async () => {
    await past(
      { created_at: '2026-03-01T12:00:00Z' },
      { started_at: '2026-03-02T23:59:00Z', effect_by: '2026-03-03T00:00:30Z' },
    );
    await refresh('2026-03-01', '2026-03-03');
    expect([await days('queued'), await days('sent'), await days('counted')]).toEqual([
      { '2026-03-01': 1 },
      { '2026-03-02': 1 },
      { '2026-03-03': 1 },
    ]);
  });
});

describe('what is counted', () => {
  it('a message that went its way through the product', async () => {
    const [first = ''] = await queue(session, account, 2, { campaign_id: CAMPAIGN });
    session.clock.now = after(NOW, 90_500);
    await send(session);
    const { attempt_id } = await claimOne(session);
    await session.dm.record([
      { attempt_id, outcome: 'not_sent', next_step: 'fail', reason: 'rejected', error: 'Refused' },
    ]);
    await refresh(TODAY);
    expect(await rows()).toEqual([
      {
        day: TODAY,
        account_id: account,
        client_id: null,
        campaign_id: CAMPAIGN,
        queued: 2,
        sent: 1,
        failed: 1,
        failed_by_reason: { rejected: 1 },
        unknown: 0,
        posts_published: 0,
        posts_failed: 0,
        posts_missed: 0,
        lateness_s: [90],
        lateness_p50_s: 90,
        lateness_p95_s: 90,
        counted: 1,
        day_limit: 50,
        computed_at: expect.any(String),
      },
    ]);
    expect(first).not.toBe('');
  });

  it('what is in flight counts against the limit and as nothing else', async () => {
    await queue(session, account);
    await claimOne(session);
    await refresh(TODAY);
    expect(await rows()).toMatchObject([{ queued: 1, sent: 0, unknown: 0, counted: 1 }]);
  });

  it('a late event moves what was unknown to sent, on the day of the call', async () => {
    await queue(session, account);
    const { attempt_id } = await claimOne(session);
    await session.dm.record([{ attempt_id, outcome: 'unknown' }]);
    await refresh(TODAY);
    expect(await rows()).toMatchObject([{ sent: 0, unknown: 1, counted: 1 }]);
    session.clock.now = after(NOW, 2 * DAY_MS);
    await session.dm.record([{ attempt_id, outcome: 'sent', unipile_message_id: 'm' }]);
    await refresh(TODAY);
    expect(await rows()).toMatchObject([{ day: TODAY, sent: 1, unknown: 0 }]);
  });

  it('a message fails on the day of its last attempt, or on its own without any', async () => {
    await past(
      { created_at: '2026-03-01T10:00:00Z', status: 'failed', reason: 'retries_exhausted' },
      { outcome: 'not_sent', started_at: '2026-03-02T10:00:00Z' },
      { outcome: 'not_sent', started_at: '2026-03-03T10:00:00Z' },
    );
    await past({ id: accountId(51), created_at: '2026-03-01T10:00:00Z', status: 'failed', reason: null });
    await refresh('2026-03-01', '2026-03-03');
    expect(await days('failed')).toEqual({ '2026-03-01': 1, '2026-03-03': 1 });
    expect((await rows()).map((row) => row.failed_by_reason)).toEqual([
      { unspecified: 1 },
      { retries_exhausted: 1 },
    ]);
    expect(await days('counted')).toEqual({});
  });

  it('a deleted message leaves its attempt, which counts without a campaign and without a lateness', async () => {
    await past({ campaign_id: CAMPAIGN }, {});
    await refresh(TODAY);
    expect(await rows()).toMatchObject([{ campaign_id: CAMPAIGN, sent: 1, lateness_s: [0] }]);
    await session.query('delete from dm_queue', []);
    await refresh(TODAY);
    expect(await rows()).toMatchObject([
      { campaign_id: null, queued: 0, sent: 1, counted: 1, lateness_s: [], lateness_p50_s: null },
    ]);
  });

  it.each([
    { late: [], p50: null, p95: null },
    { late: [7], p50: 7, p95: 7 },
    { late: [1, 2], p50: 1, p95: 2 },
    { late: Array.from({ length: 20 }, (_, n) => n + 1), p50: 10, p95: 19 },
    { late: Array.from({ length: 21 }, (_, n) => n + 1), p50: 11, p95: 20 },
  ])('percentiles by nearest rank: $late → $p50, $p95', async ({ late, p50, p95 }) => {
    await past({ send_at: NOW.toISOString() });
    await insertDmAttempts(
      session,
      late.map((seconds) => ({
        id: crypto.randomUUID(),
        message_id: MESSAGE,
        account_id: account,
        started_at: after(NOW, seconds * 1000 + 999).toISOString(),
        outcome: 'sent' as const,
        effect_by: NOW.toISOString(),
      })),
    );
    await refresh(TODAY);
    expect(await rows()).toMatchObject([{ lateness_p50_s: p50, lateness_p95_s: p95 }]);
  });

  it('a time asked for that lies after the call, or at no time at all, is no lateness', async () => {
    await past({ send_at: after(NOW, HOUR_MS).toISOString() }, {});
    await past({ id: accountId(51), send_at: '-infinity' }, {});
    await past({ id: accountId(52), send_at: '0001-01-01T00:00:00Z' }, {});
    await refresh(TODAY);
    expect(await rows()).toMatchObject([{ sent: 3, lateness_s: [0, 2_147_483_647] }]);
  });

  it('posts: published, failed and missed, with their campaign', async () => {
    const post = (n: number, scheduledFor: string) => ({
      id: accountId(60 + n),
      linkedin_account_id: account,
      campaign_id: CAMPAIGN,
      status: 'scheduled' as const,
      scheduled_for: scheduledFor,
    });
    const [morning, missed] = ['2026-03-02T09:00:00Z', '2026-03-01T09:00:00Z'];
    await insertPosts(session, [
      post(1, morning),
      post(2, morning),
      post(3, missed),
      post(4, missed),
      post(5, missed),
    ]);
    const attempt = (n: number, outcome: 'sent' | 'not_sent', startedAt: string) => ({
      id: crypto.randomUUID(),
      post_id: accountId(60 + n),
      account_id: account,
      started_at: startedAt,
      outcome,
      effect_by: startedAt,
    });
    await insertPostAttempts(session, [
      attempt(1, 'sent', '2026-03-02T09:05:00Z'),
      attempt(2, 'not_sent', '2026-03-02T09:05:00Z'),
      attempt(2, 'not_sent', '2026-03-03T09:05:00Z'),
    ]);
    const publication = (
      n: number,
      state: 'published' | 'failed' | 'missed',
      missedFor: string | null = null,
    ) => ({
      post_id: accountId(60 + n),
      state,
      missed_for: missedFor,
      created_at: NOW.toISOString(),
    });
    await insertPublications(session, [
      publication(1, 'published'),
      publication(2, 'failed'),
      publication(3, 'missed', missed),
      // RevOS has put this one to another time.
      publication(4, 'missed', morning),
      publication(5, 'failed'),
    ]);
    await refresh('2026-03-01', '2026-03-03');
    expect(await days('posts_missed')).toEqual({ '2026-03-01': 1 });
    expect(await days('posts_published')).toEqual({ '2026-03-02': 1 });
    expect(await days('posts_failed')).toEqual({ '2026-03-02': 1, '2026-03-03': 1 });
    expect((await rows()).find((row) => row.posts_published === 1)).toMatchObject({
      campaign_id: CAMPAIGN,
      lateness_s: [300],
      counted: 0,
    });
  });

  it('the limit of each day is that of the gate, with the warm-up', async () => {
    await setPolicy({ dms_per_day: 20, warm_up_from: '2026-03-01', time_zone: 'Pacific/Auckland' });
    for (const [n, day] of ['2026-02-27', '2026-03-01', '2026-03-08', '2026-03-20'].entries())
      await past({ id: accountId(50 + n), created_at: `${day}T00:00:00Z` }, {});
    await refresh('2026-02-27', '2026-03-20');
    expect((await rows()).map((row) => row.day_limit)).toEqual([4, 4, 12, 20]);
  });
});

describe('the client', () => {
  const user = accountId(92);
  const createTables = async (campaigns: string, users: string): Promise<void> => {
    await session.asOwner(`create table public.campaigns (${campaigns})`, []);
    await session.asOwner(`create table public.users (${users})`, []);
    await session.asOwner('grant select on public.campaigns, public.users to service_role', []);
  };
  const clientOf = async (): Promise<unknown> => {
    await past({ campaign_id: CAMPAIGN }, {});
    await refresh(TODAY);
    return (await rows())[0]?.client_id;
  };

  it('nobody’s where RevOS has no such tables', async () => {
    expect(await clientOf()).toBeNull();
  });

  it('the campaign’s own', async () => {
    await createTables('id uuid, client_id uuid', 'id uuid, client_id uuid');
    await session.asOwner('insert into public.campaigns values ($1, $2)', [CAMPAIGN, CLIENT]);
    expect(await clientOf()).toBe(CLIENT);
  });

  it.each([
    { name: 'the campaign is not there', campaigns: 'id uuid, client_id uuid' },
    { name: 'campaigns have no client', campaigns: 'id uuid' },
    { name: 'campaigns name their client in another way', campaigns: 'id uuid, client_id text' },
  ])('that of the account’s user where $name', async ({ campaigns }) => {
    await createTables(campaigns, 'id uuid, client_id uuid');
    await session.asOwner('insert into public.users values ($1, $2)', [user, CLIENT]);
    await session.query('update linkedin_accounts set user_id = $1', [user]);
    expect(await clientOf()).toBe(CLIENT);
  });

  it('changes nothing of RevOS’s, and says so when it may not read it', async () => {
    await session.asOwner('create table public.campaigns (id uuid, client_id uuid)', []);
    await session.asOwner('revoke all on public.campaigns from service_role', []);
    await past({ campaign_id: CAMPAIGN }, {});
    await expect(refresh(TODAY)).rejects.toMatchObject({ code: '42501' });
  });
});

describe('analytics_refresh', () => {
  it('a rerun gives the same rows, and replaces what is not so any more', async () => {
    await past({ campaign_id: CAMPAIGN }, {});
    await past({ id: accountId(51), created_at: after(NOW, -DAY_MS).toISOString() }, {});
    expect(await refresh('2026-03-01', TODAY)).toEqual({ days: 2, rows: 2 });
    const before = await rows();
    expect(await refresh('2026-03-01', TODAY)).toEqual({ days: 2, rows: 2 });
    expect(await rows()).toEqual(before);

    await session.query('delete from dm_attempts', []);
    await session.query('delete from dm_queue', []);
    expect(await refresh(TODAY)).toEqual({ days: 1, rows: 0 });
    expect((await rows()).map((row) => row.day)).toEqual(['2026-03-01']);
  });

  it('AN001: no range of 1 to 400 days', async () => {
    expect((await refresh('2025-01-01', '2026-02-04')).days).toBe(400);
    for (const range of [
      { from: '2025-01-01', to: '2026-02-05' },
      { from: '2026-03-02', to: '2026-03-01' },
      { from: TODAY, to: 'infinity' },
      { from: TODAY, to: null },
    ])
      expect(await refusal(session.rpc.call('analytics_refresh', range))).toEqual({
        code: 'AN001',
        field: 'to',
      });
    expect(await refusal(session.rpc.call('analytics_refresh', { from: null, to: TODAY }))).toEqual({
      code: 'AN001',
      field: 'from',
    });
  });
});

describe('analytics_days', () => {
  const planned = async (args: object = {}, now = NOW): Promise<unknown> => {
    session.clock.now = now;
    return (await session.rpc.call<{ days: string[] }>('analytics_days', { ...args })).days;
  };

  it('three days at midnight; later the one too that has begun in the east', async () => {
    const three = ['2026-03-02', '2026-03-01', '2026-02-28'];
    expect(await planned({}, at('2026-03-02T00:00:00Z'))).toEqual(three);
    expect(await planned({}, at('2026-03-02T09:59:59Z'))).toEqual(three);
    expect(await planned({}, NOW)).toEqual(['2026-03-03', ...three]);
    expect(await planned({ days: 1 }, at('2026-03-02T00:00:00Z'))).toEqual(['2026-03-02']);
  });

  it('a range, through the present day where it has no end', async () => {
    expect(await planned({ from: '2026-02-27', to: '2026-02-28' })).toEqual(['2026-02-28', '2026-02-27']);
    expect(await planned({ from: TODAY })).toEqual(['2026-03-03', TODAY]);
  });

  it('by itself also the days of the last four weeks on which something is unknown', async () => {
    const unknownAt = (n: number, daysAgo: number) =>
      past(
        { id: accountId(n), created_at: after(NOW, -daysAgo * DAY_MS).toISOString() },
        { outcome: 'unknown' },
      );
    for (const [n, daysAgo] of [1, 28, 29].entries()) await unknownAt(50 + n, daysAgo);
    await refresh('2026-01-01', TODAY);
    expect(await planned()).toEqual(['2026-03-03', TODAY, '2026-03-01', '2026-02-28', '2026-02-02']);
    expect(await planned({ days: 1 })).toEqual(['2026-03-03', TODAY]);
  });

  it.each([
    { args: { days: 0 }, refused: { code: 'AN002', field: 'days' } },
    { args: { days: 401 }, refused: { code: 'AN002', field: 'days' } },
    { args: { days: 3, from: TODAY }, refused: { code: 'AN003', field: 'days' } },
    { args: { to: TODAY }, refused: { code: 'AN003', field: 'from' } },
    { args: { from: '2026-05-01' }, refused: { code: 'AN001', field: 'to' } },
  ])('refuses $args', async ({ args, refused }) => {
    expect(await refusal(session.rpc.call('analytics_days', args))).toEqual(refused);
  });
});

describe('what is made of the rollup', () => {
  /** Two accounts, two days: the first account used up its limit of one on the second day. */
  beforeEach(async () => {
    await openAccount(session, 2, { dms_per_day: 10 });
    await setPolicy({ dms_per_day: 1 });
    const yesterday = after(NOW, -DAY_MS).toISOString();
    await past(
      { id: accountId(50), campaign_id: CAMPAIGN },
      { started_at: after(NOW, MINUTE_MS).toISOString() },
    );
    await past({ id: accountId(51), created_at: yesterday, status: 'failed', reason: 'rejected' });
    for (const n of [52, 53, 54]) {
      const started = after(NOW, (n - 51) * HOUR_MS).toISOString();
      await past(
        { id: accountId(n), linkedin_account_id: accountId(2) },
        { account_id: accountId(2), started_at: started, effect_by: started },
      );
    }
    await refresh('2026-03-01', TODAY);
  });

  it('the platform’s days, every one of them, and their totals', async () => {
    await session.rpc.call('analytics_views_refresh');
    const platform = await session.rpc.call<Json & { days: Json[] }>('analytics_platform', { days: 3 });
    expect(platform).toMatchObject({ from: '2026-02-28', to: TODAY });
    expect(new Date(String(platform.as_of))).toEqual(NOW);
    expect(platform.days).toHaveLength(3);
    expect(platform.days).toMatchObject([
      { day: '2026-02-28', queued: 0, sent: 0, accounts_active: 0, lateness_p50_s: null, capacity: 0 },
      {
        day: '2026-03-01',
        queued: 1,
        failed: 1,
        failed_by_reason: { rejected: 1 },
        accounts_active: 0,
        capacity: 1,
      },
      {
        day: TODAY,
        queued: 4,
        sent: 4,
        counted: 4,
        capacity: 11,
        accounts_active: 2,
        accounts_at_cap: 1,
        lateness_p50_s: 3600,
        lateness_p95_s: 10_800,
      },
    ]);
    expect(platform.totals).toMatchObject({
      key: null,
      accounts: 2,
      queued: 5,
      sent: 4,
      failed: 1,
      counted: 4,
      capacity: 12,
      lateness_p50_s: 3600,
      lateness_p95_s: 10_800,
    });
  });

  it('the view says what the rollup said when it was refreshed', async () => {
    await session.rpc.call('analytics_views_refresh');
    await session.query('delete from analytics_daily', []);
    const sent = async () =>
      (await session.rpc.call<{ days: Json[] }>('analytics_platform', { days: 1 })).days[0]?.sent;
    expect(await sent()).toBe(4);
    await session.rpc.call('analytics_views_refresh');
    expect(await sent()).toBe(0);
    expect((await session.rpc.call<Json>('analytics_platform', { days: 1 })).totals).toMatchObject({
      sent: 0,
    });
  });

  it('a view that holds nothing yet is filled', async () => {
    await session.asOwner('refresh materialized view analytics_platform_daily with no data', []);
    await session.rpc.call('analytics_views_refresh');
    expect((await session.query('select sent from analytics_platform_daily where sent > 0', [])).length).toBe(
      1,
    );
  });

  it.each([
    { group_by: 'day', sent: { '2026-03-01': 0, [TODAY]: 4 } },
    { group_by: 'account', sent: { [accountId(2)]: 3, [accountId(1)]: 1 } },
    { group_by: 'campaign', sent: { null: 3, [CAMPAIGN]: 1 } },
    { group_by: 'client', sent: { null: 4 } },
    { group_by: 'none', sent: { null: 4 } },
  ])('sums by $group_by', async ({ group_by, sent }) => {
    const summary = await session.rpc.call<{ items: Json[] }>('analytics_summary', {
      from: '2026-03-01',
      to: TODAY,
      group_by,
    });
    expect(summary).toMatchObject({ from: '2026-03-01', to: TODAY, group_by, truncated: false });
    // In their order too.
    expect(summary.items.map((item) => [String(item.key), item.sent])).toEqual(Object.entries(sent));
  });

  it('a summary has 1,000 items at most, and says that there are more', async () => {
    await session.query(
      `insert into analytics_daily (day, account_id, queued, sent, failed, failed_by_reason, unknown, posts_published,
         posts_failed, posts_missed, lateness_s, counted, computed_at)
       select date '2026-01-01', gen_random_uuid(), 1, 1, 0, '{}', 0, 0, 0, 0, '{}', 0, now() from generate_series(1, $1::int)`,
      [1000],
    );
    const summary = (to: string) =>
      session.rpc.call<{ items: Json[]; truncated: boolean }>('analytics_summary', {
        from: '2026-01-01',
        to,
        group_by: 'account',
      });
    expect(await summary('2026-01-01')).toMatchObject({ truncated: false });
    const more = await summary(TODAY);
    expect([more.items.length, more.truncated]).toEqual([1000, true]);
  });

  it.each([
    {
      call: 'analytics_summary',
      args: { from: TODAY, to: TODAY, group_by: 'lead' },
      refused: { code: 'AN004', field: 'group_by' },
    },
    {
      call: 'analytics_summary',
      args: { from: TODAY, to: '2026-03-01' },
      refused: { code: 'AN001', field: 'to' },
    },
    { call: 'analytics_platform', args: { days: 401 }, refused: { code: 'AN002', field: 'days' } },
    {
      call: 'analytics_daily_list',
      args: { filter: { day: TODAY } },
      refused: { code: 'SE001', field: 'day' },
    },
    { call: 'analytics_daily_list', args: { limit: 201 }, refused: { code: 'SE002', field: 'limit' } },
    { call: 'analytics_daily_list', args: { after: 'x' }, refused: { code: 'SE003', field: 'cursor' } },
    { call: 'analytics_cache_put', args: { key: '', payload: {} }, refused: { code: 'AN005', field: 'key' } },
  ])('$call refuses $args', async ({ call, args, refused }) => {
    expect(await refusal(session.rpc.call(call, args))).toEqual(refused);
  });

  it('rows of the rollup, the latest day first, a page at a time', async () => {
    const list = (filter: object = {}, more: object = {}) =>
      session.rpc.call<{ items: Json[]; next_cursor: string | null }>('analytics_daily_list', {
        filter,
        ...more,
      });
    const whole = await list();
    expect(whole.items.map(({ day, account_id, sent }) => [day, account_id, sent])).toEqual([
      [TODAY, accountId(1), 1],
      [TODAY, accountId(2), 3],
      ['2026-03-01', accountId(1), 0],
    ]);
    expect(whole.items[0]).not.toHaveProperty('lateness_s');
    const pages: Json[] = [];
    for (let cursor: string | null | undefined; cursor !== null && pages.length < 10; ) {
      const page = await list({}, { limit: 1, after: cursor ?? null });
      pages.push(...page.items);
      cursor = page.next_cursor;
    }
    expect(pages).toEqual(whole.items);
    expect((await list({ from: TODAY, account_id: [accountId(2)] })).items).toHaveLength(1);
    expect((await list({ to: '2026-03-01' })).items).toHaveLength(1);
    expect((await list({ campaign_id: CAMPAIGN })).items).toHaveLength(1);
    expect((await list({ client_id: CLIENT })).items).toEqual([]);
  });
});

describe('the cache', () => {
  const get = (key: string) => session.rpc.call<Json | null>('analytics_cache_get', { key });
  const put = (key: string, payload: unknown) => session.rpc.call('analytics_cache_put', { key, payload });

  it('keeps the latest under each key', async () => {
    expect(await get('a')).toBeNull();
    await put('a', { n: 1 });
    session.clock.now = after(NOW, 1000);
    await put('a', { n: 2 });
    session.clock.now = NOW;
    await put('a', { n: 1 });
    const kept = await get('a');
    expect(kept?.payload).toEqual({ n: 2 });
    expect(new Date(String(kept?.computed_at))).toEqual(after(NOW, 1000));
  });

  it('drops what nobody has renewed for a week', async () => {
    await put('old', 1);
    session.clock.now = after(NOW, 7 * DAY_MS);
    await put('new', 1);
    expect(await get('old')).not.toBeNull();
    session.clock.now = after(NOW, 7 * DAY_MS + 1);
    await put('new', 1);
    expect([await get('old'), await get('new')]).toMatchObject([null, { payload: 1 }]);
  });
});
