/**
 * Rate limits: how often a stranger is refused in words, and how often an ops credential is served.
 *
 * Who a caller is, is decided first, and costs a few digests. So the unauthenticated can use up
 * nothing but what is theirs: whoever shows a valid credential is never refused for what others
 * did, from the same address or not. The cron credential has no limit of its own, which somebody
 * who holds its token could use up: without a signature it is a stranger's, and with one it makes
 * one run a slot.
 */
import { isIP } from 'node:net';
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Limits } from '../limits.ts';
import { HttpProblem } from '../problems.ts';

declare module 'fastify' {
  interface FastifyInstance {
    rateLimits: {
      /** Counts a refusal of a stranger's; the problem to answer with instead, if there were too many. */
      countRefusal(request: FastifyRequest): Promise<HttpProblem | null>;
      /** Counts a request under the name of its credential. Throws too-many-requests. */
      countRequest(request: FastifyRequest, credential: string): Promise<void>;
    };
  }
}

export type RateLimitsOptions = Pick<
  Limits,
  'refusalsPerAddressMax' | 'refusalsMax' | 'requestsPerCredentialMax'
>;

const MINUTE_MS = 60_000;
const CREDENTIAL_WINDOW_MS = 10_000;

/** The address of a caller; what a proxy wrote instead of one may be anything. */
export const addressOf = ({ ip }: Pick<FastifyRequest, 'ip'>): string => (isIP(ip) === 0 ? 'unknown' : ip);

/** What counts as one address: of IPv6 it is the network of a customer. */
const addressKey = (request: FastifyRequest): string => normalizeIP(addressOf(request));

export const rateLimits = fp<RateLimitsOptions>(
  async (app: FastifyInstance, limits) => {
    await app.register(rateLimit, { global: false });
    const limiter = (max: number, timeWindow: number, keyGenerator: (request: FastifyRequest) => string) =>
      app.createRateLimit({ max, timeWindow, keyGenerator });

    const byAddress = limiter(limits.refusalsPerAddressMax, MINUTE_MS, addressKey);
    const ofAll = limiter(limits.refusalsMax, MINUTE_MS, () => 'all');
    const warnedOfAddress = limiter(1, MINUTE_MS, addressKey);
    const warnedOfAll = limiter(1, MINUTE_MS, () => 'all');

    const credentials = new WeakMap<FastifyRequest, string>();
    const byCredential = limiter(
      limits.requestsPerCredentialMax,
      CREDENTIAL_WINDOW_MS,
      (request) => credentials.get(request) ?? '',
    );

    app.decorate('rateLimits', {
      async countRefusal(request) {
        const [address, all] = [await byAddress(request), await ofAll(request)];
        const seconds = Math.max(secondsLeft(address), secondsLeft(all));
        if (seconds === 0) return null;
        // Once for each address that is too many by itself, and once for all that are so together.
        const warned = secondsLeft(address) > 0 ? await warnedOfAddress(request) : await warnedOfAll(request);
        if (secondsLeft(warned) === 0) {
          request.log.warn({ remote_address: addressOf(request) }, 'unauthenticated rate limit exceeded');
        }
        return tooMany(seconds);
      },
      async countRequest(request, credential) {
        credentials.set(request, credential);
        const seconds = secondsLeft(await byCredential(request));
        if (seconds > 0) throw tooMany(seconds);
      },
    });
  },
  { name: 'rate-limits' },
);

type Count = Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>;

/** Until the window of a count that is exceeded ends; 0 if it is not. */
const secondsLeft = (count: Count): number =>
  count.isAllowed || !count.isExceeded ? 0 : Math.max(1, count.ttlInSeconds);

const tooMany = (seconds: number): HttpProblem =>
  new HttpProblem('too-many-requests', { headers: { 'retry-after': String(seconds) } });
