/** Whether the system is well: the sentence that the command line and the dashboard say too. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Verdict } from '@revos/core/verdict';
import { commonErrors } from '../schemas/problem.ts';

export interface VerdictRouteOptions {
  readonly readVerdict: () => Promise<Verdict>;
}

export const verdictRoutes: FastifyPluginAsyncTypebox<VerdictRouteOptions> = async (app, { readVerdict }) => {
  app.get(
    '/verdict',
    {
      schema: {
        operationId: 'getVerdict',
        description:
          'Whether the system is well; if not, since when, why, and what to do. It is 200 also when little can be seen: then it says `unknown`.',
        tags: ['health'],
        response: { 200: Verdict, ...commonErrors },
      },
    },
    async () => readVerdict(),
  );
};
