import { describe, expect, it } from 'vitest';
import { mediaOutcomeOf, notReconciled, publishedEarlier } from '../../src/posts/outcome.ts';

const attempt = { attempt_id: 'a', attempts: 2 };

describe('media that cannot be used', () => {
  it('and will not go away by itself: nothing is burned, and the post is held', () => {
    const problem = { problem: 'media_gone', detail: 'It is gone.', retryable: false };
    expect(mediaOutcomeOf(problem, attempt, 0.5)).toEqual({
      attempt_id: 'a',
      outcome: 'not_sent',
      next_step: 'wait',
      reason: 'media_invalid',
      error_type: 'media_gone',
      error: 'It is gone.',
      detail: 'It is gone.',
      media_problem: problem,
    });
  });

  it.each([
    { draw: 0, retry_after_ms: 0 },
    { draw: 0.5, retry_after_ms: 120_000 },
  ])('but may be usable later: tried again after $retry_after_ms ms', ({ draw, retry_after_ms }) => {
    const problem = { problem: 'media_unreachable', detail: 'No answer.', retryable: true };
    expect(mediaOutcomeOf(problem, attempt, draw)).toMatchObject({
      outcome: 'not_sent',
      next_step: 'retry',
      reason: 'media_unreachable',
      retry_after_ms,
    });
  });
});

describe('a post that once was unknown', () => {
  it('and cannot be told now waits, and burns nothing', () => {
    expect(notReconciled(attempt)).toMatchObject({
      outcome: 'not_sent',
      next_step: 'wait',
      reason: 'not_read_back',
    });
  });

  it('and is there is published, at the time that LinkedIn shows', () => {
    const found = { postId: '7', socialId: 'urn:li:activity:7', shareUrl: null, sentAt: new Date(0) };
    expect(publishedEarlier(attempt, found)).toMatchObject({
      outcome: 'sent',
      unipile_post_id: '7',
      social_id: 'urn:li:activity:7',
      sent_at: '1970-01-01T00:00:00.000Z',
    });
  });
});
