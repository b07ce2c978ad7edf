/** What is deleted, when, and what stays. */
import { HISTORY_KINDS, type HistoryKind } from '@revos/core/analytics';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { accountId, after, at, DAY_MS, openAccount, queue, refusal, rowOf } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import {
  insertDmAttempts,
  insertMessages,
  insertPostAttempts,
  insertPosts,
  insertPublications,
  insertRows,
  type RawDmAttempt,
  type RawMessage,
} from '../support/raw-rows.ts';

const NOW = at('2026-06-02T10:00:00Z');
const JUST_UNDER_MS = 1_000;
let session: Session;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
});

const ago = (days: number, sparedMs = 0): string => after(NOW, -days * DAY_MS + sparedMs).toISOString();

/** A message that was last written so long ago. */
const message = (n: number, lastWritten: string, over: Partial<RawMessage> = {}): Promise<void> =>
  insertMessages(session, [
    {
      id: accountId(n),
      linkedin_account_id: accountId(1),
      campaign_id: null,
      status: 'sent',
      reason: null,
      send_at: lastWritten,
      created_at: lastWritten,
      ...over,
    },
  ]);

const attempt = (n: number, started: string, over: Partial<RawDmAttempt> = {}): Promise<void> =>
  insertDmAttempts(session, [
    {
      id: accountId(n),
      message_id: accountId(n),
      account_id: accountId(1),
      started_at: started,
      outcome: 'sent',
      effect_by: started,
      ...over,
    },
  ]);

interface Batch {
  readonly deleted: number;
  readonly after: unknown;
}
const deleteBatch = (kind: string, limit = 1_000, from: unknown = null): Promise<Batch> =>
  session.rpc.call('history_delete', { kind, limit, after: from });

/** Batch after batch, as the job does it; gives how many rows each deleted. */
async function deleteAll(kind: HistoryKind, limit = 1_000): Promise<number[]> {
  const counts: number[] = [];
  let from: unknown = null;
  do {
    const batch = await deleteBatch(kind, limit, from);
    counts.push(batch.deleted);
    from = batch.after;
  } while (from !== null);
  return counts;
}

const idsIn = async (table: string, key = 'id'): Promise<string[]> =>
  (await session.query(`select ${key} as id from ${table} order by ${key}`, [])).map(({ id }) => String(id));

describe('messages', () => {
  it.each(['sent', 'failed', 'cancelled'] as const)('%s go 30 days after they ended', async (status) => {
    await message(1, ago(30, -JUST_UNDER_MS), { status });
    await message(2, ago(30, JUST_UNDER_MS), { status });
    expect(await deleteAll('messages')).toEqual([1]);
    expect(await idsIn('dm_queue')).toEqual([accountId(2)]);
  });

  it.each(['pending', 'sending', 'unknown'] as const)('%s stay, however old', async (status) => {
    await message(1, ago(400), { status });
    expect(await deleteAll('messages')).toEqual([0]);
    expect(await idsIn('dm_queue')).toHaveLength(1);
  });

  it('go in batches, the longest ended first', async () => {
    for (const n of [1, 2, 3, 4, 5]) await message(n, ago(60 - n));
    expect((await deleteBatch('messages', 2)).deleted).toBe(2);
    expect(await idsIn('dm_queue')).toEqual([3, 4, 5].map(accountId));
    expect(await deleteAll('messages', 2)).toEqual([2, 1]);
  });

  it('leave their dedupe keys: what was sent months ago is not queued again', async () => {
    const account = await openAccount(session, 1);
    const [id] = await queue(session, account, 1, { dedupe_key: 'spring-1' });
    await session.asOwner('set session_replication_role = replica', []);
    await session.asOwner(`update dm_queue set status = 'sent', updated_at = $1`, [ago(31)]);
    await session.asOwner('reset session_replication_role', []);
    expect(await deleteAll('messages')).toEqual([1]);

    const again = await session.dm.enqueue([
      { linkedin_account_id: account, recipient_id: 'ACoAA1', message: 'Hello', dedupe_key: 'spring-1' },
      { linkedin_account_id: account, recipient_id: 'ACoAA2', message: 'Hello', dedupe_key: 'spring-2' },
    ]);
    expect(again).toMatchObject({
      enqueued: 1,
      existing: 1,
      messages: [
        { row: 0, id, is_new: false },
        { row: 1, is_new: true },
      ],
    });
    expect(await idsIn('dm_queue')).toEqual([again.messages[1]?.id]);
    expect(await rowOf(session, again.messages[1]?.id ?? '')).toMatchObject({ dedupe_key: 'spring-2' });
    // Nor by plain SQL.
    const inserted = session.query(
      `insert into dm_queue (linkedin_account_id, recipient_id, message, dedupe_key) values ($1, 'ACoAA1', 'Hello', 'spring-1')`,
      [account],
    );
    await expect(inserted).rejects.toMatchObject({ code: 'DM013' });
  });
});

describe('attempts at messages', () => {
  it('go after 90 days, of messages that are gone or have ended', async () => {
    await message(2, ago(1), { status: 'failed' });
    for (const n of [1, 2]) await attempt(n, ago(90, -JUST_UNDER_MS));
    await attempt(3, ago(90, JUST_UNDER_MS));
    expect(await deleteAll('message_attempts')).toEqual([2, 0]);
    expect(await idsIn('dm_attempts')).toEqual([accountId(3)]);
  });

  it.each(['pending', 'unknown'] as const)('stay while their message is %s', async (status) => {
    await message(1, ago(100), { status });
    await attempt(1, ago(100), { outcome: 'unknown' });
    expect(await deleteAll('message_attempts')).toEqual([0, 0]);
    expect(await idsIn('dm_attempts')).toHaveLength(1);
  });

  it('that stay do not keep the batches from what lies behind them', async () => {
    for (const n of [1, 2, 3]) {
      await message(n, ago(100), { status: 'pending' });
      await attempt(n, ago(100), { outcome: 'not_sent' });
    }
    for (const n of [4, 5]) await attempt(n, ago(99));
    expect(await deleteAll('message_attempts', 2)).toEqual([0, 1, 1, 0]);
    expect(await idsIn('dm_attempts')).toEqual([1, 2, 3].map(accountId));
  });
});

describe('attempts at posts', () => {
  it('go after 90 days, unless their post has not ended', async () => {
    for (const [n, state] of (['published', 'unknown', 'held'] as const).entries()) {
      const id = accountId(n);
      await insertPosts(session, [
        { id, linkedin_account_id: null, campaign_id: null, status: 'scheduled', scheduled_for: ago(100) },
      ]);
      await insertPublications(session, [{ post_id: id, state, missed_for: null, created_at: ago(100) }]);
      await insertPostAttempts(session, [
        {
          id,
          post_id: id,
          account_id: accountId(1),
          started_at: ago(91),
          outcome: 'sent',
          effect_by: ago(91),
        },
      ]);
    }
    expect(await deleteAll('post_attempts')).toEqual([1, 0]);
    expect(await idsIn('post_attempts')).toEqual([1, 2].map(accountId));
    // What is known of a post outlives its attempts.
    expect(await idsIn('post_publications', 'post_id')).toHaveLength(3);
  });
});

describe('runs', () => {
  const run = (n: number, requested: string, job = 'dm-queue', status = 'succeeded') =>
    insertRows(session, 'job_runs', [
      {
        id: accountId(n),
        job,
        trigger: 'ops',
        status,
        requested_at: requested,
        heartbeat_at: requested,
        finished_at: status === 'running' ? null : requested,
        horizon_at: requested,
        stats: {},
        requested_by: 'ada',
        params: {},
        priority: 0,
      },
    ]);

  it('go after 90 days, with their slots, but for the last of each job', async () => {
    await run(1, ago(100));
    await session.query(
      `insert into job_slots (job, scheduled_for, run_id, created_at) values ('dm-queue', $1, $2, $1)`,
      [ago(100), accountId(1)],
    );
    await run(2, ago(90, JUST_UNDER_MS));
    await run(3, ago(300), 'analytics');
    await run(4, ago(299), 'analytics');
    expect(await deleteAll('runs')).toEqual([2]);
    expect(await idsIn('job_runs')).toEqual([2, 4].map(accountId));
    expect(await session.query('select from job_slots', [])).toEqual([]);
  });

  it('that have not ended stay', async () => {
    await run(1, ago(100), 'dm-queue', 'running');
    await run(2, ago(1));
    expect(await deleteAll('runs')).toEqual([0]);
  });
});

describe('days whose rows are partly gone', () => {
  const refresh = (from: string, to = from) => session.rpc.call('analytics_refresh', { from, to });

  it('stay as they were counted', async () => {
    await message(1, ago(31));
    await refresh('2026-05-02');
    await deleteAll('messages');
    // 30 days before the 2nd of June, 10:00, it is the 4th of May where the day begins first.
    for (const from of ['2026-05-02', '2026-05-03', '2026-05-04']) {
      expect(await refusal(refresh(from, '2026-05-05'))).toEqual({ code: 'AN006', field: 'from' });
    }
    await refresh('2026-05-05');
    const [row] = await session.query('select day::text, queued from analytics_daily', []);
    expect(row).toEqual({ day: '2026-05-02', queued: 1 });
  });

  it('are not planned either, and never asked for by the daily run itself', async () => {
    await message(1, ago(31));
    await deleteAll('messages');
    expect(await refusal(session.rpc.call('analytics_days', { days: 60 }))).toMatchObject({ code: 'AN006' });
    expect(await refusal(session.rpc.call('analytics_days', { from: '2026-05-04' }))).toMatchObject({
      code: 'AN006',
    });
    for (const daysAgo of [27, 28, 29, 30]) {
      await insertRows(session, 'analytics_daily', [
        {
          day: ago(daysAgo).slice(0, 10),
          account_id: accountId(1),
          queued: 0,
          sent: 0,
          failed: 0,
          failed_by_reason: {},
          unknown: 1,
          posts_published: 0,
          posts_failed: 0,
          posts_missed: 0,
          lateness_s: [],
          counted: 1,
          computed_at: ago(0),
        },
      ]);
    }
    const { days } = await session.rpc.call<{ days: string[] }>('analytics_days');
    expect(days).toEqual([
      '2026-06-03',
      '2026-06-02',
      '2026-06-01',
      '2026-05-31',
      '2026-05-06',
      '2026-05-05',
    ]);
    for (const day of days) await refresh(day);
  });

  it('are none while nothing was deleted', async () => {
    await message(1, ago(29));
    await deleteAll('messages');
    expect(await session.rpc.call('analytics_days', { from: '2025-10-01', to: '2025-10-01' })).toEqual({
      days: ['2025-10-01'],
    });
  });
});

it.each([
  { args: { kind: 'posts' }, field: 'kind' },
  { args: { kind: 'messages', limit: 0 }, field: 'limit' },
  { args: { kind: 'messages', limit: 10_001 }, field: 'limit' },
])('refuses $args', async ({ args, field }) => {
  expect(await refusal(session.rpc.call('history_delete', args))).toEqual({ code: 'HI001', field });
});

it('every kind that the job deletes is one', async () => {
  for (const kind of HISTORY_KINDS) expect(await deleteAll(kind)).toEqual([0]);
});
