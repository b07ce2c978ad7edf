import { realEffects, type SimulatedEffects, simulatedEffects } from '@revos/core/effects';
import {
  createInProcessEngine,
  createRunStore,
  createRuns,
  type Run,
  type RunStore,
  type Runs,
  type RunTrigger,
} from '@revos/core/jobs';
import { RpcError, withClock } from '@revos/core/rpc';
import { createLogger, NO_REPORTS } from '@revos/core/telemetry';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LOOK_MS, runWatchdog } from '../src/watchdog.ts';
import { UNUSED_SERVICES } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

const START = new Date('2026-01-05T10:07:00.000Z');
const SLOT_BEFORE = new Date('2026-01-05T10:00:00.000Z');
const SLOT = new Date('2026-01-05T10:15:00.000Z');
/** From the start to the slot, in looks. */
const LOOKS_UNTIL_SLOT = 16;
/** From the start to three minutes after the slot, in looks. */
const LOOKS_UNTIL_LATE = 22;
const jobs = [quickJob('quick')];

let database: TestDatabase;
let effects: SimulatedEffects;
let store: RunStore;
let runs: Runs;
let stop: AbortController;
let watchdog: Promise<void> | undefined;
let logLines: string[];
let reported: unknown[];

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

beforeEach(() => {
  effects = simulatedEffects(START);
  logLines = [];
  reported = [];
  const rpc = withClock(database.rpc, effects.now);
  store = createRunStore(rpc);
  const engine = createInProcessEngine(jobs, store, {
    effects: realEffects,
    rpc,
    logger: createLogger('test', 'silent'),
    ...UNUSED_SERVICES,
  });
  runs = createRuns(store, engine, effects);
  stop = new AbortController();
  watchdog = undefined;
});

afterEach(async () => {
  stop.abort();
  await watchdog;
  database.reachable = true;
  expect(effects.sleeperCount()).toBe(0);
  await database.clear();
});

async function watch(catchUp: 'off' | 'latest' = 'latest'): Promise<void> {
  const logger = createLogger('test', 'info', {
    destination: { write: (line: string) => void logLines.push(line) },
  });
  const reports = { ...NO_REPORTS, error: (thrown: unknown) => void reported.push(thrown) };
  watchdog = runWatchdog({ jobs, runs, store, effects, logger, reports, catchUp, signal: stop.signal });
  await asleep();
}

const asleep = () => expect.poll(() => effects.sleeperCount(), { interval: 1 }).toBe(1);

async function looks(count: number): Promise<void> {
  for (let look = 0; look < count; look += 1) {
    await effects.advance(LOOK_MS);
    await asleep();
  }
}

const alarms = (): unknown[] =>
  logLines
    .map((line) => JSON.parse(line) as { msg: string; slot: string })
    .filter(({ msg }) => msg === 'slot missed');

const all = async (): Promise<readonly Run[]> => (await store.list({ limit: 200 })).items;

/** A run of another process, as it stands. */
async function past(
  trigger: RunTrigger,
  scheduledFor: Date | null,
  status: 'queued' | 'running' | 'interrupted' | 'succeeded',
) {
  const horizonAt = new Date('2026-01-05T10:30:00.000Z');
  const { run } = await store.start({
    job: 'quick',
    trigger,
    scheduledFor,
    requestedBy: 'another',
    horizonAt,
  });
  // No two runs of a test are asked for at the same instant.
  await effects.advance(1);
  if (status === 'queued') return run;
  await store.begin(run.id, 'another');
  if (status === 'running') return run;
  await store.finish(run.id, 'another', { status, stats: {}, error: null, horizonSeen: horizonAt });
  return run;
}

describe('a slot that nobody asked for', () => {
  it('is reported once and started when it is three minutes late', async () => {
    await watch();
    await looks(LOOKS_UNTIL_LATE - 1);
    expect(await all()).toEqual([]);
    expect(alarms()).toEqual([]);

    const ended = database.answered('run_finish');
    await looks(1);
    await ended;
    expect(alarms()).toMatchObject([{ job: 'quick', slot: SLOT.toISOString(), level: 50 }]);
    expect(await all()).toMatchObject([
      { trigger: 'catch-up', requested_by: 'watchdog', status: 'succeeded' },
    ]);
    expect((await store.slot('quick', SLOT))?.trigger).toBe('catch-up');

    await looks(4);
    expect(alarms()).toHaveLength(1);
    expect(await all()).toHaveLength(1);
  });

  it('is only reported with CATCH_UP=off, once for each slot', async () => {
    await watch('off');
    await looks(LOOKS_UNTIL_LATE + 4);
    expect(alarms()).toHaveLength(1);
    await looks(30);
    expect(alarms()).toHaveLength(2);
    expect(await all()).toEqual([]);
  });

  it('is nobody’s before the service existed', async () => {
    await watch();
    await looks(4);
    expect(alarms()).toEqual([]);
    expect(await all()).toEqual([]);
  });

  it('is reported after a restart, since the job has run before', async () => {
    await past('vercel-cron', new Date('2026-01-05T09:45:00.000Z'), 'succeeded');
    // The service is away until 10:19.
    await effects.advance(12 * 60_000);
    const ended = database.answered('run_finish');
    await watch();
    await ended;
    expect(alarms()).toMatchObject([{ slot: SLOT.toISOString() }]);
    expect(await store.slot('quick', SLOT)).toMatchObject({ trigger: 'catch-up' });
  });

  it('is nobody’s before the very first run', async () => {
    await watch();
    await looks(2);
    await past('ops', null, 'succeeded');
    await looks(4);
    expect(alarms()).toEqual([]);
    expect(await all()).toHaveLength(1);
  });

  it('is not looked for where a look fails of a bug, which is reported', async () => {
    const bug = new RpcError('bug', 'run_recover', '42883', 'no such function');
    store = { ...store, recover: async () => Promise.reject(bug) };
    await watch();
    expect(reported).toEqual([bug]);
  });

  it('is reported and started once the database is back', async () => {
    await watch();
    await looks(LOOKS_UNTIL_LATE - 2);
    database.reachable = false;
    await looks(4);
    expect(alarms()).toEqual([]);
    expect(logLines.join()).toContain('watchdog check failed');
    expect(reported).toEqual([]);
    database.reachable = true;
    const ended = database.answered('run_finish');
    await looks(1);
    await ended;
    expect(alarms()).toHaveLength(1);
    expect(await store.slot('quick', SLOT)).not.toBeNull();
  });
});

describe('a slot that was asked for', () => {
  it.each(['succeeded', 'queued'] as const)('is fine with a run that is %s', async (status) => {
    await watch();
    await looks(LOOKS_UNTIL_SLOT);
    await past('vercel-cron', SLOT, status);
    await looks(10);
    expect(alarms()).toEqual([]);
    expect(await all()).toMatchObject([{ status }]);
  });

  it('is fine with a run of an earlier one that was still active', async () => {
    const earlier = await past('vercel-cron', SLOT_BEFORE, 'running');
    const { outcome } = await store.start({
      job: 'quick',
      trigger: 'vercel-cron',
      scheduledFor: SLOT,
      requestedBy: 'cron',
      horizonAt: new Date('2026-01-05T10:30:00.000Z'),
    });
    expect(outcome).toBe('coalesced');
    await store.finish(earlier.id, 'another', {
      status: 'succeeded',
      stats: {},
      error: null,
      horizonSeen: new Date('2026-01-05T10:30:00.000Z'),
    });
    await watch();
    await looks(LOOKS_UNTIL_LATE);
    expect(alarms()).toEqual([]);
    expect(await all()).toHaveLength(1);
  });
});

describe('an interrupted run', () => {
  it('of a slot is resumed at once, and once, without a slot', async () => {
    await past('vercel-cron', SLOT_BEFORE, 'interrupted');
    const ended = database.answered('run_finish');
    await watch();
    await ended;
    await looks(3);
    expect(alarms()).toEqual([]);
    expect(await all()).toMatchObject([
      { trigger: 'catch-up', scheduled_for: null, requested_by: 'watchdog', status: 'succeeded' },
      { trigger: 'vercel-cron', status: 'interrupted' },
    ]);
  });

  it('is resumed again when that is interrupted too', async () => {
    await past('vercel-cron', SLOT_BEFORE, 'interrupted');
    await past('catch-up', null, 'interrupted');
    const ended = database.answered('run_finish');
    await watch();
    await ended;
    expect(await all()).toMatchObject([
      { status: 'succeeded' },
      { status: 'interrupted' },
      { status: 'interrupted' },
    ]);
  });

  it('stays as it is with CATCH_UP=off', async () => {
    await past('vercel-cron', SLOT_BEFORE, 'interrupted');
    await watch('off');
    await looks(2);
    expect(await all()).toHaveLength(1);
  });

  it('of ops is theirs to repeat', async () => {
    await past('vercel-cron', SLOT_BEFORE, 'succeeded');
    await past('ops', null, 'interrupted');
    await watch();
    await looks(2);
    expect(await all()).toHaveLength(2);
  });

  it('of ops is resumed if a slot was answered with it', async () => {
    const byHand = await past('ops', null, 'running');
    await past('vercel-cron', SLOT_BEFORE, 'queued');
    await store.finish(byHand.id, 'another', {
      status: 'interrupted',
      stats: {},
      error: null,
      horizonSeen: new Date('2026-01-05T10:30:00.000Z'),
    });
    const ended = database.answered('run_finish');
    await watch();
    await ended;
    expect(await all()).toMatchObject([{ trigger: 'catch-up' }, { trigger: 'ops', status: 'interrupted' }]);
  });

  it('is also one whose process died: its heartbeat stopped', async () => {
    await past('vercel-cron', SLOT_BEFORE, 'running');
    await watch();
    await looks(2);
    expect(await all()).toMatchObject([{ status: 'running' }]);
    const ended = database.answered('run_finish');
    await looks(1);
    await ended;
    expect(await all()).toMatchObject([
      { trigger: 'catch-up', status: 'succeeded' },
      { trigger: 'vercel-cron', status: 'interrupted', error: 'its worker went away: no heartbeat' },
    ]);
  });
});
