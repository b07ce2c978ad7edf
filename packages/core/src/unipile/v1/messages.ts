/** Messages over Unipile v1: sending one, and finding one whose answer was lost. */

import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { FormData } from 'undici';
import { isSameText } from '../same-text.ts';
import type {
  Failure,
  FindMessageRequest,
  FoundMessage,
  SendMessageRequest,
  SentMessage,
  Sought,
} from '../unipile.ts';
import { type Exchange, unreadable } from './exchange.ts';
import { earliestOf, instantOf, isMissing, notFound, oldestOf, readList } from './read-back.ts';

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
    chatId: typeof body.chat_id === 'string' ? body.chat_id : chatId,
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
  whole: AbortSignal,
): Promise<Sought<FoundMessage>> {
  const messages = await readMessages(exchange, sought, whole);
  if (!messages.ok) return messages;
  const found: FoundMessage[] = [];
  let mayBeChanged = false;
  for (const item of messages.items) {
    const sentAt = Message.Check(item) ? instantOf(item.timestamp) : null;
    // One that cannot be read might be the one.
    if (!Message.Check(item) || sentAt === null) return unreadable('unreadable_answer');
    const isOwn = item.is_sender === 1 && item.account_id === sought.accountId;
    if (!isOwn || sentAt < earliestOf(sought.since) || sought.knownIds.includes(item.id)) continue;
    if (!isSameText({ text: sought.text }, item.text ?? '')) {
      // A person changed it on LinkedIn, or took it away: it may have been the one.
      mayBeChanged ||= item.edited === 1 || item.deleted === 1;
      continue;
    }
    found.push({ messageId: item.id, chatId: item.chat_id, sentAt });
  }
  const oldest = oldestOf(found);
  if (oldest !== undefined) return { ok: true, kind: 'found', ...oldest };
  if (mayBeChanged) return unreadable('edited_or_deleted');
  return notFound(exchange, sought.accountId, whole);
}

type Listed = { readonly ok: true; readonly items: readonly unknown[] } | Failure;

/** Messages since the attempt: those of the chat, or of every chat with the recipient. */
async function readMessages(
  exchange: Exchange,
  sought: FindMessageRequest,
  whole: AbortSignal,
): Promise<Listed> {
  if (sought.chatId !== null) {
    const messages = await readChat(exchange, sought.chatId, sought.since, whole);
    // The chat is gone; the message may be in another.
    if (messages.ok || !isMissing(messages)) return messages;
  }
  const chatIds = await readChatIds(exchange, sought, whole);
  if (!chatIds.ok) return chatIds;
  const items: unknown[] = [];
  for (const chatId of chatIds.items) {
    const messages = await readChat(exchange, chatId, sought.since, whole);
    if (!messages.ok) return messages;
    items.push(...messages.items);
  }
  return { ok: true, items };
}

function readChat(exchange: Exchange, chatId: string, since: Date, whole: AbortSignal): Promise<Listed> {
  const path = `chats/${encodeURIComponent(chatId)}/messages`;
  const query = { after: earliestOf(since).toISOString() };
  return readList(exchange, { path, query, pageSize: PAGE_SIZE }, whole);
}

async function readChatIds(
  exchange: Exchange,
  { accountId, recipientId }: FindMessageRequest,
  whole: AbortSignal,
): Promise<{ readonly ok: true; readonly items: readonly string[] } | Failure> {
  const path = `chat_attendees/${encodeURIComponent(recipientId)}/chats`;
  const query = { account_id: accountId };
  const chats = await readList(exchange, { path, query, pageSize: PAGE_SIZE }, whole);
  // The store has never seen the recipient: there is no chat to look in.
  if (!chats.ok) return isMissing(chats) ? { ok: true, items: [] } : chats;
  const ids: string[] = [];
  for (const chat of chats.items) {
    if (!Chat.Check(chat)) return unreadable('unreadable_answer');
    if (chat.account_id === accountId) ids.push(chat.id);
  }
  return ids.length > CHATS_MAX ? unreadable('list_too_long') : { ok: true, items: ids };
}
