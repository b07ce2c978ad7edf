/**
 * `GET /api/runs/:id/events`: a run as it changes, as server-sent events, until its end.
 *
 * Each event is the whole run, so a client that reconnects has missed nothing.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Runs } from '@revos/core/jobs';
import Type from 'typebox';
import { HttpProblem } from '../problems.ts';
import { IdPath } from '../schemas/lists.ts';
import { commonErrors, notAcceptable, notFound } from '../schemas/problem.ts';

export interface RunEventsOptions {
  readonly runs: Runs;
  /** Streams that may be open at the same time. */
  readonly streamsMax: number;
}

const ACCEPTED = /^(text\/event-stream|text\/\*|\*\/\*)\s*(;|$)/i;

/** Whether the client takes an event stream; no header takes anything. */
const acceptsEvents = (accept: string | undefined): boolean =>
  accept === undefined || accept.split(',').some((range) => ACCEPTED.test(range.trim()));

/** The number that the events of this connection go on from. */
const lastEventId = (header: string | string[] | undefined): number =>
  typeof header === 'string' && /^\d{1,9}$/.test(header) ? Number(header) : 0;

export const runEventRoutes: FastifyPluginAsyncTypebox<RunEventsOptions> = async (app, options) => {
  const { runs, streamsMax } = options;
  let streamCount = 0;

  app.get(
    '/runs/:id/events',
    {
      // `manual`: what comes before the first event can still be refused as a problem.
      sse: 'manual',
      exposeHeadRoute: false,
      schema: {
        operationId: 'watchRun',
        description: 'The run now and after each change, as events named `run`, until its end.',
        tags: ['runs'],
        params: IdPath,
        response: {
          200: {
            description: 'A stream of events.',
            content: { 'text/event-stream': { schema: Type.String() } },
          },
          ...commonErrors,
          ...notFound,
          ...notAcceptable,
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      if (!acceptsEvents(request.headers.accept)) throw new HttpProblem('not-acceptable');
      if (streamCount >= streamsMax) {
        throw new HttpProblem('too-many-streams', { headers: { 'retry-after': '30' } });
      }
      streamCount += 1;
      const gone = new AbortController();
      reply.raw.once('close', () => {
        streamCount -= 1;
        gone.abort();
      });
      if ((await runs.get(id)) === null) throw new HttpProblem('run-not-found');

      // The connection ends with its stream; a shutdown need not wait for it to be reused.
      reply.header('connection', 'close');
      const ended = AbortSignal.any([app.drain.signal, gone.signal]);
      const end = aborted(ended);
      let eventId = lastEventId(request.headers['last-event-id']);
      try {
        for await (const run of runs.watch(id, ended)) {
          eventId += 1;
          await Promise.race([
            reply.sse.send({ id: String(eventId), event: 'run', data: run }),
            // A client that reads nothing must not hold the loop once the stream is to end.
            end,
          ]);
        }
      } catch (error) {
        // Too late for an answer: the stream ends, and the client comes back.
        if (!reply.raw.headersSent) throw error;
        request.log.warn({ err: error, run_id: id }, 'event stream failed');
      }
      // The shutdown began before the first event.
      if (!reply.raw.headersSent) throw new HttpProblem('shutting-down');
    },
  );
};

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
