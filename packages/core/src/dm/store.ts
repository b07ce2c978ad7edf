/** Messages in the database: the `dm_…` SQL functions, typed. Nothing here decides anything. */
import type { Rpc } from '../rpc/index.ts';

/** A message that was claimed for sending: the attempt is in the ledger already. */
export interface ClaimedMessage {
  readonly attempt_id: string;
  readonly message_id: string;
  readonly account_id: string;
  readonly unipile_account_id: string;
  readonly recipient_id: string;
  readonly chat_id: string | null;
  readonly message: string;
  /** Attempts burned before this one. */
  readonly attempts: number;
  readonly lease_until: string;
}

export interface Claim {
  /** The database's clock. */
  readonly now: string;
  /** The earliest instant at which another claim can succeed; null if none is known. */
  readonly next_claim_at: string | null;
  readonly messages: readonly ClaimedMessage[];
}

/** What became of an attempt, as `dm_record` takes it. */
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
  readonly unipile_message_id?: string;
  readonly chat_id?: string | null;
  /** It speaks of the account: three in a row open the breaker. */
  readonly is_strike?: boolean;
  /** Pauses the account for so many milliseconds; -1 is without end. */
  readonly pause_ms?: number;
  readonly pause_reason?: string;
}

export interface RecordedResult {
  readonly attempt_id: string;
  readonly applied: 'recorded' | 'late' | 'ignored' | 'missing';
  readonly status: string | null;
}

export interface Backlog {
  readonly due: number;
  readonly scheduled: number;
  readonly by_reason: Readonly<Record<string, number>>;
  readonly next_at: string | null;
}

export interface NewMessage {
  readonly linkedin_account_id: string;
  readonly recipient_id: string;
  readonly message: string;
  readonly chat_id?: string | null;
  readonly send_at?: string | null;
  readonly priority?: number;
  readonly dedupe_key?: string | null;
  readonly campaign_id?: string | null;
  readonly lead_id?: string | null;
}

export interface Enqueued {
  readonly enqueued: number;
  readonly existing: number;
  readonly messages: ReadonlyArray<{ readonly row: number; readonly id: string; readonly is_new: boolean }>;
}

/** Why a message has not gone out. */
export interface Explanation {
  readonly id: string;
  readonly status: string;
  readonly reason: string;
  readonly can_go_at: string | null;
  readonly ahead: number;
  readonly error: string | null;
  readonly account: { readonly paused_until: string | null; readonly pause_reason: string | null };
}

export interface DmStore {
  enqueue(rows: readonly NewMessage[]): Promise<Enqueued>;
  claim(claim: {
    claimId: string;
    worker: string;
    limit: number;
    leaseMs: number;
    draw: number;
  }): Promise<Claim>;
  /** Gives back what a claim took whose answer was lost. */
  release(claimId: string, worker: string): Promise<number>;
  record(results: readonly AttemptResult[]): Promise<readonly RecordedResult[]>;
  backlog(): Promise<Backlog>;
  explain(id: string): Promise<Explanation | null>;
}

export function createDmStore(rpc: Rpc): DmStore {
  return {
    enqueue: (rows) => rpc.call('dm_enqueue', { rows }),
    claim: ({ claimId, worker, limit, leaseMs, draw }) =>
      rpc.call('dm_claim', { worker, limit, lease_ms: leaseMs, claim_id: claimId, draw }),
    release: (claimId, worker) => rpc.call('dm_release', { claim_id: claimId, worker }),
    record: (results) => rpc.call('dm_record', { results }),
    backlog: () => rpc.call('dm_backlog'),
    explain: (id) => rpc.call('dm_explain', { id }),
  };
}
