/**
 * `/metrics`: what Prometheus scrapes, for whoever has the token of it. An ops token opens nothing
 * here, nor this one elsewhere.
 */
import { bearerTokenOf, nameOfToken } from '@revos/core/signing';
import type { FastifyInstance } from 'fastify';
import { METRICS_PATH, type Scrape } from '../metrics/port.ts';
import { HttpProblem } from '../problems.ts';
import { valuesOfHeader } from './auth.ts';

export interface MetricsPageOptions {
  readonly metrics: Scrape;
  /** Any of them opens it. */
  readonly tokens: readonly string[];
}

/** The credential's name where its requests are counted; no ops token can have it. */
const SCRAPER = 'metrics:';

/** Registered as a scope: the credential is asked for before everything else. */
export const metricsPage = async (app: FastifyInstance, options: MetricsPageOptions): Promise<void> => {
  const known = options.tokens.map((token) => [SCRAPER, token] as const);

  app.addHook('onRequest', async (request) => {
    const [header = '', ...others] = valuesOfHeader(request, 'authorization');
    const isKnown = nameOfToken(bearerTokenOf(header) ?? '', known) !== null;
    if (!isKnown || others.length > 0) throw new HttpProblem('unauthenticated');
    await app.rateLimits.countRequest(request, SCRAPER);
  });

  // Asked every few seconds: its lines would bury the others.
  app.get(METRICS_PATH, { logLevel: 'warn' }, async (_request, reply) =>
    reply.type(options.metrics.contentType).send(await options.metrics.scrape()),
  );
};
