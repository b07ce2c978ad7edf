/**
 * An outbox whose claims, calls, records and looks are spans of their slice's.
 *
 * Each span ends with what it is of, so that a run of thousands of messages holds no more of them
 * than it has calls under way. A record is of many calls: it is linked to them. What is asked for
 * again and again and gave nothing is not told.
 */
import { type RunContext, runFacts } from '../jobs/index.ts';
import { inSpan, type Span } from '../telemetry/index.ts';
import type { AttemptResult, ClaimedAttempt } from './attempts.ts';
import type { Outbox, ReconcileLedger, ReconcileResult, UnknownAttempt } from './outbox.ts';

type Traced = Pick<RunContext, 'run' | 'slice' | 'span'>;

/** The outbox itself where nothing is traced. */
export function tracedOutbox<Item extends ClaimedAttempt, Result extends AttemptResult>(
  outbox: Outbox<Item, Result>,
  context: Traced,
): Outbox<Item, Result> {
  const { run, slice, span: parent } = context;
  if (!parent.isRecorded) return outbox;
  const facts = runFacts(run, slice);
  /** The span of each call, until its result is recorded. */
  const calls = new WeakMap<AttemptResult, Span>();

  return {
    ...outbox,
    async claim(request) {
      const span = parent.child('claim', { ...facts, asked: request.limit });
      try {
        const claim = await outbox.claim(request);
        span.set({ count: claim.items.length });
        if (claim.items.length > 0) span.end();
        return claim;
      } catch (error) {
        span.fail(error);
        span.end();
        throw error;
      }
    },
    async send(item, isInTime, signal) {
      const { account_id, attempt_id } = item;
      const span = parent.child('call', { ...facts, account_id, attempt_id });
      return inSpan(span, async () => {
        const result = await outbox.send(item, isInTime, signal);
        const { outcome, next_step, reason, http_status } = result;
        span.set({ outcome: next_step === 'release' ? 'released' : outcome, reason, http_status });
        calls.set(result, span);
        return result;
      });
    },
    async record(results) {
      const links = results.map((result) => calls.get(result)).filter((call) => call !== undefined);
      const span = parent.child('record', { ...facts, count: results.length }, links);
      return inSpan(span, () => outbox.record(results));
    },
    reconcile: tracedReconcile(outbox.reconcile, context),
  };
}

/** The ledger itself where nothing is traced. */
export function tracedReconcile<Item extends UnknownAttempt, Result extends ReconcileResult>(
  ledger: ReconcileLedger<Item, Result>,
  { run, slice, span: parent }: Traced,
): ReconcileLedger<Item, Result> {
  if (!parent.isRecorded) return ledger;
  const facts = runFacts(run, slice);
  const looks = new WeakMap<ReconcileResult, Span>();
  return {
    ...ledger,
    async look(item) {
      const span = parent.child('look', { ...facts, attempt_id: item.attempt_id });
      return inSpan(span, async () => {
        const result = await ledger.look(item);
        span.set({ outcome: result.found });
        looks.set(result, span);
        return result;
      });
    },
    async resolve(results) {
      const links = results.map((result) => looks.get(result)).filter((look) => look !== undefined);
      const span = parent.child('record', { ...facts, count: results.length }, links);
      return inSpan(span, () => ledger.resolve(results));
    },
  };
}
