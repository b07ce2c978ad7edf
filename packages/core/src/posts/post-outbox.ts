/** Posts as an outbox: the claim and the ledger in SQL; media, and one call to Unipile, for each. */
import { unlessAborted } from '../effects/index.ts';
import type { JobServices } from '../jobs/index.ts';
import type { MediaFile } from '../media/index.ts';
import { type Outbox, outcomeOf, releaseOf } from '../sending/index.ts';
import type { Unipile } from '../unipile/index.ts';
import { fetchMedia } from './media.ts';
import { mediaOutcomeOf, notReconciled, publishedEarlier } from './outcome.ts';
import { createPostReconcile, findAttempt } from './post-reconcile.ts';
import { type ClaimedPost, createPostStore, type PostResult } from './store.ts';

/** How long an attempt without a result counts as in flight, in milliseconds: a call takes up to 120 s. */
const LEASE_MS = 300_000;

/** Half of the lease, so that the call and what is read after it end within it. */
const DISPATCH_MS_MAX = 150_000;

/** A call of 120 s and its record; and with the files that are fetched before it. */
const CALL_MS_MAX = 125_000;
const CLAIM_MS_MIN = 150_000;

/** Posts of one run at the same time: each may hold 60 MB of files. */
const CONCURRENCY_MAX = 4;

export type PostServices = Pick<JobServices, 'rpc' | 'unipile' | 'media' | 'effects' | 'logger' | 'settings'>;

export function createPostOutbox(services: PostServices): Outbox<ClaimedPost, PostResult> {
  const { unipile, settings } = services;
  const store = createPostStore(services.rpc, settings.postLateLimitMinutes);
  return {
    concurrencyMax: CONCURRENCY_MAX,
    leaseMs: LEASE_MS,
    dispatchMsMax: DISPATCH_MS_MAX,
    callMsMax: CALL_MS_MAX,
    claimMsMin: CLAIM_MS_MIN,
    claim: (request) => store.claim(request),
    release: (claimId, worker) => store.release(claimId, worker),
    record: (results) => store.record(results),
    backlog: (accountIds) => store.backlog(accountIds),
    preview: (accountIds) => store.preview(accountIds),
    reconcile: createPostReconcile(store, unipile, settings.unknownPolicy),
    async send(post, isInTime, signal) {
      const media = await fetchMedia(post.media, services.media, services.effects, signal);
      if (signal.aborted) return releaseOf(post);
      if (!media.ok) return mediaOutcomeOf(media, post, services.effects.random());
      const earlier = await unlessAborted(findEarlier(post, isInTime, unipile), signal);
      if (earlier !== null) return earlier;
      // It was cut short; or nothing was looked for, and this process stood still.
      if (!isInTime()) return releaseOf(post);
      return publish(post, media.files, services);
    },
  };
}

/**
 * What to record for a post that once was unknown, without publishing it: it was there after all, or
 * it cannot be told now, or not while there still is time for the call. Null if it is certainly not there.
 *
 * It was absent when that was decided, which may be hours ago: LinkedIn may have shown it since.
 */
async function findEarlier(
  post: ClaimedPost,
  isInTime: () => boolean,
  unipile: Pick<Unipile, 'findPost'>,
): Promise<PostResult | null> {
  for (const attempt of post.was_unknown) {
    const searched = await findAttempt(attempt, unipile);
    if (!searched.ok || searched.kind === 'account_out_of_order') return notReconciled(post);
    if (searched.kind === 'found') return publishedEarlier(post, searched);
    // The files and the look took their time. Claimed again at once, they would take as long again.
    if (!isInTime()) return notReconciled(post);
  }
  return null;
}

async function publish(
  post: ClaimedPost,
  files: readonly MediaFile[],
  { unipile, effects }: PostServices,
): Promise<PostResult> {
  const answer = await unipile.createPost({
    accountId: post.unipile_account_id,
    text: post.text,
    attachments: files,
    mentions: post.mentions,
    externalLink: post.external_link,
    asOrganization: post.as_organization,
  });
  if (!answer.ok) return outcomeOf(answer, post, effects.random());
  return {
    attempt_id: post.attempt_id,
    outcome: 'sent',
    http_status: answer.httpStatus,
    unipile_post_id: answer.postId,
    social_id: answer.socialId,
    share_url: answer.shareUrl,
  };
}
