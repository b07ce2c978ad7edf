export {
  Account,
  AccountDetail,
  AccountFilter,
  Policy,
  PolicyPatch,
  ResumedPolicy,
} from './accounts.ts';
export { ACTION_ROWS_MAX, ActionResult } from './actions.ts';
export {
  ENQUEUE_BYTES_MAX,
  EnqueuedMessages,
  MESSAGES_MAX,
  Message,
  MessageDetail,
  MessageExplanation,
  MessageFilter,
  MessageStatus,
  NewMessage,
} from './messages.ts';
export {
  Post,
  PostDetail,
  PostExplanation,
  PostFilter,
  PostOptions,
  PostOptionsPatch,
  PostState,
} from './posts.ts';
export { Restore, RestoreRequest } from './restores.ts';
export { type Admin, createAdmin, MessageAction, PostAction } from './store.ts';
export { AuditEntry, AuditFilter, PauseRequest, Sending } from './system.ts';
