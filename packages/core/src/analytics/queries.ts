/** What is asked of analytics, with the expensive answers cached. */
import type { Effects } from '../effects/index.ts';
import type { Rpc } from '../rpc/index.ts';
import type { Logger } from '../telemetry/index.ts';
import { type Cached, createCachedAnswers, createFailoverCache, createPostgresCache } from './cache.ts';
import { createRedisCache } from './redis-cache.ts';
import type { Platform, Summary, SummaryGroup } from './shapes.ts';
import { createAnalyticsStore, type DailyPage, type DailyRequest } from './store.ts';

/**
 * How old an answer may be, in milliseconds. The rollup changes once a day; a backfill may come at
 * any time.
 */
const PLATFORM_TTL_MS = 15 * 60_000;
const SUMMARY_TTL_MS = 5 * 60_000;

/** The ranges, in days, that the platform's page offers: the daily run computes them before anybody asks. */
export const PLATFORM_DAYS: readonly number[] = [7, 30, 90];

export interface SummaryRequest {
  /** `YYYY-MM-DD`, both included; at most 400 days. */
  readonly from: string;
  readonly to: string;
  /** `none` by default: everything in one sum. */
  readonly groupBy?: SummaryGroup;
}

/** Every call throws {RpcError}: `rule` for a range out of bounds. */
export interface Analytics {
  /** @param days 1 to 400, the present day of UTC among them */
  platform(days: number): Promise<Cached<Platform>>;
  summary(request: SummaryRequest): Promise<Cached<Summary>>;
  /** Rows of the rollup as they are, not cached. */
  daily(request: DailyRequest): Promise<DailyPage>;
  /** Computes anew what the platform's page shows. */
  warm(): Promise<void>;
  close(): Promise<void>;
}

export interface AnalyticsOptions {
  readonly effects: Pick<Effects, 'now'>;
  readonly logger: Logger;
  /** Where to cache; in Postgres without it, and while it is away. */
  readonly redisUrl?: string | undefined;
}

export function createAnalytics(rpc: Rpc, { effects, logger, redisUrl }: AnalyticsOptions): Analytics {
  const store = createAnalyticsStore(rpc);
  const postgres = createPostgresCache(store);
  const cache =
    redisUrl === undefined
      ? postgres
      : createFailoverCache(createRedisCache(redisUrl, effects), postgres, logger);
  const cached = createCachedAnswers(cache, effects);

  const platform = (days: number, isRenewal: boolean): Promise<Cached<Platform>> =>
    cached.answer({
      key: `platform:${days}`,
      ttlMs: PLATFORM_TTL_MS,
      compute: () => store.platform(days),
      isRenewal,
    });

  return {
    platform: (days) => platform(days, false),
    summary: ({ from, to, groupBy = 'none' }) =>
      cached.answer({
        key: `summary:${from}:${to}:${groupBy}`,
        ttlMs: SUMMARY_TTL_MS,
        compute: () => store.summary(from, to, groupBy),
      }),
    daily: (request) => store.daily(request),
    async warm() {
      for (const days of PLATFORM_DAYS) await platform(days, true);
    },
    close: () => cache.close(),
  };
}
