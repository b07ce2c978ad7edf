/** A database that was put back to an earlier instant. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Admin, Restore, RestoreRequest } from '@revos/core/admin';
import { nameOf } from '../plugins/auth.ts';
import { bodyErrors, commonErrors } from '../schemas/problem.ts';

export interface RestoresOptions {
  readonly restores: Admin['restores'];
}

export const restoreRoutes: FastifyPluginAsyncTypebox<RestoresOptions> = async (app, { restores }) => {
  app.post(
    '/restores',
    {
      schema: {
        operationId: 'markRestore',
        description:
          'Says that the database was put back to an instant: pauses all sending, and has whatever could have gone out since looked for on LinkedIn. It marks some accounts a call, and is repeated until `is_marked`; from then on it changes nothing, and says how far the looks have come.',
        tags: ['sending'],
        body: RestoreRequest,
        response: { 200: Restore, ...commonErrors, ...bodyErrors },
      },
    },
    async (request) => app.drain.track(restores.mark(request.body, nameOf(request))),
  );
};
