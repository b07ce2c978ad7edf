/**
 * The message store as reads see it: late by the visibility delay, stale while the account is not OK.
 */
import { ApiError } from '../errors.ts';
import { chatWire } from '../wire/chat.ts';
import { messageWire } from '../wire/message.ts';
import type { Context, Outcome } from './context.ts';
import type { Chat, Message } from './model.ts';
import { type ListQuery, page } from './pages.ts';

const LIST_LIMITS = { fallback: 100, max: 250 };

/** Whether the store shows a message now. */
export function isVisible(context: Context, message: Message): boolean {
  const account = context.store.accounts.get(message.accountId);
  if (account === undefined) return false;
  if (account.frozenAt === null) return message.visibleAt.getTime() <= context.now().getTime();
  return !message.arrivedFrozen && message.visibleAt.getTime() <= account.frozenAt.getTime();
}

/** When the first of these will show, or null. Those of a stale account have no time yet. */
export function nextVisibleAt(context: Context, messages: readonly Message[]): Date | null {
  let nextMs = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    const isFrozen = context.store.accounts.get(message.accountId)?.frozenAt !== null;
    if (!isFrozen) nextMs = Math.min(nextMs, message.visibleAt.getTime());
  }
  return Number.isFinite(nextMs) ? new Date(nextMs) : null;
}

export function listChats(context: Context, query: ListQuery): Outcome {
  return { status: 200, body: chatPage(context, 'chats', query, [...context.store.chats.values()]) };
}

/** All 1:1 chats with the people named, by Unipile attendee id or LinkedIn id. */
export function listChatsOfAttendee(context: Context, identifiers: string, query: ListQuery): Outcome {
  const people = attendeesOf(context, identifiers);
  const chats = [...context.store.chats.values()].filter(
    (chat) => chat.attendees.length === 1 && people.has(chat.attendees[0] ?? ''),
  );
  return { status: 200, body: chatPage(context, `attendees/${identifiers}/chats`, query, chats) };
}

/** A chat can be asked for by id as soon as it exists; lists show it with its first visible message. */
export function getChat(context: Context, chatId: string): Outcome {
  const chat = requireChat(context, chatId);
  const shown = visibleMessages(context, chat);
  const last = shown.at(-1);
  const lastMessage = last === undefined ? null : messageWire(context, chat, last);
  return { status: 200, body: { ...chatWire(chat, shown), lastMessage } };
}

export function listMessagesOfChat(context: Context, chatId: string, query: ListQuery): Outcome {
  const chat = requireChat(context, chatId);
  return { status: 200, body: messagePage(context, `chats/${chatId}/messages`, query, chat.messages) };
}

export function listMessages(context: Context, query: ListQuery): Outcome {
  return {
    status: 200,
    body: messagePage(context, 'messages', query, [...context.store.messages.values()]),
  };
}

/** What the people named have sent. An account's own messages are listed by its own LinkedIn id. */
export function listMessagesOfAttendee(context: Context, identifiers: string, query: ListQuery): Outcome {
  const people = attendeesOf(context, identifiers);
  const sent = [...context.store.messages.values()].filter((message) => people.has(message.senderId));
  return { status: 200, body: messagePage(context, `attendees/${identifiers}/messages`, query, sent) };
}

export function getMessage(context: Context, messageId: string): Outcome {
  const message = context.store.messages.get(messageId);
  const chat = message === undefined ? undefined : context.store.chats.get(message.chatId);
  if (message === undefined || chat === undefined || !isVisible(context, message)) {
    throw new ApiError('resource_not_found', 'Message not found.');
  }
  return { status: 200, body: messageWire(context, chat, message) };
}

/** Starts a history sync; asked again, says it is done. It does not shorten the visibility delay. */
export function syncChat(context: Context, chatId: string): Outcome {
  const chat = requireChat(context, chatId);
  const status = chat.isSyncing ? 'SYNC_DONE' : 'SYNC_STARTED';
  chat.isSyncing = !chat.isSyncing;
  return { status: 200, body: { object: 'ChatHistorySync', chat_id: chat.id, status } };
}

function requireChat(context: Context, chatId: string): Chat {
  const chat = context.store.chats.get(chatId);
  if (chat === undefined) throw new ApiError('resource_not_found', 'Chat not found.');
  return chat;
}

function visibleMessages(context: Context, chat: Chat): Message[] {
  return chat.messages.filter((message) => isVisible(context, message));
}

/**
 * LinkedIn ids for a comma list of attendee ids.
 *
 * @throws {ApiError} resource_not_found when the store has seen none of them, which does not mean
 *   "not connected"
 */
function attendeesOf(context: Context, identifiers: string): ReadonlySet<string> {
  const { attendees, accounts, chats } = context.store;
  const wanted = new Set(identifiers.split(',').map((id) => attendees.get(id) ?? id));
  const isOwner = [...accounts.values()].some((account) => wanted.has(account.providerId));
  const isKnown = [...chats.values()].some(
    (chat) =>
      chat.attendees.some((id) => wanted.has(id)) &&
      chat.messages.some((message) => isVisible(context, message)),
  );
  if (!isOwner && !isKnown) throw new ApiError('resource_not_found', 'Attendee not found.');
  return wanted;
}

/** Whether a comma list of account ids, if there is one, names this account. */
function isOfAccount(filter: string | undefined, accountId: string): boolean {
  return filter === undefined || filter.split(',').includes(accountId);
}

function chatPage(
  context: Context,
  list: string,
  query: ListQuery,
  chats: readonly Chat[],
): Record<string, unknown> {
  const found = page({
    list,
    query,
    limits: LIST_LIMITS,
    rows: (asked) =>
      chats
        .filter((chat) => isOfAccount(asked.accountId, chat.accountId))
        .map((chat) => ({ chat, shown: visibleMessages(context, chat) }))
        .filter(({ shown }) => shown.length > 0)
        .filter(({ shown }) => asked.unread === undefined || asked.unread === !shown.at(-1)?.isSender),
    keyOf: ({ shown }) => keyOfMessage(shown.at(-1)),
  });
  const items = found.items.map(({ chat, shown }) => chatWire(chat, shown));
  return { object: 'ChatList', items, cursor: found.cursor };
}

function messagePage(
  context: Context,
  list: string,
  query: ListQuery,
  messages: readonly Message[],
): Record<string, unknown> {
  const found = page({
    list,
    query,
    limits: LIST_LIMITS,
    rows: (asked) => {
      const sender =
        asked.senderId === undefined
          ? undefined
          : (context.store.attendees.get(asked.senderId) ?? asked.senderId);
      return messages
        .filter((message) => isOfAccount(asked.accountId, message.accountId))
        .filter((message) => sender === undefined || message.senderId === sender)
        .filter((message) => isVisible(context, message));
    },
    keyOf: keyOfMessage,
  });
  const items = found.items.flatMap((message) => {
    const chat = context.store.chats.get(message.chatId);
    return chat === undefined ? [] : [messageWire(context, chat, message)];
  });
  return { object: 'MessageList', items, cursor: found.cursor };
}

function keyOfMessage(message: Message | undefined): { atMs: number; seq: number } {
  return { atMs: message?.at.getTime() ?? 0, seq: message?.seq ?? 0 };
}
