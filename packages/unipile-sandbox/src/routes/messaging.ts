/** `/chats`, `/messages` and `/chat_attendees` */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { readForm } from '../form.ts';
import type { Gateway } from './gateway.ts';
import { List, listQuery } from './queries.ts';

const Params = Type.Object({ id: Type.String() });
const schema = { params: Params, querystring: List };

export const messagingRoutes: FastifyPluginAsyncTypebox<Gateway> = async (app, { world, answer }) => {
  app.post('/chats', async (request, reply) => {
    const form = await readForm(request);
    const started = world.startChat({
      accountId: form.one('account_id'),
      attendeesIds: form.all('attendees_ids'),
      text: form.one('text'),
      subject: form.one('subject'),
      api: form.one('linkedin[api]'),
      isInmail: form.one('linkedin[inmail]') === 'true',
      attachments: form.files,
    });
    return answer(request, reply, started);
  });
  app.post('/chats/:id/messages', { schema: { params: Params } }, async (request, reply) => {
    const form = await readForm(request);
    const sent = world.sendMessage({
      chatId: request.params.id,
      accountId: form.one('account_id'),
      text: form.one('text'),
      attachments: form.files,
    });
    return answer(request, reply, sent);
  });
  app.get('/chats', { schema: { querystring: List } }, (request, reply) =>
    answer(request, reply, world.listChats(listQuery(request.query))),
  );
  app.get('/chats/:id', { schema }, (request, reply) =>
    answer(request, reply, world.getChat(request.params.id)),
  );
  app.get('/chats/:id/sync', { schema }, (request, reply) =>
    answer(request, reply, world.syncChat(request.params.id)),
  );
  app.get('/chats/:id/messages', { schema }, (request, reply) =>
    answer(request, reply, world.listMessagesOfChat(request.params.id, listQuery(request.query))),
  );
  app.get('/messages', { schema: { querystring: List } }, (request, reply) =>
    answer(request, reply, world.listMessages(listQuery(request.query))),
  );
  app.get('/messages/:id', { schema }, (request, reply) =>
    answer(request, reply, world.getMessage(request.params.id)),
  );
  app.get('/chat_attendees/:id/chats', { schema }, (request, reply) =>
    answer(request, reply, world.listChatsOfAttendee(request.params.id, listQuery(request.query))),
  );
  app.get('/chat_attendees/:id/messages', { schema }, (request, reply) =>
    answer(request, reply, world.listMessagesOfAttendee(request.params.id, listQuery(request.query))),
  );
};
