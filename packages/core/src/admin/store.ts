/** What operators see and do, in the database: SQL functions, typed. Nothing here decides anything. */
import type { Static } from 'typebox';
import type { Rpc } from '../rpc/index.ts';
import { LIMIT_DEFAULT, type PageOf, type Paging } from '../shapes/index.ts';
import type {
  Account,
  AccountDetail,
  AccountFilter,
  Policy,
  PolicyPatch,
  ResumedPolicy,
} from './accounts.ts';
import { type ActionResult, messageActionBy, postActionBy } from './actions.ts';
import {
  type EnqueuedMessages,
  type Message,
  type MessageDetail,
  type MessageExplanation,
  MessageFilter,
  type NewMessage,
} from './messages.ts';
import {
  type Post,
  type PostDetail,
  type PostExplanation,
  PostFilter,
  type PostOptions,
  type PostOptionsPatch,
} from './posts.ts';
import type { Restore, RestoreRequest } from './restores.ts';
import type { AuditEntry, AuditFilter, PauseRequest, Sending } from './system.ts';

/** Asks for one thing to be done to many messages. */
export const MessageAction = messageActionBy(MessageFilter);
export type MessageAction = Static<typeof MessageAction>;

/** Asks for one thing to be done to many posts. */
export const PostAction = postActionBy(PostFilter);
export type PostAction = Static<typeof PostAction>;

/** Every write takes the name of who asks: it stands in the audit trail. */
export interface Admin {
  readonly messages: {
    /** Queues all or none. */
    enqueue(rows: readonly NewMessage[], actor: string): Promise<EnqueuedMessages>;
    list(request: MessageFilter & Paging): Promise<PageOf<Message>>;
    get(id: string): Promise<MessageDetail | null>;
    explain(id: string): Promise<MessageExplanation | null>;
    act(request: MessageAction, actor: string): Promise<ActionResult>;
  };
  readonly posts: {
    list(request: PostFilter & Paging): Promise<PageOf<Post>>;
    get(id: string): Promise<PostDetail | null>;
    explain(id: string): Promise<PostExplanation | null>;
    setOptions(id: string, patch: PostOptionsPatch, actor: string): Promise<PostOptions>;
    act(request: PostAction, actor: string): Promise<ActionResult>;
  };
  readonly accounts: {
    list(request: AccountFilter & Paging): Promise<PageOf<Account>>;
    get(id: string): Promise<AccountDetail | null>;
    setPolicy(id: string, patch: PolicyPatch, actor: string): Promise<Policy>;
    pause(id: string, request: PauseRequest, actor: string): Promise<Policy>;
    resume(id: string, actor: string): Promise<ResumedPolicy>;
  };
  readonly sending: {
    status(): Promise<Sending>;
    pause(request: PauseRequest, actor: string): Promise<Sending>;
    resume(actor: string): Promise<Sending>;
  };
  readonly restores: {
    /** Marks some accounts, until all are marked; then it changes nothing. */
    mark(request: RestoreRequest, actor: string): Promise<Restore>;
  };
  readonly audit: {
    list(request: AuditFilter & Paging): Promise<PageOf<AuditEntry>>;
  };
}

/** @param lateLimitMinutes a post later than this is missed; 0 to 525,600 */
export function createAdmin(rpc: Rpc, lateLimitMinutes: number): Admin {
  const late_limit_minutes = lateLimitMinutes;
  return {
    messages: {
      enqueue: (rows, actor) => rpc.call('dm_enqueue', { rows, actor }),
      list: (request) => rpc.call('dm_list', pageOf(request)),
      get: (id) => rpc.call('dm_get', { id }),
      explain: (id) => rpc.call('dm_explain', { id }),
      act: (request, actor) => rpc.call('dm_act', { ...actionOf(request), actor }),
    },
    posts: {
      list: (request) => rpc.call('post_list', pageOf(request)),
      get: (id) => rpc.call('post_get', { id, late_limit_minutes }),
      explain: (id) => rpc.call('post_explain', { id, late_limit_minutes }),
      setOptions: (id, patch, actor) => rpc.call('post_options_set', { post_id: id, patch, actor }),
      act: (request, actor) => rpc.call('post_act', { ...actionOf(request), actor }),
    },
    accounts: {
      list: (request) => rpc.call('account_list', pageOf(request)),
      get: (id) => rpc.call('account_get', { id }),
      setPolicy: (id, patch, actor) => rpc.call('account_policy_set', { account_id: id, patch, actor }),
      pause: (id, { reason, until }, actor) =>
        rpc.call('account_pause', { account_id: id, reason, until: instantOf(until), actor }),
      resume: (id, actor) => rpc.call('account_resume', { account_id: id, actor }),
    },
    sending: {
      status: () => rpc.call('sending_status'),
      pause: ({ reason, until }, actor) =>
        rpc.call('sending_pause_set', { reason, until: instantOf(until), actor }),
      resume: (actor) => rpc.call('sending_resume', { actor }),
    },
    restores: {
      mark: ({ to, dry_run = false }, actor) =>
        rpc.call('restore_mark', { to: new Date(to).toISOString(), dry_run, actor }),
    },
    audit: {
      list: (request) => rpc.call('audit_list', pageOf(request)),
    },
  };
}

function pageOf({ limit = LIMIT_DEFAULT, cursor, ...filter }: Paging): Readonly<Record<string, unknown>> {
  return { filter, limit, after: cursor ?? null };
}

function actionOf(request: MessageAction | PostAction): Readonly<Record<string, unknown>> {
  const { action, selection, args = {}, dry_run = false, expected_count = null } = request;
  return { action, selection, args, dry_run, expected_count };
}

/** In the one way of writing that every database reads. */
const instantOf = (text: string | null | undefined): string | null =>
  typeof text === 'string' ? new Date(text).toISOString() : null;
