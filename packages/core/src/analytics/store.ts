/** Analytics in the database: the `analytics_…` SQL functions, typed. Nothing here decides anything. */

import type { Rpc } from '../rpc/index.ts';
import { LIMIT_DEFAULT } from '../shapes/index.ts';
import type { DailyFilter, DailyRow, Platform, Summary, SummaryGroup } from './shapes.ts';

/** What is deleted, in this order. How long each is kept, the database says. */
export const HISTORY_KINDS = ['messages', 'message_attempts', 'post_attempts', 'runs'] as const;
export type HistoryKind = (typeof HISTORY_KINDS)[number];

/** Which days to recount: the last so many, or a range. Neither: what the daily run recounts. */
export interface DaysRequest {
  /** 1 to 400. */
  readonly days?: number | undefined;
  /** `YYYY-MM-DD`, included. */
  readonly from?: string | undefined;
  /** Included; by default the present day. */
  readonly to?: string | undefined;
}

/** How much was recounted. */
export interface Refreshed {
  readonly days: number;
  readonly rows: number;
}

export interface DailyRequest extends DailyFilter {
  /** 1 to 200; 50 by default. */
  readonly limit?: number;
  /** The `next_cursor` of the page before. */
  readonly cursor?: string;
}

/** Rows of the rollup, the latest day first. */
export interface DailyPage {
  readonly items: readonly DailyRow[];
  /** Null on the last page. */
  readonly next_cursor: string | null;
}

/** What was kept in the database's cache. */
export interface Kept {
  readonly payload: unknown;
  readonly computed_at: string;
}

/** One batch of history that is gone. */
export interface DeletedBatch {
  readonly deleted: number;
  /** Where the next batch goes on; null if nothing is left. */
  readonly after: unknown;
}

export interface AnalyticsStore {
  /** The latest first. */
  days(request: DaysRequest): Promise<readonly string[]>;
  refresh(from: string, to: string): Promise<Refreshed>;
  refreshViews(): Promise<void>;
  daily(request: DailyRequest): Promise<DailyPage>;
  summary(from: string, to: string, groupBy: SummaryGroup): Promise<Summary>;
  platform(days: number): Promise<Platform>;
  cacheGet(key: string): Promise<Kept | null>;
  cachePut(key: string, payload: unknown): Promise<Kept>;
  /** @param limit rows to look at, 1 to 10,000 @param after of the batch before; null for the first */
  deleteHistory(kind: HistoryKind, limit: number, after: unknown): Promise<DeletedBatch>;
}

export function createAnalyticsStore(rpc: Rpc): AnalyticsStore {
  return {
    days: async ({ days, from, to }) =>
      (await rpc.call<{ days: readonly string[] }>('analytics_days', { days, from, to })).days,
    refresh: (from, to) => rpc.call('analytics_refresh', { from, to }),
    refreshViews: async () => {
      await rpc.call('analytics_views_refresh');
    },
    daily: ({ limit = LIMIT_DEFAULT, cursor, ...filter }) =>
      rpc.call('analytics_daily_list', { filter, limit, after: cursor ?? null }),
    summary: (from, to, groupBy) => rpc.call('analytics_summary', { from, to, group_by: groupBy }),
    platform: (days) => rpc.call('analytics_platform', { days }),
    cacheGet: (key) => rpc.call('analytics_cache_get', { key }),
    cachePut: (key, payload) => rpc.call('analytics_cache_put', { key, payload }),
    deleteHistory: (kind, limit, after) => rpc.call('history_delete', { kind, limit, after }),
  };
}
