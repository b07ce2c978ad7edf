/** `/accounts` */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Gateway } from './gateway.ts';
import { List, listQuery } from './queries.ts';

const Params = Type.Object({ id: Type.String() });

export const accountRoutes: FastifyPluginAsyncTypebox<Gateway> = async (app, { world, answer }) => {
  app.get('/accounts', { schema: { querystring: List } }, (request, reply) =>
    answer(request, reply, world.listAccounts(listQuery(request.query))),
  );
  app.get('/accounts/:id', { schema: { params: Params } }, (request, reply) =>
    answer(request, reply, world.getAccount(request.params.id)),
  );
  app.post('/accounts/:id/restart', { schema: { params: Params } }, (request, reply) =>
    answer(request, reply, world.restartAccount(request.params.id)),
  );
  app.delete('/accounts/:id', { schema: { params: Params } }, (request, reply) =>
    answer(request, reply, world.deleteAccount(request.params.id)),
  );
};
