/** Health: whether the process lives, which waits on nothing, and whether it can do its work. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { HttpProblem } from '../problems.ts';
import type { Readiness } from '../readiness.ts';
import { Health, NotReady, Ready } from '../schemas/health.ts';
import { PROBLEM_MEDIA_TYPE } from '../schemas/problem.ts';

export interface HealthOptions {
  readonly readiness: Readiness;
  readonly version: string;
}

export const healthRoutes: FastifyPluginAsyncTypebox<HealthOptions> = async (app, options) => {
  const { readiness, version } = options;
  app.get(
    '/health',
    {
      // Asked every few seconds by the platform: its lines would bury the others.
      logLevel: 'warn',
      schema: {
        operationId: 'getHealth',
        description: 'Says at once that the process is alive. It looks at nothing else.',
        tags: ['health'],
        security: [],
        response: { 200: Health },
      },
    },
    async () => ({
      status: 'ok' as const,
      version,
      uptime_s: Math.floor(process.uptime()),
      shutting_down: app.drain.signal.aborted,
    }),
  );

  app.get(
    '/ready',
    {
      logLevel: 'warn',
      schema: {
        operationId: 'getReady',
        description: 'Says whether the database is there, has the right schema, and shows its tables.',
        tags: ['health'],
        security: [],
        response: {
          200: Ready,
          503: { description: 'Not ready.', content: { [PROBLEM_MEDIA_TYPE]: { schema: NotReady } } },
        },
      },
    },
    async () => {
      if (app.drain.signal.aborted) throw new HttpProblem('shutting-down', { extra: { checks: [] } });
      const { checks, failure } = await readiness();
      if (failure === null) return { status: 'ready' as const, checks: [...checks] };
      throw new HttpProblem('not-ready', {
        detail: failure,
        headers: { 'retry-after': '5' },
        extra: { checks: [...checks] },
      });
    },
  );
};
