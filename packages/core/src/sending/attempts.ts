/** What a claim gives and what is recorded for it: the same for messages and for posts. */

/** A row that was claimed: its attempt is in the ledger already. */
export interface ClaimedAttempt {
  readonly attempt_id: string;
  /** `linkedin_accounts.id` */
  readonly account_id: string;
  /** Attempts burned before this one. */
  readonly attempts: number;
  readonly lease_until: string;
}

/** What became of an attempt. Each feature adds the ids that Unipile gave. */
export interface AttemptResult {
  readonly attempt_id: string;
  readonly outcome: 'sent' | 'not_sent' | 'unknown';
  /** Only for `not_sent`: what next. */
  readonly next_step?: 'release' | 'wait' | 'retry' | 'restart' | 'fail';
  /** From the closed list in docs/reasons.md. */
  readonly reason?: string;
  /** For people; at most 500 characters. */
  readonly error?: string | null;
  readonly retry_after_ms?: number;
  readonly http_status?: number | null;
  readonly error_type?: string | null;
  readonly detail?: string | null;
  /** It speaks of the account: three in a row open the breaker. */
  readonly is_strike?: boolean;
  /** Pauses the account for so many milliseconds; -1 is without end. */
  readonly pause_ms?: number;
  readonly pause_reason?: string;
}

export interface RecordedResult {
  readonly attempt_id: string;
  readonly applied: 'recorded' | 'late' | 'ignored' | 'missing';
  /** What the row is now, in the words of messages; null if it is gone. */
  readonly status: string | null;
}

/** What waits, and why. */
export interface Backlog {
  readonly due: number;
  readonly scheduled: number;
  readonly by_reason: Readonly<Record<string, number>>;
  readonly next_at: string | null;
  /** False if more waits than was looked at: then the counts are of what was, and more may wait. */
  readonly is_complete: boolean;
}

/** What a run would do now. */
export interface Preview extends Backlog {
  /** What could be claimed at once, the first 50. */
  readonly would_send: readonly string[];
}

/** What to record for an attempt that was claimed and never dispatched. */
export function releaseOf(
  item: ClaimedAttempt,
): AttemptResult & { readonly outcome: 'not_sent'; readonly next_step: 'release' } {
  return { attempt_id: item.attempt_id, outcome: 'not_sent', next_step: 'release' };
}
