import { realEffects, type SimulatedEffects, simulatedEffects } from '@revos/core/effects';
import {
  createInProcessEngine,
  createRunStore,
  createRuns,
  type RunStore,
  type Runs,
} from '@revos/core/jobs';
import { withClock } from '@revos/core/rpc';
import { createLogger } from '@revos/core/telemetry';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runScheduler } from '../src/scheduler.ts';
import { UNUSED_SERVICES } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

const MINUTE_MS = 60_000;
const START = new Date('2026-01-05T10:07:00.000Z');
const logger = createLogger('test', 'silent');
const jobs = [quickJob('quick'), quickJob('hourly', '0 * * * *')];

let database: TestDatabase;
let effects: SimulatedEffects;
let store: RunStore;
let runs: Runs;
let stop: AbortController;
let scheduler: Promise<unknown>;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

beforeEach(() => {
  effects = simulatedEffects(START);
  const rpc = withClock(database.rpc, effects.now);
  store = createRunStore(rpc);
  const engine = createInProcessEngine(jobs, store, {
    // The engine's heartbeats stay out of the simulated time.
    effects: realEffects,
    rpc,
    logger,
    ...UNUSED_SERVICES,
  });
  runs = createRuns(store, engine, effects);
  stop = new AbortController();
  scheduler = runScheduler({ jobs, runs, effects, logger, signal: stop.signal });
});

afterEach(async () => {
  stop.abort();
  await scheduler;
  database.reachable = true;
  expect(effects.sleeperCount()).toBe(0);
  await database.clear();
});

/** Lets time pass, and every clock go back to sleep. */
async function pass(ms: number, sleepers: number): Promise<void> {
  await effects.advance(ms);
  await expect.poll(() => effects.sleeperCount(), { interval: 1 }).toBe(sleepers);
}

const slots = async (job: string): Promise<string[]> =>
  (await store.list({ job, limit: 200 })).items.map(({ scheduled_for }) =>
    new Date(scheduled_for ?? 0).toISOString(),
  );

describe('runScheduler', () => {
  it('starts each slot of each job in its time, and none before', async () => {
    await pass(7 * MINUTE_MS + 59_999, 2);
    expect(await slots('quick')).toEqual([]);
    for (const ms of [1, 15 * MINUTE_MS, 15 * MINUTE_MS, 15 * MINUTE_MS]) {
      const ended = database.answered('run_finish');
      await pass(ms, 2);
      await ended;
    }
    expect(await slots('quick')).toEqual([
      '2026-01-05T11:00:00.000Z',
      '2026-01-05T10:45:00.000Z',
      '2026-01-05T10:30:00.000Z',
      '2026-01-05T10:15:00.000Z',
    ]);
    await expect.poll(() => slots('hourly')).toEqual(['2026-01-05T11:00:00.000Z']);
    const [run] = (await store.list({ limit: 1, job: 'quick' })).items;
    expect(run).toMatchObject({ trigger: 'worker', requested_by: 'scheduler' });
  });

  it('makes one run of a slot with another instance beside it', async () => {
    const another = runScheduler({ jobs, runs, effects, logger, signal: stop.signal });
    await pass(8 * MINUTE_MS, 4);
    expect(await slots('quick')).toEqual(['2026-01-05T10:15:00.000Z']);
    stop.abort();
    await another;
  });

  it('tries again while the database is away', async () => {
    database.reachable = false;
    await pass(8 * MINUTE_MS, 2);
    await pass(5_000, 2);
    database.reachable = true;
    expect(await slots('quick')).toEqual([]);
    await pass(5_000, 2);
    expect(await slots('quick')).toEqual(['2026-01-05T10:15:00.000Z']);
  });
});
