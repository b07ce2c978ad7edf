export type { Cached } from './cache.ts';
export { type DeletedHistory, HISTORY_KINDS, type HistoryKind } from './history.ts';
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
  GivenDay,
  Platform,
  PlatformDay,
  Summary,
  SummaryGroup,
  SummaryItem,
} from './shapes.ts';
export type { DailyPage, DailyRequest } from './store.ts';
