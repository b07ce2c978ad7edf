/**
 * Outcomes that only posts have: media that cannot be used, and a look at LinkedIn right before the call.
 *
 * Pure. What a failed call to Unipile means is in `sending/outcome.ts`, for messages and posts alike.
 */
import { retryDelayMs } from '../sending/index.ts';
import type { FoundPost } from '../unipile/index.ts';
import type { ClaimedPost, PostMediaProblem, PostResult } from './store.ts';

/** The wait when LinkedIn could not be read, in milliseconds. */
const READ_WAIT_MS = 5 * 60_000;

type Attempt = Pick<ClaimedPost, 'attempt_id' | 'attempts'>;

/**
 * Nothing was sent. What may go away by itself is tried again; what will not holds the post.
 *
 * @param draw uniform in [0, 1); decides the wait before a retry
 */
export function mediaOutcomeOf(problem: PostMediaProblem, attempt: Attempt, draw: number): PostResult {
  const media_problem = { problem: problem.problem, detail: problem.detail, retryable: problem.retryable };
  const unsent = {
    attempt_id: attempt.attempt_id,
    outcome: 'not_sent',
    error_type: problem.problem,
    error: problem.detail,
    detail: problem.detail,
    media_problem,
  } as const;
  if (!problem.retryable) return { ...unsent, next_step: 'wait', reason: 'media_invalid' };
  const retry_after_ms = retryDelayMs(attempt.attempts, draw);
  return { ...unsent, next_step: 'retry', reason: 'media_unreachable', retry_after_ms };
}

/** It once was unknown, and cannot be told now: it is not sent on a guess. */
export function notReconciled(attempt: Attempt): PostResult {
  return {
    attempt_id: attempt.attempt_id,
    outcome: 'not_sent',
    next_step: 'wait',
    reason: 'not_read_back',
    retry_after_ms: READ_WAIT_MS,
    error: 'LinkedIn could not be read, or not in time, just before publishing',
  };
}

/** It was there after all: nothing is sent. */
export function publishedEarlier(attempt: Attempt, found: FoundPost): PostResult {
  return {
    attempt_id: attempt.attempt_id,
    outcome: 'sent',
    detail: 'an earlier attempt was found on LinkedIn',
    unipile_post_id: found.postId,
    social_id: found.socialId,
    share_url: found.shareUrl,
    sent_at: found.sentAt.toISOString(),
  };
}
