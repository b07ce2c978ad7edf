import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type SimulatedEffects, simulatedEffects } from '../../src/effects/index.ts';
import { isEnded, type Run, type RunStatus } from '../../src/jobs/index.ts';
import { withClock } from '../../src/rpc/index.ts';
import { databaseForFile, intercepted, unavailable } from '../support/database.ts';
import { createDriver, type Driver } from '../support/driving.ts';
import { createGate } from '../support/gate.ts';
import { jobOf, systemOf } from '../support/jobs.ts';

const db = databaseForFile();

const START = new Date('2026-03-02T10:00:01.000Z');
const SLOT = '2026-03-02T10:00:00.000Z';
const NEXT = '2026-03-02T10:15:00.000Z';

const isoOf = (instant: string | null | undefined): string | null =>
  instant == null ? null : new Date(instant).toISOString();

let effects: SimulatedEffects;
let driver: Driver;
beforeEach(() => {
  effects = simulatedEffects(START);
  driver = createDriver(effects);
});

const rpcOf = (intercept: Parameters<typeof intercepted>[1] = (_name, next) => next()) =>
  withClock(driver.rpc(intercepted(db.rpc, intercept)), effects.now);

describe('start', () => {
  it('makes one run of a slot, whoever asks and however often', async () => {
    const gate = createGate();
    const handler = vi.fn(async () => {
      await gate.passed;
      return { sent: 1 };
    });
    const job = jobOf(handler);
    const system = systemOf([job], rpcOf(), effects);
    const asked = await Promise.all(Array.from({ length: 10 }, () => system.startSlot(job, SLOT)));
    expect(asked.map(({ outcome }) => outcome).sort()).toEqual(['created', ...Array(9).fill('exists')]);
    expect(new Set(asked.map(({ run }) => run.id)).size).toBe(1);
    gate.open();
    const run = await system.ended(asked[0]?.run.id ?? '');
    expect(run).toMatchObject({ status: 'succeeded', stats: { sent: 1 }, trigger: 'vercel-cron' });
    expect(isoOf(run.scheduled_for)).toBe(SLOT);
    // And after it has ended, too.
    expect(await system.startSlot(job, SLOT)).toMatchObject({ outcome: 'exists', run: { id: run.id } });
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it('answers a new slot with the run that is still active, which then works until the later horizon', async () => {
    const gate = createGate();
    const horizons: string[] = [];
    const job = jobOf(async ({ horizonAt }) => {
      horizons.push(horizonAt().toISOString());
      await gate.passed;
      horizons.push(horizonAt().toISOString());
      return {};
    });
    const system = systemOf([job], rpcOf(), effects);
    const first = await system.startSlot(job, SLOT);
    await driver.settle();
    expect(isoOf(first.run.horizon_at)).toBe(NEXT);
    const second = await system.startSlot(job, NEXT);
    expect(second).toMatchObject({ outcome: 'coalesced', run: { id: first.run.id } });
    expect(await system.startSlot(job, NEXT)).toMatchObject({ outcome: 'exists', run: { id: first.run.id } });
    // The next heartbeat tells.
    await driver.pass(5_000);
    gate.open();
    await system.ended(first.run.id);
    expect(horizons).toEqual([NEXT, '2026-03-02T10:30:00.000Z']);
  });

  it('a run by hand consumes no slot, and is answered with the one that is active', async () => {
    const gate = createGate();
    const job = jobOf(async () => {
      await gate.passed;
      return {};
    });
    const system = systemOf([job], rpcOf(), effects);
    const byHand = await system.start(job);
    expect(byHand.scheduled_for).toBeNull();
    expect(isoOf(byHand.horizon_at)).toBe(NEXT);
    expect((await system.start(job)).id).toBe(byHand.id);
    expect(await system.store.slot('test-job', new Date(SLOT))).toBeNull();
    gate.open();
    await system.ended(byHand.id);
    expect((await system.startSlot(job, SLOT)).outcome).toBe('created');
  });

  it.each([
    { name: 'in time', now: '2026-03-02T10:00:00.000Z', horizon: NEXT },
    { name: 'a little early', now: '2026-03-02T09:59:58.000Z', horizon: NEXT },
    { name: 'late, but within its time', now: '2026-03-02T10:14:59.000Z', horizon: NEXT },
    // Caught up: its own time is over, so it has until the next slot from now.
    {
      name: 'so late that the next one has come',
      now: '2026-03-02T10:20:00.000Z',
      horizon: '2026-03-02T10:30:00.000Z',
    },
  ])('a slot that is asked for $name works until $horizon', async ({ now, horizon }) => {
    effects = simulatedEffects(new Date(now));
    driver = createDriver(effects);
    const job = jobOf(async () => ({}));
    const system = systemOf([job], rpcOf(), effects);
    const { run } = await system.startSlot(job, SLOT);
    expect(isoOf(run.horizon_at)).toBe(horizon);
    await system.ended(run.id);
  });

  it('a run that another process created and left is taken up by whoever asks next', async () => {
    const job = jobOf(async () => ({ sent: 1 }));
    const gone = systemOf([job], rpcOf(), effects);
    const left = await gone.store.start({
      job: job.name,
      trigger: 'vercel-cron',
      scheduledFor: new Date(SLOT),
      requestedBy: 'cron',
      horizonAt: new Date(NEXT),
    });
    const system = systemOf([job], rpcOf(), effects);
    expect(await system.startSlot(job, SLOT)).toMatchObject({ outcome: 'exists', run: { id: left.run.id } });
    expect(await system.ended(left.run.id)).toMatchObject({ status: 'succeeded', stats: { sent: 1 } });
  });

  it('two processes that take up the same run work on it once', async () => {
    const handler = vi.fn(async () => ({}));
    const job = jobOf(handler);
    const a = systemOf([job], rpcOf(), effects, { worker: 'a' });
    const b = systemOf([job], rpcOf(), effects, { worker: 'b' });
    const [first, second] = await Promise.all([a.startSlot(job, SLOT), b.startSlot(job, SLOT)]);
    expect(second.run.id).toBe(first.run.id);
    await Promise.all([a.ended(first.run.id), b.ended(first.run.id)]);
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it('a job that the engine does not know is refused aloud', async () => {
    const system = systemOf([], rpcOf(), effects);
    await expect(system.start(jobOf(async () => ({})))).rejects.toThrow('No such job: test-job');
  });
});

describe('get and list', () => {
  it('a run under way is shown as it stands, fresher than the database', async () => {
    const gate = createGate();
    const job = jobOf(async ({ report }) => {
      report({ sent: 3 });
      await gate.passed;
      return { sent: 4 };
    });
    const system = systemOf([job], rpcOf(), effects);
    const { id } = await system.start(job);
    await driver.settle();
    expect((await system.runs.get(id))?.stats).toEqual({ sent: 3 });
    expect((await system.store.get(id))?.stats).toEqual({});
    await driver.pass(5_000);
    expect((await system.store.get(id))?.stats).toEqual({ sent: 3 });
    gate.open();
    expect((await system.ended(id)).stats).toEqual({ sent: 4 });
  });

  it('there is no run of an id that nobody gave', async () => {
    const { runs } = systemOf([], rpcOf(), effects);
    expect(await runs.get(effects.uuid())).toBeNull();
    expect(await runs.cancel(effects.uuid(), 'ada')).toBeNull();
  });

  it('newest first, of one job or status if asked', async () => {
    const job = jobOf(async () => ({}));
    const other = jobOf(async () => Promise.reject(new Error('no')), '*/15 * * * *', 'other-job');
    const system = systemOf([job, other], rpcOf(), effects);
    const ids: string[] = [];
    for (const which of [job, other, job]) {
      const { id } = await system.start(which);
      await system.ended(id);
      ids.unshift(id);
      await effects.advance(1_000);
    }
    const listed = async (filter: Parameters<typeof system.runs.list>[0]) =>
      (await system.runs.list(filter)).items.map(({ id }) => id);
    expect(await listed({ limit: 20 })).toEqual(ids);
    expect(await listed({ limit: 1 })).toEqual(ids.slice(0, 1));
    expect(await listed({ limit: 20, job: 'other-job' })).toEqual([ids[1]]);
    expect(await listed({ limit: 20, status: 'succeeded' })).toEqual([ids[0], ids[2]]);
    await expect(listed({ limit: 201 })).rejects.toMatchObject({ code: 'SE002' });
  });
});

describe('watch and waitForEnd', () => {
  it('shows the run now and after each change, up to its end', async () => {
    const [first, second] = [createGate(), createGate()];
    const job = jobOf(async ({ report }) => {
      await first.passed;
      report({ sent: 1 });
      await second.passed;
      return { sent: 2 };
    });
    const system = systemOf([job], rpcOf(), effects);
    const { id } = await system.start(job);
    await driver.settle();
    const shown: Run[] = [];
    const watching = (async () => {
      for await (const run of system.runs.watch(id, new AbortController().signal)) shown.push(run);
    })();
    await driver.settle();
    first.open();
    await driver.settle();
    second.open();
    await watching;
    expect(shown.map(({ stats, status }) => ({ sent: stats.sent, status }))).toEqual([
      { sent: undefined, status: 'running' },
      { sent: 1, status: 'running' },
      { sent: 2, status: 'succeeded' },
    ]);
  });

  it('follows a run that another process works on, by looking', async () => {
    const gate = createGate();
    const job = jobOf(async () => {
      await gate.passed;
      return { sent: 2 };
    });
    const system = systemOf([job], rpcOf(), effects);
    const watcher = systemOf([job], rpcOf(), effects);
    const { id } = await system.start(job);
    const shown: string[] = [];
    const watching = (async () => {
      for await (const run of watcher.runs.watch(id, new AbortController().signal)) shown.push(run.status);
    })();
    await driver.pass(3_000);
    gate.open();
    await driver.untilEnd(watching);
    expect(shown.at(-1)).toBe('succeeded');
    // Each state once: a look that finds nothing new shows nothing.
    expect(shown).toHaveLength(new Set(shown).size);
  });

  it('stops at once when nobody listens any more', async () => {
    const gate = createGate();
    const job = jobOf(async () => {
      await gate.passed;
      return {};
    });
    const system = systemOf([job], rpcOf(), effects);
    const { id } = await system.start(job);
    await driver.settle();
    const leave = new AbortController();
    let count = 0;
    const watching = (async () => {
      for await (const _run of system.runs.watch(id, leave.signal)) count += 1;
    })();
    await driver.settle();
    leave.abort();
    await watching;
    expect(count).toBe(1);
    gate.open();
    await system.ended(id);
  });

  it('there is nothing to watch of a run that does not exist, or has ended', async () => {
    const job = jobOf(async () => ({}));
    const system = systemOf([job], rpcOf(), effects);
    const none = [];
    for await (const run of system.runs.watch(effects.uuid(), new AbortController().signal)) none.push(run);
    expect(none).toEqual([]);
    const { id } = await system.start(job);
    await system.ended(id);
    const shown = [];
    for await (const run of system.runs.watch(id, new AbortController().signal)) shown.push(run.status);
    expect(shown).toEqual(['succeeded']);
  });

  it.each<{ name: string; timeoutMs: number; opensAtMs: number | null; status: RunStatus; waitedMs: number }>(
    [
      { name: 'its end', timeoutMs: 30_000, opensAtMs: 4_000, status: 'succeeded', waitedMs: 4_000 },
      { name: 'its time limit', timeoutMs: 3_000, opensAtMs: null, status: 'running', waitedMs: 3_000 },
      { name: 'nothing', timeoutMs: 0, opensAtMs: null, status: 'running', waitedMs: 0 },
    ],
  )('waits for $name', async ({ timeoutMs, opensAtMs, status, waitedMs }) => {
    const gate = createGate();
    const job = jobOf(async () => {
      if (opensAtMs !== null) await effects.sleep(opensAtMs);
      else await gate.passed;
      return {};
    });
    const system = systemOf([job], rpcOf(), effects);
    const started = await system.start(job);
    await driver.settle();
    const waiting = system.runs.waitForEnd(started, timeoutMs, new AbortController().signal);
    const run = await driver.untilEnd(waiting, 500);
    expect(run.status).toBe(status);
    expect(isEnded(run)).toBe(status === 'succeeded');
    expect(Math.abs(effects.now().getTime() - START.getTime() - waitedMs)).toBeLessThanOrEqual(500);
    gate.open();
    await system.ended(started.id);
    await driver.settle();
    // Nothing waits for the clock any more: no timer outlives the wait.
    expect(effects.sleeperCount()).toBe(0);
  });

  it('stops waiting when who asked has gone', async () => {
    const gate = createGate();
    const job = jobOf(async () => {
      await gate.passed;
      return {};
    });
    const system = systemOf([job], rpcOf(), effects);
    const started = await system.start(job);
    const leave = new AbortController();
    const waiting = system.runs.waitForEnd(started, 60_000, leave.signal);
    await driver.settle();
    leave.abort();
    expect((await waiting).status).toBe('running');
    gate.open();
    await system.ended(started.id);
  });

  it('fails with the database, and leaves no timer behind', async () => {
    let isAway = false;
    const rpc = rpcOf(async (name, next) => {
      if (isAway && name === 'run_get') throw unavailable(name);
      return next();
    });
    const system = systemOf([], rpc, effects);
    const job = jobOf(async () => ({}));
    const other = systemOf([job], rpcOf(), effects);
    const started = await other.start(job);
    isAway = true;
    await expect(system.runs.waitForEnd(started, 60_000, new AbortController().signal)).rejects.toMatchObject(
      {
        kind: 'unavailable',
      },
    );
    await other.ended(started.id);
    await driver.settle();
    expect(effects.sleeperCount()).toBe(0);
  });
});
