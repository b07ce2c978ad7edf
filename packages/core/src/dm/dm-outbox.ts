/** Messages as an outbox: the claim and the ledger in SQL, and one call to Unipile for each. */
import { unlessAborted } from '../effects/index.ts';
import type { JobHandler, JobServices } from '../jobs/index.ts';
import { type Outbox, outcomeOf, releaseOf, runOutbox } from '../sending/index.ts';
import type { FoundMessage, Unipile } from '../unipile/index.ts';
import { createDmReconcile } from './dm-reconcile.ts';
import { type ClaimedMessage, createDmStore, type DmResult } from './store.ts';

/** How long an attempt without a result counts as in flight, in milliseconds. */
const LEASE_MS = 120_000;

/**
 * How long after its claim a call may begin, in milliseconds. It takes up to 60 s then, and Unipile
 * may carry it out though nobody waits for it any more: for that another 30 s of the lease are
 * left.
 */
const DISPATCH_MS_MAX = 30_000;

/** A call of 60 s and its record; and with the look before a second try. */
const CALL_MS_MAX = 65_000;
const CLAIM_MS_MIN = 75_000;

export type DmServices = Pick<JobServices, 'rpc' | 'unipile' | 'effects' | 'logger' | 'settings'>;

/** The run of `dm-queue`. */
export const processQueue: JobHandler = (context, services) =>
  runOutbox(createDmOutbox(services), context, services);

export function createDmOutbox(services: DmServices): Outbox<ClaimedMessage, DmResult> {
  const { unipile, effects } = services;
  const store = createDmStore(services.rpc);
  return {
    leaseMs: LEASE_MS,
    dispatchMsMax: DISPATCH_MS_MAX,
    callMsMax: CALL_MS_MAX,
    claimMsMin: CLAIM_MS_MIN,
    claim: (request) => store.claim(request),
    release: (claimId, worker) => store.release(claimId, worker),
    record: (results) => store.record(results),
    backlog: (accountIds) => store.backlog(accountIds),
    preview: (accountIds) => store.preview(accountIds),
    reconcile: createDmReconcile(store, unipile, services.settings.unknownPolicy),
    async send(message, isInTime, signal) {
      if (message.was_unknown_since !== null) {
        const looking = findEarlier(message, message.was_unknown_since, unipile);
        const earlier = await unlessAborted(looking, signal);
        if (earlier !== null) return earlier;
        if (signal.aborted) return releaseOf(message);
        // The look took its time. Claimed again at once, it would take as long again.
        if (!isInTime()) return notReconciled(message);
      }
      const answer = await unipile.sendMessage({
        accountId: message.unipile_account_id,
        recipientId: message.recipient_id,
        chatId: message.chat_id,
        text: message.message,
      });
      if (!answer.ok) return outcomeOf(answer, message, effects.random());
      return {
        attempt_id: message.attempt_id,
        outcome: 'sent',
        http_status: answer.httpStatus,
        unipile_message_id: answer.messageId,
        chat_id: answer.chatId,
      };
    },
  };
}

/**
 * What to record for a message that once was unknown, without sending it: it was there after all, or
 * it cannot be told now. Null if it is certainly not there.
 *
 * It was absent when that was decided, which may be hours ago: LinkedIn may have shown it since.
 */
async function findEarlier(
  message: ClaimedMessage,
  since: string,
  unipile: Pick<Unipile, 'findMessage'>,
): Promise<DmResult | null> {
  const searched = await unipile.findMessage({
    accountId: message.unipile_account_id,
    recipientId: message.recipient_id,
    chatId: message.chat_id,
    text: message.message,
    since: new Date(since),
    knownIds: message.known_message_ids,
  });
  if (searched.ok && searched.kind === 'found') return sentEarlier(message, searched);
  if (searched.ok && searched.kind === 'absent') return null;
  return notReconciled(message);
}

/** The wait when LinkedIn could not be read, in milliseconds. */
const WAIT_MS = 5 * 60_000;

const notReconciled = (message: ClaimedMessage): DmResult => ({
  attempt_id: message.attempt_id,
  outcome: 'not_sent',
  next_step: 'wait',
  reason: 'not_read_back',
  retry_after_ms: WAIT_MS,
  error: 'LinkedIn could not be read, or not in time, just before sending',
});

const sentEarlier = (message: ClaimedMessage, found: FoundMessage): DmResult => ({
  attempt_id: message.attempt_id,
  outcome: 'sent',
  detail: 'an earlier attempt was found on LinkedIn',
  sent_at: found.sentAt.toISOString(),
  unipile_message_id: found.messageId,
  chat_id: found.chatId,
});
