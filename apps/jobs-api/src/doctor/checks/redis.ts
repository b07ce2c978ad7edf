/** Redis, where there is one: reached, and keeping what it is given. */
import type { Context } from '../context.ts';
import { isSet, readRedisUrl } from '../env.ts';
import { type Finding, ok, skipped, warning, wrong } from '../finding.ts';

const CONNECT_MS_MAX = 5_000;

export async function checkRedis({ env }: Context): Promise<Finding[]> {
  if (!isSet(env, 'REDIS_URL')) return [];
  const url = readRedisUrl(env);
  if (url === null) return [skipped('Redis', 'REDIS_URL is malformed')];
  const memory = await memoryOf(url);
  const isQueue = env.JOB_ENGINE?.trim() === 'bullmq';
  if (memory === null) {
    const remedy =
      'Render → the Key Value: take its internal URL; that one answers only within Render, so look from there';
    return [wrong('REDIS_URL', 'does not answer, or refuses the password', remedy)];
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1] ?? 'unknown';
  if (policy === 'noeviction') return [ok('Redis', 'is reached, and throws nothing away (noeviction)')];
  const remedy = 'set maxmemoryPolicy: noeviction; on Render in the Key Value’s settings';
  const found = `is reached, and throws things away when it is full (${policy})`;
  return [isQueue ? wrong('Redis', found, remedy) : warning('Redis', found, remedy)];
}

/** What it says of its memory; null if it does not answer. */
async function memoryOf(url: string): Promise<string | null> {
  // Loaded only where there is one.
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_MS_MAX,
    commandTimeout: CONNECT_MS_MAX,
    retryStrategy: () => null,
  });
  // Without a listener it prints to the console. The calls below fail by themselves.
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await redis.info('memory');
  } catch {
    return null;
  } finally {
    redis.disconnect();
  }
}
