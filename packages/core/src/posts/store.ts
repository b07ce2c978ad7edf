/** Posts in the database: the `post_…` SQL functions, typed. Nothing here decides anything. */
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
import type { PostMention } from '../unipile/index.ts';

/** A file that a post is published with. */
export interface PostMedia {
  /** http or https. */
  readonly url: string;
  /** The name it is published under; null or absent for that of the URL. */
  readonly name?: string | null;
}

/** An attempt that may have been published, and what to look for. */
export interface UnknownPost {
  readonly attempt_id: string;
  readonly post_id: string;
  /** Null once the account is no longer connected. */
  readonly unipile_account_id: string | null;
  readonly text: string;
  readonly mentions: readonly PostMention[];
  readonly external_link: string | null;
  readonly as_organization: string | null;
  readonly started_at: string;
  /** Set once it is known to be published: then only its address is looked for. */
  readonly unipile_post_id: string | null;
  /** Ids on LinkedIn that belong to other posts of the account. */
  readonly known_post_ids: readonly string[];
}

/** A post that was claimed for publishing: the attempt is in the ledger already. */
export interface ClaimedPost extends ClaimedAttempt {
  readonly post_id: string;
  readonly unipile_account_id: string;
  /** `{{0}}` stands for the first of the mentions. */
  readonly text: string;
  readonly media: readonly PostMedia[];
  readonly mentions: readonly PostMention[];
  readonly external_link: string | null;
  readonly as_organization: string | null;
  /**
   * Earlier attempts whose answer was lost and that were not found; as they were sent, which RevOS
   * may have changed since.
   */
  readonly was_unknown: readonly UnknownPost[];
}

/** What is wrong with the media of a post. */
export interface PostMediaProblem {
  readonly problem: string;
  /** For people; at most 500 characters. */
  readonly detail: string;
  /**
   * It is expected to go away by itself; otherwise the post is held, until a look finds its media
   * in order.
   */
  readonly retryable: boolean;
}

/** What became of an attempt, as `post_record` takes it. */
export interface PostResult extends AttemptResult {
  /** Null if Unipile gave one that cannot be stored. */
  readonly unipile_post_id?: string | null;
  readonly social_id?: string | null;
  readonly share_url?: string | null;
  /** When LinkedIn shows that it was published, if that was not now. */
  readonly sent_at?: string;
  readonly media_problem?: PostMediaProblem;
}

/** What a look at LinkedIn told, as `post_resolve` takes it. */
export interface PostReconcileResult extends ReconcileResult {
  readonly unipile_post_id?: string;
  readonly social_id?: string | null;
  readonly share_url?: string | null;
}

export interface MediaToCheck {
  readonly post_id: string;
  readonly media: readonly PostMedia[];
}

export interface MediaDue {
  /** The database's clock. */
  readonly now: string;
  readonly items: readonly MediaToCheck[];
  /** Those of them that had a problem at the last look. */
  readonly again: readonly string[];
  /** When the next one is to be looked at that is not yet; null if there is none. */
  readonly next_at: string | null;
}

export interface CheckedMedia extends MediaToCheck {
  readonly problem: PostMediaProblem | null;
}

/** Why a post has not gone out. */
export interface PostExplanation {
  readonly id: string;
  readonly state: string;
  /** RevOS's own. */
  readonly post_status: string;
  readonly reason: string;
  readonly can_go_at: string | null;
  readonly ahead: number;
  readonly error: string | null;
  /** When it is next looked for on LinkedIn. */
  readonly next_read_at: string | null;
  readonly account: { readonly paused_until: string | null; readonly pause_reason: string | null };
}

export interface PostStore {
  claim(request: ClaimRequest): Promise<Claim<ClaimedPost>>;
  /** Gives back what a claim took whose answer was lost. */
  release(claimId: string, worker: string): Promise<number>;
  record(results: readonly PostResult[]): Promise<readonly RecordedResult[]>;
  /** Null for all accounts. */
  backlog(accountIds: readonly string[] | null): Promise<Backlog>;
  preview(accountIds: readonly string[] | null): Promise<Preview>;
  explain(id: string): Promise<PostExplanation | null>;
  /** What is to be looked for by now; each is given to one asker a minute. */
  unknowns(limit: number): Promise<{
    readonly now: string;
    readonly next_read_at: string | null;
    readonly items: readonly UnknownPost[];
  }>;
  resolve(
    results: readonly PostReconcileResult[],
    policy: JobSettings['unknownPolicy'],
  ): Promise<readonly ReconcileResolution[]>;
  /** Posts due within a day whose media have to be looked at: not yet, or again since they had a problem. */
  mediaDue(limit: number): Promise<MediaDue>;
  /** Answers how many were recorded; media that were changed meanwhile are not. */
  recordMedia(results: readonly CheckedMedia[]): Promise<number>;
}

/** @param lateLimitMinutes a post later than this is missed; 0 to 525,600 */
export function createPostStore(rpc: Rpc, lateLimitMinutes: number): PostStore {
  const late_limit_minutes = lateLimitMinutes;
  return {
    claim: ({ claimId, worker, limit, leaseMs, accountIds }) =>
      rpc.call('post_claim', {
        worker,
        limit,
        lease_ms: leaseMs,
        late_limit_minutes,
        claim_id: claimId,
        account_ids: accountIds,
      }),
    release: (claimId, worker) => rpc.call('post_release', { claim_id: claimId, worker }),
    record: (results) => rpc.call('post_record', { results }),
    backlog: (accountIds) => rpc.call('post_backlog', { account_ids: accountIds, late_limit_minutes }),
    preview: (accountIds) => rpc.call('post_preview', { account_ids: accountIds, late_limit_minutes }),
    explain: (id) => rpc.call('post_explain', { id, late_limit_minutes }),
    unknowns: (limit) => rpc.call('post_unknowns', { limit }),
    resolve: (results, policy) => rpc.call('post_resolve', { results, policy }),
    mediaDue: (limit) => rpc.call('post_media_due', { limit }),
    recordMedia: (results) => rpc.call('post_media_record', { results, late_limit_minutes }),
  };
}
