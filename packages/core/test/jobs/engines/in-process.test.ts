import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type SimulatedEffects, simulatedEffects } from '../../../src/effects/index.ts';
import { createInProcessEngine, type JobHandler, type Run } from '../../../src/jobs/index.ts';
import { withClock } from '../../../src/rpc/index.ts';
import { databaseForFile } from '../../support/database.ts';
import { createDriver, type Driver } from '../../support/driving.ts';
import { createGate } from '../../support/gate.ts';
import { jobOf, systemOf } from '../../support/jobs.ts';
import { describeEngine } from './engine-suite.ts';

const db = databaseForFile();

const START = new Date('2026-03-02T10:00:01.000Z');

let effects: SimulatedEffects;
let driver: Driver;
beforeEach(() => {
  effects = simulatedEffects(START);
  driver = createDriver(effects);
});

const systemFor = (handler: JobHandler) => {
  const job = jobOf(handler);
  return { job, ...systemOf([job], withClock(driver.rpc(db.rpc), effects.now), effects) };
};

describeEngine({
  name: 'in-process',
  database: db,
  afterClose: { status: 'interrupted', error: 'stopped: shutdown' },
  async open(...parts) {
    const engine = createInProcessEngine(...parts);
    return { engine, close: (graceMs) => engine.close(graceMs) };
  },
});

describe('close', () => {
  it('asks a run to stop, waits for its end, and marks it interrupted', async () => {
    const reasons: unknown[] = [];
    const system = systemFor(async ({ signal }) => {
      await effects.sleep(60_000, signal);
      reasons.push(signal.reason);
      // What is in flight is finished.
      await effects.sleep(2_000);
      return { sent: 4 };
    });
    const { id } = await system.start(system.job);
    await driver.settle();
    const closing = system.engine.close(10_000);
    expect(await driver.untilEnd(closing)).toBe(true);
    expect(reasons).toEqual(['shutdown']);
    expect(await system.ended(id)).toMatchObject({
      status: 'interrupted',
      stats: { sent: 4 },
      error: 'stopped: shutdown',
    });
    await driver.settle();
    expect(effects.sleeperCount()).toBe(0);
  });

  it.each([
    { endsAfterMs: 2_000, graceMs: 3_000, inTime: true },
    { endsAfterMs: 4_000, graceMs: 3_000, inTime: false },
    { endsAfterMs: 4_000, graceMs: 0, inTime: false },
  ])('a run that needs $endsAfterMs ms, of $graceMs: $inTime', async ({ endsAfterMs, graceMs, inTime }) => {
    const gate = createGate();
    const system = systemFor(async ({ signal }) => {
      await effects.sleep(60_000, signal);
      await effects.sleep(endsAfterMs);
      gate.open();
      return {};
    });
    await system.start(system.job);
    await driver.settle();
    expect(await driver.untilEnd(system.engine.close(graceMs), 500)).toBe(inTime);
    await driver.untilEnd(gate.passed);
    await driver.settle();
  });

  it('with nothing under way is at once', async () => {
    expect(await systemFor(async () => ({})).engine.close(10_000)).toBe(true);
    await driver.settle();
    expect(effects.sleeperCount()).toBe(0);
  });

  it('a run that is taken over afterwards is stopped from the start', async () => {
    const handler = vi.fn<JobHandler>(async ({ signal }) => ({ sent: signal.aborted ? 0 : 1 }));
    const system = systemFor(handler);
    await system.engine.close(1_000);
    const { id } = await system.start(system.job);
    await driver.settle();
    expect(await system.ended(id)).toMatchObject({ status: 'interrupted', stats: { sent: 0 } });
  });
});

describe('submit', () => {
  it('twice is worked on once', async () => {
    const handler = vi.fn<JobHandler>(async () => ({}));
    const system = systemFor(handler);
    const run = await system.start(system.job);
    await system.engine.submit(run);
    await driver.settle();
    await system.ended(run.id);
    await system.engine.submit(run);
    await driver.settle();
    expect(handler).toHaveBeenCalledTimes(1);
  });
});

describe('onChange', () => {
  it('tells of every change up to the end, and no more once it is stopped', async () => {
    const system = systemFor(async ({ report }) => {
      report({ sent: 1 });
      return { sent: 2 };
    });
    const told: Run[] = [];
    const stop = system.engine.onChange((run) => told.push(run));
    const { id } = await system.start(system.job);
    await driver.settle();
    await system.ended(id);
    expect(told.every((run) => run.id === id)).toBe(true);
    expect(told.map(({ status }) => status)).toEqual(['running', 'running', 'succeeded', 'succeeded']);
    expect(told.at(-1)?.stats).toEqual({ sent: 2 });
    stop();
    await system.start(system.job);
    await driver.settle();
    expect(told).toHaveLength(4);
  });

  it('a run that nobody works on here is neither shown nor stopped here', () => {
    const { engine } = systemFor(async () => ({}));
    expect(engine.snapshot(effects.uuid())).toBeNull();
    expect(() => engine.cancel(effects.uuid())).not.toThrow();
  });
});
