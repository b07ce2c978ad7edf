/** The cache in Redis: keys that expire by themselves, shared by every process that has the same Redis. */
import type { Redis } from 'ioredis';
import type { Effects } from '../effects/index.ts';
import type { Cache, Cached } from './cache.ts';

const PREFIX = 'revos:analytics:';

/** Nobody waits longer than this for a cache, in milliseconds. */
const CONNECT_MS_MAX = 2_000;
const COMMAND_MS_MAX = 1_000;

/** Milliseconds before the n-th try to connect again: more each time, up to 5 s, and for ever. */
const reconnectMs = (tries: number): number => Math.min(tries * 200, 5_000);

/**
 * Fails at once, and never queues, while Redis is away; it connects again by itself.
 *
 * @param url `redis://…` or `rediss://…`
 */
export function createRedisCache(url: string, effects: Pick<Effects, 'now'>): Cache {
  const opened = openRedis(url);
  // Each command that fails for it says so itself.
  const connected = opened.then((redis) => redis.connect()).catch(() => {});
  const whenConnected = async (): Promise<Redis> => {
    await connected;
    return opened;
  };

  return {
    async read(key) {
      const redis = await whenConnected();
      const kept = await redis.get(PREFIX + key);
      return kept === null ? null : (JSON.parse(kept) as Cached<unknown>);
    },
    async write(key, value, keepMs) {
      const redis = await whenConnected();
      const cached = { as_of: effects.now().toISOString(), value };
      await redis.set(PREFIX + key, JSON.stringify(cached), 'PX', Math.max(Math.ceil(keepMs), 1));
      return cached;
    },
    async close() {
      (await opened).disconnect();
      await connected;
    },
  };
}

/** The client, before it connects. Loaded only where there is a Redis. */
async function openRedis(url: string): Promise<Redis> {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_MS_MAX,
    commandTimeout: COMMAND_MS_MAX,
    retryStrategy: reconnectMs,
  });
  // Without a listener it prints to the console.
  redis.on('error', () => {});
  return redis;
}
