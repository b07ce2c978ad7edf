/**
 * Check-ins of slots, drawn from runs over a real database: which are made, by which process, and
 * how often.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { type SimulatedEffects, simulatedEffects } from '../../src/effects/index.ts';
import { createRunStore, type JobHandler, type RunStore, withCheckIns } from '../../src/jobs/index.ts';
import { withClock } from '../../src/rpc/index.ts';
import type { CheckIn } from '../../src/telemetry/index.ts';
import { databaseForFile, intercepted, unavailable } from '../support/database.ts';
import { jobOf } from '../support/jobs.ts';
import { captureLog } from '../support/log.ts';

const db = databaseForFile();

const START = new Date('2026-03-02T10:00:01.000Z');
const [S1, S2, S3] = ['2026-03-02T10:00:00.000Z', '2026-03-02T10:15:00.000Z', '2026-03-02T10:30:00.000Z'];
const HANDLER: JobHandler = async () => ({});
const MINUTE_MS = 60_000;

let effects: SimulatedEffects;
let told: CheckIn[];
let log: ReturnType<typeof captureLog>;

beforeEach(() => {
  effects = simulatedEffects(START);
  told = [];
  log = captureLog();
});

/** What one process has: its own store, over the same database. */
function processOf(
  schedule = '*/15 * * * *',
  intercept: Parameters<typeof intercepted>[1] = (_, next) => next(),
) {
  const jobs = [jobOf(HANDLER, schedule)];
  const reports = { checkIn: (checkIn: CheckIn) => void told.push(checkIn) };
  const store = createRunStore(withClock(intercepted(db.rpc, intercept), effects.now));
  return withCheckIns(store, { jobs, reports, effects, logger: log.logger });
}

const startSlot = (
  store: RunStore,
  slot: string | null,
  trigger: 'vercel-cron' | 'catch-up' | 'ops' = 'vercel-cron',
) =>
  store.start({
    ...{ job: 'test-job', trigger, requestedBy: 'cron' },
    scheduledFor: slot === null ? null : new Date(slot),
    horizonAt: new Date(effects.now().getTime() + 15 * MINUTE_MS),
  });

const end = (status: 'succeeded' | 'failed' | 'cancelled' | 'interrupted' | 'waiting') => ({
  ...{ status, stats: {}, error: null, horizonSeen: new Date('2027-01-01T00:00:00Z') },
});

const shown = () =>
  told.map(({ slot, status, durationMs }) => [
    slot.toISOString(),
    status,
    ...(durationMs === undefined ? [] : [durationMs]),
  ]);

describe('the slot of a run', () => {
  it.each([
    { status: 'succeeded', said: 'ok' },
    { status: 'failed', said: 'error' },
    { status: 'cancelled', said: 'ok' },
    { status: 'interrupted', said: 'ok' },
  ] as const)(
    'is in progress from the begin of its run, and $said once that has $status',
    async ({ status, said }) => {
      const store = processOf();
      const { run } = await startSlot(store, S1);
      expect(shown()).toEqual([]);
      await effects.advance(1_000);
      await store.begin(run.id, 'one');
      await effects.advance(2_500);
      await store.finish(run.id, 'one', end(status));
      expect(shown()).toEqual([
        [S1, 'in_progress'],
        [S1, said, 2_500],
      ]);
      expect(told[0]).toMatchObject({ job: 'test-job', schedule: '*/15 * * * *', runMinutesMax: 20 });
    },
  );

  it('is told of once by several processes, and by a call whose answer was lost', async () => {
    const [one, other] = [processOf(), processOf()];
    const { run } = await startSlot(one, S1);
    await startSlot(other, S1);
    await one.begin(run.id, 'one', 0);
    await effects.advance(10);
    await other.begin(run.id, 'other', 1);
    await one.finish(run.id, 'one', end('waiting'), 0);
    await effects.advance(10);
    await other.begin(run.id, 'other', 0);
    await other.finish(run.id, 'other', end('succeeded'), 0);
    expect(shown()).toEqual([[S1, 'in_progress']]);
    await other.finish(run.id, 'other', end('succeeded'), 1);
    expect(shown()).toEqual([
      [S1, 'in_progress'],
      [S1, 'ok', 20],
    ]);
  });

  it('is told of by who caught it up, and its run may last until the next slot and five minutes', async () => {
    const store = processOf('0 0 * * *');
    const { run } = await startSlot(store, '2026-03-02T00:00:00.000Z', 'catch-up');
    await store.begin(run.id, 'one');
    expect(told).toMatchObject([{ status: 'in_progress', runMinutesMax: 24 * 60 + 5 }]);
  });
});

describe('a slot that is coalesced', () => {
  it('takes over from the one before, and is closed with the run', async () => {
    const [api, worker] = [processOf(), processOf()];
    const { run } = await startSlot(api, S1);
    await worker.begin(run.id, 'one');
    await effects.advance(15 * MINUTE_MS);
    await worker.heartbeat(run.id, 'one', {});
    await startSlot(api, S2);
    await startSlot(api, S2);
    await effects.advance(15 * MINUTE_MS);
    await worker.heartbeat(run.id, 'one', {});
    await startSlot(api, S3);
    // The next slot is due by now, and nobody has asked for it yet.
    await effects.advance(15 * MINUTE_MS - 500);
    await worker.finish(run.id, 'one', end('failed'));
    expect(shown()).toEqual([
      [S1, 'in_progress'],
      [S1, 'ok', 15 * MINUTE_MS],
      [S2, 'in_progress'],
      [S2, 'ok', 15 * MINUTE_MS + 1_000],
      [S3, 'in_progress'],
      [S3, 'error', 15 * MINUTE_MS + 500],
    ]);
  });

  it('with a run that a person asked for is that run’s from then on', async () => {
    const store = processOf();
    const { run } = await startSlot(store, null, 'ops');
    await store.begin(run.id, 'one');
    await effects.advance(15 * MINUTE_MS);
    await store.heartbeat(run.id, 'one', {});
    await startSlot(store, S2);
    await effects.advance(1_000);
    await store.finish(run.id, 'one', end('succeeded'));
    expect(shown()).toEqual([
      [S2, 'in_progress'],
      [S2, 'ok', 2_000],
    ]);
  });
});

describe('no check-in', () => {
  it('is made of a run that a person asked for, or that goes on with another one', async () => {
    const store = processOf();
    for (const trigger of ['ops', 'catch-up'] as const) {
      const { run } = await startSlot(store, null, trigger);
      await store.begin(run.id, 'one');
      await effects.advance(20 * MINUTE_MS);
      await store.finish(run.id, 'one', end('succeeded'));
    }
    expect(told).toEqual([]);
  });

  it('is made on a schedule with seconds, which nobody outside can know', async () => {
    const store = processOf('0 */15 * * * *');
    const { run } = await startSlot(store, S1);
    await store.begin(run.id, 'one');
    await store.finish(run.id, 'one', end('succeeded'));
    expect(told).toEqual([]);
  });
});

describe('a run whose process went away', () => {
  it('is closed as an error by what goes on with its work, once', async () => {
    const [one, other] = [processOf(), processOf()];
    const { run } = await startSlot(one, S1);
    await one.begin(run.id, 'one');
    await effects.advance(2 * MINUTE_MS);
    await other.recover();
    await startSlot(one, null, 'catch-up');
    await startSlot(other, null, 'catch-up');
    expect(shown()).toEqual([
      [S1, 'in_progress'],
      [S1, 'error'],
    ]);
  });

  it('is closed so by the run of the next slot, where nothing went on before', async () => {
    const store = processOf();
    const { run } = await startSlot(store, S1);
    await store.begin(run.id, 'one');
    await effects.advance(15 * MINUTE_MS);
    await startSlot(store, S2);
    expect(shown()).toEqual([
      [S1, 'in_progress'],
      [S1, 'error'],
    ]);
  });

  it('in order has closed its slot itself', async () => {
    const store = processOf();
    const { run } = await startSlot(store, S1);
    await store.begin(run.id, 'one');
    await store.finish(run.id, 'one', end('interrupted'));
    await startSlot(store, null, 'catch-up');
    expect(shown()).toEqual([
      [S1, 'in_progress'],
      [S1, 'ok', 0],
    ]);
  });
});

describe('what cannot be looked up', () => {
  it('fails no call: the run ends, and says so in the log', async () => {
    let isAway = false;
    const store = processOf('*/15 * * * *', (name, next) => {
      if (isAway && name === 'run_slot') throw unavailable(name);
      return next();
    });
    const { run } = await startSlot(store, S1);
    await store.begin(run.id, 'one');
    await effects.advance(15 * MINUTE_MS);
    isAway = true;
    const ended = await store.finish(run.id, 'one', end('succeeded'));
    expect(ended.run.status).toBe('succeeded');
    expect(shown()).toEqual([[S1, 'in_progress']]);
    expect(log.messages()).toContain('check-in failed');
  });
});
