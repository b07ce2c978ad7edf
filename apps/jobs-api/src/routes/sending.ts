/** The pause of all sending. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Admin, PauseRequest, Sending } from '@revos/core/admin';
import { nameOf } from '../plugins/auth.ts';
import { bodyErrors, commonErrors, conflicts } from '../schemas/problem.ts';
import { NoBody } from '../schemas/runs.ts';

export interface SendingOptions {
  readonly sending: Admin['sending'];
}

export const sendingRoutes: FastifyPluginAsyncTypebox<SendingOptions> = async (app, { sending }) => {
  app.get(
    '/sending',
    {
      schema: {
        operationId: 'getSending',
        description: 'Whether all sending is paused, why, since when and by whom.',
        tags: ['sending'],
        response: { 200: Sending, ...commonErrors },
      },
    },
    async () => sending.status(),
  );

  app.post(
    '/sending/pause',
    {
      schema: {
        operationId: 'pauseSending',
        description:
          'Pauses all sending, of messages and of posts, of every account. What is on its way is not called back.',
        tags: ['sending'],
        body: PauseRequest,
        response: { 200: Sending, ...commonErrors, ...bodyErrors, ...conflicts },
      },
    },
    async (request) => app.drain.track(sending.pause(request.body, nameOf(request))),
  );

  app.post(
    '/sending/resume',
    {
      schema: {
        operationId: 'resumeSending',
        description:
          'Ends the pause of all sending. Paused accounts stay paused. Refused while a restore is marked in part (`POST /api/restores`).',
        tags: ['sending'],
        body: NoBody,
        response: { 200: Sending, ...commonErrors, ...bodyErrors, ...conflicts },
      },
    },
    async (request) => app.drain.track(sending.resume(nameOf(request))),
  );
};
