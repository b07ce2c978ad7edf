/** Jobs and runs, as operators see them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Effects } from '@revos/core/effects';
import { type JobDefinition, nextSlot, Run, type Runs } from '@revos/core/jobs';
import { LIMIT_DEFAULT } from '@revos/core/shapes';
import { nameOf } from '../plugins/auth.ts';
import { HttpProblem } from '../problems.ts';
import { IdPath } from '../schemas/lists.ts';
import { bodyErrors, commonErrors, notFound } from '../schemas/problem.ts';
import { JobList, NoBody, RunList, RunQuery } from '../schemas/runs.ts';

export interface RunsOptions {
  readonly jobs: readonly JobDefinition[];
  readonly runs: Runs;
  readonly effects: Effects;
}

export const runRoutes: FastifyPluginAsyncTypebox<RunsOptions> = async (app, { jobs, runs, effects }) => {
  app.get(
    '/jobs',
    {
      schema: {
        operationId: 'listJobs',
        description:
          'Every job with its schedule, what a run of it may be told, its next slot and its latest run.',
        tags: ['jobs'],
        response: { 200: JobList, ...commonErrors },
      },
    },
    async () => ({
      jobs: await Promise.all(
        jobs.map(async ({ name, summary, schedule, params }) => ({
          name,
          summary,
          schedule,
          params: Object.keys(params?.properties ?? {}),
          next_slot: nextSlot(schedule, effects.now())?.toISOString() ?? null,
          last_run: (await runs.list({ job: name, limit: 1 })).items[0] ?? null,
        })),
      ),
    }),
  );

  app.get(
    '/runs',
    {
      schema: {
        operationId: 'listRuns',
        description: 'Runs, newest first.',
        tags: ['runs'],
        querystring: RunQuery,
        response: { 200: RunList, ...commonErrors },
      },
    },
    async ({ query: { limit = LIMIT_DEFAULT, ...query } }) => runs.list({ ...query, limit }),
  );

  app.get(
    '/runs/:id',
    {
      schema: {
        operationId: 'getRun',
        description: 'One run, as it stands now.',
        tags: ['runs'],
        params: IdPath,
        response: { 200: Run, ...commonErrors, ...notFound },
      },
    },
    async ({ params }) => found(await runs.get(params.id)),
  );

  app.post(
    '/runs/:id/cancel',
    {
      schema: {
        operationId: 'cancelRun',
        description:
          'Cancels a run that is queued, and asks one that is running to stop. A run that has ended is returned as it is.',
        tags: ['runs'],
        params: IdPath,
        body: NoBody,
        response: { 200: Run, ...commonErrors, ...bodyErrors, ...notFound },
      },
    },
    async (request) => found(await app.drain.track(runs.cancel(request.params.id, nameOf(request)))),
  );
};

function found(run: Run | null): Run {
  if (run === null) throw new HttpProblem('run-not-found');
  return run;
}
