/** How an attempt ended, once the ledger has answered. */
import type { AttemptResult, RecordedResult } from './attempts.ts';

/**
 * `retried`: it was not sent, and goes out later; `released`: it was given back without a call;
 * `late`: somebody else had settled it before.
 */
export type RecordedEnd = 'sent' | 'failed' | 'unknown' | 'retried' | 'released' | 'late';

export function recordedEndOf(
  result: AttemptResult | undefined,
  { applied, status }: Pick<RecordedResult, 'applied' | 'status'>,
): RecordedEnd {
  if (result?.next_step === 'release') return 'released';
  if (applied === 'missing' || (applied === 'ignored' && !isAsSaid(result, status))) return 'late';
  return status === 'sent' || status === 'failed' || status === 'unknown' ? status : 'retried';
}

/** Whether a row is as a result said, though an earlier call had recorded it, whose answer was lost. */
function isAsSaid(result: AttemptResult | undefined, status: string | null): boolean {
  if (result?.outcome === 'not_sent') return status === 'pending' || status === 'failed';
  return result?.outcome === status;
}
