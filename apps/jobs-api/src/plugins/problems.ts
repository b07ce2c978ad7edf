/**
 * Renders every refusal as `application/problem+json`: what a route throws, an unknown path, a wrong
 * method, and what the HTTP parser refuses before there is a request at all.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { NO_REPORTS, type Reports } from '@revos/core/telemetry';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { HttpProblem, PROBLEMS, type ProblemKind, renderProblem } from '../problems.ts';
import { PROBLEM_MEDIA_TYPE } from '../schemas/problem.ts';
import { toProblem } from '../to-problem.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

declare module 'fastify' {
  interface FastifyInstance {
    reports: Reports;
  }
}

export interface ProblemsOptions {
  /** Told of what should not happen; nobody by default. */
  readonly reports?: Reports | undefined;
}

interface KnownPath {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

export const problems = fp<ProblemsOptions>(
  async (app: FastifyInstance, { reports = NO_REPORTS }) => {
    app.decorate('reports', reports);
    const knownPaths = new Map<string, KnownPath>();

    app.addHook('onRoute', ({ url, method }) => {
      const known = knownPaths.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() };
      for (const name of [method].flat()) known.methods.add(name);
      knownPaths.set(url, known);
    });

    // Here, and not in a not-found handler, so that no body is read for a path that is not there.
    app.addHook('onRequest', async (request) => {
      if (!request.is404) return;
      const path = request.raw.url?.split('?', 1)[0] ?? '';
      const known = [...knownPaths.values()].find(({ pattern }) => pattern.test(path));
      if (!known) throw new HttpProblem('not-found');
      const allow = [...known.methods].sort().join(', ');
      throw new HttpProblem('method-not-allowed', { headers: { allow } });
    });

    app.setErrorHandler(answerProblem);
  },
  { name: 'problems', dependencies: ['rate-limits'] },
);

/** Whoever shows no credential, or the cron token without a signature that holds. */
const isStranger = ({ principal, signedTrigger }: FastifyRequest): boolean =>
  !principal || (principal.kind === 'cron' && !signedTrigger);

const patternOf = (url: string): RegExp =>
  new RegExp(
    `^${url
      .replaceAll('.', '\\.')
      .replaceAll('*', '.*')
      .replace(/:[^/]+/g, '[^/]+')}$`,
  );

/**
 * Answers with the problem that `error` is, or, to a stranger who was refused too often, with that;
 * also what Fastify calls before routing.
 */
export async function answerProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (toProblem(error).statusCode >= 500 || !isStranger(request)) return sendProblem(error, request, reply);
  const tooMany = await request.server.rateLimits.countRefusal(request);
  // A flood is warned of once; a line for each of its requests would bury the others.
  if (tooMany !== null) request.log.level = 'warn';
  return sendProblem(tooMany ?? error, request, reply);
}

function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error);
  if (problem.statusCode >= 500) {
    request.log.error({ err: error, problem: problem.kind }, 'request failed');
    // Every other kind of these says what is away, and when to ask again.
    if (problem.kind === 'internal') request.server.reports.error(error, { request_id: request.id });
  } else {
    // Not the error itself: a parser's message quotes the body.
    const { warning } = problem.options;
    const refusal = { problem: problem.kind, ...warning };
    if (warning) request.log.warn(refusal, 'request refused');
    else request.log.info(refusal, 'request refused');
  }
  reply
    .code(problem.statusCode)
    .headers({
      'cache-control': 'no-store',
      ...(problem.statusCode === 401 ? { 'www-authenticate': 'Bearer realm="revos-jobs"' } : {}),
      ...problem.options.headers,
    })
    .type(PROBLEM_MEDIA_TYPE);
  return reply.send(renderProblem(problem.kind, request.id, problem.options));
}

const KIND_OF_PARSER_CODE: Readonly<Record<string, ProblemKind>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
};

/** Answers what is no request: headers that are too large, broken or too slow. */
export function answerParserError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return;
  const kind = KIND_OF_PARSER_CODE[error.code ?? ''] ?? 'bad-request';
  const body = JSON.stringify(renderProblem(kind, randomUUID()));
  socket.end(
    [
      `HTTP/1.1 ${PROBLEMS[kind].status} ${PROBLEMS[kind].title}`,
      `content-type: ${PROBLEM_MEDIA_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      'cache-control: no-store',
      ...Object.entries(SECURITY_HEADERS).map(([name, value]) => `${name}: ${value}`),
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
