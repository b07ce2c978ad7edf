import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type SimulatedEffects, simulatedEffects } from '../../src/effects/index.ts';
import type { JobHandler, RunStats } from '../../src/jobs/index.ts';
import { withClock } from '../../src/rpc/index.ts';
import { databaseForFile, type Intercept, intercepted, unavailable } from '../support/database.ts';
import { createDriver, type Driver } from '../support/driving.ts';
import { createGate, type Gate } from '../support/gate.ts';
import { jobOf, systemOf } from '../support/jobs.ts';

const db = databaseForFile();

const START = new Date('2026-03-02T10:00:01.000Z');
const SLOT = '2026-03-02T10:00:00.000Z';
const NEXT = '2026-03-02T10:15:00.000Z';

let effects: SimulatedEffects;
let driver: Driver;
let gate: Gate;
beforeEach(() => {
  effects = simulatedEffects(START);
  driver = createDriver(effects);
  gate = createGate();
});

const systemFor = (handler: JobHandler, intercept: Intercept = (_name, next) => next()) => {
  const job = jobOf(handler);
  const rpc = withClock(driver.rpc(intercepted(db.rpc, intercept)), effects.now);
  return { job, ...systemOf([job], rpc, effects) };
};

/** Works until it is stopped, and says what it did until then. */
const untilStopped =
  (stats: RunStats = { sent: 2 }): JobHandler =>
  async ({ signal, report }) => {
    report(stats);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return stats;
  };

describe('the end of a run', () => {
  it('succeeded, with its stats and its times', async () => {
    const system = systemFor(async () => {
      await effects.sleep(3_000);
      return { sent: 5, skipped: { gap: 2 }, next_at: null };
    });
    const { id } = await system.start(system.job);
    await driver.pass(3_000);
    const run = await system.ended(id);
    expect(run).toMatchObject({
      status: 'succeeded',
      stats: { sent: 5, skipped: { gap: 2 }, next_at: null },
      error: null,
      worker: 'test@host:1',
      requested_by: 'ada',
      trigger: 'ops',
    });
    expect(Date.parse(run.finished_at ?? '') - Date.parse(run.started_at ?? '')).toBe(3_000);
  });

  it.each([
    {
      name: 'throws',
      fail: async () => Promise.reject(new Error('the key is refused')),
      error: 'the key is refused',
    },
    {
      name: 'throws no error',
      fail: async () => Promise.reject('Hello Ada'),
      error: 'something that is no error was thrown',
    },
    {
      name: 'throws a message that is too long',
      fail: async () => Promise.reject(new Error('x'.repeat(3_000))),
      error: 'x'.repeat(2_000),
    },
    {
      name: 'throws a message that would be cut within an emoji',
      fail: async () => Promise.reject(new Error(`${'x'.repeat(1_999)}👋`)),
      error: `${'x'.repeat(1_999)}\uFFFD`,
    },
    {
      name: 'throws what a parser read',
      fail: async () => JSON.parse('Hello Ada'),
      error: 'what was read cannot be parsed',
    },
    { name: 'throws a NUL', fail: async () => Promise.reject(new Error('a\0b')), error: 'ab' },
  ])('a handler that $name: failed, with the message and what was done so far', async ({ fail, error }) => {
    const system = systemFor(async ({ report }) => {
      report({ sent: 2 });
      return fail();
    });
    const { id } = await system.start(system.job);
    await driver.settle();
    const run = await system.ended(id);
    expect(run).toMatchObject({ status: 'failed', stats: { sent: 2 }, error });
    expect(system.log.messages()).toContain('run failed');
  });

  it('a handler that does not load: failed, and the next run is not held up', async () => {
    const job = {
      ...jobOf(async () => ({})),
      loadHandler: async () => Promise.reject(new Error('no such module')),
    };
    const system = systemOf([job], withClock(driver.rpc(db.rpc), effects.now), effects);
    const { id } = await system.start(job);
    await driver.settle();
    expect(await system.ended(id)).toMatchObject({ status: 'failed', error: 'no such module' });
  });

  it('cancelled here: at once, with its stats and who did it', async () => {
    const system = systemFor(untilStopped());
    const { id } = await system.start(system.job);
    await driver.settle();
    expect(await system.runs.cancel(id, 'ada')).toMatchObject({ status: 'running' });
    await driver.settle();
    expect(await system.ended(id)).toMatchObject({
      status: 'cancelled',
      stats: { sent: 2 },
      error: 'cancelled by ada',
    });
  });

  it('cancelled in another process: seen with the next heartbeat', async () => {
    const system = systemFor(untilStopped());
    const elsewhere = systemFor(untilStopped());
    const { id } = await system.start(system.job);
    await driver.settle();
    await elsewhere.runs.cancel(id, 'ben');
    await driver.settle();
    expect((await system.runs.get(id))?.status).toBe('running');
    await driver.pass(5_000);
    expect(await system.ended(id)).toMatchObject({
      status: 'cancelled',
      stats: { sent: 2 },
      error: 'cancelled by ben',
    });
  });

  it('cancelled in another process, and another was started in its place: its handler is called once', async () => {
    const handler = vi.fn(untilStopped());
    const system = systemFor(handler);
    const elsewhere = systemFor(untilStopped());
    const { id } = await system.start(system.job);
    await driver.settle();
    await elsewhere.runs.cancel(id, 'ben');
    await elsewhere.start(elsewhere.job);
    await driver.pass(5_000);
    await driver.settle();
    expect(handler).toHaveBeenCalledTimes(1);
    expect(await system.ended(id)).toMatchObject({ status: 'cancelled', stats: { sent: 2 } });
  });

  it('cancelled before anybody took it up: never begun', async () => {
    const handler = vi.fn(untilStopped());
    const system = systemFor(handler);
    const { run } = await system.store.start({
      job: system.job.name,
      trigger: 'ops',
      scheduledFor: null,
      requestedBy: 'ada',
      horizonAt: new Date(NEXT),
    });
    expect(await system.runs.cancel(run.id, 'ada')).toMatchObject({ status: 'cancelled' });
    await system.engine.submit(run);
    await driver.settle();
    expect(await system.ended(run.id)).toMatchObject({ status: 'cancelled', started_at: null });
    expect(handler).not.toHaveBeenCalled();
  });

  it('cancelled after its end: it stays as it ended', async () => {
    const system = systemFor(async () => ({ sent: 1 }));
    const { id } = await system.start(system.job);
    await driver.settle();
    await system.ended(id);
    expect(await system.runs.cancel(id, 'ada')).toMatchObject({
      status: 'succeeded',
      cancel_requested_at: null,
    });
  });
});

describe('a slot that comes while a run is at its end', () => {
  it('is not lost: the run works on until the new horizon', async () => {
    const horizons: string[] = [];
    let isLate = true;
    const system = systemFor(
      async ({ run, horizonAt }) => {
        horizons.push(horizonAt().toISOString());
        return { sent: (run.stats.sent ?? 0) + 1 };
      },
      async (name, next) => {
        // The slot arrives when the handler has returned, and before its end is recorded.
        if (name === 'run_finish' && isLate) {
          isLate = false;
          await system.startSlot(system.job, NEXT);
        }
        return next();
      },
    );
    const { run } = await system.startSlot(system.job, SLOT);
    await driver.settle();
    expect(await system.ended(run.id)).toMatchObject({ status: 'succeeded', stats: { sent: 2 } });
    expect(horizons).toEqual([NEXT, '2026-03-02T10:30:00.000Z']);
    expect((await system.store.slot('test-job', new Date(NEXT)))?.id).toBe(run.id);
  });

  it('does not keep a run that failed going', async () => {
    let calls = 0;
    const system = systemFor(
      async () => {
        calls += 1;
        throw new Error('no');
      },
      async (name, next) => {
        if (name === 'run_finish' && calls === 1) await system.startSlot(system.job, NEXT);
        return next();
      },
    );
    const { run } = await system.startSlot(system.job, SLOT);
    await driver.settle();
    expect(await system.ended(run.id)).toMatchObject({ status: 'failed' });
    expect(calls).toBe(1);
  });
});

describe('heartbeats', () => {
  it('come every 5 s, with the stats as they stand', async () => {
    const beats: unknown[] = [];
    const system = systemFor(untilStopped({ sent: 7 }), async (name, next, args) => {
      if (name === 'run_heartbeat') {
        beats.push({
          at: effects.now().getTime() - START.getTime(),
          stats: (args as { stats: unknown }).stats,
        });
      }
      return next();
    });
    const { id } = await system.start(system.job);
    await driver.pass(12_000);
    expect(beats).toEqual([
      { at: 5_000, stats: { sent: 7 } },
      { at: 10_000, stats: { sent: 7 } },
    ]);
    await system.runs.cancel(id, 'ada');
    await system.ended(id);
    await driver.settle();
    expect(effects.sleeperCount()).toBe(0);
  });

  it('that fail are borne: the run goes on, and ends well once the database is back', async () => {
    let isAway = false;
    const system = systemFor(
      async () => {
        await gate.passed;
        return { sent: 1 };
      },
      async (name, next) => {
        if (isAway) throw unavailable(name);
        return next();
      },
    );
    const { id } = await system.start(system.job);
    await driver.settle();
    isAway = true;
    await driver.pass(20_000);
    expect(system.log.messages().filter((message) => message.startsWith('heartbeat failed'))).toHaveLength(4);
    isAway = false;
    await driver.pass(5_000);
    gate.open();
    await driver.settle();
    expect(await system.ended(id)).toMatchObject({ status: 'succeeded', stats: { sent: 1 } });
  });

  it('a run that was given up on is stopped by its next heartbeat; what it did still counts', async () => {
    const reasons: unknown[] = [];
    let isAway = false;
    const system = systemFor(
      async (context, services) => {
        const stats = await untilStopped({ sent: 3 })(context, services);
        reasons.push(context.signal.reason);
        return stats;
      },
      async (name, next) => {
        if (isAway && name === 'run_heartbeat') throw unavailable(name);
        return next();
      },
    );
    const { id } = await system.start(system.job);
    await driver.settle();
    isAway = true;
    await driver.pass(65_000);
    // Somebody else looks, and finds no heartbeat for 60 s.
    expect(await system.store.recover()).toBe(1);
    isAway = false;
    await driver.pass(5_000);
    expect(await system.ended(id)).toMatchObject({
      status: 'interrupted',
      stats: { sent: 3 },
      error: 'its worker went away: no heartbeat',
    });
    expect(reasons).toEqual(['lost']);
  });

  it.each([
    { silentS: 60, recovered: 0 },
    { silentS: 61, recovered: 1 },
  ])('after $silentS s without one, $recovered runs are given up', async ({ silentS, recovered }) => {
    const system = systemFor(untilStopped());
    await db.query(
      `insert into public.job_runs (job, trigger, status, requested_at, started_at, heartbeat_at, horizon_at, requested_by, worker)
       values ('test-job', 'ops', 'running', $1, $1, $1, $1, 'ada', 'gone')`,
      [START.toISOString()],
    );
    await effects.advance(silentS * 1_000);
    expect(await system.store.recover()).toBe(recovered);
  });
});

describe('the database is away', () => {
  it.each([
    { name: 'begin', rpcName: 'run_begin' },
    { name: 'end', rpcName: 'run_finish' },
  ])('at a run’s $name: it is recorded as soon as it is back', async ({ rpcName }) => {
    let failures = 3;
    const handler = vi.fn(async () => ({ sent: 1 }));
    const system = systemFor(handler, async (name, next) => {
      if (name === rpcName && failures-- > 0) throw unavailable(name);
      return next();
    });
    const { id } = await system.start(system.job);
    await driver.pass(4_000);
    expect(await system.ended(id)).toMatchObject({ status: 'succeeded', stats: { sent: 1 } });
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it.each([
    { name: 'begin', rpcName: 'run_begin' },
    { name: 'end', rpcName: 'run_finish' },
  ])('the answer to a run’s $name is lost: it is asked again, and is worked on once', async ({ rpcName }) => {
    let isFirst = true;
    const handler = vi.fn(async () => ({ sent: 1 }));
    const system = systemFor(handler, async (name, next) => {
      const answer = await next();
      if (name === rpcName && isFirst) {
        isFirst = false;
        throw unavailable(name);
      }
      return answer;
    });
    const { id } = await system.start(system.job);
    await driver.pass(2_000);
    expect(await system.ended(id)).toMatchObject({ status: 'succeeded', stats: { sent: 1 } });
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it('for good, at a run’s end: the process lets go, and the run is recovered', async () => {
    let isAway = false;
    const system = systemFor(
      async () => {
        isAway = true;
        return { sent: 1 };
      },
      async (name, next) => {
        if (isAway) throw unavailable(name);
        return next();
      },
    );
    const { id } = await system.start(system.job);
    await driver.pass(30_000);
    expect(system.engine.snapshot(id)).toBeNull();
    isAway = false;
    await driver.pass(60_000);
    expect(await system.store.recover()).toBe(1);
    expect((await system.store.get(id))?.status).toBe('interrupted');
  });
});
