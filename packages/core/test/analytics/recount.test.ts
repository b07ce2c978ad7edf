import { beforeEach, describe, expect, it } from 'vitest';
import { analytics, createAnalytics, PLATFORM_DAYS } from '../../src/analytics/index.ts';
import { createDmStore } from '../../src/dm/index.ts';
import { type SimulatedEffects, simulatedEffects } from '../../src/effects/index.ts';
import { withClock } from '../../src/rpc/index.ts';
import {
  databaseForFile,
  type Intercept,
  intercepted,
  makeAccount,
  messagesOf,
  unavailable,
} from '../support/database.ts';
import { createDriver, type Driver } from '../support/driving.ts';
import { createGate } from '../support/gate.ts';
import { DEFAULT_SETTINGS, statsOf, systemOf } from '../support/jobs.ts';

const db = databaseForFile();

/** A little after the slot of midnight. */
const START = new Date('2026-03-02T00:00:01.000Z');
const DAYS = ['2026-03-02', '2026-03-01', '2026-02-28'];

let effects: SimulatedEffects;
let driver: Driver;
beforeEach(async () => {
  effects = simulatedEffects(START);
  driver = createDriver(effects);
  await db.query('delete from public.analytics_daily', []);
  await db.query('delete from public.analytics_cache', []);
});

/** A system whose calls of analytics are kept, as `name` or `name from`. */
const systemFor = (intercept: Intercept = (_name, next) => next()) => {
  const calls: string[] = [];
  const rpc = intercepted(db.rpc, (name, next, args) => {
    const { from } = (args ?? {}) as { from?: string };
    if (name.startsWith('analytics_')) calls.push(from === undefined ? name : `${name} ${from}`);
    return intercept(name, next, args);
  });
  return { calls, ...systemOf([analytics], withClock(driver.rpc(rpc), effects.now), effects) };
};

/** Two messages queued, of which one is sent. */
async function makeHistory(): Promise<void> {
  const rpc = withClock(db.rpc, effects.now);
  const dm = createDmStore(rpc);
  await dm.enqueue(messagesOf(await makeAccount({ ...db, rpc }, 'ann'), 2));
  const { items } = await dm.claim({
    claimId: effects.uuid(),
    worker: 'w',
    limit: 1,
    leaseMs: 120_000,
    draw: 0,
    accountIds: null,
  });
  await dm.record(
    items.map(({ attempt_id }) => ({ attempt_id, outcome: 'sent' as const, unipile_message_id: 'm' })),
  );
}

const refreshes = DAYS.map((day) => `analytics_refresh ${day}`);

describe('the analytics job', () => {
  it('recounts the last days, the latest first, then the view, and warms what the page shows', async () => {
    await makeHistory();
    const system = systemFor();
    const { id } = await system.start(analytics);
    await driver.settle();
    const run = await system.ended(id);
    expect(run).toMatchObject({ status: 'succeeded', stats: { days: 3, days_left: 0, rows: 1 } });
    expect(system.calls).toEqual([
      'analytics_days',
      ...refreshes,
      'analytics_views_refresh',
      ...PLATFORM_DAYS.flatMap(() => ['analytics_platform', 'analytics_cache_put']),
    ]);

    const before = system.calls.length;
    const page = createAnalytics(system.services.rpc, system.services);
    const { as_of, value } = await page.platform(30);
    expect(as_of).toBe(START.toISOString());
    expect(value.days.at(-1)).toMatchObject({ day: '2026-03-02', queued: 2, sent: 1, accounts_active: 1 });
    expect(value.totals).toMatchObject({ queued: 2, sent: 1 });
    expect(system.calls.slice(before)).toEqual(['analytics_cache_get']);
    await page.close();
  });

  it('warms the page anew although a younger answer is kept', async () => {
    const system = systemFor();
    const page = createAnalytics(system.services.rpc, system.services);
    expect((await page.platform(7)).value.totals.sent).toBe(0);
    await makeHistory();
    const { id } = await system.start(analytics);
    await driver.settle();
    await system.ended(id);
    expect((await page.platform(7)).value.totals.sent).toBe(1);
  });

  it.each([
    { params: { days: 1 }, days: ['2026-03-02'] },
    { params: { from: '2026-02-27', to: '2026-02-28' }, days: ['2026-02-28', '2026-02-27'] },
    { params: { from: '2026-03-01' }, days: ['2026-03-02', '2026-03-01'] },
  ])('recounts what $params says', async ({ params, days }) => {
    const system = systemFor();
    const { id } = await system.start(analytics, params);
    await driver.settle();
    expect(statsOf(await system.ended(id))).toMatchObject({ days: days.length, days_left: 0 });
    expect(system.calls.filter((call) => call.startsWith('analytics_refresh'))).toEqual(
      days.map((day) => `analytics_refresh ${day}`),
    );
  });

  it('a dry run says which days, and changes nothing', async () => {
    await makeHistory();
    const system = systemFor();
    const { id } = await system.start(analytics, { dry_run: true, days: 2 });
    await driver.settle();
    const run = await system.ended(id);
    expect(run).toMatchObject({
      status: 'succeeded',
      stats: { dry_run: true, would_refresh: ['2026-03-02', '2026-03-01'] },
    });
    expect(system.calls).toEqual(['analytics_days']);
    expect(await db.query('select from public.analytics_daily', [])).toEqual([]);
  });

  /** Messages that ended more than 30 days ago. */
  const makeOldMessages = (count: number): Promise<void> =>
    db.asOwner(`
      set session_replication_role = replica;
      insert into public.dm_queue (linkedin_account_id, recipient_id, message, status, updated_at)
      select gen_random_uuid(), 'ACoAA1', 'Hello', 'sent', timestamptz '${START.toISOString()}' - interval '31 days'
      from generate_series(1, ${count})`);
  const messageCount = async (): Promise<unknown> =>
    (await db.query('select count(*)::int from public.dm_queue', []))[0]?.count;

  it('deletes what is old last, in batches; an outage in between costs nothing', async () => {
    await makeOldMessages(1_500);
    const order: string[] = [];
    let isAway = false;
    const system = systemFor(async (name, next) => {
      order.push(name);
      if (name === 'history_delete' && !isAway) {
        isAway = true;
        throw unavailable(name);
      }
      return next();
    });
    const { id } = await system.start(analytics);
    await driver.settle();
    await driver.pass(10_000);
    expect(await system.ended(id)).toMatchObject({
      status: 'succeeded',
      stats: { deleted: { messages: 1_500, message_attempts: 0, post_attempts: 0, runs: 0 } },
    });
    expect(await messageCount()).toBe(0);
    const deletions = order.indexOf('history_delete');
    expect(deletions).toBeGreaterThan(order.lastIndexOf('analytics_cache_put'));
    // One that failed, two of messages, one of each of the others.
    expect(order.filter((name) => name === 'history_delete')).toHaveLength(6);
  });

  it('a backfill deletes nothing', async () => {
    await makeOldMessages(1);
    const system = systemFor();
    const { id } = await system.start(analytics, { days: 1 });
    await driver.settle();
    expect(statsOf(await system.ended(id))).not.toHaveProperty('deleted');
    expect(await messageCount()).toBe(1);
  });

  it('stops between two batches when it is cancelled', async () => {
    await makeOldMessages(2_500);
    const gate = createGate();
    const { promise: secondBatch, resolve } = Promise.withResolvers<void>();
    let batches = 0;
    const system = systemFor(async (name, next) => {
      if (name === 'history_delete') batches += 1;
      if (name === 'history_delete' && batches === 2) {
        resolve();
        await gate.passed;
      }
      return next();
    });
    const { id } = await system.start(analytics);
    await secondBatch;
    await system.store.cancel(id, 'ada');
    system.engine.cancel(id);
    gate.open();
    await driver.settle();
    expect(await system.ended(id)).toMatchObject({
      status: 'cancelled',
      stats: { deleted: { messages: 2_000 } },
    });
    expect(await messageCount()).toBe(500);
  });

  it('tells how far it is, and stops between two days when it is cancelled', async () => {
    const gate = createGate();
    const system = systemFor(async (_name, next, args) => {
      if ((args as { from?: string }).from === DAYS[1]) await gate.passed;
      return next();
    });
    const { id } = await system.start(analytics);
    const progress: unknown[] = [];
    const { promise: secondDay, resolve } = Promise.withResolvers<void>();
    system.engine.onChange((run) => {
      progress.push(run.stats);
      if (run.stats.days === 1) resolve();
    });
    await secondDay;
    await system.runs.cancel(id, 'ada');
    gate.open();
    await driver.settle();
    const run = await system.ended(id);
    expect(run).toMatchObject({ status: 'cancelled', stats: { days: 2, days_left: 1 } });
    expect(progress).toContainEqual({ days: 1, days_left: 2, rows: 0 });
    expect(system.calls).toEqual(['analytics_days', refreshes[0], refreshes[1]]);
  });

  it('a shutdown between two days leaves the rest to the next run', async () => {
    const gate = createGate();
    const reached = createGate();
    const system = systemFor(async (_name, next, args) => {
      if ((args as { from?: string }).from === DAYS[0]) {
        reached.open();
        await gate.passed;
      }
      return next();
    });
    const { id } = await system.start(analytics);
    await reached.passed;
    const closed = system.engine.close(60_000);
    gate.open();
    await closed;
    expect(await system.store.get(id)).toMatchObject({
      status: 'interrupted',
      stats: { days: 1, days_left: 2 },
    });
  });

  it('goes on once the database is back, and counts nothing twice', async () => {
    await makeHistory();
    let failures = 2;
    const system = systemFor(async (name, next) => {
      const answer = await next();
      // The answer is lost, the rows are there.
      if (name === 'analytics_refresh' && failures-- > 0) throw unavailable(name);
      return answer;
    });
    const { id } = await system.start(analytics);
    await driver.pass(10_000);
    expect(await system.ended(id)).toMatchObject({ status: 'succeeded', stats: { days: 3, rows: 1 } });
    expect(system.log.messages().filter((line) => line.includes('retrying analytics'))).toHaveLength(2);
    expect(await db.query('select sent from public.analytics_daily', [])).toEqual([{ sent: 1 }]);
  });

  it('a database that stays away fails the run, with what was done', async () => {
    const system = systemFor(async (name, next, args) => {
      if ((args as { from?: string }).from === DAYS[1]) throw unavailable(name);
      return next();
    });
    const { id } = await system.start(analytics);
    await driver.pass(30_000);
    expect(await system.ended(id)).toMatchObject({
      status: 'failed',
      stats: { days: 1, days_left: 2 },
      error: 'analytics_refresh: the connection was lost',
    });
  });

  it('days together with a range: refused, and nothing is recounted', async () => {
    const system = systemFor();
    const { id } = await system.start(analytics, { days: 3, from: '2026-03-01' });
    await driver.settle();
    expect(await system.ended(id)).toMatchObject({
      status: 'failed',
      error: 'analytics_days: give either days, or from and to',
    });
    expect(system.calls).toEqual(['analytics_days 2026-03-01']);
  });

  it('a Redis that is away delays nothing: the page is warmed in Postgres', async () => {
    await makeHistory();
    const system = systemOf([analytics], withClock(driver.rpc(db.rpc), effects.now), effects, {
      settings: { ...DEFAULT_SETTINGS, redisUrl: 'redis://127.0.0.1:1' },
    });
    const { id } = await system.start(analytics);
    const run = await system.ended(id);
    expect(run.status).toBe('succeeded');
    expect(system.log.messages()).toContain('analytics cache unavailable, using the other one');
    expect(await db.query('select key from public.analytics_cache order by key', [])).toEqual(
      [...PLATFORM_DAYS]
        .map((days) => ({ key: `platform:${days}` }))
        .sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
  });
});

describe('queries', () => {
  it('a summary is cached by its range and its group; the rows of the rollup never are', async () => {
    await makeHistory();
    const system = systemFor();
    const page = createAnalytics(system.services.rpc, system.services);
    const range = { from: '2026-03-01', to: '2026-03-02' };
    await system.services.rpc.call('analytics_refresh', range);
    const summary = await page.summary(range);
    expect(summary.value.items).toMatchObject([{ key: null, sent: 1 }]);
    expect(await page.summary(range)).toEqual(summary);
    expect((await page.summary({ ...range, groupBy: 'day' })).value.items).toMatchObject([
      { key: '2026-03-02', sent: 1 },
    ]);
    expect((await page.summary({ ...range, to: '2026-03-01' })).value.items).toEqual([]);
    expect(system.calls.filter((call) => call.startsWith('analytics_summary'))).toHaveLength(3);

    const { items, next_cursor } = await page.daily({ from: '2026-03-02', limit: 10 });
    expect(items).toMatchObject([{ day: '2026-03-02', sent: 1, queued: 2 }]);
    expect(next_cursor).toBeNull();
    await db.query('delete from public.analytics_daily', []);
    expect((await page.daily({})).items).toEqual([]);
    await expect(page.summary({ from: '2026-03-02', to: '2026-03-01' })).rejects.toMatchObject({
      kind: 'rule',
      code: 'AN001',
    });
  });
});
