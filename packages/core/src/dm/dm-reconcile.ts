/** Messages that may have been sent, looked for in their chats. */
import { type ReconcileLedger, toReconcileResult } from '../sending/index.ts';
import type { Unipile } from '../unipile/index.ts';
import type { DmReconcileResult, DmStore, UnknownMessage } from './store.ts';

export function createDmReconcile(
  store: Pick<DmStore, 'unknowns' | 'resolve'>,
  unipile: Pick<Unipile, 'findMessage'>,
  policy: 'resend-when-absent' | 'hold',
): ReconcileLedger<UnknownMessage, DmReconcileResult> {
  return {
    due: (limit) => store.unknowns(limit),
    look: (message) => look(message, unipile),
    resolve: (results) => store.resolve(results, policy),
  };
}

async function look(
  message: UnknownMessage,
  unipile: Pick<Unipile, 'findMessage'>,
): Promise<DmReconcileResult> {
  const { attempt_id, unipile_account_id } = message;
  if (unipile_account_id === null) {
    return { attempt_id, found: 'account_out_of_order', detail: 'the account is not connected to Unipile' };
  }
  const searched = await unipile.findMessage({
    accountId: unipile_account_id,
    recipientId: message.recipient_id,
    chatId: message.chat_id,
    text: message.message,
    since: new Date(message.started_at),
    knownIds: message.known_message_ids,
  });
  if (!searched.ok || searched.kind !== 'found') return toReconcileResult(attempt_id, searched);
  return {
    attempt_id,
    found: 'sent',
    sent_at: searched.sentAt.toISOString(),
    unipile_message_id: searched.messageId,
    chat_id: searched.chatId,
  };
}
