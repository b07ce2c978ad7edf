export { dmQueue } from './job.ts';
export {
  type AttemptResult,
  type Backlog,
  type Claim,
  type ClaimedMessage,
  createDmStore,
  type DmStore,
  type Enqueued,
  type Explanation,
  type NewMessage,
  type RecordedResult,
} from './store.ts';
