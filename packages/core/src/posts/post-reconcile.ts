/**
 * Posts that may have been published, looked for on their author's page; and addresses that were
 * not known at once.
 */
import { type ReconcileLedger, toReconcileResult } from '../sending/index.ts';
import type { FoundPost, SearchResult, Unipile } from '../unipile/index.ts';
import type { PostReconcileResult, PostStore, UnknownPost } from './store.ts';

type Reader = Pick<Unipile, 'findPost' | 'readPost'>;

export function createPostReconcile(
  store: Pick<PostStore, 'unknowns' | 'resolve'>,
  unipile: Reader,
  policy: 'resend-when-absent' | 'hold',
): ReconcileLedger<UnknownPost, PostReconcileResult> {
  return {
    due: (limit) => store.unknowns(limit),
    look: (post) => look(post, unipile),
    resolve: (results) => store.resolve(results, policy),
  };
}

async function look(post: UnknownPost, unipile: Reader): Promise<PostReconcileResult> {
  const { attempt_id, unipile_post_id } = post;
  const searched =
    unipile_post_id === null
      ? await findAttempt(post, unipile)
      : await readAddress(post, unipile_post_id, unipile);
  if (!searched.ok || searched.kind !== 'found') return toReconcileResult(attempt_id, searched);
  return { attempt_id, found: 'sent', ...idsOf(searched, unipile_post_id) };
}

/** An id that is known stays: LinkedIn has several for one post. */
function idsOf(found: FoundPost, knownId: string | null) {
  return {
    sent_at: found.sentAt.toISOString(),
    unipile_post_id: knownId ?? found.postId,
    social_id: found.socialId,
    share_url: found.shareUrl,
  };
}

const NOT_CONNECTED = { ok: true, kind: 'account_out_of_order', status: 'not connected to Unipile' } as const;

/** Looks for what an attempt may have published, as it was sent. */
export async function findAttempt(
  post: UnknownPost,
  unipile: Pick<Unipile, 'findPost'>,
): Promise<SearchResult<FoundPost>> {
  if (post.unipile_account_id === null) return NOT_CONNECTED;
  return unipile.findPost({
    accountId: post.unipile_account_id,
    text: post.text,
    mentions: post.mentions,
    externalLink: post.external_link,
    asOrganization: post.as_organization,
    since: new Date(post.started_at),
    knownIds: post.known_post_ids,
  });
}

async function readAddress(
  post: UnknownPost,
  postId: string,
  unipile: Pick<Unipile, 'readPost'>,
): Promise<SearchResult<FoundPost>> {
  if (post.unipile_account_id === null) return NOT_CONNECTED;
  return unipile.readPost({ accountId: post.unipile_account_id, postId });
}
