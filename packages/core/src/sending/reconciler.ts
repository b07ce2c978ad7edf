/**
 * The reconciler: what is unknown is looked for on LinkedIn, on schedule, and settled by what is seen.
 *
 * Reading is safe to repeat, so nothing here is fenced: a look that dies is made again by whoever
 * comes next. Whether an absence is believed, and what follows from it, the database decides.
 */
import { unlessAborted } from '../effects/index.ts';
import type { JobServices } from '../jobs/index.ts';
import { RpcError } from '../rpc/index.ts';
import type { ReconcileLedger, ReconcileResolution, ReconcileResult, UnknownAttempt } from './outbox.ts';

/** Unknowns taken at once, and looked for at the same time: no more than are looked for at once. */
const LOOKS_MAX = 8;

/** The longest wait between two looks at the ledger, in milliseconds. */
const POLL_MS = 5_000;

/** The wait after the database was away, in milliseconds. */
const RETRY_MS = 2_000;

/** What the database refuses because of a value in it: of one finding, not of all of them. */
const SPEAKS_OF_ONE = /^(?:22\w{3}|DM071|PO071)$/;

export interface Reconciler {
  /**
   * Reads until `signal` aborts, or, with a horizon, until nothing is to be read before it.
   *
   * @throws {RpcError} unless the database is only away
   */
  work(signal: AbortSignal, horizonAt?: () => Date): Promise<void>;
  /** Whether nothing is being read, and nothing is to be read before `horizon`. */
  isDone(horizon: Date): boolean;
  /** Something may have become unknown: the ledger is looked at at once. */
  lookAgain(): void;
}

/** @param onResolved told of each batch once it is settled */
export function createReconciler<Item extends UnknownAttempt, Result extends ReconcileResult>(
  ledger: ReconcileLedger<Item, Result>,
  services: Pick<JobServices, 'effects' | 'logger' | 'reports'>,
  onResolved: (resolutions: readonly ReconcileResolution[]) => void,
): Reconciler {
  const { effects, logger, reports } = services;
  /** When the next one is to be read, null if none is; undefined while that is not known. */
  let nextAt: Date | null | undefined;
  let wake = new AbortController();

  /** One account that cannot be read must not keep the others from being sent. */
  const lookAt = async (item: Item): Promise<Result> => {
    try {
      return await ledger.look(item);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      const { attempt_id } = item;
      logger.error({ err: error, attempt_id }, 'reconcile failed, will look again');
      reports?.error(error, { attempt_id });
      return { attempt_id, found: 'unreadable', detail: 'the look failed' } as Result;
    }
  };

  const settle = async (result: Result): Promise<void> => {
    try {
      onResolved(await ledger.resolve([result]));
    } catch (error) {
      if (!(error instanceof RpcError) || !SPEAKS_OF_ONE.test(error.code)) throw error;
      const { attempt_id } = result;
      logger.error({ err: error, attempt_id }, 'reconcile result refused, will look again');
      reports?.error(error, { attempt_id });
    }
  };

  /** One look at the ledger; answers the wait before the next, in milliseconds. */
  const pass = async (signal: AbortSignal): Promise<number> => {
    const before = wake.signal;
    const due = await ledger.due(LOOKS_MAX);
    if (due.items.length > 0) {
      // Each is settled by itself: one account that hangs does not keep what was seen of the others.
      const settled = due.items.map(async (item) => {
        const result = await lookAt(item);
        if (!signal.aborted) await settle(result);
      });
      // What is not seen by the end is looked for again: nobody waits for it.
      await unlessAborted(Promise.all(settled), signal);
      return 0;
    }
    // What became unknown during the look is not in its answer.
    if (before.aborted) return 0;
    nextAt = due.next_read_at === null ? null : new Date(due.next_read_at);
    if (nextAt === null) return POLL_MS;
    return Math.min(Math.max(nextAt.getTime() - new Date(due.now).getTime(), 0), POLL_MS);
  };

  const tryPass = async (signal: AbortSignal): Promise<number> => {
    try {
      return await pass(signal);
    } catch (error) {
      if (!(error instanceof RpcError) || error.kind !== 'unavailable') throw error;
      logger.warn({ err: error }, 'list of unknowns unavailable, retrying');
      return RETRY_MS;
    }
  };

  const isDone = (horizon: Date): boolean => nextAt === null || (nextAt !== undefined && nextAt >= horizon);

  return {
    isDone,
    lookAgain() {
      nextAt = undefined;
      wake.abort();
    },
    async work(signal, horizonAt) {
      while (!signal.aborted) {
        wake = new AbortController();
        const waitMs = await tryPass(signal);
        if (horizonAt && (isDone(horizonAt()) || effects.now() >= horizonAt())) return;
        if (waitMs > 0) await effects.sleep(waitMs, AbortSignal.any([signal, wake.signal]));
      }
    },
  };
}
