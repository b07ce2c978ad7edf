/** `/webhooks` */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { webhookWire } from '../webhook-registry.ts';
import type { Gateway } from './gateway.ts';

export const webhookRoutes: FastifyPluginAsyncTypebox<Gateway> = async (app, gateway) => {
  const { world, webhooks, answer } = gateway;
  app.post('/webhooks', (request, reply) =>
    answer(
      request,
      reply,
      world.manage(() => {
        const { id } = webhooks.create(request.body);
        return { status: 201, body: { object: 'WebhookCreated', webhook_id: id } };
      }),
    ),
  );
  app.get('/webhooks', (request, reply) =>
    answer(
      request,
      reply,
      world.manage(() => {
        const items = webhooks.list().map((webhook) => webhookWire(webhook, world));
        return { status: 200, body: { object: 'WebhookList', items, cursor: null } };
      }),
    ),
  );
  app.delete('/webhooks/:id', { schema: { params: Type.Object({ id: Type.String() }) } }, (request, reply) =>
    answer(
      request,
      reply,
      world.manage(() => {
        webhooks.remove(request.params.id);
        return { status: 200, body: { object: 'WebhookDeleted' } };
      }),
    ),
  );
};
