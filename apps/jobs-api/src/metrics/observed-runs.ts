/**
 * Runs: when they were begun and ended, as the database answers those who say so, and what they
 * have claimed ahead.
 */
import { type Engine, isEnded, type Run, type RunStore, type SliceStatus } from '@revos/core/jobs';
import type { Meters } from './meters.ts';

/** Runs that are remembered, so that an answer which was lost and asked for again counts once. */
const REMEMBERED_MAX = 1_000;

const secondsBetween = (from: string, to: string): number =>
  Math.max(0, (Date.parse(to) - Date.parse(from)) / 1_000);

export function observeRunStore(store: RunStore, meters: Meters): RunStore {
  const begun = createMemory();
  const ended = createMemory();

  /** Of several slices, the first begins the run: it sets both instants. */
  const noteBegin = ({ owned, run }: SliceStatus): void => {
    const { id, job, started_at, heartbeat_at, scheduled_for } = run;
    if (!owned || started_at === null || started_at !== heartbeat_at || !begun.isNew(id)) return;
    if (scheduled_for === null) return;
    meters.slotLateness.observe({ job_name: job }, secondsBetween(scheduled_for, started_at));
  };

  /**
   * And the last one to end ends it. What the database had ended before says so to each, and is
   * nobody's to count.
   */
  const noteEnd = ({ owned, run }: SliceStatus): void => {
    const { id, job, status, started_at, finished_at, heartbeat_at } = run;
    if (!owned || !isEnded(run) || finished_at === null || finished_at !== heartbeat_at) return;
    if (!ended.isNew(id)) return;
    meters.runsEnded.inc({ job_name: job, status });
    if (started_at !== null)
      meters.runDuration.observe({ job_name: job }, secondsBetween(started_at, finished_at));
  };

  return {
    ...store,
    async begin(id, worker, slice) {
      const told = await store.begin(id, worker, slice);
      if (told !== null) noteBegin(told);
      return told;
    },
    async finish(id, worker, end, slice) {
      const told = await store.finish(id, worker, end, slice);
      if (told !== null) noteEnd(told);
      return told;
    },
  };
}

function createMemory(): { isNew(id: string): boolean } {
  const ids = new Set<string>();
  return {
    isNew(id) {
      if (ids.has(id)) return false;
      ids.add(id);
      const [oldest] = ids;
      if (ids.size > REMEMBERED_MAX && oldest !== undefined) ids.delete(oldest);
      return true;
    },
  };
}

/** Follows what the runs of this process have claimed and not dispatched. */
export function observeEngine(engine: Pick<Engine, 'onChange'>, meters: Meters): void {
  const aheadOf = new Map<string, { readonly job: string; readonly count: number }>();
  engine.onChange((run: Run) => {
    const count = isEnded(run) ? 0 : (run.stats.claimed_ahead ?? 0);
    const before = aheadOf.get(run.id)?.count ?? 0;
    if (count === before) return;
    if (count === 0) aheadOf.delete(run.id);
    else aheadOf.set(run.id, { job: run.job, count });
    meters.claimedAhead.inc({ job_name: run.job }, count - before);
  });
}
