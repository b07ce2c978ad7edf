/**
 * Large bodies: how many bytes of them are taken in and worked on at the same time.
 *
 * A body costs several times its size: its text, what is read from it, and the text that goes to
 * the database. So what all of them may have together is bounded, and whoever comes on top of it is
 * told to come back, before his is read. Small bodies, such as every trigger's, are never refused
 * for large ones.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Limits } from '../limits.ts';
import { HttpProblem } from '../problems.ts';

export interface LargeBodiesOptions extends Pick<Limits, 'largeBodiesBytesMax'> {
  /** A body of no more bytes is a small one. */
  readonly smallBytesMax: number;
}

/** Seconds after which what is being taken in will mostly be done. */
const RETRY_AFTER_SECONDS = '5';

const MEGABYTE = 1_048_576;

interface Held {
  /** Gives the room back, once. */
  release(): void;
  /** Whether the body is being worked on: it stays in memory though its sender has gone. */
  isAtWork: boolean;
}

export const largeBodies = fp<LargeBodiesOptions>(
  async (app: FastifyInstance, { largeBodiesBytesMax, smallBytesMax }) => {
    const held = new WeakMap<FastifyRequest, Held>();
    let bytesHeld = 0;

    // After the credential, before a byte of the body.
    app.addHook('preParsing', async (request, reply) => {
      const limit = request.routeOptions.bodyLimit ?? smallBytesMax;
      const bytes = announcedBytes(request, limit);
      // Refused here, and not by Fastify: it would close the connection under a client that is still writing.
      if (bytes > limit) throw tooLarge(limit);
      if (bytes <= smallBytesMax) return;
      if (bytesHeld + bytes > largeBodiesBytesMax) throw tooMany();
      bytesHeld += bytes;
      let isReleased = false;
      const holding: Held = {
        isAtWork: false,
        release() {
          if (!isReleased) bytesHeld -= bytes;
          isReleased = true;
        },
      };
      held.set(request, holding);
      reply.raw.once('close', () => {
        if (!holding.isAtWork) holding.release();
      });
    });

    app.addHook('preHandler', async (request) => {
      const holding = held.get(request);
      if (holding !== undefined) holding.isAtWork = true;
    });

    app.addHook('onSend', async (request) => held.get(request)?.release());
  },
  { name: 'large-bodies', dependencies: ['problems'] },
);

/** What its headers say of a body; the most that the route takes if they do not say. */
function announcedBytes({ headers }: FastifyRequest, limit: number): number {
  if (headers['transfer-encoding'] !== undefined) return limit;
  return Number(headers['content-length'] ?? 0);
}

const tooLarge = (limit: number): HttpProblem =>
  new HttpProblem('body-too-large', {
    detail: `The body may have ${shownBytes(limit)} at most: send fewer rows at once.`,
  });

const tooMany = (): HttpProblem =>
  new HttpProblem('too-many-bodies', {
    detail: 'Nothing of this one was read: send it again in a while.',
    headers: { 'retry-after': RETRY_AFTER_SECONDS },
  });

const shownBytes = (bytes: number): string =>
  bytes < MEGABYTE ? `${Math.floor(bytes / 1_024)} KB` : `${Math.floor(bytes / MEGABYTE)} MB`;
