/** Runs in the database: the `run_…` SQL functions, typed. Nothing here decides anything. */
import type { Rpc } from '../rpc/index.ts';
import type { Run, RunParams, RunStats, RunStatus, RunTrigger } from './run.ts';

export interface RunRequest {
  readonly job: string;
  readonly trigger: RunTrigger;
  /** The slot; null for a run asked for by hand, which consumes none. */
  readonly scheduledFor: Date | null;
  readonly requestedBy: string;
  readonly horizonAt: Date;
  /** `{}`, the default, is the job's normal run. */
  readonly params?: RunParams;
  /** 0 (default) to 9. */
  readonly priority?: number;
}

/**
 * `created`: a new run; `exists`: the slot's run, made earlier; `coalesced`: a run of this job was
 * still active, and works on until the new horizon.
 */
export type StartOutcome = 'created' | 'exists' | 'coalesced';

export interface StartedRun {
  readonly outcome: StartOutcome;
  readonly run: Run;
}

export interface RunFilter {
  readonly job?: string;
  readonly status?: RunStatus;
  readonly trigger?: RunTrigger;
  /** Only runs with parameters, or none of them. */
  readonly scoped?: boolean;
  /** 1 to 200. */
  readonly limit: number;
  /** The `next_cursor` of the page before. */
  readonly cursor?: string;
}

/** Runs, newest first. */
export interface RunPage {
  readonly items: readonly Run[];
  /** Null on the last page. */
  readonly next_cursor: string | null;
}

/** How a worker leaves its slice of a run: it has ended, or is given back (`waiting`) for another worker. */
export interface SliceEnd {
  readonly status: Exclude<SliceState, 'running'>;
  readonly stats: RunStats;
  readonly error: string | null;
  /** The horizon the handler last saw: if it has moved since, the slice is not ended. */
  readonly horizonSeen: Date;
}

export type SliceState = 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled' | 'interrupted';

/** What the worker of a slice is told of it. */
export interface SliceStatus {
  /** False if it is not this worker's: it must not begin, or must stop. */
  readonly owned: boolean;
  /** Null if nobody ever took it up. `is_first`: it was begun before every other slice of its run. */
  readonly slice: {
    readonly status: SliceState;
    readonly stats: RunStats;
    readonly is_first: boolean;
  } | null;
  readonly run: Run;
}

/** A run that may want a worker. */
export interface OpenRun {
  readonly run: Run;
  /** Slices that nobody is to be asked for: they are worked on, or have ended. */
  readonly closed_slices: readonly number[];
  /** Whether any worker was heard of lately. */
  readonly is_worked_on: boolean;
}

export interface RunStore {
  start(request: RunRequest): Promise<StartedRun>;
  /** Takes up a slice of a queued or running run; null if there is no such run. */
  begin(id: string, worker: string, slice?: number): Promise<SliceStatus | null>;
  heartbeat(id: string, worker: string, stats: RunStats, slice?: number): Promise<SliceStatus>;
  /** A slice that is still `running` afterwards means that the run's horizon moved: work on. */
  finish(id: string, worker: string, end: SliceEnd, slice?: number): Promise<SliceStatus>;
  /** Null if there is no such run. An ended run is returned as it is. */
  cancel(id: string, requestedBy: string): Promise<Run | null>;
  get(id: string): Promise<Run | null>;
  list(filter: RunFilter): Promise<RunPage>;
  /** Marks runs whose heartbeat stopped as `interrupted`, and returns how many. */
  recover(): Promise<number>;
  /** Runs that may want a worker, the oldest first. */
  open(): Promise<readonly OpenRun[]>;
  /** The run that a slot was answered with; null if it never ran. */
  slot(job: string, scheduledFor: Date): Promise<Run | null>;
}

export function createRunStore(rpc: Rpc): RunStore {
  return {
    start: (request) =>
      rpc.call('run_start', {
        job: request.job,
        trigger: request.trigger,
        scheduled_for: request.scheduledFor?.toISOString() ?? null,
        requested_by: request.requestedBy,
        horizon_at: request.horizonAt.toISOString(),
        params: request.params ?? {},
        priority: request.priority ?? 0,
      }),
    begin: (id, worker, slice = 0) => rpc.call('run_begin', { id, worker, slice }),
    heartbeat: (id, worker, stats, slice = 0) => rpc.call('run_heartbeat', { id, worker, stats, slice }),
    finish: (id, worker, end, slice = 0) =>
      rpc.call('run_finish', {
        id,
        worker,
        status: end.status,
        stats: end.stats,
        error: end.error,
        horizon_seen: end.horizonSeen.toISOString(),
        slice,
      }),
    cancel: (id, requestedBy) => rpc.call('run_cancel', { id, requested_by: requestedBy }),
    get: (id) => rpc.call('run_get', { id }),
    list: ({ limit, cursor, ...filter }) => rpc.call('run_list', { filter, limit, after: cursor ?? null }),
    recover: () => rpc.call('run_recover'),
    open: () => rpc.call('run_open'),
    slot: (job, scheduledFor) => rpc.call('run_slot', { job, scheduled_for: scheduledFor.toISOString() }),
  };
}
