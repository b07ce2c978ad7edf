/** The audit trail: what people did. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Operations } from '@revos/core/operations';
import { AuditList, AuditQuery } from '../schemas/audit.ts';
import { refusals } from '../schemas/problem.ts';

export interface AuditOptions {
  readonly audit: Operations['audit'];
}

export const auditRoutes: FastifyPluginAsyncTypebox<AuditOptions> = async (app, { audit }) => {
  app.get(
    '/audit',
    {
      schema: {
        operationId: 'listAudit',
        description: 'What was done by people, newest first.',
        tags: ['audit'],
        querystring: AuditQuery,
        response: { 200: AuditList, ...refusals },
      },
    },
    async ({ query }) => audit.list(query),
  );
};
