/**
 * A run: one execution of a job, from its trigger to its end, as every part of the system shows it.
 *
 * The shape is that of the SQL function `run_json`, and of the HTTP API. Instants are ISO 8601 in UTC.
 */
import Type, { type Static } from 'typebox';

const Nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);

const Instant = Type.String({ format: 'date-time' });

/** Who asked for a run. */
export const RunTrigger = Type.Union(
  [Type.Literal('vercel-cron'), Type.Literal('ops'), Type.Literal('worker'), Type.Literal('catch-up')],
  { $id: 'RunTrigger' },
);
export type RunTrigger = Static<typeof RunTrigger>;

/**
 * `queued → running → succeeded | failed | cancelled | interrupted`. `interrupted` is a run whose
 * process went away (a deploy, a crash): its work goes on in the next run.
 */
export const RunStatus = Type.Union(
  [
    Type.Literal('queued'),
    Type.Literal('running'),
    Type.Literal('succeeded'),
    Type.Literal('failed'),
    Type.Literal('cancelled'),
    Type.Literal('interrupted'),
  ],
  { $id: 'RunStatus' },
);
export type RunStatus = Static<typeof RunStatus>;

/** What a run saw and did. Counts are of messages (or posts); each job adds its own. */
export const RunStats = Type.Object(
  {
    /** Rows that were due at some time during the run. */
    seen: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Rows that every limit, window, pause and gap allowed, and that were claimed. */
    eligible: Type.Optional(Type.Integer({ minimum: 0 })),
    sent: Type.Optional(Type.Integer({ minimum: 0 })),
    failed: Type.Optional(Type.Integer({ minimum: 0 })),
    unknown: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Attempts that ended as `not_sent` and wait for another try. */
    retried: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Rows left waiting when the run ended, by reason code. */
    skipped: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 0 }))),
    /** When the next row can go out; null when nothing waits for a known instant. */
    next_at: Type.Optional(Nullable(Instant)),
  },
  { $id: 'RunStats', additionalProperties: true },
);
export type RunStats = Static<typeof RunStats>;

export const Run = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    job: Type.String(),
    /** The slot that made this run; null for one asked for by hand. */
    scheduled_for: Nullable(Instant),
    trigger: RunTrigger,
    status: RunStatus,
    requested_at: Instant,
    started_at: Nullable(Instant),
    heartbeat_at: Instant,
    finished_at: Nullable(Instant),
    /** The run works on while something can be claimed before this instant. */
    horizon_at: Instant,
    cancel_requested_at: Nullable(Instant),
    stats: RunStats,
    /** Why it failed, was cancelled or interrupted. */
    error: Nullable(Type.String()),
    /** The name of the credential that asked: `cron`, or an ops token's name. */
    requested_by: Type.String(),
    worker: Nullable(Type.String()),
  },
  { $id: 'Run' },
);
export type Run = Static<typeof Run>;

/** Whether the run has come to its end. */
export function isEnded(run: Pick<Run, 'status'>): boolean {
  return run.status !== 'queued' && run.status !== 'running';
}
