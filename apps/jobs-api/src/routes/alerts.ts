/** Alerts: what people were told of, and what lasts. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { AlertStore } from '@revos/core/alerts';
import { AlertList, AlertQuery } from '../schemas/alerts.ts';
import { refusals } from '../schemas/problem.ts';

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
        querystring: AlertQuery,
        response: { 200: AlertList, ...refusals },
      },
    },
    async ({ query }) => alerts.list(query),
  );
};
