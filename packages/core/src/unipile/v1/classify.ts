/**
 * What a failed call to Unipile v1 means, from its status, its error type and the socket's code.
 *
 * Whatever is not known to be without effect is `ambiguous`: the message may be on LinkedIn. A
 * refusal without an error type of Unipile's is a `gateway`'s: it says nothing of the account, the
 * chat or the message.
 */
import type { FailureKind } from '../unipile.ts';

/**
 * Codes raised before a byte of the request has left: no name, no connection, no trusted peer.
 * A reset or a closed socket is not among them, even where it came early: it cannot be told apart.
 */
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_INVALID_ARG',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Names a failure without an answer, from the code of the socket or of undici. */
export function classifySocketCode(code: string | null): FailureKind {
  return code !== null && NEVER_SENT.has(code) ? 'unreachable' : 'ambiguous';
}

const DISCONNECTED_403: ReadonlySet<string> = new Set([
  'action_required',
  'session_mismatch',
  'unknown_authentication_context',
]);

/** 422 in a chat that may be about the chat alone: it is read-only, or wants a subscription or credits. */
const CHAT_422: ReadonlySet<string> = new Set([
  'cant_send_message',
  'insufficient_credits',
  'invalid_account',
  'not_allowed_inmail',
  'unprocessable_entity',
]);

const KIND_OF_422: ReadonlyMap<string, FailureKind> = new Map<string, FailureKind>([
  ['action_already_performed', 'ambiguous'],
  ['provider_unreachable', 'ambiguous'],
  ['cannot_resend_yet', 'throttled'],
  ['connection_limit_reached', 'throttled'],
  ['limit_exceeded', 'throttled'],
  ['already_invited_recently', 'recipient_later'],
  ['cannot_resend_within_24hrs', 'recipient_later'],
  ['insufficient_credits', 'recipient_later'],
  ['blocked_recipient', 'recipient'],
  ['invalid_recipient', 'recipient'],
  ['user_unreachable', 'recipient'],
  ['no_connection_with_recipient', 'not_connected'],
]);

/**
 * Names a failure that was answered.
 *
 * @param type Unipile's error type without its `errors/`; null if the body had none
 * @param inChat whether the request named a chat, so that a refusal may be about the chat alone
 */
export function classifyAnswer(status: number, type: string | null, inChat: boolean): FailureKind {
  // A redirect too: whatever sends the caller elsewhere may have passed the request on before.
  if (status < 400) return 'ambiguous';
  switch (status) {
    case 408:
    case 409:
    case 425:
    // How a proxy notes a client that had gone: the request may have gone on.
    case 499:
      return 'ambiguous';
    // Whoever says it, slower is right.
    case 429:
      return 'throttled';
  }
  if (status >= 500) return status === 501 && type !== null ? 'rejected' : 'ambiguous';
  return type === null ? 'gateway' : classifyRefusal(status, type, inChat);
}

/** A 4xx of Unipile's own: nothing was sent. */
function classifyRefusal(status: number, type: string, inChat: boolean): FailureKind {
  switch (status) {
    // The account's own proxy: nothing went further.
    case 407:
      return 'account_disconnected';
    case 401:
      return type === 'missing_credentials' ? 'platform_key' : 'account_disconnected';
    case 403:
      if (type === 'account_restricted') return 'account_restricted';
      if (DISCONNECTED_403.has(type)) return 'account_disconnected';
      return inChat ? 'chat_missing' : 'rejected';
    case 404:
      return inChat ? 'chat_missing' : 'account_missing';
    case 410:
      return inChat ? 'chat_missing' : 'rejected';
    case 422:
      if (inChat && CHAT_422.has(type)) return 'chat_missing';
      return KIND_OF_422.get(type) ?? 'rejected';
    default:
      return 'rejected';
  }
}
