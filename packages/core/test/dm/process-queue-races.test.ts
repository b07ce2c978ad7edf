/**
 * Several processes on one queue, in real time, over a real Postgres: what PGlite's one session
 * cannot show.
 */
import { type Sandbox, type SandboxOptions, startSandbox } from '@revos/unipile-sandbox';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cloneDatabase, poolOf, queryOf } from '../../../../tests/support/test-postgres.ts';
import { processQueue } from '../../src/dm/dm-outbox.ts';
import { realEffects } from '../../src/effects/index.ts';
import { createSqlRpc, type SqlQuery } from '../../src/rpc/index.ts';
import { type Intercept, intercepted, makeAccount, messagesOf, unavailable } from '../support/database.ts';
import { createGate } from '../support/gate.ts';
import { jobOf, systemOf } from '../support/jobs.ts';
import { clientForTest, requestsOf } from '../support/sandbox.ts';

/** How far ahead a run looks: it ends when nothing more can go out by then. */
const HORIZON_MS = 60_000;

const poolFor = (connectionString: string) => {
  const pool = poolOf({ connectionString, options: '-c role=service_role', max: 8 });
  onTestFinished(() => pool.end());
  const query = queryOf(pool);
  return { query, rpc: createSqlRpc(query) };
};

const untouched = (): Intercept => (_name, next) => next();

interface RunOptions {
  readonly intercept?: (process: number) => Intercept;
  /** Of each process. */
  readonly slots?: number;
}

interface World {
  readonly sandbox: Sandbox;
  readonly query: SqlQuery;
  /** How many rows waited for a slot after each claim of any process. */
  readonly claimedAhead: number[];
  /** Runs the queue in `count` processes at once, each with a pool of its own, until all have ended. */
  runIn(count: number, options?: RunOptions): Promise<readonly Record<string, number>[]>;
}

async function worldOf(
  accounts: number,
  messages: number,
  options: SandboxOptions = {},
  policy: Readonly<Record<string, unknown>> = {},
): Promise<World> {
  const { url, drop } = await cloneDatabase();
  onTestFinished(drop);
  const names = Array.from({ length: accounts }, (_, index) => `a${index}`);
  const sandbox = await startSandbox({
    accounts: names.map((id) => ({ id })),
    latencyMs: { min: 1, max: 15 },
    ...options,
  });
  onTestFinished(() => sandbox.close());
  const own = poolFor(url);
  for (const name of names) {
    const id = await makeAccount(own, name, policy);
    await own.rpc.call('dm_enqueue', { rows: messagesOf(id, messages, `${name} `) });
  }
  const claimedAhead: number[] = [];
  return {
    sandbox,
    query: own.query,
    claimedAhead,
    runIn(count, { intercept = untouched, slots = 4 } = {}) {
      // All begin to claim at one moment, however long each took to start.
      let missing = count;
      const all = createGate();
      const together = (own: Intercept): Intercept => {
        let isFirst = true;
        return async (name, next, args) => {
          if (name === 'dm_claim' && isFirst) {
            isFirst = false;
            missing -= 1;
            if (missing === 0) all.open();
            await all.passed;
          }
          return own(name, next, args);
        };
      };
      return Promise.all(
        Array.from({ length: count }, async (_, index) => {
          // Each its own job: one job would be one run.
          const job = jobOf(processQueue, '*/15 * * * *', `queue-${index}`);
          const { rpc } = poolFor(url);
          const system = systemOf([job], intercepted(rpc, together(intercept(index))), realEffects, {
            unipile: clientForTest(sandbox),
            worker: `worker-${index}`,
            sendConcurrency: slots,
          });
          const started = await system.store.start({
            job: job.name,
            trigger: 'worker',
            scheduledFor: null,
            requestedBy: 'test',
            horizonAt: new Date(realEffects.now().getTime() + HORIZON_MS),
          });
          await system.engine.submit(started.run);
          const run = await system.ended(started.run.id);
          expect(run).toMatchObject({ status: 'succeeded', error: null });
          for (const line of system.log.lines) {
            const { msg, claimed_ahead } = JSON.parse(line) as { msg: string; claimed_ahead: number };
            if (msg === 'claimed') claimedAhead.push(claimed_ahead);
          }
          return run.stats as Record<string, number>;
        }),
      );
    },
  };
}

const sumOf = (stats: readonly Record<string, number>[], name: string): number =>
  stats.reduce((sum, { [name]: count = 0 }) => sum + count, 0);

async function expectExactlyOnce(world: World, count: number): Promise<void> {
  const texts = world.sandbox.world.effects().map(({ text }) => text);
  expect(texts).toHaveLength(count);
  expect(new Set(texts).size).toBe(count);
  const { writes_in_flight } = await requestsOf(world.sandbox);
  expect(writes_in_flight.map(({ max }) => max)).toEqual(writes_in_flight.map(() => 1));
}

describe('processes that work on one queue at once', () => {
  it('send each message exactly once, and one at a time for an account', async () => {
    const world = await worldOf(8, 12);
    const stats = await world.runIn(2);
    await expectExactlyOnce(world, 96);
    expect(sumOf(stats, 'sent')).toBe(96);
    expect(sumOf(stats, 'eligible')).toBe(96);
    // Both took part: neither waited for the other.
    for (const { sent } of stats) expect(sent).toBeGreaterThan(0);
    const [left] = await world.query(
      `select count(*)::int as count from public.dm_queue where status <> 'sent'`,
      [],
    );
    expect(left?.count).toBe(0);
  });

  it('claim ahead of their slots, and send each message exactly once all the same', async () => {
    const world = await worldOf(40, 4);
    const stats = await world.runIn(2, { slots: 10 });
    await expectExactlyOnce(world, 160);
    expect(sumOf(stats, 'sent')).toBe(160);
    expect(sumOf(stats, 'released')).toBe(0);
    const aheadMax = Math.max(...world.claimedAhead);
    expect(aheadMax).toBeGreaterThan(0);
    // A fifth of the slots.
    expect(aheadMax).toBeLessThanOrEqual(2);
  });

  it('keep every limit between them', async () => {
    const world = await worldOf(4, 20, {}, { dms_per_24h: 7 });
    const stats = await world.runIn(4);
    await expectExactlyOnce(world, 28);
    expect(sumOf(stats, 'sent')).toBe(28);
    for (const account of ['a0', 'a1', 'a2', 'a3']) {
      expect(world.sandbox.world.effects({ account_id: account })).toHaveLength(7);
    }
  });

  it('lose no message and double none, though answers of the database are lost on the way', async () => {
    const world = await worldOf(6, 10);
    const stats = await world.runIn(3, {
      intercept: (process) => {
        let calls = 0;
        return async (name, next) => {
          const answer = await next();
          calls += 1;
          const isLost = (name === 'dm_claim' || name === 'dm_record') && (calls + process) % 7 === 0;
          if (isLost) throw unavailable(name);
          return answer;
        };
      },
    });
    await expectExactlyOnce(world, 60);
    expect(sumOf(stats, 'unknown')).toBe(0);
    expect(sumOf(stats, 'sent')).toBe(60);
  });

  it('confirm what was sent though its answer was lost, and send nothing again', async () => {
    const world = await worldOf(6, 8, {
      faults: [{ match: { operation: 'send' }, action: { kind: 'drop_answer' }, times: 5 }],
    });
    await world.runIn(2);
    await world.runIn(2);
    const texts = world.sandbox.world.effects().map(({ text }) => text);
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts).toHaveLength(48);
    const [sent] = await world.query(
      `select count(*)::int as count, count(unipile_message_id)::int as ids from public.dm_queue where status = 'sent'`,
      [],
    );
    expect(sent).toEqual({ count: 48, ids: 48 });
    const { requests } = await requestsOf(world.sandbox);
    expect(requests.filter(({ method }) => method === 'POST')).toHaveLength(48);
  });
});
