/** The cache of analytics in a real Redis: the suite of every cache, and what becomes of an outage. */

import { setImmediate as turn } from 'node:timers/promises';
import { simulatedEffects } from '@revos/core/effects';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Cache } from '../../packages/core/src/analytics/cache.ts';
import { type Analytics, createAnalytics } from '../../packages/core/src/analytics/index.ts';
import { createRedisCache } from '../../packages/core/src/analytics/redis-cache.ts';
import { describeCache } from '../../packages/core/test/analytics/cache-suite.ts';
import { intercepted } from '../../packages/core/test/support/database.ts';
import { type CapturedLog, captureLog } from '../../packages/core/test/support/log.ts';
import { openSession, type Session } from '../support/database.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

const START = new Date('2026-03-02T10:00:00.000Z');
let redis: RedisServer;
let effects: ReturnType<typeof simulatedEffects>;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.kill());
beforeEach(() => {
  effects = simulatedEffects(START);
});

describe('the cache in Redis', () => {
  let cache: Cache;
  beforeEach(() => {
    cache = createRedisCache(redis.url, effects);
  });
  afterEach(() => cache.close());

  describeCache(() => ({ cache, effects }));

  it('an answer goes by itself once it is of no use', async () => {
    await cache.write('short', 1, 1);
    for (let look = 0; look < 20_000; look += 1) {
      if ((await cache.read('short')) === null) return;
    }
    throw new Error('it never went');
  });

  it('another process reads what this one wrote', async () => {
    const written = await cache.write('shared', { n: 1 }, 60_000);
    const other = createRedisCache(redis.url, effects);
    expect(await other.read('shared')).toEqual(written);
    await other.close();
  });

  it('fails at once when it was closed', async () => {
    await cache.close();
    await expect(cache.read('a')).rejects.toThrow();
  });
});

describe('analytics with Redis', () => {
  let session: Session;
  let log: CapturedLog;
  let calls: string[];
  let analytics: Analytics;

  beforeAll(async () => {
    session = await openSession(START);
  });
  afterAll(() => session?.close());
  const open = (redisUrl: string): Analytics => {
    const rpc = intercepted(session.rpc, async (name, next) => {
      calls.push(name);
      return next();
    });
    return createAnalytics(rpc, { effects, logger: log.logger, redisUrl });
  };
  beforeEach(async () => {
    await session.reset();
    log = captureLog();
    calls = [];
    analytics = open(redis.url);
  });
  afterEach(() => analytics.close());

  it('asks the database once, and keeps nothing there', async () => {
    const first = await analytics.platform(11);
    expect(await analytics.platform(11)).toEqual(first);
    await analytics.warm();
    expect(calls.filter((name) => name !== 'analytics_platform')).toEqual([]);
    expect(calls).toHaveLength(4);
    expect(log.messages()).toEqual([]);
  });

  it('a Redis that is killed costs no answer, and one warning; afterwards it is used again', async () => {
    await analytics.platform(12);
    await redis.kill();
    expect((await analytics.platform(12)).value.days).toHaveLength(12);
    expect((await analytics.platform(12)).value.days).toHaveLength(12);
    expect(log.messages()).toEqual(['analytics cache unavailable, using the other one']);
    // The second answer came out of Postgres.
    expect(calls.filter((name) => name === 'analytics_platform')).toHaveLength(2);

    await redis.restart();
    for (let look = 0; look < 20_000 && log.messages().length < 2; look += 1) {
      await analytics.platform(12);
      // PGlite answers without giving the sockets a turn.
      await turn();
    }
    expect(log.messages()).toEqual([
      'analytics cache unavailable, using the other one',
      'analytics cache available again',
    ]);
    const before = calls.length;
    await analytics.platform(12);
    expect(calls.slice(before)).toEqual([]);
  });

  it('a password that is refused: answers come, and no line has it', async () => {
    const guarded = await startRedis({ password: 'the-right-password' });
    const refused = open(guarded.url.replace('redis://', 'redis://:a-wrong-password@'));
    expect((await refused.platform(13)).value.days).toHaveLength(13);
    expect(log.messages()).toEqual(['analytics cache unavailable, using the other one']);
    expect(log.lines.join()).not.toMatch(/password@|a-wrong-password|the-right-password/);
    await refused.close();

    const accepted = open(guarded.url.replace('redis://', 'redis://:the-right-password@'));
    await accepted.platform(13);
    expect(log.messages()).toHaveLength(1);
    await accepted.close();
    await guarded.kill();
  });
});
