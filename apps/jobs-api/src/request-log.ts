/**
 * The log of requests: a line each, once it is answered.
 *
 * None when one comes in: who asks is not known yet, and each request of a flood would have its
 * line. The plugin `problems` lets none be written of what is refused too often.
 */
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify';

export class RequestLog extends LogController {
  constructor() {
    super({ requestIdLogLabel: 'request_id' });
  }

  override incomingRequest(): void {}

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const facts = { req: request, res: reply, response_ms: Math.round(reply.elapsedTime) };
    if (error) request.log.error({ ...facts, err: error }, 'request errored');
    else request.log.info(facts, 'request completed');
  }
}
