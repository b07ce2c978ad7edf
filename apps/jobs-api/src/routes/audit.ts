/** The audit trail: what people did. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Admin, AuditEntry, AuditFilter } from '@revos/core/admin';
import { Page } from '@revos/core/shapes';
import { listQuery } from '../schemas/lists.ts';
import { commonErrors } from '../schemas/problem.ts';

export interface AuditOptions {
  readonly audit: Admin['audit'];
}

export const auditRoutes: FastifyPluginAsyncTypebox<AuditOptions> = async (app, { audit }) => {
  app.get(
    '/audit',
    {
      schema: {
        operationId: 'listAudit',
        description: 'What was done by people, newest first.',
        tags: ['audit'],
        querystring: listQuery(AuditFilter.properties),
        response: { 200: Page(AuditEntry), ...commonErrors },
      },
    },
    async ({ query }) => audit.list(query),
  );
};
