export { postScheduler } from './job.ts';
export {
  type CheckedMedia,
  type ClaimedPost,
  createPostStore,
  type MediaToCheck,
  type PostExplanation,
  type PostMedia,
  type PostMediaProblem,
  type PostReconcileResult,
  type PostResult,
  type PostStore,
  type UnknownPost,
} from './store.ts';
