/** What a look at LinkedIn means that found nothing: for messages and posts alike. */
import type { FailureKind, Sought } from '../unipile/index.ts';
import type { ReadBackResult } from './outbox.ts';

/** Failures that speak of the account: what it shows now, or showed before, proves no absence. */
const OF_THE_ACCOUNT: ReadonlySet<FailureKind> = new Set([
  'account_disconnected',
  'account_restricted',
  'account_missing',
]);

export type Unseen = Exclude<Sought<unknown>, { readonly kind: 'found' }>;

export function unseen(attemptId: string, sought: Unseen): ReadBackResult {
  const attempt_id = attemptId;
  if (!sought.ok) {
    const found = OF_THE_ACCOUNT.has(sought.kind) ? 'account_out_of_order' : 'unreadable';
    return { attempt_id, found, detail: sought.detail ?? sought.type };
  }
  if (sought.kind === 'absent') return { attempt_id, found: 'absent' };
  return { attempt_id, found: 'account_out_of_order', detail: `the account is ${sought.status}` };
}
