/**
 * A message's outcome: what an answer of Unipile's means for the message and its account.
 *
 * Pure, and the one place of these decisions. A wait burns no attempt; only what was provably not
 * sent is tried again; what may have been sent is `unknown` and is never tried again from here.
 */
import { retryDelayMs } from '../pacing/index.ts';
import type { Failure, FailureKind, SentMessage } from '../unipile/index.ts';
import type { Reason } from './reasons.ts';
import type { AttemptResult, ClaimedMessage } from './store.ts';

/** The wait after a limit of LinkedIn's that names no time, in milliseconds: 5 h. */
const COOL_DOWN_MS = 5 * 3_600_000;

/** The wait for a recipient who was written to too recently, in milliseconds: 24 h. */
const RECIPIENT_WAIT_MS = 24 * 3_600_000;

/** A pause that only a person, or the account's return, ends. */
const WITHOUT_END = -1;

type Consequence = Omit<AttemptResult, 'attempt_id' | 'http_status' | 'error_type' | 'detail' | 'error'> & {
  readonly reason: Reason;
};

type Decide = (failure: Failure, message: ClaimedMessage, draw: number) => Consequence;

const pauseFor =
  (reason: Reason): Decide =>
  () => ({ outcome: 'not_sent', next_step: 'wait', reason, pause_ms: WITHOUT_END, pause_reason: reason });

const failWith =
  (reason: Reason, isStrike: boolean): Decide =>
  () => ({ outcome: 'not_sent', next_step: 'fail', reason, is_strike: isStrike });

const CONSEQUENCES: Readonly<Record<FailureKind, Decide>> = {
  unreachable: (_failure, message, draw) => ({
    outcome: 'not_sent',
    next_step: 'retry',
    reason: 'unreachable',
    retry_after_ms: retryDelayMs(message.attempts, draw),
    is_strike: true,
  }),
  throttled: (failure) => ({
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'rate_limited',
    pause_ms: failure.retryAfterMs ?? COOL_DOWN_MS,
    pause_reason: 'rate_limited',
  }),
  account_disconnected: pauseFor('account_disconnected'),
  account_restricted: pauseFor('account_restricted'),
  account_missing: pauseFor('account_missing'),
  platform_key: () => ({ outcome: 'not_sent', next_step: 'wait', reason: 'platform_key_refused' }),
  chat_missing: () => ({ outcome: 'not_sent', next_step: 'restart', reason: 'chat_missing' }),
  not_connected: failWith('not_connected', false),
  recipient: failWith('recipient_unreachable', false),
  recipient_later: () => ({
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'recipient_later',
    retry_after_ms: RECIPIENT_WAIT_MS,
  }),
  rejected: failWith('rejected', true),
  ambiguous: () => ({ outcome: 'unknown', reason: 'answer_lost', is_strike: true }),
};

/**
 * What to record for an attempt.
 *
 * @param draw uniform in [0, 1); decides the wait before a retry
 */
export function decideOutcome(
  message: ClaimedMessage,
  answer: SentMessage | Failure,
  draw: number,
): AttemptResult {
  if (answer.ok) {
    return {
      attempt_id: message.attempt_id,
      outcome: 'sent',
      http_status: answer.httpStatus,
      unipile_message_id: answer.messageId,
      chat_id: answer.chatId,
    };
  }
  return {
    ...CONSEQUENCES[answer.kind](answer, message, draw),
    attempt_id: message.attempt_id,
    http_status: answer.httpStatus,
    error_type: answer.type,
    detail: answer.detail,
    error: answer.detail ?? answer.type,
  };
}

/** What to record for an attempt that was claimed and never dispatched. */
export function releaseOf(message: ClaimedMessage): AttemptResult {
  return { attempt_id: message.attempt_id, outcome: 'not_sent', next_step: 'release' };
}
