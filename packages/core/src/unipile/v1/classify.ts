/**
 * What a failed call to Unipile v1 means, from its status, its error type and the socket's code.
 *
 * Whatever is not known to be without effect is `ambiguous`: the message may be on LinkedIn.
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

const KIND_OF_422: ReadonlyMap<string | null, FailureKind> = new Map<string | null, FailureKind>([
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
 * @param inChat whether the request named a chat, so that a 404 may be about the chat alone
 */
export function classifyAnswer(status: number, type: string | null, inChat: boolean): FailureKind {
  if (status < 400) return status >= 300 ? 'unreachable' : 'ambiguous';
  if (status === 501) return 'rejected';
  if (status >= 500) return 'ambiguous';
  switch (status) {
    // The account's own proxy: nothing went further.
    case 407:
      return 'account_disconnected';
    case 401:
      return type === 'missing_credentials' ? 'platform_key' : 'account_disconnected';
    case 403:
      if (type === 'account_restricted') return 'account_restricted';
      return type !== null && DISCONNECTED_403.has(type) ? 'account_disconnected' : 'rejected';
    case 404:
      return inChat ? 'chat_missing' : 'account_missing';
    case 408:
    case 409:
    case 425:
      return 'ambiguous';
    case 422:
      return KIND_OF_422.get(type) ?? 'rejected';
    case 429:
      return 'throttled';
    default:
      return 'rejected';
  }
}
