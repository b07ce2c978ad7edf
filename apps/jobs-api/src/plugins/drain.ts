/**
 * Draining: the order in which the service lets go.
 *
 * Closing stops new triggers, ends waits and streams, and asks the runs to stop, all at once; it
 * waits for what is in flight, and only then lets go of the socket. A connection is closed with its
 * next answer: without that, closing would wait for every client's keep-alive to run out.
 */
import { type Effects, within } from '@revos/core/effects';
import type { Engine } from '@revos/core/jobs';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { HttpProblem } from '../problems.ts';
import { CONNECTIONS_MS_MAX } from '../start.ts';

/** Seconds after which the next instance will have taken over. */
const RETRY_AFTER_SECONDS = '10';

const WRITES = new Set(['POST', 'PATCH']);

export interface Drain {
  /** Aborts when the shutdown begins. */
  readonly signal: AbortSignal;
  /** Makes the shutdown wait for `work`, within its grace. */
  track<Result>(work: Promise<Result>): Promise<Result>;
}

declare module 'fastify' {
  interface FastifyInstance {
    drain: Drain;
  }
}

export interface DrainOptions {
  readonly engine: Engine;
  readonly effects: Effects;
  /** How long what is in flight may take to finish, in milliseconds. */
  readonly graceMs: number;
}

export const drain = fp<DrainOptions>(
  async (app: FastifyInstance, { engine, effects, graceMs }) => {
    const closing = new AbortController();
    const underWay = new Set<Promise<unknown>>();

    app.decorate('drain', {
      signal: closing.signal,
      track(work) {
        const settled: Promise<void> = work.then(
          () => void underWay.delete(settled),
          () => void underWay.delete(settled),
        );
        underWay.add(settled);
        return work;
      },
    });

    app.addHook('onRequest', async (request) => {
      if (closing.signal.aborted && WRITES.has(request.method)) {
        throw new HttpProblem('shutting-down', { headers: { 'retry-after': RETRY_AFTER_SECONDS } });
      }
    });

    app.addHook('onSend', async (_request, reply) => {
      if (closing.signal.aborted) reply.header('connection', 'close');
    });

    app.addHook('preClose', async () => {
      const deadlineMs = effects.now().getTime() + graceMs;
      const leftMs = (): number => Math.max(0, deadlineMs - effects.now().getTime());
      closing.abort();

      const stopped = engine.close(graceMs);
      await within(effects, leftMs(), Promise.all(underWay), () => {});
      // A trigger that was being taken while the engine closed may have handed it one more run.
      const ended = (await stopped) && (await engine.close(leftMs()));
      if (ended) app.log.info('every run has ended');
      else app.log.error('runs still active after the shutdown grace period; their leases will expire');

      const cut = setTimeout(() => app.server.closeAllConnections(), CONNECTIONS_MS_MAX);
      cut.unref();
      app.server.once('close', () => clearTimeout(cut));
    });
  },
  { name: 'drain' },
);
