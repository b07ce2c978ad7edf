/** Jobs and runs, as operators see them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Effects } from '@revos/core/effects';
import { type JobDefinition, nextSlot, Run, type Runs } from '@revos/core/jobs';
import Type from 'typebox';
import { HttpProblem } from '../problems.ts';
import { refusals } from '../schemas/problem.ts';
import { EmptyBody, JobList, RunList, RunParams, RunQuery } from '../schemas/runs.ts';

const LIMIT_DEFAULT = 20;

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
        description: 'Every job with its schedule, its next slot and its latest run.',
        tags: ['jobs'],
        response: { 200: JobList, ...refusals },
      },
    },
    async () => ({
      jobs: await Promise.all(
        jobs.map(async ({ name, summary, schedule }) => ({
          name,
          summary,
          schedule,
          next_slot: nextSlot(schedule, effects.now())?.toISOString() ?? null,
          last_run: (await runs.list({ job: name, limit: 1 }))[0] ?? null,
        })),
      ),
    }),
  );

  app.get(
    '/runs',
    {
      schema: {
        operationId: 'listRuns',
        description: 'The latest runs, newest first.',
        tags: ['runs'],
        querystring: RunQuery,
        response: { 200: RunList, ...refusals },
      },
    },
    async ({ query }) => ({
      runs: await runs.list({
        ...(query.job === undefined ? {} : { job: query.job }),
        ...(query.status === undefined ? {} : { status: query.status }),
        limit: query.limit ?? LIMIT_DEFAULT,
      }),
    }),
  );

  app.get(
    '/runs/:id',
    {
      schema: {
        operationId: 'getRun',
        description: 'One run, as it stands now.',
        tags: ['runs'],
        params: RunParams,
        response: { 200: Run, ...refusals },
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
        params: RunParams,
        // An absent body reaches the validation as null.
        body: Type.Union([EmptyBody, Type.Null()]),
        response: { 200: Run, ...refusals },
      },
    },
    async ({ params, principal }) =>
      found(await runs.cancel(params.id, principal?.kind === 'ops' ? principal.name : 'cron')),
  );
};

function found(run: Run | null): Run {
  if (run === null) throw new HttpProblem('run-not-found');
  return run;
}
