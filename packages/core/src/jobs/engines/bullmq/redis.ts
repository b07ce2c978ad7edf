/**
 * The connection to Redis: it comes back by itself, for ever, and says once when it is away and
 * once when it is back.
 */
import { Redis } from 'ioredis';
import type { Logger } from '../../../telemetry/index.ts';

const CONNECT_MS_MAX = 2_000;

/**
 * A server that says nothing for so long, in milliseconds, is taken for gone; above the 10 s that a
 * worker waits for jobs.
 */
const SILENCE_MS_MAX = 30_000;

/** Milliseconds before the n-th try to connect again: more each time, up to 2 s, and for ever. */
const reconnectMs = (tries: number): number => Math.min(tries * 200, 2_000);

export interface RedisConnection {
  readonly client: Redis;
  isReady(): boolean;
  /** Resolves once it is ready, or cannot be reached at its first try. */
  readonly tried: Promise<void>;
  /** For whatever BullMQ reports: an outage is told once, everything else each time. */
  report(error: Error): void;
  close(): void;
}

/** @param url `redis://…` or `rediss://…` */
export function openRedis(url: string, logger: Logger): RedisConnection {
  const client = new Redis(url, {
    connectTimeout: CONNECT_MS_MAX,
    socketTimeout: SILENCE_MS_MAX,
    // BullMQ's workers need it. Who must not wait for ever looks at `isReady` first, and gives up by itself.
    maxRetriesPerRequest: null,
    retryStrategy: reconnectMs,
  });
  const isReady = (): boolean => client.status === 'ready';
  let isAway = false;
  let isClosed = false;
  const tried = Promise.withResolvers<void>();

  const noteAway = (error?: Error): void => {
    tried.resolve();
    if (isAway || isClosed) return;
    isAway = true;
    logger.warn({ err: error }, 'Redis unavailable');
  };
  client.on('error', noteAway);
  client.on('close', () => noteAway());
  client.on('ready', () => {
    tried.resolve();
    if (isAway) logger.info('Redis available again');
    isAway = false;
  });

  return {
    client,
    isReady,
    tried: tried.promise,
    report(error) {
      if (isClosed) return;
      if (isReady()) logger.warn({ err: error }, 'BullMQ error');
      else noteAway(error);
    },
    close() {
      isClosed = true;
      client.disconnect();
    },
  };
}
