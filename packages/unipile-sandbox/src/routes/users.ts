/** `/users` */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { readForm } from '../form.ts';
import type { Gateway } from './gateway.ts';
import { AccountOnly, List, listQuery } from './queries.ts';

const Params = Type.Object({ id: Type.String() });

export const userRoutes: FastifyPluginAsyncTypebox<Gateway> = async (app, { world, answer }) => {
  app.get('/users/me', { schema: { querystring: AccountOnly } }, (request, reply) =>
    answer(request, reply, world.ownProfile(request.query.account_id)),
  );
  app.get('/users/relations', { schema: { querystring: List } }, (request, reply) =>
    answer(request, reply, world.listRelations(listQuery(request.query))),
  );
  app.post('/users/invite', async (request, reply) => {
    const form = await readForm(request);
    const invited = world.invite({
      accountId: form.one('account_id'),
      providerId: form.one('provider_id'),
      message: form.one('message'),
    });
    return answer(request, reply, invited);
  });
  app.get('/users/invite/sent', { schema: { querystring: List } }, (request, reply) =>
    answer(request, reply, world.listInvitationsSent(listQuery(request.query))),
  );
  const cancel = { params: Params, querystring: AccountOnly };
  app.delete('/users/invite/sent/:id', { schema: cancel }, (request, reply) =>
    answer(request, reply, world.cancelInvitation(request.params.id, request.query.account_id)),
  );
  app.get('/users/:id', { schema: { params: Params, querystring: AccountOnly } }, (request, reply) =>
    answer(request, reply, world.profile(request.params.id, request.query.account_id)),
  );
  app.get('/users/:id/posts', { schema: { params: Params, querystring: List } }, (request, reply) =>
    answer(request, reply, world.listPostsOfUser(request.params.id, listQuery(request.query))),
  );
};
