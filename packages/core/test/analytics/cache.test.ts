import { createServer } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Cache,
  createCachedAnswers,
  createFailoverCache,
  createPostgresCache,
} from '../../src/analytics/cache.ts';
import { createAnalytics } from '../../src/analytics/index.ts';
import { createAnalyticsStore } from '../../src/analytics/store.ts';
import { type SimulatedEffects, simulatedEffects } from '../../src/effects/index.ts';
import { withClock } from '../../src/rpc/index.ts';
import { databaseForFile, intercepted } from '../support/database.ts';
import { createGate } from '../support/gate.ts';
import { captureLog } from '../support/log.ts';
import { describeCache } from './cache-suite.ts';

const db = databaseForFile();
const START = new Date('2026-03-02T10:00:00.000Z');
const TTL_MS = 60_000;

let effects: SimulatedEffects;
beforeEach(async () => {
  effects = simulatedEffects(START);
  await db.query('delete from public.analytics_cache', []);
});

const postgresCache = (): Cache =>
  createPostgresCache(createAnalyticsStore(withClock(db.rpc, () => effects.now())));

describe('the cache in Postgres', () => {
  describeCache(() => ({ cache: postgresCache(), effects }));
});

describe('cached answers', () => {
  /** Answers that count how often they were computed. */
  const counting = () => {
    const answers = createCachedAnswers(postgresCache(), effects);
    let computed = 0;
    const ask = (more: { isRenewal?: boolean; ttlMs?: number; key?: string } = {}) =>
      answers.answer({
        key: 'platform:7',
        ttlMs: TTL_MS,
        compute: async () => {
          computed += 1;
          return computed;
        },
        ...more,
      });
    return { ask };
  };

  it('an answer is computed once, until it is as old as it may be', async () => {
    const { ask } = counting();
    expect(await ask()).toEqual({ as_of: START.toISOString(), value: 1 });
    await effects.advance(TTL_MS - 1);
    expect(await ask()).toEqual({ as_of: START.toISOString(), value: 1 });
    await effects.advance(1);
    expect(await ask()).toEqual({ as_of: effects.now().toISOString(), value: 2 });
  });

  it('how old it may be, each who asks decides', async () => {
    const { ask } = counting();
    await ask();
    await effects.advance(10_000);
    expect((await ask({ ttlMs: 20_000 })).value).toBe(1);
    expect((await ask({ ttlMs: 10_000 })).value).toBe(2);
    expect((await ask({ ttlMs: 0 })).value).toBe(3);
  });

  it('another process’s answer is taken', async () => {
    await counting().ask();
    expect((await counting().ask()).value).toBe(1);
  });

  it('a renewal computes it whatever is kept', async () => {
    const { ask } = counting();
    await ask();
    expect((await ask({ isRenewal: true })).value).toBe(2);
    expect((await ask()).value).toBe(2);
  });

  it('many who ask at once wait for one computation, each key for its own', async () => {
    const gate = createGate();
    let computed = 0;
    const answers = createCachedAnswers(postgresCache(), effects);
    const ask = (key: string) =>
      answers.answer({
        key,
        ttlMs: TTL_MS,
        compute: async () => {
          computed += 1;
          await gate.passed;
          return key;
        },
      });
    const asked = [...Array.from({ length: 20 }, () => ask('a')), ask('b')];
    gate.open();
    expect((await Promise.all(asked)).map(({ value }) => value)).toEqual([...Array(20).fill('a'), 'b']);
    expect(computed).toBe(2);
  });

  it('a failure is everybody’s who waited, and is not remembered', async () => {
    const answers = createCachedAnswers(postgresCache(), effects);
    const request = { key: 'a', ttlMs: TTL_MS };
    const failing = () =>
      answers.answer({ ...request, compute: async () => Promise.reject(new Error('away')) });
    const both = await Promise.allSettled([failing(), failing()]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await answers.answer({ ...request, compute: async () => 1 })).value).toBe(1);
  });
});

describe('failover', () => {
  /** A cache that can be away. */
  const fickle = () => {
    const kept = new Map<string, unknown>();
    const state = { isAway: false };
    const inTime = <Answer>(answer: Answer): Answer => {
      if (state.isAway) throw new Error('connect ECONNREFUSED');
      return answer;
    };
    const cache: Cache = {
      read: async (key) => inTime((kept.get(key) as never) ?? null),
      write: async (key, value) => {
        const cached = inTime({ as_of: effects.now().toISOString(), value });
        kept.set(key, cached);
        return cached;
      },
      close: async () => {},
    };
    return { cache, state };
  };

  it('goes on with the second, and says so once an outage', async () => {
    const log = captureLog();
    const { cache: first, state } = fickle();
    const cache = createFailoverCache(first, postgresCache(), log.logger);
    await cache.write('a', 1, TTL_MS);
    expect(log.messages()).toEqual([]);

    state.isAway = true;
    expect(await cache.read('a')).toBeNull();
    await cache.write('a', 2, TTL_MS);
    expect((await cache.read('a'))?.value).toBe(2);
    expect(log.messages()).toEqual(['analytics cache unavailable, using the other one']);
    expect(JSON.parse(log.lines[0] ?? '')).toMatchObject({ level: 40, problem: 'connect ECONNREFUSED' });

    state.isAway = false;
    expect((await cache.read('a'))?.value).toBe(1);
    state.isAway = true;
    await cache.read('a');
    expect(log.messages().slice(1)).toEqual([
      'analytics cache available again',
      'analytics cache unavailable, using the other one',
    ]);
  });

  it('a Redis that nobody serves: every answer comes, and there is one warning', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));

    const log = captureLog();
    const calls: string[] = [];
    const rpc = intercepted(withClock(db.rpc, effects.now), async (name, next) => {
      calls.push(name);
      return next();
    });
    const analytics = createAnalytics(rpc, {
      effects,
      logger: log.logger,
      redisUrl: `redis://:very-secret@127.0.0.1:${port}`,
    });
    const first = await analytics.platform(3);
    expect(first.as_of).toBe(START.toISOString());
    expect(await analytics.platform(3)).toEqual(first);
    expect(calls.filter((name) => name === 'analytics_platform')).toHaveLength(1);
    expect(log.messages()).toEqual(['analytics cache unavailable, using the other one']);
    expect(log.lines.join()).not.toContain('very-secret');
    await analytics.close();
  });
});
