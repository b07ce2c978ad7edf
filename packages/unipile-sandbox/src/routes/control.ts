/**
 * `/_control`: what a test may ask of the sandbox, and do to it. No key, but from this machine only.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { AccountDeclaration, IncomingMessage, PersonDeclaration } from '../declarations.ts';
import { ApiError } from '../errors.ts';
import type { RequestLog } from '../request-log.ts';
import { checkFault, checkShape, DeclarationError } from '../shape.ts';
import type { WebhookDelivery } from '../webhook-delivery.ts';
import type { WebhookRegistry } from '../webhook-registry.ts';
import type { World } from '../world/world.ts';

/** Items of a list in one body. */
const ITEMS_MAX = 10_000;

export interface ControlOptions {
  readonly world: World;
  readonly webhooks: WebhookRegistry;
  readonly delivery: WebhookDelivery;
  readonly requests: RequestLog;
}

const LogQuery = Type.Object(
  {
    account_id: Type.Optional(Type.String()),
    kind: Type.Optional(
      Type.Union([Type.Literal('message'), Type.Literal('post'), Type.Literal('invitation')]),
    ),
    since: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: false },
);
const RequestsQuery = Type.Object(
  { account_id: Type.Optional(Type.String()) },
  { additionalProperties: false },
);

export const controlRoutes: FastifyPluginAsyncTypebox<ControlOptions> = async (app, options) => {
  const { world, webhooks, delivery, requests } = options;
  app.addHook('onRequest', async (request) => {
    if (!isLoopback(request.socket.remoteAddress)) throw new ApiError('insufficient_permissions');
  });
  app.get('/health', () => ({
    status: 'ok',
    now: world.now().toISOString(),
    accounts_count: world.accounts().length,
    webhooks_pending_count: delivery.pendingCount(),
    webhooks_lost_count: delivery.lostCount() + world.notificationsDroppedCount(),
  }));
  app.get('/log', { schema: { querystring: LogQuery } }, (request) => ({
    effects: world.effects(request.query),
    truncated_count: world.effectsTruncatedCount(),
  }));
  app.get('/requests', { schema: { querystring: RequestsQuery } }, (request) => ({
    requests: requests.list(request.query.account_id),
    truncated_count: requests.truncatedCount,
    writes_in_flight: world.concurrency(),
  }));
  app.get('/deliveries', () => ({ attempts: delivery.attempts(), lost_count: delivery.lostCount() }));
  app.post('/faults', (request, reply) => {
    const faults = listOf(request.body, checkFault);
    return reply.code(201).send({ ids: world.addFaults(faults) });
  });
  app.get('/faults', () => ({ faults: world.faults() }));
  app.delete('/faults', (_request, reply) => {
    world.clearFaults();
    return reply.code(204).send();
  });
  app.post('/accounts', (request) => {
    const declared = listOf(request.body, (item, at) => checkShape(AccountDeclaration, item, at));
    const accounts = declared.map((declaration) => world.declareAccount(declaration));
    return {
      accounts: accounts.map(({ id, name, providerId, status }) => ({
        id,
        name,
        provider_id: providerId,
        status,
      })),
    };
  });
  app.post('/people', (request) => {
    const declared = listOf(request.body, (item, at) => checkShape(PersonDeclaration, item, at));
    return { people: declared.map((declaration) => world.declarePerson(declaration)) };
  });
  app.post('/messages', (request) => {
    const incoming = listOf(request.body, (item, at) => checkShape(IncomingMessage, item, at));
    const messages = incoming.map((message) => world.receiveMessage(message));
    return { messages: messages.map(({ id, chatId }) => ({ id, chat_id: chatId })) };
  });
  app.post('/reset', (_request, reply) => {
    world.reset();
    webhooks.clear();
    delivery.clear();
    requests.clear();
    return reply.code(204).send();
  });
};

/** A body that is one item or a list of them; every item is checked before any is used. */
function listOf<Item>(body: unknown, check: (item: unknown, at: string) => Item): Item[] {
  if (!Array.isArray(body)) return [check(body, '')];
  if (body.length > ITEMS_MAX) {
    throw new DeclarationError([{ field: '', message: `must have at most ${ITEMS_MAX} items` }]);
  }
  return body.map((item, index) => check(item, String(index)));
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(?:::1|(?:::ffff:)?127\.\d+\.\d+\.\d+)$/.test(address);
}
