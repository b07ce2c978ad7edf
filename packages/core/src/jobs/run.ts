/**
 * A run: one execution of a job, from its trigger to its end, as every part of the system shows it.
 *
 * The shape is that of the SQL function `run_json`, and of the HTTP API. Instants are ISO 8601 in UTC.
 */
import Type, { type Static } from 'typebox';
import { GivenDay, Instant, Nullable } from '../shapes/index.ts';
import type { ErrorFacts } from '../telemetry/index.ts';

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

/** Days that one run may recount. */
export const RUN_DAYS_MAX = 400;

/**
 * What a run asked for by hand may be told. A run with any of them is *scoped*: it stands beside the
 * job's normal run, answers no slot and is coalesced with nothing.
 */
export const RunParams = Type.Object(
  {
    /** Only these accounts (`linkedin_accounts.id`). */
    account_ids: Type.Optional(
      Type.Array(Type.String({ format: 'uuid' }), { minItems: 1, maxItems: 1_000, uniqueItems: true }),
    ),
    /** Says what the run would do, and changes nothing. */
    dry_run: Type.Optional(Type.Boolean()),
    /** Ends the run after so many calls to Unipile. */
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    /** The last so many local days, today among them. */
    days: Type.Optional(Type.Integer({ minimum: 1, maximum: RUN_DAYS_MAX })),
    /** The first and the last local day, both included; so many days at most. */
    from: Type.Optional(GivenDay),
    to: Type.Optional(GivenDay),
  },
  { $id: 'RunParams', additionalProperties: false },
);
export type RunParams = Static<typeof RunParams>;

/** 0 (default) to 9; a run with a higher one is taken up first where runs wait for workers. */
export const RunPriority = Type.Integer({ minimum: 0, maximum: 9 });

/** What a run saw and did. Counts are of messages (or posts); each job adds its own. */
export const RunStats = Type.Object(
  {
    /** Rows that were due when the run began. */
    due: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Rows that were due at some time during the run. */
    seen: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Rows that every limit, window, pause and gap allowed, and that were claimed. */
    eligible: Type.Optional(Type.Integer({ minimum: 0 })),
    /**
     * While it runs: claimed, and waiting in the process until a call under way ends. Given back if
     * the run is stopped.
     */
    claimed_ahead: Type.Optional(Type.Integer({ minimum: 0 })),
    sent: Type.Optional(Type.Integer({ minimum: 0 })),
    failed: Type.Optional(Type.Integer({ minimum: 0 })),
    unknown: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Unknowns that were looked for on LinkedIn and settled: found, or tried again. */
    confirmed: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Of analytics: local days recomputed, and rows written. */
    days: Type.Optional(Type.Integer({ minimum: 0 })),
    rows: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Of analytics: old rows that were deleted, by kind. */
    deleted: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 0 }))),
    /** Attempts that ended as `not_sent` and wait for another try. */
    retried: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Rows left waiting when the run ended, by reason code. */
    skipped: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 0 }))),
    /** Only of a dry run: that it was one, and what it would have sent at once, 50 at most. */
    dry_run: Type.Optional(Type.Boolean()),
    would_send: Type.Optional(Type.Array(Type.String())),
    /** When the next row can go out; null when nothing waits for a known instant. */
    next_at: Type.Optional(Nullable(Instant)),
    /**
     * False if more waited than is looked at: `due`, `seen` and `skipped` are of a part, and more
     * may wait.
     */
    is_complete: Type.Optional(Type.Boolean()),
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
    params: RunParams,
    priority: RunPriority,
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

/** How long the run has worked, in milliseconds; null before it started. */
export function workedMs(run: Pick<Run, 'started_at' | 'finished_at'>, now: Date): number | null {
  if (run.started_at === null) return null;
  const end = run.finished_at === null ? now : new Date(run.finished_at);
  return Math.max(end.getTime() - Date.parse(run.started_at), 0);
}

/** What a report and a line of the log say of a run, or of one slice of it. */
export function runFacts({ id, job, scheduled_for }: Run, slice?: number): ErrorFacts {
  return { job, run_id: id, slot: scheduled_for, ...(slice === undefined ? {} : { slice }) };
}
