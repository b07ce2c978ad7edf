/**
 * The cache of expensive answers: each carries the instant as of which it holds.
 *
 * A cache may lose anything at any time; what it gives is an answer that was right at its `as_of`.
 * In Postgres by default; in Redis where one is given, and in Postgres while that is away.
 */
import type { Effects } from '../effects/index.ts';
import type { Logger } from '../telemetry/index.ts';
import type { AnalyticsStore } from './store.ts';

/** An answer, and the instant (ISO 8601) at which it was computed. */
export interface Cached<Value> {
  readonly as_of: string;
  readonly value: Value;
}

/** Where answers are kept. */
export interface Cache {
  /** What was written under `key`, however old; null if nothing is known. */
  read(key: string): Promise<Cached<unknown> | null>;
  /**
   * Keeps a value, which must be JSON.
   *
   * @param key 1 to 200 characters
   * @param keepMs how long it is of use, in milliseconds; it may be kept for longer
   */
  write<Value>(key: string, value: Value, keepMs: number): Promise<Cached<Value>>;
  close(): Promise<void>;
}

/** In the table `analytics_cache`; `as_of` is the database's clock. */
export function createPostgresCache(store: Pick<AnalyticsStore, 'cacheGet' | 'cachePut'>): Cache {
  return {
    async read(key) {
      const kept = await store.cacheGet(key);
      return kept && { as_of: new Date(kept.computed_at).toISOString(), value: kept.payload };
    },
    async write(key, value) {
      const kept = await store.cachePut(key, value);
      return { as_of: new Date(kept.computed_at).toISOString(), value };
    },
    close: async () => {},
  };
}

/** `first`, and `second` while it fails; the log says once that an outage began, and once that it is over. */
export function createFailoverCache(first: Cache, second: Cache, logger: Logger): Cache {
  let isAway = false;
  const inEither = async <Answer>(call: (cache: Cache) => Promise<Answer>): Promise<Answer> => {
    try {
      const answer = await call(first);
      if (isAway) logger.info('analytics cache available again');
      isAway = false;
      return answer;
    } catch (error) {
      // Its message alone: errors of a client may carry the command, and that the password.
      const problem = error instanceof Error ? error.message : String(error);
      if (!isAway) logger.warn({ problem }, 'analytics cache unavailable, using the other one');
      isAway = true;
      return call(second);
    }
  };
  return {
    read: (key) => inEither((cache) => cache.read(key)),
    write: (key, value, keepMs) => inEither((cache) => cache.write(key, value, keepMs)),
    async close() {
      await Promise.all([first.close(), second.close()]);
    },
  };
}

export interface AnswerRequest<Value> {
  /** Names the question with all its arguments; at most 200 characters. */
  readonly key: string;
  /** How old a kept answer may be, in milliseconds, 0 or more. */
  readonly ttlMs: number;
  readonly compute: () => Promise<Value>;
  /** Computes it whatever is kept. */
  readonly isRenewal?: boolean;
}

export interface CachedAnswers {
  /** The kept answer if it is young enough; else it is computed, once for all who ask meanwhile. */
  answer<Value>(request: AnswerRequest<Value>): Promise<Cached<Value>>;
}

export function createCachedAnswers(cache: Cache, effects: Pick<Effects, 'now'>): CachedAnswers {
  /** What is being looked up or computed at this moment. */
  const underWay = new Map<string, Promise<Cached<unknown>>>();

  const isYoung = ({ as_of }: Cached<unknown>, ttlMs: number): boolean =>
    effects.now().getTime() - Date.parse(as_of) < ttlMs;

  const find = async <Value>(request: AnswerRequest<Value>): Promise<Cached<Value>> => {
    const { key, ttlMs, compute, isRenewal = false } = request;
    const kept = isRenewal ? null : await cache.read(key);
    if (kept && isYoung(kept, ttlMs)) return kept as Cached<Value>;
    return cache.write(key, await compute(), ttlMs);
  };

  return {
    answer<Value>(request: AnswerRequest<Value>) {
      // Who wants it renewed does not take what somebody began to look up before.
      const flight = `${request.isRenewal === true ? 'renew' : 'find'} ${request.key}`;
      const joined = underWay.get(flight) as Promise<Cached<Value>> | undefined;
      if (joined !== undefined) return joined;
      const found = find(request).finally(() => underWay.delete(flight));
      underWay.set(flight, found);
      return found;
    },
  };
}
