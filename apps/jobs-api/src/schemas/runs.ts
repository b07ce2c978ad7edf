/** What the routes about jobs and runs take and answer. */
import { Run, RunStatus } from '@revos/core/jobs';
import Type from 'typebox';

export const JobParams = Type.Object({ job: Type.String({ minLength: 1, maxLength: 64 }) });

export const RunParams = Type.Object({ id: Type.String({ format: 'uuid' }) });

/** The body of a run asked for by hand: nothing. */
export const EmptyBody = Type.Object({}, { additionalProperties: false });

export const StartedRun = Type.Object({
  run: Run,
  /** `created`; `exists`: the slot's run; `coalesced`: a run of the job that was still active. */
  outcome: Type.Union([Type.Literal('created'), Type.Literal('exists'), Type.Literal('coalesced')]),
});

export const RunQuery = Type.Object(
  {
    job: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    status: Type.Optional(RunStatus),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 20 })),
  },
  { additionalProperties: false },
);

export const RunList = Type.Object({ runs: Type.Array(Run) });

export const JobList = Type.Object({
  jobs: Type.Array(
    Type.Object({
      name: Type.String(),
      summary: Type.String(),
      /** Cron expression, in UTC. */
      schedule: Type.String(),
      next_slot: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
      last_run: Type.Union([Run, Type.Null()]),
    }),
  ),
});
