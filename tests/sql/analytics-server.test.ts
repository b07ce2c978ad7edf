/**
 * Analytics on a real Postgres: what a recount costs beside a large history, two at once, and who
 * may do what.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pidOf, untilBlocked } from '../support/blocked.ts';
import { after, at, DAY_MS, openAccount, queue, send } from '../support/builders.ts';
import { type Clock, openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';

const NOW = at('2026-03-02T10:00:00Z');
const TODAY = '2026-03-02';
const clock: Clock = { now: NOW };
let database: SharedDatabase;
let ann: Session;
let bob: Session;
let watcher: Session;

beforeAll(async () => {
  database = await openSharedDatabase();
  ann = await database.openSession(clock);
  bob = await database.openSession(clock);
  watcher = await database.openSession(clock);
});
afterAll(() => database?.close());
beforeEach(async () => {
  clock.now = NOW;
  // What a test that failed left open.
  for (const session of [ann, bob]) await session.query('rollback', []);
  await ann.asOwner('reset session_replication_role', []);
  await ann.reset();
});

const refresh = (session: Session, from: string, to = from): Promise<{ rows: number }> =>
  session.rpc.call('analytics_refresh', { from, to });

describe('beside a large history', () => {
  const ROWS = 200_000;
  const DAYS = 100;

  /** A hundred days of 2,000 messages of 200 accounts, of which every fiftieth failed. */
  async function makeHistory(): Promise<void> {
    const created = `$1::timestamptz - make_interval(secs => (${ROWS} - n) * ${((DAYS * 86_400) / ROWS).toFixed(3)})`;
    const account = `('00000000-0000-4000-8000-' || lpad((n % 200)::text, 12, '0'))::uuid`;
    const id = `('00000001-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid`;
    await ann.asOwner('set session_replication_role = replica', []);
    await ann.asOwner(
      `insert into dm_queue (id, linkedin_account_id, recipient_id, message, status, reason, send_at, created_at)
       select ${id}, ${account}, 'ACoAA1', 'Hello', case when n % 50 = 0 then 'failed' else 'sent' end, 'rejected', ${created}, ${created} from generate_series(1, ${ROWS}) as n`,
      [NOW.toISOString()],
    );
    await ann.asOwner(
      `insert into dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until,
         finished_at, outcome, effect_by)
       select ${id}, ${account}, 'ACoAA1', ${id}, 'w', ${created}, ${created}, ${created}, case when n % 50 = 0 then 'not_sent' else 'sent' end, ${created}
       from generate_series(1, ${ROWS}) as n`,
      [NOW.toISOString()],
    );
    await ann.asOwner('reset session_replication_role', []);
    for (const table of ['dm_queue', 'dm_attempts']) await ann.asOwner(`vacuum analyze ${table}`, []);
  }

  it('a recount of one day reads that day, not the tables', { timeout: 300_000 }, async () => {
    await makeHistory();
    // What was read until now is not counted.
    await ann.asOwner('select pg_stat_force_next_flush()', []);
    await ann.query('begin', []);
    await ann.query(`set local statement_timeout = '8s'`, []);
    const { rows } = await refresh(ann, '2026-01-15');
    const read = await ann.asOwner(
      `select relname, seq_tup_read::int as by_scan, coalesce(idx_tup_fetch, 0)::int as by_index
       from pg_stat_xact_user_tables where relname in ('dm_queue', 'dm_attempts') order by relname`,
      [],
    );
    await ann.query('commit', []);
    expect(rows).toBe(200);
    expect(read.map(({ relname, by_scan }) => [relname, by_scan])).toEqual([
      ['dm_attempts', 0],
      ['dm_queue', 0],
    ]);
    // 2,000 rows a day; each part of the recount reads two days and a quarter, and some blocks more.
    for (const { by_index } of read) {
      expect(by_index).toBeGreaterThan(2_000);
      expect(by_index).toBeLessThan(ROWS / 5);
    }
    const [sums] = await ann.query(
      'select sum(queued)::int as queued, sum(sent)::int as sent, sum(failed)::int as failed from analytics_daily',
      [],
    );
    expect(sums).toEqual({ queued: 2_000, sent: 1_960, failed: 40 });
  });
});

describe('two recounts at once', () => {
  beforeEach(async () => {
    await queue(ann, await openAccount(ann, 1), 2);
    await send(ann);
    clock.now = after(NOW, DAY_MS);
    await send(ann);
  });
  const stored = () => watcher.query('select day::text, queued, sent from analytics_daily order by day', []);
  const BOTH = [
    { day: '2026-03-02', queued: 2, sent: 1 },
    { day: '2026-03-03', queued: 0, sent: 1 },
  ];

  it('of the same day: the second waits for the first, and counts anew', async () => {
    const pid = await pidOf(bob);
    await ann.query('begin', []);
    await refresh(ann, TODAY);
    const second = refresh(bob, TODAY, '2026-03-03');
    await untilBlocked(watcher, pid);
    await ann.query('commit', []);
    await second;
    expect(await stored()).toEqual(BOTH);
  });

  it('of days in both orders, many times over: none is lost or doubled, and none waits for ever', async () => {
    const ranges = [
      ['2026-03-02', '2026-03-03'],
      ['2026-03-01', '2026-03-02'],
      ['2026-03-03', '2026-03-04'],
    ] as const;
    const again = async (session: Session, shift: number): Promise<void> => {
      for (let n = 0; n < 12; n += 1) {
        const [from, to] = ranges[(n + shift) % ranges.length] ?? ranges[0];
        await refresh(session, from, to);
      }
    };
    await Promise.all([again(ann, 0), again(bob, 1)]);
    expect(await stored()).toEqual(BOTH);
  });

  it('of different days do not wait for each other', async () => {
    await ann.query('begin', []);
    await refresh(ann, TODAY);
    await refresh(bob, '2026-03-03');
    await ann.query('commit', []);
    expect(await stored()).toEqual(BOTH);
  });

  it('the view is refreshed while somebody reads it', async () => {
    await refresh(ann, TODAY);
    await bob.query('begin', []);
    await bob.query('select from analytics_platform_daily', []);
    await ann.query(`set statement_timeout = '5s'`, []);
    await ann.rpc.call('analytics_views_refresh');
    await ann.query('reset statement_timeout', []);
    await bob.query('commit', []);
    expect(await watcher.query('select sent::int from analytics_platform_daily', [])).toEqual([{ sent: 1 }]);
  });
});

describe('who may', () => {
  it('service_role refreshes the view only through its function, and may only read it', async () => {
    await ann.rpc.call('analytics_views_refresh');
    for (const statement of [
      'refresh materialized view public.analytics_platform_daily',
      'drop materialized view public.analytics_platform_daily',
      'create unique index on public.analytics_platform_daily (day)',
    ])
      await expect(ann.query(statement, [])).rejects.toMatchObject({ code: '42501' });
    expect(await ann.query('select count(*)::int as days from analytics_platform_daily', [])).toHaveLength(1);
  });

  it.each(['anon', 'authenticated'])('%s may neither read nor refresh', async (role) => {
    for (const statement of [
      'select from public.analytics_platform_daily',
      'select from public.analytics_daily',
      'select public.analytics_views_refresh()',
      'select public.analytics_platform(1)',
    ]) {
      await bob.query('begin', []);
      await bob.query(`reset role`, []);
      await bob.query(`set local role ${role}`, []);
      await expect(bob.query(statement, [])).rejects.toMatchObject({ code: '42501' });
      await bob.query('rollback', []);
      await bob.query('set role service_role', []);
    }
  });
});
