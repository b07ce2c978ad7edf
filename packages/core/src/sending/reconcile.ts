/**
 * Reconciles whatever is unknown, of every outbox, as a job of its own.
 *
 * The jobs that send reconcile too, while they run; this one does it when none of them does.
 */
import { type JobDefinition, type JobHandler, type JobServices, workUntil } from '../jobs/index.ts';
import type { Outbox, ReconcileResolution } from './outbox.ts';
import { createReconciler } from './reconciler.ts';
import { countsFrom } from './tally.ts';
import { tracedReconcile } from './traced-outbox.ts';

/** What was looked for, and how that ended. */
const COUNTED = ['seen', 'confirmed', 'resent', 'held', 'unknown'] as const;

/** How long what a look at the ledger gave may be looked for on LinkedIn, in milliseconds. */
const LOOK_MS_MAX = 60_000;

/** Builds an outbox, loading what it needs when the job first runs. */
export type LoadOutbox = () => Promise<(services: JobServices) => Pick<Outbox, 'reconcile'>>;

/** @param outboxes in no particular order; they are read at the same time */
export function createReconcileJob(outboxes: readonly LoadOutbox[]): JobDefinition {
  return {
    name: 'reconcile',
    summary: 'Looks on LinkedIn for what may have been sent, and settles it.',
    schedule: '*/5 * * * *',
    loadHandler: async () => {
      const makers = await Promise.all(outboxes.map((load) => load()));
      return reconcileAll(makers);
    },
  };
}

function reconcileAll(
  makers: ReadonlyArray<(services: JobServices) => Pick<Outbox, 'reconcile'>>,
): JobHandler {
  return async (context, services) => {
    const counts = countsFrom(COUNTED, context.run.stats);
    const count = (resolutions: readonly ReconcileResolution[]): void => {
      for (const { resolution } of resolutions) {
        counts.seen += 1;
        if (resolution === 'sent') counts.confirmed += 1;
        else if (resolution === 'waiting') counts.resent += 1;
        else if (resolution === 'held') counts.held += 1;
        else if (resolution === 'unknown') counts.unknown += 1;
      }
      context.report({ ...counts });
    };
    const lookUntil = (): Date => workUntil(context, services.effects, LOOK_MS_MAX);
    await Promise.all(
      makers.map((make) =>
        createReconciler(tracedReconcile(make(services).reconcile, context), services, count).work(
          context.signal,
          lookUntil,
        ),
      ),
    );
    return { ...counts };
  };
}
