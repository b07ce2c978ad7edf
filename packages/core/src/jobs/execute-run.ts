/**
 * One slice of a run, from its first heartbeat to its end: the same for every engine.
 *
 * The slice is leased by heartbeat. If the process dies, the heartbeats stop, and another worker
 * takes the slice over, or the run is marked `interrupted` by whoever looks next; if it only was
 * slow, its next heartbeat tells it so, and it stops. Nothing a late worker does can harm: messages
 * are fenced by their attempts, not by the run.
 */
import { storableText } from '../json/index.ts';
import { inSpan, messageOf, NO_TRACES, type Span } from '../telemetry/index.ts';
import type { JobDefinition, JobServices } from './definition.ts';
import { isOutage } from './engine.ts';
import { type Run, type RunStats, runFacts } from './run.ts';
import type { RunStore, SliceEnd, SliceStatus } from './run-store.ts';

/** Milliseconds between two heartbeats; `run_recover` gives up on a run after 60 s without one. */
export const HEARTBEAT_MS = 5_000;

/**
 * How often, and after how many milliseconds, a run's begin and end are recorded again if the
 * database is away.
 */
const PERSIST_ATTEMPTS_MAX = 8;
const PERSIST_RETRY_MS = 500;

const ERROR_LENGTH_MAX = 2_000;

/** Why a run is asked to stop before it is done. */
export type StopReason = 'cancelled' | 'shutdown' | 'lost';

export interface RunExecution {
  readonly definition: JobDefinition;
  readonly run: Run;
  /** Counted from 0. */
  readonly slice: number;
  /** Of the span that the slice's is a child of; undefined for none. */
  readonly traceparent: string | undefined;
  readonly services: JobServices;
  readonly store: RunStore;
  /** Aborted with a `StopReason`. */
  readonly stop: AbortController;
  /** What a shutdown makes of the slice: the end of it, or one that waits for another worker. */
  readonly afterShutdown: 'interrupted' | 'waiting';
  /** Milliseconds until this process is ended; infinite where it is asked to stop first. */
  readonly remainingMs: () => number;
  /** Told of each change. */
  readonly onChange: (run: Run) => void;
}

/**
 * How a worker and a slice parted: `refused`: it was not to be begun; `ended`; `given-back`:
 * another worker is to take it up; `unrecorded`: the database did not take its begin or its end,
 * and the lease will run out.
 */
export type SliceExit = 'refused' | 'ended' | 'given-back' | 'unrecorded';

/** Works on a slice until it ends. It does not throw: a failure is the slice's end. */
export async function executeRun(execution: RunExecution): Promise<SliceExit> {
  const { run, slice, services, traceparent } = execution;
  const facts = runFacts(run, slice);
  // Whatever is logged on behalf of the slice says which one it is.
  const logger = services.logger.child(facts);
  const { traces = NO_TRACES } = services;
  const span = traces.start('slice', facts, traceparent);
  return inSpan(span, async () => {
    const parting = await workOnSlice({ ...execution, services: { ...services, logger } }, span);
    span.set({ outcome: parting });
    return parting;
  });
}

async function workOnSlice(execution: RunExecution, span: Span): Promise<SliceExit> {
  const { run, slice, store, stop, onChange } = execution;
  const { effects, worker, logger } = execution.services;

  const begun = await persist(execution, () => store.begin(run.id, worker, slice));
  if (begun === 'unrecorded') return 'unrecorded';
  if (begun !== null) onChange(begun.run);
  if (!begun?.owned) return 'refused';
  logger.info('slice started');
  const beganMs = effects.monotonicMs();

  const state: SliceState = {
    run: begun.run,
    span,
    stats: begun.slice?.stats ?? {},
    isFirst: begun.slice?.is_first ?? false,
  };
  const done = new AbortController();
  const learn = (next: SliceStatus | null): void => {
    state.run = next?.run ?? state.run;
    if (!next?.owned) stop.abort('lost' satisfies StopReason);
    else if (next.run.cancel_requested_at !== null) stop.abort('cancelled' satisfies StopReason);
    onChange({ ...state.run, stats: state.stats });
  };

  const heartbeats = (async () => {
    while (!done.signal.aborted) {
      await effects.sleep(HEARTBEAT_MS, done.signal);
      if (done.signal.aborted) return;
      try {
        learn(await store.heartbeat(run.id, worker, state.stats, slice));
      } catch (error) {
        logger.warn({ err: error }, 'heartbeat failed, run continues');
      }
    }
  })();

  try {
    for (;;) {
      const end = await runHandler(execution, state);
      const finished = await persist(execution, () => store.finish(run.id, worker, end, slice));
      if (finished === 'unrecorded') return 'unrecorded';
      learn(finished);
      // A slot was coalesced with this run at the last moment: its horizon moved, and there is more to do.
      if (finished?.owned && finished.slice?.status === 'running') continue;
      const status = finished?.slice?.status;
      span.set({ status });
      logger.info({ status, duration_ms: Math.round(effects.monotonicMs() - beganMs) }, 'slice ended');
      return status === 'waiting' ? 'given-back' : 'ended';
    }
  } finally {
    done.abort();
    await heartbeats;
  }
}

/** What this process knows of its slice. */
interface SliceState {
  run: Run;
  stats: RunStats;
  readonly isFirst: boolean;
  readonly span: Span;
}

async function runHandler(execution: RunExecution, state: SliceState): Promise<SliceEnd> {
  const { definition, slice, services, stop, afterShutdown, remainingMs, onChange } = execution;
  let horizonSeen = new Date(state.run.horizon_at);
  const context = {
    // Called again after a late slot: it goes on counting where it was.
    run: { ...state.run, stats: state.stats },
    slice,
    isFirst: state.isFirst,
    span: state.span,
    signal: stop.signal,
    horizonAt: () => {
      horizonSeen = new Date(state.run.horizon_at);
      return horizonSeen;
    },
    remainingMs,
    report: (stats: RunStats) => {
      state.stats = stats;
      onChange({ ...state.run, stats });
    },
  };
  try {
    const handler = await definition.loadHandler();
    state.stats = await handler(context, services);
  } catch (error) {
    services.logger.error({ err: error }, 'run failed');
    state.span.fail(error);
    services.reports?.error(error, runFacts(state.run, slice));
    return {
      status: 'failed',
      stats: state.stats,
      error: storableText(messageOf(error), ERROR_LENGTH_MAX),
      horizonSeen,
    };
  }
  if (!stop.signal.aborted) return { status: 'succeeded', stats: state.stats, error: null, horizonSeen };
  const reason = stop.signal.reason as StopReason;
  if (reason === 'cancelled') return { status: 'cancelled', stats: state.stats, error: null, horizonSeen };
  const status = reason === 'shutdown' ? afterShutdown : 'interrupted';
  return { status, stats: state.stats, error: `stopped: ${reason}`, horizonSeen };
}

/** Calls the database, again while it is away; `unrecorded` if that never worked, and the lease will end. */
async function persist<Answer>(
  execution: RunExecution,
  call: () => Promise<Answer>,
): Promise<Answer | 'unrecorded'> {
  const { run, slice, services } = execution;
  let refusal: unknown;
  for (let attempt = 1; attempt <= PERSIST_ATTEMPTS_MAX; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      services.logger.warn({ err: error, attempt }, 'run not recorded yet, retrying');
      refusal = error;
      await services.effects.sleep(PERSIST_RETRY_MS * attempt);
    }
  }
  if (!isOutage(refusal)) services.reports?.error(refusal, runFacts(run, slice));
  return 'unrecorded';
}
