/**
 * HTTP Basic for the reference page: a browser that opens a link cannot send a bearer token.
 *
 * Any user name will do; the password is an ops token. The cron token opens nothing here.
 */
import { nameOfToken } from '@revos/core/signing';
import type { FastifyRequest } from 'fastify';
import { HttpProblem } from '../problems.ts';
import { type AuthOptions, valuesOfHeader } from './auth.ts';

const CREDENTIALS = /^basic +([A-Za-z0-9+/]+={0,2})$/i;

/** Throws unless the request has one `authorization` with an ops token as its password. */
export const basicAuth =
  ({ opsTokens }: Pick<AuthOptions, 'opsTokens'>) =>
  async (request: FastifyRequest): Promise<void> => {
    const [header = '', ...others] = valuesOfHeader(request, 'authorization');
    const encoded = CREDENTIALS.exec(header)?.[1] ?? '';
    // A user name has no colon (RFC 7617).
    const password = Buffer.from(encoded, 'base64')
      .toString('utf8')
      .replace(/^[^:]*:?/, '');
    if (others.length > 0 || nameOfToken(password, opsTokens) === null) {
      throw new HttpProblem('unauthenticated', {
        headers: { 'www-authenticate': 'Basic realm="revos-jobs", charset="UTF-8"' },
      });
    }
  };
