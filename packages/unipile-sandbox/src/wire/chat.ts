/** The live shape of a chat. Flags are the integers 0 and 1. */
import type { Chat, Message } from '../world/model.ts';

/** @param shown the chat's visible messages, oldest first */
export function chatWire(chat: Chat, shown: readonly Message[]): Record<string, unknown> {
  const lastOwn = shown.findLastIndex((message) => message.isSender);
  const unreadCount = shown.length - 1 - lastOwn;
  const isGroup = chat.attendees.length > 1;
  return {
    object: 'Chat',
    id: chat.id,
    account_id: chat.accountId,
    account_type: 'LINKEDIN',
    provider_id: chat.providerId,
    ...(isGroup ? {} : { attendee_provider_id: chat.attendees[0] }),
    name: null,
    type: isGroup ? 1 : 0,
    timestamp: shown.at(-1)?.at.toISOString() ?? null,
    unread_count: unreadCount,
    unread: unreadCount > 0 ? 1 : 0,
    pinned: 0,
    archived: 0,
    muted_until: null,
    read_only: 0,
    disabledFeatures: [],
    folder: ['INBOX', 'INBOX_LINKEDIN_CLASSIC'],
    ...(chat.isInmail ? { content_type: 'inmail' } : {}),
    ...(chat.subject === null ? {} : { subject: chat.subject }),
  };
}
