/** The in-process engine: runs are worked on where they were triggered, a few at a time. */
import pLimit from 'p-limit';
import type { JobDefinition, JobServices } from '../definition.ts';
import type { Engine } from '../engine.ts';
import { executeRun, type StopReason } from '../execute-run.ts';
import type { Run } from '../run.ts';
import type { RunStore } from '../run-store.ts';

/** Runs at once. Each job has at most one active run, so this only bounds what cannot happen. */
const RUNS_MAX = 16;

/** How long marking runs that did not end in time may take, in milliseconds. */
const GIVE_UP_MS_MAX = 1_000;

interface ActiveRun {
  run: Run;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export function createInProcessEngine(
  jobs: readonly JobDefinition[],
  store: RunStore,
  services: JobServices,
): Engine {
  const limit = pLimit(RUNS_MAX);
  const active = new Map<string, ActiveRun>();
  const listeners = new Set<(run: Run) => void>();
  let closing = false;

  const publish = (run: Run): void => {
    const entry = active.get(run.id);
    if (entry) entry.run = run;
    for (const listener of listeners) listener(run);
  };

  const work = async (definition: JobDefinition, run: Run, stop: AbortController): Promise<void> => {
    try {
      await executeRun({ definition, run, services, store, stop, onChange: publish });
    } catch (error) {
      // The database did not even let the run begin. Its heartbeat never comes, so it is recovered.
      services.logger.error({ err: error, run_id: run.id, job: run.job }, 'run could not begin');
    } finally {
      const last = active.get(run.id)?.run;
      active.delete(run.id);
      if (last) for (const listener of listeners) listener(last);
    }
  };

  return {
    async submit(run) {
      const definition = jobs.find((job) => job.name === run.job);
      if (!definition) throw new RangeError(`No such job: ${run.job}`);
      if (active.has(run.id)) return;
      const stop = new AbortController();
      if (closing) stop.abort('shutdown' satisfies StopReason);
      // The entry stands before the work begins, so that its first change finds it.
      let begin = (): void => {};
      const admitted = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const ended = limit(async () => {
        await admitted;
        await work(definition, run, stop);
      });
      active.set(run.id, { run, stop, ended });
      begin();
    },
    cancel: (id) => active.get(id)?.stop.abort('cancelled' satisfies StopReason),
    snapshot: (id) => active.get(id)?.run ?? null,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close(graceMs) {
      closing = true;
      const ends = [...active.values()].map(({ stop, ended }) => {
        stop.abort('shutdown' satisfies StopReason);
        return ended;
      });
      const inTime = new AbortController();
      const expired = services.effects.sleep(graceMs, inTime.signal).then(() => inTime.signal.aborted);
      const all = Promise.all(ends).then(() => true);
      const result = await Promise.race([all, expired]);
      inTime.abort();
      if (!result) await giveUp([...active.values()].map(({ run }) => run));
      return result;
    },
  };

  /** Marks runs that did not end in time, so that nobody waits for their heartbeats. */
  async function giveUp(runs: readonly Run[]): Promise<void> {
    const marked = runs.map((run) =>
      store.finish(run.id, services.worker, {
        status: 'interrupted',
        stats: run.stats,
        error: 'stopped: shutdown, with messages in flight',
        horizonSeen: new Date(run.horizon_at),
      }),
    );
    const results = await Promise.race([Promise.allSettled(marked), services.effects.sleep(GIVE_UP_MS_MAX)]);
    services.logger.warn(
      { count: runs.length, results: results?.map(({ status }) => status) },
      'runs given up',
    );
  }
}
