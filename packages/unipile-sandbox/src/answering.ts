/**
 * Puts a world's answer on the wire: a reply, or one of the ways a connection goes wrong.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { Answer, Exchange } from './world/exchange.ts';

/**
 * Waits as long as the exchange says, then answers. The effect happens even if the client has left.
 *
 * @param closing aborted when the server closes: the wait ends, nothing more happens
 */
export async function answer(reply: FastifyReply, exchange: Exchange, closing: AbortSignal): Promise<void> {
  reply.raw.once('close', () => exchange.release());
  if (exchange.delayMs > 0) {
    const isClosing = await wait(exchange.delayMs, false, { signal: closing }).catch(() => true);
    if (isClosing) {
      reply.hijack();
      reply.raw.destroy();
      return;
    }
  }
  put(reply, exchange.finish());
}

function put(reply: FastifyReply, said: Answer): void {
  switch (said.kind) {
    case 'reply': {
      const { body } = said;
      reply.code(said.status).headers(said.headers);
      if (body.kind === 'json') {
        reply.type('application/json; charset=utf-8').send(JSON.stringify(body.value));
      } else reply.type(body.contentType).send(body.text);
      return;
    }
    case 'closed':
      reply.hijack();
      reply.raw.destroy();
      return;
    case 'reset':
      reply.hijack();
      reply.raw.socket?.resetAndDestroy();
      return;
    case 'cut': {
      reply.hijack();
      const bytes = Buffer.from(said.body);
      reply.raw.writeHead(said.status, {
        'content-type': 'application/json; charset=utf-8',
        'content-length': bytes.length,
      });
      reply.raw.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () => reply.raw.destroy());
      return;
    }
    case 'hang':
      reply.hijack();
      return;
  }
}
