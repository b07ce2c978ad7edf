/**
 * What a process reports of its runs: what should not happen, with its place, and nothing that is
 * expected.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { dmQueue } from '../../src/dm/index.ts';
import { type SimulatedEffects, simulatedEffects } from '../../src/effects/index.ts';
import type { Run } from '../../src/jobs/index.ts';
import { RpcError, withClock } from '../../src/rpc/index.ts';
import { type ErrorFacts, errorRecord, NO_REPORTS, type Reports } from '../../src/telemetry/index.ts';
import {
  databaseForFile,
  type Intercept,
  intercepted,
  makeAccount,
  messagesOf,
  unavailable,
} from '../support/database.ts';
import { createDriver, type Driver } from '../support/driving.ts';
import { jobOf, systemOf } from '../support/jobs.ts';

const db = databaseForFile();

let effects: SimulatedEffects;
let driver: Driver;
let told: Array<ErrorFacts & { said: string }>;
let reports: Reports;

beforeEach(() => {
  effects = simulatedEffects(new Date('2026-03-02T10:00:01.000Z'));
  driver = createDriver(effects);
  told = [];
  reports = {
    ...NO_REPORTS,
    error: (thrown, facts) => void told.push({ ...facts, said: errorRecord(thrown).message }),
  };
});

const bug = (name: string) => new RpcError('bug', name, '42883', 'no such function');

const rpcOf = (intercept: Intercept) => withClock(driver.rpc(intercepted(db.rpc, intercept)), effects.now);

const placeOf = ({ id, job, scheduled_for }: Run) => ({ job, run_id: id, slot: scheduled_for, slice: 0 });

describe('a run', () => {
  it('that failed is reported with what it failed of', async () => {
    const job = jobOf(async () => Promise.reject(new Error('the key is refused')));
    const system = systemOf(
      [job],
      rpcOf((_, next) => next()),
      effects,
      { reports },
    );
    const { run } = await system.startSlot(job, '2026-03-02T10:00:00.000Z');
    await driver.settle();
    await system.ended(run.id);
    expect(told).toEqual([{ ...placeOf(run), said: 'the key is refused' }]);
    expect(told[0]?.slot).not.toBeNull();
  });

  it.each([
    { name: 'a bug', thrown: bug('run_finish'), count: 1 },
    { name: 'an outage', thrown: unavailable('run_finish'), count: 0 },
  ])('whose end cannot be recorded for $name: $count reports', async ({ thrown, count }) => {
    const job = jobOf(async () => ({}));
    const rpc = rpcOf(async (name, next) => {
      if (name === 'run_finish') throw thrown;
      return next();
    });
    const system = systemOf([job], rpc, effects, { reports });
    const { id } = await system.start(job);
    await driver.untilEnd(system.ended(id));
    expect(
      system.log.messages().filter((message) => message === 'run not recorded yet, retrying'),
    ).toHaveLength(8);
    expect(told).toHaveLength(count);
  });
});

describe('a message', () => {
  it('whose call failed within the process is reported with its account and its attempt', async () => {
    const accountId = await makeAccount(db, 'ada');
    const rpc = rpcOf((_, next) => next());
    const system = systemOf([dmQueue], rpc, effects, {
      reports,
      unipile: {
        ...systemOf([], db.rpc, effects).services.unipile,
        sendMessage: async () => Promise.reject(new TypeError('x is not a function')),
      },
    });
    await rpc.call('dm_enqueue', { rows: messagesOf(accountId, 1, 'Hello') });
    const run = await system.start(dmQueue);
    await driver.untilEnd(system.ended(run.id));
    const [attempt] = await db.query('select id::text from public.dm_attempts', []);
    expect(told[0]).toEqual({
      ...placeOf(run),
      ...{ account_id: accountId, attempt_id: attempt?.id, said: 'x is not a function' },
    });
  });
});
