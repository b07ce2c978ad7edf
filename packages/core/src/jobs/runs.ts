/**
 * Runs, as triggers see them: start, look, watch, wait, cancel. What the HTTP API and every other
 * driver of the jobs (a worker's own clock, a watchdog) is made of.
 */
import type { Effects } from '../effects/index.ts';
import { inSpan, NO_TRACES, type Traces } from '../telemetry/index.ts';
import type { JobDefinition } from './definition.ts';
import type { Engine } from './engine.ts';
import { isEnded, type Run, type RunParams, type RunTrigger } from './run.ts';
import type { RunFilter, RunPage, RunStore, StartedRun } from './run-store.ts';
import { nextSlot } from './schedule.ts';

/** How often a watcher looks at the database for a run that is worked on elsewhere, in milliseconds. */
const WATCH_POLL_MS = 1_000;

/** The horizon of a job whose schedule has no next slot, in milliseconds. */
const HORIZON_MS_DEFAULT = 15 * 60_000;

export interface StartRun {
  readonly job: JobDefinition;
  readonly trigger: RunTrigger;
  /** The slot, or null for a run asked for by hand. */
  readonly scheduledFor: Date | null;
  /** The name of the credential that asks. */
  readonly requestedBy: string;
  /** Only for a run asked for by hand; `{}` by default. */
  readonly params?: RunParams;
  /** 0 to 9; by default the job's own. */
  readonly priority?: number;
  /** Of the span that the run is traced under; by default it begins a trace. */
  readonly traceparent?: string | undefined;
}

export interface Runs {
  /** Starts a run, or answers with the one that exists. */
  start(request: StartRun): Promise<StartedRun>;
  get(id: string): Promise<Run | null>;
  /** Newest first. */
  list(filter: RunFilter): Promise<RunPage>;
  /** Null if there is no such run. */
  cancel(id: string, requestedBy: string): Promise<Run | null>;
  /** The run now and after each change, up to and including its end; nothing if there is no such run. */
  watch(id: string, signal: AbortSignal): AsyncGenerator<Run, void, undefined>;
  /** The run once it has ended, or as it stands after `timeoutMs` milliseconds or when `signal` aborts. */
  waitForEnd(run: Run, timeoutMs: number, signal: AbortSignal): Promise<Run>;
}

export function createRuns(
  store: RunStore,
  engine: Engine,
  effects: Effects,
  traces: Traces = NO_TRACES,
): Runs {
  const get = async (id: string): Promise<Run | null> => engine.snapshot(id) ?? (await store.get(id));

  async function* watch(id: string, signal: AbortSignal): AsyncGenerator<Run, void, undefined> {
    let seen = '';
    while (!signal.aborted) {
      const changed = new AbortController();
      const stop = engine.onChange((run) => {
        if (run.id === id) changed.abort();
      });
      try {
        const run = await get(id);
        if (run === null) return;
        const shown = JSON.stringify(run);
        if (shown !== seen) yield run;
        seen = shown;
        if (isEnded(run)) return;
        await effects.sleep(WATCH_POLL_MS, AbortSignal.any([signal, changed.signal]));
      } finally {
        stop();
      }
    }
  }

  return {
    get,
    watch,
    list: (filter) => store.list(filter),

    async start(request) {
      const { job, trigger, scheduledFor, requestedBy, params = {}, priority = job.priority ?? 0 } = request;
      const now = effects.now();
      // A slot that is asked for late is worked on until the next one from now on.
      const from = scheduledFor !== null && scheduledFor > now ? scheduledFor : now;
      const horizonAt = nextSlot(job.schedule, from) ?? new Date(now.getTime() + HORIZON_MS_DEFAULT);
      const facts = { job: job.name, trigger, slot: scheduledFor?.toISOString() ?? null };
      const span = traces.start('start run', facts, request.traceparent);
      return inSpan(span, async () => {
        const started = await store.start({
          job: job.name,
          trigger,
          scheduledFor,
          requestedBy,
          horizonAt,
          params,
          priority,
        });
        const { outcome, run } = started;
        span.set({ run_id: run.id, outcome, status: run.status });
        // Also one that exists: whoever created it may have gone before taking it up. Only one can begin it.
        if (run.status === 'queued') await engine.submit(run, span.traceparent);
        return started;
      });
    },

    async cancel(id, requestedBy) {
      const run = await store.cancel(id, requestedBy);
      engine.cancel(id);
      return run;
    },

    async waitForEnd(run, timeoutMs, signal) {
      const expired = new AbortController();
      const until = AbortSignal.any([signal, expired.signal]);
      const settled = new AbortController();
      const timer = effects.sleep(timeoutMs, settled.signal).then(() => expired.abort());
      let latest = run;
      try {
        for await (const shown of watch(run.id, until)) latest = shown;
      } finally {
        settled.abort();
        await timer;
      }
      return latest;
    },
  };
}
