/** Alerts: what people were told of, and what lasts. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Alert, AlertFilter, type AlertStore } from '@revos/core/alerts';
import { Page } from '@revos/core/shapes';
import { listQuery } from '../schemas/lists.ts';
import { commonErrors } from '../schemas/problem.ts';

export interface AlertsOptions {
  readonly alerts: Pick<AlertStore, 'list'>;
}

export const alertRoutes: FastifyPluginAsyncTypebox<AlertsOptions> = async (app, { alerts }) => {
  app.get(
    '/alerts',
    {
      schema: {
        operationId: 'listAlerts',
        description: 'What people were told of, the latest first, and whether it lasts.',
        tags: ['health'],
        querystring: listQuery(AlertFilter.properties),
        response: { 200: Page(Alert), ...commonErrors },
      },
    },
    async ({ query }) => alerts.list(query),
  );
};
