export {
  type AttemptResult,
  type Backlog,
  type ClaimedAttempt,
  type Preview,
  type RecordedResult,
  releaseOf,
} from './attempts.ts';
export type {
  Claim,
  ClaimRequest,
  Outbox,
  ReadBackLedger,
  ReadBackResolution,
  ReadBackResult,
  UnknownAttempt,
} from './outbox.ts';
export { outcomeOf } from './outcome.ts';
export { REASONS, type Reason, reasonInWords } from './reasons.ts';
export { createReconcileJob, type LoadOutbox } from './reconcile.ts';
export { type RecordedEnd, recordedEndOf } from './recorded-end.ts';
export { runOutbox } from './run-outbox.ts';
export { unlessAborted } from './unless-aborted.ts';
export { unseen } from './unseen.ts';
