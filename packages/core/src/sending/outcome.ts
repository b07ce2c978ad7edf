/**
 * Outcomes: what a failed call means for the message or post, and for its account.
 *
 * Pure, and the one place of these decisions. A wait burns no attempt; only what was provably not
 * sent is tried again; what may have been sent is `unknown` and is never tried again from here.
 */

import type { Failure, FailureKind } from '../unipile/index.ts';
import type { AttemptResult, ClaimedAttempt } from './attempts.ts';
import type { Reason } from './reasons.ts';
import { retryDelayMs } from './retry-delay.ts';

/** The wait after a limit of LinkedIn's that names no time, in milliseconds: 5 h. */
const COOL_DOWN_MS = 5 * 3_600_000;

/**
 * What a named time is held within, in milliseconds: a minute, and a day. `account_throttle`
 * doubles it each time it comes again.
 */
const COOL_DOWN_MS_MIN = 60_000;
const COOL_DOWN_MS_MAX = 24 * 3_600_000;

/** The wait after a refusal of something before Unipile, in milliseconds: 5 min. */
const GATEWAY_WAIT_MS = 5 * 60_000;

/** The wait for a recipient who was written to too recently, in milliseconds: 24 h. */
const RECIPIENT_WAIT_MS = 24 * 3_600_000;

/** A pause that only a person, or the account's return, ends. */
const WITHOUT_END = -1;

type Consequence = Omit<AttemptResult, 'attempt_id' | 'http_status' | 'error_type' | 'detail' | 'error'> & {
  readonly reason: Reason;
};

type Decide = (failure: Failure, attempt: Pick<ClaimedAttempt, 'attempts'>, draw: number) => Consequence;

const pauseFor =
  (reason: Reason): Decide =>
  () => ({ outcome: 'not_sent', next_step: 'wait', reason, pause_ms: WITHOUT_END, pause_reason: reason });

const failWith =
  (reason: Reason, isStrike: boolean): Decide =>
  () => ({ outcome: 'not_sent', next_step: 'fail', reason, is_strike: isStrike });

const CONSEQUENCES: Readonly<Record<FailureKind, Decide>> = {
  unreachable: (_failure, attempt, draw) => ({
    outcome: 'not_sent',
    next_step: 'retry',
    reason: 'unreachable',
    retry_after_ms: retryDelayMs(attempt.attempts, draw),
    is_strike: true,
  }),
  throttled: (failure) => ({
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'rate_limited',
    pause_ms: Math.min(Math.max(failure.retryAfterMs ?? COOL_DOWN_MS, COOL_DOWN_MS_MIN), COOL_DOWN_MS_MAX),
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
  gateway: () => ({
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'gateway_refused',
    retry_after_ms: GATEWAY_WAIT_MS,
    is_strike: true,
  }),
  ambiguous: () => ({ outcome: 'unknown', reason: 'answer_lost', is_strike: true }),
};

/**
 * What to record for an attempt that failed.
 *
 * @param draw uniform in [0, 1); decides the wait before a retry
 */
export function outcomeOf(
  failure: Failure,
  attempt: Pick<ClaimedAttempt, 'attempt_id' | 'attempts'>,
  draw: number,
): AttemptResult {
  return {
    ...CONSEQUENCES[failure.kind](failure, attempt, draw),
    attempt_id: attempt.attempt_id,
    http_status: failure.httpStatus,
    error_type: failure.type,
    detail: failure.detail,
    error: failure.detail ?? failure.type,
  };
}
