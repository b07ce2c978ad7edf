/** What the routes are given: the world, and the way to put an exchange on the wire. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { WebhookRegistry } from '../webhook-registry.ts';
import type { Exchange } from '../world/exchange.ts';
import type { World } from '../world/world.ts';

export interface Gateway {
  readonly world: World;
  readonly webhooks: WebhookRegistry;
  /** Answers, as the exchange says and when it says; notes the account in the log of requests. */
  readonly answer: (
    request: FastifyRequest,
    reply: FastifyReply,
    exchange: Exchange,
  ) => Promise<FastifyReply>;
}
