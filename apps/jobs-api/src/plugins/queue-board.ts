/**
 * `/queues`: what waits in Redis, as a page, for whoever has an ops token. All of it is served from
 * here, and it changes nothing: what is to become of a run is said to the job API, which writes it
 * down.
 */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { SliceQueue } from '@revos/core/jobs/engines/bullmq';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HttpProblem } from '../problems.ts';
import type { AuthOptions } from './auth.ts';
import { basicAuth } from './basic-auth.ts';
import { BOARD_PATH } from './openapi.ts';
import { answerProblem } from './problems.ts';

/** It sets styles from its script, and asks Google for a font that it can do without. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "img-src 'self' data:",
  "object-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
].join('; ');

const READS = new Set(['GET', 'HEAD']);

const RETRY_AFTER_SECONDS = '10';

export interface QueueBoardOptions extends Pick<AuthOptions, 'opsTokens'> {
  readonly queue: SliceQueue;
  readonly isReachable: () => Promise<boolean>;
}

/**
 * Registered as a scope: the credential is asked for before every file of it, the styles and icons
 * as well.
 */
export const queueBoard = async (app: FastifyInstance, options: QueueBoardOptions): Promise<void> => {
  const authenticate = basicAuth(options);
  /** Answers by itself: the board would answer what is thrown here in its own way, without the challenge. */
  const refuseUnless =
    (check: (request: FastifyRequest) => Promise<void>) =>
    async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
      try {
        await check(request);
        return undefined;
      } catch (error) {
        return answerProblem(error, request, reply);
      }
    };

  app.addHook('onRequest', async (_request, reply) => {
    reply.header('content-security-policy', CONTENT_SECURITY_POLICY);
  });
  app.addHook('onRequest', refuseUnless(authenticate));
  app.addHook(
    'onRequest',
    refuseUnless(async ({ method }) => {
      // The board refuses these too; here, whatever it may learn to do is refused.
      if (!READS.has(method))
        throw new HttpProblem('method-not-allowed', { headers: { allow: 'GET, HEAD' } });
    }),
  );
  app.addHook(
    'preHandler',
    refuseUnless(async ({ url }) => {
      // What it asks of Redis would wait for it.
      if (url.startsWith(`${BOARD_PATH}/api/`) && !(await options.isReachable())) {
        throw new HttpProblem('queue-unavailable', { headers: { 'retry-after': RETRY_AFTER_SECONDS } });
      }
    }),
  );

  const adapter = new FastifyAdapter().setBasePath(BOARD_PATH);
  createBullBoard({
    queues: [new BullMQAdapter(options.queue, { readOnlyMode: true })],
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'RevOS jobs' } },
  });
  await app.register(adapter.registerPlugin(), { prefix: BOARD_PATH });
};
