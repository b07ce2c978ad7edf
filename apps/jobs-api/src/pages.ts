/**
 * The pages of a service with a port: the reference, and what waits in Redis, for an ops token; and
 * the metrics, for a token of their own.
 */
import type { Bullmq } from '@revos/core/jobs/engines/bullmq';
import type { FastifyInstance } from 'fastify';
import type { AuthOptions } from './plugins/auth.ts';
import { type MetricsPageOptions, metricsPage } from './plugins/metrics-page.ts';
import { referencePage } from './plugins/reference-page.ts';

export interface PagesOptions extends Pick<AuthOptions, 'opsTokens'> {
  /** Null where runs are worked on in this process. */
  readonly bullmq: Pick<Bullmq, 'queue' | 'engine'> | null;
  /** Default: none, since nobody has a token for them. */
  readonly metrics?: MetricsPageOptions | null;
}

export async function pages(
  app: FastifyInstance,
  { opsTokens, bullmq, metrics }: PagesOptions,
): Promise<void> {
  await app.register(referencePage, { opsTokens });
  if (metrics) await app.register(metricsPage, metrics);
  if (bullmq === null) return;
  // Loaded only where there is a queue.
  const { queueBoard } = await import('./plugins/queue-board.ts');
  const { queue, engine } = bullmq;
  await app.register(queueBoard, { opsTokens, queue, isReachable: engine.isReachable });
}
