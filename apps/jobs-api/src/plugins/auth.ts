/**
 * Authentication: who asks, decided before a byte of the body is read.
 *
 * The *cron* credential may start a job's slot, and nothing else; *ops* credentials have names, and
 * the name is what the audit trail shows. Every known token is compared, in constant time.
 */
import bearerAuth from '@fastify/bearer-auth';
import { nameOfToken } from '@revos/core/signing';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { HttpProblem } from '../problems.ts';

export type Principal = { readonly kind: 'cron' } | { readonly kind: 'ops'; readonly name: string };

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | null;
  }
  interface FastifyContextConfig {
    /** Whether the cron credential may call this route. */
    allowsCron?: boolean;
  }
}

export interface AuthOptions {
  readonly cronTokens: readonly string[];
  readonly opsTokens: ReadonlyArray<readonly [name: string, token: string]>;
}

/** No ops credential can have this name: theirs carry a prefix. */
const CRON = 'cron';
const OPS_PREFIX = 'ops:';

export const auth = fp<AuthOptions>(
  async (app: FastifyInstance, { cronTokens, opsTokens }) => {
    const known = [
      ...cronTokens.map((token) => [CRON, token] as const),
      ...opsTokens.map(([name, token]) => [OPS_PREFIX + name, token] as const),
    ];

    app.decorateRequest('principal', null);
    await app.register(bearerAuth, { addHook: false, keys: [] });
    const verifyBearerAuth = app.verifyBearerAuthFactory?.({
      addHook: false,
      keys: [],
      auth(token: string, request: FastifyRequest) {
        const name = nameOfToken(token, known);
        if (name === null) return false;
        request.principal =
          name === CRON ? { kind: 'cron' } : { kind: 'ops', name: name.slice(OPS_PREFIX.length) };
        return true;
      },
      // As RFC 9110 has it: the name of a scheme has no case.
      specCompliance: 'rfc6749',
      // The refusal has its line, or none if it is one of a flood.
      verifyErrorLogLevel: '',
    });
    if (!verifyBearerAuth) throw new Error('@fastify/bearer-auth has not decorated the instance');

    app.addHook('onRequest', async (request) => {
      // Node keeps the first of several; two of them are a forgery or a bug, and neither is let in.
      if (valuesOfHeader(request, 'authorization').length > 1) throw new HttpProblem('unauthenticated');
    });
    app.addHook('onRequest', verifyBearerAuth);
    app.addHook('onRequest', async (request) => {
      if (request.principal?.kind === 'ops')
        await app.rateLimits.countRequest(request, request.principal.name);
      if (request.principal?.kind === 'cron' && request.routeOptions.config.allowsCron !== true) {
        throw new HttpProblem('credential-not-allowed');
      }
    });
  },
  { name: 'auth', dependencies: ['rate-limits'] },
);

/**
 * The name that runs and the audit trail show: the ops token's, or `cron`.
 *
 * @throws on a request that was not authenticated, which never comes so far as a handler
 */
export function nameOf({ principal }: FastifyRequest): string {
  if (principal === null) throw new Error('a request without a principal');
  return principal.kind === 'cron' ? CRON : principal.name;
}

/** Every value of a header as it was received: Node joins some repeated headers, and drops others. */
export function valuesOfHeader(request: FastifyRequest, name: string): string[] {
  const { rawHeaders } = request.raw;
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}
