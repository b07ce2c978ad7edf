import { describe, expect, it } from 'vitest';
import type { FailureKind } from '../../../src/unipile/index.ts';
import { classifyAnswer, classifySocketCode } from '../../../src/unipile/v1/classify.ts';

/** Every type that is documented or was seen, by status: what it says about a first message. */
const TYPES: Readonly<Record<number, Readonly<Partial<Record<FailureKind, readonly string[]>>>>> = {
  400: {
    rejected: [
      'invalid_parameters',
      'invalid_request',
      'malformed_request',
      'missing_parameters',
      'content_too_large',
      'too_many_characters',
      'unescaped_characters',
      'invalid_url',
    ],
  },
  401: {
    platform_key: ['missing_credentials'],
    account_disconnected: [
      'disconnected_account',
      'disconnected_feature',
      'expired_credentials',
      'invalid_credentials',
      'insufficient_privileges',
      'multiple_sessions',
      'checkpoint_error',
      'invalid_checkpoint_solution',
      'captcha_not_supported',
      'wrong_account',
      'expired_link',
      'invalid_credentials_but_valid_account_imap',
      'invalid_imap_configuration',
      'invalid_smtp_configuration',
      'invalid_proxy_credentials',
    ],
  },
  403: {
    account_restricted: ['account_restricted'],
    account_disconnected: ['action_required', 'unknown_authentication_context', 'session_mismatch'],
    rejected: [
      'account_mismatch',
      'insufficient_permissions',
      'feature_not_subscribed',
      'subscription_required',
      'resource_access_restricted',
    ],
  },
  404: { account_missing: ['resource_not_found', 'invalid_resource_identifier'] },
  407: { account_disconnected: ['proxy_auth_error'] },
  408: { ambiguous: ['request_timeout'] },
  409: { ambiguous: ['already_exists', 'operation_canceled'] },
  415: { rejected: ['unsupported_media_type'] },
  422: {
    ambiguous: ['action_already_performed', 'provider_unreachable'],
    throttled: ['cannot_resend_yet', 'limit_exceeded', 'connection_limit_reached'],
    recipient_later: ['cannot_resend_within_24hrs', 'already_invited_recently', 'insufficient_credits'],
    recipient: ['invalid_recipient', 'blocked_recipient', 'user_unreachable'],
    not_connected: ['no_connection_with_recipient'],
    rejected: [
      'invalid_account',
      'unprocessable_entity',
      'invalid_message',
      'invalid_post',
      'cant_send_message',
      'not_allowed_inmail',
      'cannot_invite_attendee',
      'already_connected',
      'comments_disabled',
      'payment_error',
      'insufficient_job_slot',
      'limit_too_high',
      'unauthorized',
      'account_configuration_error',
      'realtime_client_not_initialized',
      'sender_rejected',
      'recipient_rejected',
      'ip_rejected_by_server',
      'parent_mail_not_found',
      'invalid_reply_subject',
      'invalid_headers',
      'send_as_denied',
      'invalid_folder',
      'invalid_thread',
    ],
  },
  425: { ambiguous: ['auth_in_progress'] },
  429: { throttled: ['too_many_requests'] },
  500: { ambiguous: ['unexpected_error', 'provider_error', 'authentication_intent_error'] },
  501: { rejected: ['feature_not_implemented'] },
  502: { ambiguous: ['proxy_error'] },
  503: {
    ambiguous: ['no_client_session', 'no_channel', 'no_handler', 'network_down', 'service_unavailable'],
  },
  504: { ambiguous: ['request_timeout'] },
};

const FACTS = Object.entries(TYPES).flatMap(([status, kinds]) =>
  Object.entries(kinds).flatMap(([kind, types]) =>
    types.map((type) => ({ status: Number(status), type, kind: kind as FailureKind })),
  ),
);

describe('classifyAnswer', () => {
  it.each(FACTS)('$status $type → $kind', ({ status, type, kind }) => {
    expect(classifyAnswer(status, type, false)).toBe(kind);
  });

  /**
   * What may be about the stored chat alone: the account is another's, lost what the chat needs, or
   * may not write there.
   */
  const OF_THE_CHAT: ReadonlySet<string> = new Set([
    '403 account_mismatch',
    '403 insufficient_permissions',
    '403 feature_not_subscribed',
    '403 subscription_required',
    '403 resource_access_restricted',
    '404 resource_not_found',
    '404 invalid_resource_identifier',
    '422 cant_send_message',
    '422 insufficient_credits',
    '422 invalid_account',
    '422 not_allowed_inmail',
    '422 unprocessable_entity',
  ]);

  it.each(FACTS.filter(({ status, type }) => !OF_THE_CHAT.has(`${status} ${type}`)))(
    '$status $type means the same in a chat',
    ({ status, type, kind }) => {
      expect(classifyAnswer(status, type, true)).toBe(kind);
    },
  );

  it.each([...OF_THE_CHAT, '403 never_seen_before', '410 never_seen_before'])(
    '%s in a chat may be about the chat alone',
    (answer) => {
      const [status, type = ''] = answer.split(' ');
      expect(classifyAnswer(Number(status), type, true)).toBe('chat_missing');
    },
  );

  // What nobody has documented is judged by its status, and by nothing that it says of itself. A
  // refusal without a type is that of something before Unipile: it says nothing of the account or
  // the message.
  it.each<{ status: number; kind: FailureKind; untyped: FailureKind }>([
    { status: 200, kind: 'ambiguous', untyped: 'ambiguous' }, // success without an id
    { status: 201, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 204, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 299, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 300, kind: 'ambiguous', untyped: 'ambiguous' }, // sent elsewhere, perhaps after it was carried out
    { status: 301, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 303, kind: 'ambiguous', untyped: 'ambiguous' }, // the answer to a write that was carried out
    { status: 307, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 308, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 399, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 400, kind: 'rejected', untyped: 'gateway' },
    { status: 401, kind: 'account_disconnected', untyped: 'gateway' },
    { status: 402, kind: 'rejected', untyped: 'gateway' },
    { status: 403, kind: 'rejected', untyped: 'gateway' },
    { status: 404, kind: 'account_missing', untyped: 'gateway' },
    { status: 405, kind: 'rejected', untyped: 'gateway' },
    { status: 407, kind: 'account_disconnected', untyped: 'gateway' },
    { status: 408, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 409, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 410, kind: 'rejected', untyped: 'gateway' },
    { status: 413, kind: 'rejected', untyped: 'gateway' },
    { status: 418, kind: 'rejected', untyped: 'gateway' },
    { status: 422, kind: 'rejected', untyped: 'gateway' },
    { status: 425, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 429, kind: 'throttled', untyped: 'throttled' }, // whoever says it, slower is right
    { status: 451, kind: 'rejected', untyped: 'gateway' },
    { status: 499, kind: 'ambiguous', untyped: 'ambiguous' }, // a proxy whose client had gone
    { status: 500, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 501, kind: 'rejected', untyped: 'ambiguous' },
    { status: 502, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 503, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 504, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 520, kind: 'ambiguous', untyped: 'ambiguous' }, // a proxy’s own
    { status: 599, kind: 'ambiguous', untyped: 'ambiguous' },
    { status: 600, kind: 'ambiguous', untyped: 'ambiguous' },
  ])('$status with an unknown type → $kind, with none → $untyped', ({ status, kind, untyped }) => {
    expect(classifyAnswer(status, 'never_seen_before', false)).toBe(kind);
    expect(classifyAnswer(status, 'constructor', false)).toBe(kind);
    expect(classifyAnswer(status, '__proto__', false)).toBe(kind);
    expect(classifyAnswer(status, null, false)).toBe(untyped);
    expect(classifyAnswer(status, null, true)).toBe(untyped);
  });

  it.each<{ status: number; type: string; kind: FailureKind }>([
    { status: 500, type: 'too_many_requests', kind: 'ambiguous' },
    { status: 504, type: 'invalid_recipient', kind: 'ambiguous' },
    { status: 400, type: 'missing_credentials', kind: 'rejected' },
    { status: 201, type: 'invalid_recipient', kind: 'ambiguous' },
  ])('a type never overrules its status: $status $type → $kind', ({ status, type, kind }) => {
    expect(classifyAnswer(status, type, false)).toBe(kind);
  });
});

describe('classifySocketCode', () => {
  it.each([
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
  ])('%s: nothing was written', (code) => {
    expect(classifySocketCode(code)).toBe('unreachable');
  });

  it.each([
    'UND_ERR_SOCKET',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'UND_ERR_HEADERS_TIMEOUT',
    'UND_ERR_BODY_TIMEOUT',
    'UND_ERR_RES_EXCEEDED_MAX_SIZE',
    'UND_ERR_ABORTED',
    'TimeoutError',
    'AbortError',
    'HTTPParserError',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'NEVER_SEEN_BEFORE',
    '',
    null,
  ])('%s: the request may have been written', (code) => {
    expect(classifySocketCode(code)).toBe('ambiguous');
  });
});
