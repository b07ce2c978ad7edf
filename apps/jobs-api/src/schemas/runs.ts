/** What the routes about jobs and runs take and answer. */
import { Run, RunParams, RunPriority, RunStatus, RunTrigger } from '@revos/core/jobs';
import { Page, Paging } from '@revos/core/shapes';
import Type, { type TObject } from 'typebox';

export const JobPath = Type.Object({ job: Type.String({ minLength: 1, maxLength: 64 }) });

/** The body of what needs none. */
export const EmptyBody = Type.Object({}, { additionalProperties: false });

/** An absent body reaches the validation as null. */
export const NoBody = Type.Union([EmptyBody, Type.Null()]);

/** What a run asked for by hand may be told; each job takes only what it declares. */
export const StartRunBody = Type.Union([
  Type.Object(
    { ...RunParams.properties, priority: Type.Optional(RunPriority) },
    {
      additionalProperties: false,
      description:
        'With parameters the run stands beside the job’s normal one, and is coalesced with nothing. Each job takes those that `GET /api/jobs` names for it. The signed body of a cron request is `{job, scheduled_for, trigger}` instead.',
    },
  ),
  Type.Null(),
]);

/** What a run of a job with these parameters may be told. */
export const startRunBodyFor = (params: TObject | undefined) =>
  Type.Object(
    { ...params?.properties, priority: Type.Optional(RunPriority) },
    { additionalProperties: false },
  );

export const StartedRun = Type.Object(
  {
    run: Run,
    outcome: Type.Union([Type.Literal('created'), Type.Literal('exists'), Type.Literal('coalesced')], {
      description: '`exists`: the slot’s run; `coalesced`: a run of the job that was still active.',
    }),
  },
  { $id: 'StartedRun' },
);

export const RunQuery = Type.Object(
  {
    job: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    status: Type.Optional(RunStatus),
    trigger: Type.Optional(RunTrigger),
    ...Paging.properties,
  },
  { additionalProperties: false },
);

export const RunList = Page(Run);

export const JobList = Type.Object({
  jobs: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        summary: Type.String(),
        schedule: Type.String({ description: 'Cron expression, in UTC.' }),
        params: Type.Array(Type.String(), { description: 'What a run of it asked for by hand may be told.' }),
        next_slot: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
        last_run: Type.Union([Run, Type.Null()]),
      },
      { $id: 'Job' },
    ),
  ),
});

export const TriggerAccepted = Type.Object({ accepted: Type.Literal(true) });
