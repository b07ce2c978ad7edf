/** Webhook bodies, as captured from the real service. Flags are booleans here, integers in reads. */
import type { Context } from '../world/context.ts';
import type { WorldEvent } from '../world/events.ts';
import type { Account, Message } from '../world/model.ts';
import { personOf } from '../world/people.ts';
import { attachmentsWire } from './attachment.ts';
import { memberUrn } from './user.ts';

/** One thing to tell: which webhooks it concerns, and the body but for the webhook's own name. */
export interface Notification {
  readonly source: 'messaging' | 'account_status';
  /** As a webhook subscribes to it: `message_received`, or a status in lower case. */
  readonly event: string;
  readonly accountId: string;
  readonly body: Record<string, unknown>;
}

export function notificationOf(context: Context, event: WorldEvent): Notification | null {
  if (event.kind === 'account_status') {
    return {
      source: 'account_status',
      event: event.message.toLowerCase(),
      accountId: event.accountId,
      body: {
        AccountStatus: {
          account_id: event.accountId,
          account_type: 'LINKEDIN',
          message: event.message,
        },
      },
    };
  }
  const account = context.store.accounts.get(event.accountId);
  if (account === undefined) return null;
  const body = messageReceived(context, account, event.message);
  return { source: 'messaging', event: 'message_received', accountId: account.id, body };
}

function messageReceived(context: Context, account: Account, message: Message): Record<string, unknown> {
  const chat = context.store.chats.get(message.chatId);
  const attendees = chat?.attendees ?? [];
  return {
    event: 'message_received',
    account_id: account.id,
    account_type: 'LINKEDIN',
    account_info: { type: 'LINKEDIN', feature: 'classic', user_id: account.providerId },
    chat_id: message.chatId,
    message_id: message.id,
    message: message.text,
    timestamp: message.at.toISOString(),
    subject: message.subject,
    sender: attendeeWire(context, account, message.senderId),
    attendees: attendees.map((id) => attendeeWire(context, account, id)),
    attachments: attachmentsWire(message.id, message.attachments),
    is_sender: message.isSender,
    provider_chat_id: chat?.providerId ?? null,
    provider_message_id: message.providerId,
    is_event: 0,
    chat_pinned: 0,
    quoted: null,
    reply_to: null,
    is_forwarded: null,
    chat_content_type: message.isInmail ? 'inmail' : null,
    message_type: message.isInmail ? 'INMAIL' : 'MESSAGE',
    is_group: attendees.length > 1,
    folder: ['INBOX', 'INBOX_LINKEDIN_CLASSIC'],
    event_type: null,
  };
}

function attendeeWire(context: Context, account: Account, providerId: string): Record<string, unknown> {
  const isOwner = providerId === account.providerId;
  const person = personOf(context, providerId);
  return {
    attendee_id: context.ids.of('attendee', `${account.id}/${providerId}`),
    attendee_provider_id: providerId,
    attendee_name: isOwner ? account.name : person.name,
    attendee_profile_url: `https://www.linkedin.com/in/${providerId}`,
    attendee_specifics: {
      provider: 'LINKEDIN',
      member_urn: memberUrn(context, providerId),
      occupation: isOwner ? 'Account owner' : person.headline,
      is_company: false,
      network_distance: isOwner ? 'SELF' : 'DISTANCE_1',
    },
    attendee_public_identifier: null,
  };
}
