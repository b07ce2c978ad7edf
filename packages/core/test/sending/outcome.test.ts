import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AttemptResult,
  type ClaimedAttempt,
  outcomeOf,
  REASONS,
  reasonInWords,
  releaseOf,
} from '../../src/sending/index.ts';
import type { Failure, FailureKind } from '../../src/unipile/index.ts';

const message: ClaimedAttempt = {
  account_id: '00000000-0000-4000-8000-000000000001',
  attempt_id: '00000000-0000-4000-8000-000000000001',
  attempts: 0,
  lease_until: '2026-03-02T10:02:00.000Z',
};

const failure = (kind: FailureKind, more: Partial<Failure> = {}): Failure => ({
  ok: false,
  kind,
  httpStatus: 422,
  type: 'a_type',
  detail: 'A title: a detail',
  retryAfterMs: null,
  ...more,
});

const HOUR_MS = 3_600_000;

/** What each kind of failure means, whole: a field that is not here is not recorded. */
const CONSEQUENCES: Readonly<Record<FailureKind, Omit<AttemptResult, 'attempt_id'>>> = {
  unreachable: {
    outcome: 'not_sent',
    next_step: 'retry',
    reason: 'unreachable',
    retry_after_ms: 30_000,
    is_strike: true,
  },
  throttled: {
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'rate_limited',
    pause_ms: 5 * HOUR_MS,
    pause_reason: 'rate_limited',
  },
  account_disconnected: {
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'account_disconnected',
    pause_ms: -1,
    pause_reason: 'account_disconnected',
  },
  account_restricted: {
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'account_restricted',
    pause_ms: -1,
    pause_reason: 'account_restricted',
  },
  account_missing: {
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'account_missing',
    pause_ms: -1,
    pause_reason: 'account_missing',
  },
  platform_key: { outcome: 'not_sent', next_step: 'wait', reason: 'platform_key_refused' },
  chat_missing: { outcome: 'not_sent', next_step: 'restart', reason: 'chat_missing' },
  not_connected: { outcome: 'not_sent', next_step: 'fail', reason: 'not_connected', is_strike: false },
  recipient: { outcome: 'not_sent', next_step: 'fail', reason: 'recipient_unreachable', is_strike: false },
  recipient_later: {
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'recipient_later',
    retry_after_ms: 24 * HOUR_MS,
  },
  rejected: { outcome: 'not_sent', next_step: 'fail', reason: 'rejected', is_strike: true },
  gateway: {
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'gateway_refused',
    retry_after_ms: HOUR_MS / 12,
    is_strike: true,
  },
  ambiguous: { outcome: 'unknown', reason: 'answer_lost', is_strike: true },
};

const KINDS = Object.keys(CONSEQUENCES) as FailureKind[];

describe('decideOutcome', () => {
  it.each(KINDS)('%s', (kind) => {
    expect(outcomeOf(failure(kind), message, 0.5)).toEqual({
      ...CONSEQUENCES[kind],
      attempt_id: message.attempt_id,
      http_status: 422,
      error_type: 'a_type',
      detail: 'A title: a detail',
      error: 'A title: a detail',
    });
  });

  it.each([
    { attempts: 0, draw: 0, waitMs: 0 },
    { attempts: 0, draw: 0.999_999, waitMs: 59_999 },
    { attempts: 5, draw: 0.5, waitMs: 960_000 },
    { attempts: 50, draw: 0.5, waitMs: 1_800_000 },
  ])('unreachable after $attempts, draw $draw: again in $waitMs ms', ({ attempts, draw, waitMs }) => {
    const decided = outcomeOf(failure('unreachable'), { ...message, attempts }, draw);
    expect(decided.retry_after_ms).toBe(waitMs);
  });

  it.each([
    { retryAfterMs: null, pauseMs: 5 * HOUR_MS },
    { retryAfterMs: 0, pauseMs: 60_000 },
    { retryAfterMs: 59_999, pauseMs: 60_000 },
    { retryAfterMs: 60_000, pauseMs: 60_000 },
    { retryAfterMs: 90_000, pauseMs: 90_000 },
    { retryAfterMs: 24 * HOUR_MS, pauseMs: 24 * HOUR_MS },
    { retryAfterMs: 24 * HOUR_MS + 1, pauseMs: 24 * HOUR_MS },
    { retryAfterMs: Number.MAX_SAFE_INTEGER, pauseMs: 24 * HOUR_MS },
  ])('throttled with Retry-After $retryAfterMs ms: paused for $pauseMs ms', ({ retryAfterMs, pauseMs }) => {
    expect(outcomeOf(failure('throttled', { retryAfterMs }), message, 0.5).pause_ms).toBe(pauseMs);
  });

  it.each([
    { detail: 'said', type: 'a_type', error: 'said' },
    { detail: null, type: 'a_type', error: 'a_type' },
    { detail: null, type: null, error: null },
  ])('detail $detail, type $type: the error is $error', ({ detail, type, error }) => {
    expect(outcomeOf(failure('rejected', { detail, type }), message, 0.5).error).toBe(error);
  });

  it('never tries again from here what may have been sent, and burns no attempt by a wait', () => {
    for (const kind of KINDS) {
      const { outcome, next_step } = outcomeOf(failure(kind), message, 0.5);
      if (kind === 'ambiguous') expect({ outcome, next_step }).toEqual({ outcome: 'unknown' });
      else expect(outcome).toBe('not_sent');
      expect(next_step === 'retry').toBe(kind === 'unreachable');
    }
  });

  it('gives only reasons of the closed list, for any draw', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...KINDS),
        fc.nat(10),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (kind, attempts, draw) => {
          const { reason = '', pause_reason = reason } = outcomeOf(
            failure(kind),
            { ...message, attempts },
            draw,
          );
          expect(Object.hasOwn(REASONS, reason)).toBe(true);
          expect(Object.hasOwn(REASONS, pause_reason)).toBe(true);
        },
      ),
    );
  });

  it('a draw out of its range is a bug of the caller', () => {
    expect(() => outcomeOf(failure('unreachable'), message, 1)).toThrow(RangeError);
  });

  it('what was never dispatched is given back whole', () => {
    expect(releaseOf(message)).toEqual({
      attempt_id: message.attempt_id,
      outcome: 'not_sent',
      next_step: 'release',
    });
  });
});

describe('reasonInWords', () => {
  it.each([
    { reason: 'gap', words: 'the account pauses between two messages' },
    { reason: 'a_new_one', words: 'a_new_one' },
    { reason: 'toString', words: 'toString' },
  ])('$reason: $words', ({ reason, words }) => {
    expect(reasonInWords(reason)).toBe(words);
  });
});
