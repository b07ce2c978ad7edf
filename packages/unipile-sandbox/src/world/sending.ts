/**
 * Messages going out, and those coming in.
 *
 * Every refusal is decided before anything changes: a write that throws has had no effect.
 */
import type { IncomingMessage } from '../declarations.ts';
import { ApiError } from '../errors.ts';
import { isRecipientId, LINKEDIN_APIS } from '../ids.ts';
import { fileWire } from '../wire/attachment.ts';
import { assertLive, requireAccount, requireLiveAccount } from './accounts.ts';
import type { Circumstances, Context, Outcome } from './context.ts';
import { type Account, type Attachment, type Chat, type Message, pairKey } from './model.ts';
import { assertReachable } from './people.ts';

/** Characters LinkedIn takes in a message. */
export const MESSAGE_LENGTH_MAX = 8_000;
const ATTENDEES_MAX = 50;
const DAY_MS = 86_400_000;

/** Values as they came; `undefined` for a field that was not there. */
export interface StartChatRequest {
  readonly accountId?: string | undefined;
  readonly attendeesIds: readonly string[];
  readonly text?: string | undefined;
  readonly subject?: string | undefined;
  /** `linkedin[api]`: `classic` (default), `sales_navigator` or `recruiter`. */
  readonly api?: string | undefined;
  /** `linkedin[inmail]` */
  readonly isInmail?: boolean | undefined;
  readonly attachments?: readonly Attachment[] | undefined;
}

export interface SendMessageRequest {
  readonly chatId: string;
  /** The guard: a chat of another account is refused. */
  readonly accountId?: string | undefined;
  readonly text?: string | undefined;
  readonly attachments?: readonly Attachment[] | undefined;
}

/** Sends a first message, into the 1:1 chat with that person when there is one. */
export function startChat(context: Context, request: StartChatRequest, how: Circumstances): Outcome {
  const { text = '', attachments = [], isInmail = false, api = 'classic' } = request;
  if (request.accountId === undefined || request.accountId === '') {
    throw new ApiError('missing_parameters', 'account_id is required.');
  }
  if (request.attendeesIds.length === 0) {
    throw new ApiError('missing_parameters', 'attendees_ids is required.');
  }
  if (request.attendeesIds.length > ATTENDEES_MAX || request.attendeesIds.some((id) => id === '')) {
    throw new ApiError('invalid_parameters', `attendees_ids must be 1 to ${ATTENDEES_MAX} ids.`);
  }
  if (!LINKEDIN_APIS.includes(api)) {
    throw new ApiError('invalid_parameters', `linkedin[api] must be one of ${LINKEDIN_APIS.join(', ')}.`);
  }
  if (text.trim() === '' && attachments.length === 0) {
    throw new ApiError('missing_parameters', 'text or attachments is required.');
  }
  const account = requireLiveAccount(context, request.accountId);
  assertLength(text);
  for (const id of request.attendeesIds) assertReachable(context, account, id, { api, isInmail });
  assertWithinLimit(context, account);
  assertRoom(context);
  const chat = chatWith(context, account, request.attendeesIds, {
    isInmail,
    subject: request.subject ?? null,
  });
  const message = addOwnMessage(context, account, chat, text, attachments, how);
  return { status: 201, body: { object: 'ChatStarted', chat_id: chat.id, message_id: message.id } };
}

export function sendMessage(context: Context, request: SendMessageRequest, how: Circumstances): Outcome {
  const { text = '', attachments = [] } = request;
  const chat = context.store.chats.get(request.chatId);
  if (chat === undefined) throw new ApiError('resource_not_found', 'Chat not found.');
  if (request.accountId !== undefined && request.accountId !== '' && request.accountId !== chat.accountId) {
    throw new ApiError('account_mismatch');
  }
  const account = requireAccount(context, chat.accountId);
  assertLive(account);
  if (text.trim() === '' && attachments.length === 0) throw new ApiError('invalid_message');
  assertLength(text);
  for (const id of chat.attendees) {
    const api = isRecipientId(id) ? 'classic' : id.startsWith('AE') ? 'recruiter' : 'sales_navigator';
    assertReachable(context, account, id, { api, isInmail: chat.isInmail });
  }
  assertWithinLimit(context, account);
  assertRoom(context);
  const message = addOwnMessage(context, account, chat, text, attachments, how);
  return { status: 201, body: { object: 'MessageSent', message_id: message.id } };
}

/**
 * A message that did not come through the API: a reply, or something the owner typed on LinkedIn.
 * Not an effect of the API, so not in the log; what the owner typed counts against the limit.
 */
export function receiveMessage(context: Context, incoming: IncomingMessage): Message {
  const account = requireAccount(context, incoming.account_id);
  assertRoom(context);
  const chat = chatWith(context, account, [incoming.person_id], { isInmail: false, subject: null });
  const isSender = incoming.from === 'account';
  if (isSender) account.sentAtMs.push(context.now().getTime());
  const message = addMessage(context, chat, {
    senderId: isSender ? account.providerId : incoming.person_id,
    isSender,
    text: incoming.text,
    attachments: [],
    visibilityDelayMs: context.visibilityDelayMs,
  });
  context.events.push({ kind: 'message_received', accountId: account.id, message });
  return message;
}

function assertLength(text: string): void {
  if (text.length <= MESSAGE_LENGTH_MAX) return;
  throw new ApiError('too_many_characters', `text must be at most ${MESSAGE_LENGTH_MAX} characters.`);
}

/** @throws {ApiError} the account's way of saying that LinkedIn takes no more for now */
function assertWithinLimit(context: Context, account: Account): void {
  // Looked through only when there is a limit: it would make the cost of a send grow with the sends
  // before it.
  if (account.messagesPer24h === null) return;
  const horizonMs = context.now().getTime() - DAY_MS;
  account.sentAtMs = account.sentAtMs.filter((atMs) => atMs > horizonMs);
  if (account.sentAtMs.length < account.messagesPer24h) return;
  throw new ApiError(account.limitAnswer);
}

/** @throws {ApiError} service_unavailable once the sandbox is full, which only a reset ends */
export function assertRoom(context: Context): void {
  const { chats, messages, posts, invitations } = context.store;
  if (chats.size + messages.size + posts.size + invitations.size < context.storedMax) return;
  throw new ApiError(
    'service_unavailable',
    `The sandbox holds at most ${context.storedMax} things: reset it.`,
  );
}

/** The 1:1 chat with the person, made if there is none. A group, and an InMail's first, are always new. */
function chatWith(
  context: Context,
  account: Account,
  attendees: readonly string[],
  kind: { readonly isInmail: boolean; readonly subject: string | null },
): Chat {
  const { store, ids } = context;
  const others = [...new Set(attendees)];
  const key = pairKey(account.id, others[0] ?? '');
  const known = others.length === 1 ? (store.chatsByPair.get(key) ?? []) : [];
  const existing = known.find((chat) => chat.isInmail === kind.isInmail);
  if (existing !== undefined) return existing;
  store.seq += 1;
  const chat: Chat = {
    id: ids.next('chat'),
    accountId: account.id,
    providerId: ids.nextMessagingId(),
    attendees: others,
    subject: kind.subject,
    isInmail: kind.isInmail,
    messages: [],
    isSyncing: false,
  };
  store.chats.set(chat.id, chat);
  if (others.length === 1) store.chatsByPair.set(key, [...known, chat]);
  for (const id of others) store.attendees.set(ids.of('attendee', `${account.id}/${id}`), id);
  return chat;
}

function addOwnMessage(
  context: Context,
  account: Account,
  chat: Chat,
  text: string,
  attachments: readonly Attachment[],
  how: Circumstances,
): Message {
  const message = addMessage(context, chat, {
    senderId: account.providerId,
    isSender: true,
    text,
    attachments,
    visibilityDelayMs: how.visibilityDelayMs,
  });
  account.sentAtMs.push(message.at.getTime());
  context.effects.append({
    kind: 'message',
    account_id: account.id,
    recipient_id: chat.attendees.length === 1 ? (chat.attendees[0] ?? null) : null,
    chat_id: chat.id,
    id: message.id,
    text,
    attachments: attachments.map(fileWire),
    at: message.at.toISOString(),
  });
  context.events.push({ kind: 'message_received', accountId: account.id, message });
  return message;
}

interface NewMessage {
  readonly senderId: string;
  readonly isSender: boolean;
  readonly text: string;
  readonly attachments: readonly Attachment[];
  readonly visibilityDelayMs: number;
}

function addMessage(context: Context, chat: Chat, added: NewMessage): Message {
  const { store, ids } = context;
  const at = context.now();
  const message: Message = {
    id: ids.next('message'),
    seq: ++store.seq,
    chatId: chat.id,
    accountId: chat.accountId,
    providerId: ids.nextMessagingId(),
    senderId: added.senderId,
    isSender: added.isSender,
    text: added.text,
    subject: chat.subject,
    isInmail: chat.isInmail,
    attachments: added.attachments,
    at,
    visibleAt: new Date(at.getTime() + added.visibilityDelayMs),
    arrivedFrozen: store.accounts.get(chat.accountId)?.frozenAt !== null,
  };
  chat.messages.push(message);
  store.messages.set(message.id, message);
  return message;
}
