/** What the pages read of the jobs API. More members are welcome; these must be there. */
import { Run } from '@revos/core/jobs';
import Type, { type Static } from 'typebox';

export const Job = Type.Object({
  name: Type.String(),
  summary: Type.String(),
  /** Cron expression, in UTC. */
  schedule: Type.String(),
  /** The latest run, or null if there was none; absent where the jobs API does not say. */
  last_run: Type.Optional(Type.Union([Run, Type.Null()])),
});
export type Job = Static<typeof Job>;

export const JobList = Type.Object({ jobs: Type.Array(Job) });

/** Newest first. */
export const RunList = Type.Object({ items: Type.Array(Run) });
