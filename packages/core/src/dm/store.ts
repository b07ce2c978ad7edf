/** Messages in the database: the `dm_…` SQL functions, typed. Nothing here decides anything. */
import type { JobSettings } from '../jobs/index.ts';
import type { Rpc } from '../rpc/index.ts';
import type {
  AttemptResult,
  Backlog,
  Claim,
  ClaimedAttempt,
  ClaimRequest,
  Preview,
  ReconcileResolution,
  ReconcileResult,
  RecordedResult,
} from '../sending/index.ts';

/** A message that was claimed for sending: the attempt is in the ledger already. */
export interface ClaimedMessage extends ClaimedAttempt {
  readonly message_id: string;
  readonly unipile_account_id: string;
  readonly recipient_id: string;
  readonly chat_id: string | null;
  readonly message: string;
  /** When an earlier attempt began whose answer was lost and that was not found; null if there was none. */
  readonly was_unknown_since: string | null;
  /** Ids on LinkedIn that belong to other messages to this recipient; empty unless it was unknown. */
  readonly known_message_ids: readonly string[];
}

/** What became of an attempt, as `dm_record` takes it. */
export interface DmResult extends AttemptResult {
  /** When LinkedIn shows it was sent; now, if nothing is said. */
  readonly sent_at?: string;
  /** Null if Unipile gave one that cannot be stored. */
  readonly unipile_message_id?: string | null;
  readonly chat_id?: string | null;
}

/** A message that may have been sent, and what to look for. */
export interface UnknownMessage {
  readonly attempt_id: string;
  /** Null once the account is no longer connected. */
  readonly unipile_account_id: string | null;
  readonly recipient_id: string;
  readonly chat_id: string | null;
  readonly message: string;
  readonly started_at: string;
  readonly known_message_ids: readonly string[];
}

/** What a look at LinkedIn told, as `dm_resolve` takes it. */
export interface DmReconcileResult extends ReconcileResult {
  readonly unipile_message_id?: string;
  readonly chat_id?: string | null;
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
  /** What looks like a mark of a template in the text is meant. */
  readonly is_literal?: boolean | null;
}

/** A row that stands beside another one, or beside a message, its twin. */
export interface RowWarning {
  /** Counted from 0, as `twin_row` is. */
  readonly row: number;
  readonly field: string;
  readonly problem: string;
  readonly twin_row?: number;
  readonly twin_id?: string;
}

export interface Enqueued {
  readonly enqueued: number;
  readonly existing: number;
  /**
   * Rows that say the same to the same person as another row, or as a message that waits or may
   * have been sent.
   */
  readonly repeated: number;
  /** The first 1,000 of them. */
  readonly warnings: readonly RowWarning[];
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
  /** When it is next looked for on LinkedIn; null unless it is unknown. */
  readonly next_read_at: string | null;
  readonly account: { readonly paused_until: string | null; readonly pause_reason: string | null };
}

export interface DmStore {
  enqueue(rows: readonly NewMessage[]): Promise<Enqueued>;
  claim(request: ClaimRequest): Promise<Claim<ClaimedMessage>>;
  /** Gives back what a claim took whose answer was lost. */
  release(claimId: string, worker: string): Promise<number>;
  record(results: readonly DmResult[]): Promise<readonly RecordedResult[]>;
  /** Of these accounts; null, the default, for all. */
  backlog(accountIds?: readonly string[] | null): Promise<Backlog>;
  preview(accountIds?: readonly string[] | null): Promise<Preview>;
  explain(id: string): Promise<Explanation | null>;
  /** Unknowns whose time to be looked for has come; each is given to one asker a minute. */
  unknowns(limit: number): Promise<UnknownMessages>;
  resolve(
    results: readonly DmReconcileResult[],
    policy: JobSettings['unknownPolicy'],
  ): Promise<readonly ReconcileResolution[]>;
}

export interface UnknownMessages {
  /** The database's clock. */
  readonly now: string;
  readonly next_read_at: string | null;
  readonly items: readonly UnknownMessage[];
}

export function createDmStore(rpc: Rpc): DmStore {
  return {
    enqueue: (rows) => rpc.call('dm_enqueue', { rows }),
    claim: ({ claimId, worker, limit, leaseMs, draw, accountIds }) =>
      rpc.call('dm_claim', {
        worker,
        limit,
        lease_ms: leaseMs,
        claim_id: claimId,
        draw,
        account_ids: accountIds ?? null,
      }),
    release: (claimId, worker) => rpc.call('dm_release', { claim_id: claimId, worker }),
    record: (results) => rpc.call('dm_record', { results }),
    backlog: (accountIds = null) => rpc.call('dm_backlog', { account_ids: accountIds }),
    preview: (accountIds = null) => rpc.call('dm_preview', { account_ids: accountIds }),
    explain: (id) => rpc.call('dm_explain', { id }),
    unknowns: (limit) => rpc.call('dm_unknowns', { limit }),
    resolve: (results, policy) => rpc.call('dm_resolve', { results, policy }),
  };
}
