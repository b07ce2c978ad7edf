export type { Cached } from './cache.ts';
export type { DeletedHistory } from './history.ts';
export { analytics } from './job.ts';
export {
  type Analytics,
  type AnalyticsOptions,
  createAnalytics,
  PLATFORM_DAYS,
  type SummaryRequest,
} from './queries.ts';
export {
  DailyFilter,
  DailyRow,
  Platform,
  PlatformDay,
  Summary,
  SummaryGroup,
  SummaryItem,
} from './shapes.ts';
export { type DailyPage, type DailyRequest, HISTORY_KINDS, type HistoryKind } from './store.ts';
