/** Analytics: the rollup's rows, their sums, and the platform as a whole. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Analytics } from '@revos/core/analytics';
import {
  DailyList,
  DailyQuery,
  PLATFORM_DAYS_DEFAULT,
  PlatformAnswer,
  PlatformQuery,
  SummaryAnswer,
  SummaryQuery,
} from '../schemas/analytics.ts';
import { commonErrors } from '../schemas/problem.ts';

export interface AnalyticsRoutesOptions {
  readonly analytics: Pick<Analytics, 'daily' | 'summary' | 'platform'>;
}

export const analyticsRoutes: FastifyPluginAsyncTypebox<AnalyticsRoutesOptions> = async (
  app,
  { analytics },
) => {
  app.get(
    '/analytics/daily',
    {
      schema: {
        operationId: 'listDailyAnalytics',
        description: 'What each account did for each campaign on each of its days, the latest day first.',
        tags: ['analytics'],
        querystring: DailyQuery,
        response: { 200: DailyList, ...commonErrors },
      },
    },
    async ({ query }) => analytics.daily(query),
  );

  app.get(
    '/analytics/summary',
    {
      schema: {
        operationId: 'getAnalyticsSummary',
        description: 'Sums over days, at most 400, by day, account, client or campaign, or of everything.',
        tags: ['analytics'],
        querystring: SummaryQuery,
        response: { 200: SummaryAnswer, ...commonErrors },
      },
    },
    async ({ query: { from, to, group_by } }) => {
      const { as_of, value } = await analytics.summary({
        from,
        to,
        ...(group_by === undefined ? {} : { groupBy: group_by }),
      });
      return { as_of, ...value };
    },
  );

  app.get(
    '/analytics/platform',
    {
      schema: {
        operationId: 'getPlatformAnalytics',
        description: 'The platform’s last days, each of them, and their totals.',
        tags: ['analytics'],
        querystring: PlatformQuery,
        response: { 200: PlatformAnswer, ...commonErrors },
      },
    },
    async ({ query: { days = PLATFORM_DAYS_DEFAULT } }) => {
      const { as_of, value } = await analytics.platform(days);
      return { ...value, computed_at: as_of };
    },
  );
};
