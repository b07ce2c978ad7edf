/** Messages over Unipile v1: sending one, and finding one whose answer was lost. */

import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { FormData } from 'undici';
import { isSameText } from '../same-text.ts';
import type {
  Failure,
  FindMessageRequest,
  FoundMessage,
  SearchResult,
  SendMessageRequest,
  SentMessage,
} from '../unipile.ts';
import { type Exchange, unreadable } from './exchange.ts';
import { earliestOf, instantOf, isMissing, notFound, readList, type TakeItem } from './search.ts';
import { storableId } from './storable.ts';

const PAGE_SIZE = 100;

/** Chats with one person that are looked through. More than one is rare, more than a few unheard of. */
const CHATS_MAX = 10;

export async function sendMessage(
  exchange: Exchange,
  { accountId, recipientId, chatId, text }: SendMessageRequest,
  timeoutMs: number,
): Promise<SentMessage | Failure> {
  const form = new FormData();
  // In a chat this is the guard: Unipile refuses if the chat is another account's.
  form.append('account_id', accountId);
  if (chatId === null) form.append('attendees_ids', recipientId);
  form.append('text', text);
  const path = chatId === null ? 'chats' : `chats/${encodeURIComponent(chatId)}/messages`;
  const options = { timeoutMs, idField: 'message_id', inChat: chatId !== null } as const;
  const written = await exchange.write(path, form, options);
  if (!written.ok) return written;
  const { httpStatus, id, body } = written;
  return {
    ok: true,
    httpStatus,
    messageId: id,
    chatId: storableId(body.chat_id) ?? chatId,
  };
}

const Id = Type.String({ minLength: 1 });
const Chat = Compile(Type.Object({ id: Id, account_id: Id }));
const Message = Compile(
  Type.Object({
    id: Id,
    chat_id: Id,
    account_id: Id,
    text: Type.Union([Type.String(), Type.Null()]),
    // 0 or 1 here; a boolean in webhooks.
    is_sender: Type.Union([Type.Literal(0), Type.Literal(1)]),
    edited: Type.Optional(Type.Union([Type.Literal(0), Type.Literal(1)])),
    deleted: Type.Optional(Type.Union([Type.Literal(0), Type.Literal(1)])),
    timestamp: Type.String(),
  }),
);

/**
 * Looks in Unipile's store, which is stale while the account is out of order: what it shows is true,
 * what it does not show proves nothing then.
 */
export async function findMessage(
  exchange: Exchange,
  sought: FindMessageRequest,
  searchSignal: AbortSignal,
): Promise<SearchResult<FoundMessage>> {
  const earliest = earliestOf(sought.since);
  // Nothing of a list is kept but this: it may be long, and its texts too.
  let oldest: Omit<FoundMessage, 'messageId'> & { readonly messageId: string | null } = NOT_YET;
  let mayBeChanged = false;
  const take: TakeItem = (item) => {
    const sentAt = Message.Check(item) ? instantOf(item.timestamp) : null;
    // One that cannot be read might be the one.
    if (!Message.Check(item) || sentAt === null) return false;
    const isOwn = item.is_sender === 1 && item.account_id === sought.accountId;
    if (!isOwn || sentAt < earliest || sought.knownIds.includes(item.id)) return true;
    if (!isSameText({ text: sought.text }, item.text ?? '')) {
      // A person changed it on LinkedIn, or took it away: it may have been the one.
      mayBeChanged ||= item.edited === 1 || item.deleted === 1;
    } else if (sentAt < oldest.sentAt) {
      oldest = { messageId: storableId(item.id), chatId: storableId(item.chat_id), sentAt };
    }
    return true;
  };
  const read = await readMessages(exchange, sought, take, searchSignal);
  if (!read.ok) return read;
  if (oldest !== NOT_YET) {
    const { messageId } = oldest;
    // Without its id it could be taken for another row's, or another row's for it.
    return messageId === null
      ? unreadable('unstorable_id')
      : { ok: true, kind: 'found', ...oldest, messageId };
  }
  if (mayBeChanged) return unreadable('edited_or_deleted');
  return notFound(exchange, sought.accountId, searchSignal);
}

/** Later than any message. */
const NOT_YET = { messageId: null, chatId: null, sentAt: new Date(8.64e15) };

type Read = { readonly ok: true } | Failure;

/** Messages since the attempt: those of the chat, or of every chat with the recipient. */
async function readMessages(
  exchange: Exchange,
  sought: FindMessageRequest,
  take: TakeItem,
  searchSignal: AbortSignal,
): Promise<Read> {
  if (sought.chatId !== null) {
    const read = await readChat(exchange, sought.chatId, sought.since, take, searchSignal);
    // The chat is gone; the message may be in another.
    if (read.ok || !isMissing(read)) return read;
  }
  const chatIds = await readChatIds(exchange, sought, searchSignal);
  if (!chatIds.ok) return chatIds;
  for (const chatId of chatIds.items) {
    const read = await readChat(exchange, chatId, sought.since, take, searchSignal);
    if (!read.ok) return read;
  }
  return { ok: true };
}

function readChat(
  exchange: Exchange,
  chatId: string,
  since: Date,
  take: TakeItem,
  searchSignal: AbortSignal,
): Promise<Read> {
  const path = `chats/${encodeURIComponent(chatId)}/messages`;
  const query = { after: earliestOf(since).toISOString() };
  return readList(exchange, { path, query, pageSize: PAGE_SIZE, take }, searchSignal);
}

async function readChatIds(
  exchange: Exchange,
  { accountId, recipientId }: FindMessageRequest,
  searchSignal: AbortSignal,
): Promise<{ readonly ok: true; readonly items: readonly string[] } | Failure> {
  const path = `chat_attendees/${encodeURIComponent(recipientId)}/chats`;
  const query = { account_id: accountId };
  const ids: string[] = [];
  const take: TakeItem = (chat) => {
    if (!Chat.Check(chat)) return false;
    // One more says that there are too many.
    if (chat.account_id === accountId && ids.length <= CHATS_MAX) ids.push(chat.id);
    return true;
  };
  const chats = await readList(exchange, { path, query, pageSize: PAGE_SIZE, take }, searchSignal);
  // The store has never seen the recipient: there is no chat to look in.
  if (!chats.ok) return isMissing(chats) ? { ok: true, items: [] } : chats;
  return ids.length > CHATS_MAX ? unreadable('list_too_long') : { ok: true, items: ids };
}
