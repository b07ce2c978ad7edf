/**
 * History that nobody needs any more: deleted in small batches, each a transaction of its own, so
 * that nothing waits for it. It may end between any two of them; the next day goes on.
 */
import { type AnalyticsStore, HISTORY_KINDS, type HistoryKind } from './store.ts';

/** How many rows of each kind were deleted. */
export type DeletedHistory = Record<HistoryKind, number>;

/** Rows looked at in one batch. */
const BATCH_ROWS_MAX = 1_000;

/**
 * Deletes until nothing is left that may go, or `signal` aborts.
 *
 * @param call makes one call to the database, again if it is away
 * @param report told of what was deleted so far, after each batch
 */
export async function deleteHistory(
  store: Pick<AnalyticsStore, 'deleteHistory'>,
  signal: AbortSignal,
  call: <Answer>(once: () => Promise<Answer>) => Promise<Answer>,
  report: (deleted: DeletedHistory) => void,
): Promise<DeletedHistory> {
  const deleted: DeletedHistory = { messages: 0, message_attempts: 0, post_attempts: 0, runs: 0 };
  for (const kind of HISTORY_KINDS) {
    let after: unknown = null;
    do {
      if (signal.aborted) return deleted;
      const from = after;
      const batch = await call(() => store.deleteHistory(kind, BATCH_ROWS_MAX, from));
      deleted[kind] += batch.deleted;
      after = batch.after;
      report({ ...deleted });
    } while (after !== null);
  }
  return deleted;
}
