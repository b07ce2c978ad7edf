/**
 * The run of `analytics`: recounts days, one call each, the latest first; then the views and the
 * cache. What is counted and old is deleted last; a backfill deletes nothing.
 *
 * Each day is whole or as it was, so a run may end between any two; counting again changes nothing. What the
 * days are, the database says, by its own clock.
 */
import type { JobHandler, JobServices } from '../jobs/index.ts';
import { RpcError } from '../rpc/index.ts';
import { deleteHistory } from './history.ts';
import { createAnalytics } from './queries.ts';
import { createAnalyticsStore } from './store.ts';

/** How often a call is made while the database is away, and milliseconds between the first two; then more. */
const TRIES_MAX = 4;
const RETRY_MS = 2_000;

/**
 * How long one call takes at most, in milliseconds: none is begun later than that before this
 * process is ended.
 */
const CALL_MS_MAX = 60_000;

export const recount: JobHandler = async ({ run, signal, remainingMs, report }, services) => {
  const isOver = (): boolean => signal.aborted || remainingMs() < CALL_MS_MAX;
  const store = createAnalyticsStore(services.rpc);
  const { days, from, to, dry_run } = run.params;
  const planned = await whileAway(() => store.days({ days, from, to }), signal, services);
  if (dry_run) return { dry_run: true, would_refresh: planned };

  const stats = { days: 0, days_left: planned.length, rows: 0 };
  for (const day of planned) {
    if (isOver()) return stats;
    const refreshed = await whileAway(() => store.refresh(day, day), signal, services);
    stats.days += 1;
    stats.days_left -= 1;
    stats.rows += refreshed.rows;
    report({ ...stats });
  }

  if (isOver()) return stats;
  await whileAway(() => store.refreshViews(), signal, services);
  const { rpc, effects, logger, settings } = services;
  const analytics = createAnalytics(rpc, { effects, logger, redisUrl: settings.redisUrl });
  try {
    await whileAway(() => analytics.warm(), signal, services);
  } finally {
    await analytics.close();
  }
  if (Object.keys(run.params).length > 0 || isOver()) return stats;
  const deleted = await deleteHistory(
    store,
    signal,
    (once) => whileAway(once, signal, services),
    (soFar) => report({ ...stats, deleted: soFar }),
  );
  return { ...stats, deleted };
};

/** Calls again while the database is away. All calls here may be repeated. */
async function whileAway<Answer>(
  call: () => Promise<Answer>,
  signal: AbortSignal,
  { effects, logger }: Pick<JobServices, 'effects' | 'logger'>,
): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      const isAway = error instanceof RpcError && error.kind === 'unavailable';
      if (!isAway || tries === TRIES_MAX || signal.aborted) throw error;
      logger.warn({ err: error, tries }, 'database unavailable, retrying analytics');
      await effects.sleep(RETRY_MS * tries, signal);
    }
  }
}
