/** The live shape of a message in reads. Flags are integers here and booleans in webhooks. */
import type { Context } from '../world/context.ts';
import type { Chat, Message } from '../world/model.ts';
import { attachmentsWire } from './attachment.ts';

export function messageWire(context: Context, chat: Chat, message: Message): Record<string, unknown> {
  return {
    object: 'Message',
    id: message.id,
    chat_id: message.chatId,
    provider_id: message.providerId,
    chat_provider_id: chat.providerId,
    account_id: message.accountId,
    text: message.text,
    is_sender: message.isSender ? 1 : 0,
    sender_id: message.senderId,
    sender_attendee_id: context.ids.of('attendee', `${message.accountId}/${message.senderId}`),
    message_type: message.isInmail ? 'INMAIL' : 'MESSAGE',
    attendee_type: 'MEMBER',
    attendee_distance: 1,
    timestamp: message.at.toISOString(),
    seen: 0,
    delivered: 1,
    edited: 0,
    hidden: 0,
    deleted: 0,
    is_event: 0,
    seen_by: {},
    reactions: [],
    attachments: attachmentsWire(message.id, message.attachments),
    subject: message.subject,
    behavior: null,
    original: '',
  };
}
