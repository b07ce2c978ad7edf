export {
  type AttemptResult,
  type Backlog,
  type ClaimedAttempt,
  type Preview,
  type RecordedResult,
  releaseOf,
} from './attempts.ts';
export {
  type Claim,
  type ClaimRequest,
  type Outbox,
  type ReconcileLedger,
  type ReconcileResolution,
  type ReconcileResult,
  toReconcileResult,
  type UnknownAttempt,
} from './outbox.ts';
export { outcomeOf } from './outcome.ts';
export { REASONS, type Reason, reasonInWords } from './reasons.ts';
export { createReconcileJob, type LoadOutbox } from './reconcile.ts';
export { type RecordedEnd, recordedEndOf } from './recorded-end.ts';
export { retryDelayMs } from './retry-delay.ts';
export { runOutbox } from './run-outbox.ts';
