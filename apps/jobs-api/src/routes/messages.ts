/** Messages: queue, list, look at, and act on many. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  ActionResult,
  type Admin,
  ENQUEUE_BYTES_MAX,
  EnqueuedMessages,
  MessageAction,
  MessageDetail,
  MessageExplanation,
} from '@revos/core/admin';
import { nameOf } from '../plugins/auth.ts';
import { HttpProblem } from '../problems.ts';
import { IdPath } from '../schemas/lists.ts';
import { EnqueueBody, EnqueueEnvelope, MessageList, MessageQuery } from '../schemas/messages.ts';
import { bodyErrors, commonErrors, conflicts, notFound } from '../schemas/problem.ts';
import { bodyJudgedBy } from '../validation.ts';

/** 10,000 ids, and a filter. */
export const ACTION_BYTES_MAX = 1_024 * 1_024;

export interface MessagesOptions {
  readonly messages: Admin['messages'];
}

export const messageRoutes: FastifyPluginAsyncTypebox<MessagesOptions> = async (app, { messages }) => {
  app.post(
    '/messages',
    {
      bodyLimit: ENQUEUE_BYTES_MAX,
      validatorCompiler: bodyJudgedBy(EnqueueEnvelope),
      schema: {
        operationId: 'enqueueMessages',
        description:
          'Queues up to 10,000 messages, all or none. A message with a `dedupe_key` that is known already is the one that exists, so a call whose answer was lost is repeated as it was. Every row that is wrong is named as `messages/<row>/<field>`, the first 1,000.',
        tags: ['messages'],
        body: EnqueueBody,
        response: { 200: EnqueuedMessages, 201: EnqueuedMessages, ...commonErrors, ...bodyErrors },
      },
    },
    async (request, reply) => {
      const answer = await app.drain.track(messages.enqueue(request.body.messages, nameOf(request)));
      return reply.code(answer.enqueued > 0 ? 201 : 200).send(answer);
    },
  );

  app.get(
    '/messages',
    {
      schema: {
        operationId: 'listMessages',
        description: 'Messages, the last queued first, without their texts.',
        tags: ['messages'],
        querystring: MessageQuery,
        response: { 200: MessageList, ...commonErrors },
      },
    },
    async ({ query }) => messages.list(query),
  );

  app.get(
    '/messages/:id',
    {
      schema: {
        operationId: 'getMessage',
        description: 'One message with its text, its attempts, and why it has not gone out.',
        tags: ['messages'],
        params: IdPath,
        response: { 200: MessageDetail, ...commonErrors, ...notFound },
      },
    },
    async ({ params }) => found(await messages.get(params.id)),
  );

  app.get(
    '/messages/:id/explanation',
    {
      schema: {
        operationId: 'explainMessage',
        description: 'Why a message has not gone out, and the earliest instant at which it can.',
        tags: ['messages'],
        params: IdPath,
        response: { 200: MessageExplanation, ...commonErrors, ...notFound },
      },
    },
    async ({ params }) => found(await messages.explain(params.id)),
  );

  app.post(
    '/messages/actions',
    {
      bodyLimit: ACTION_BYTES_MAX,
      schema: {
        operationId: 'actOnMessages',
        description:
          '`cancel` {reason?} what is pending; `retry` what has failed and was provably not sent; `reschedule` {send_at} what is pending; `settle` {decision, reason?, looked_at?} what is unknown. Rows that are named may be changed at once; for a filter, run with `dry_run` first and pass its `matched` as `expected_count`.',
        tags: ['messages'],
        body: MessageAction,
        response: { 200: ActionResult, ...commonErrors, ...bodyErrors, ...conflicts },
      },
    },
    async (request) => app.drain.track(messages.act(request.body, nameOf(request))),
  );
};

function found<Value>(value: Value | null): Value {
  if (value === null) throw new HttpProblem('message-not-found');
  return value;
}
