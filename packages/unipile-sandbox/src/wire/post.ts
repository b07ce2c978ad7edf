/** A post as reads show it: digits as `id`, a URN as `social_id`, and a share URL. */
import type { Account, Post } from '../world/model.ts';
import { attachmentsWire } from './attachment.ts';
import { relativeDate } from './relative-date.ts';

/** @param viewer the account that reads */
export function postWire(post: Post, viewer: Account, now: Date): Record<string, unknown> {
  const slug = post.authorPublicIdentifier ?? `company-${post.authorId}`;
  return {
    object: 'Post',
    provider: 'LINKEDIN',
    id: post.id,
    social_id: `urn:li:activity:${post.id}`,
    share_url: `https://www.linkedin.com/posts/${slug}_activity-${post.id}-${post.shareId.slice(-4)}`,
    text: post.text,
    date: relativeDate(post.at, now),
    parsed_datetime: post.at.toISOString(),
    reaction_counter: 0,
    comment_counter: 0,
    repost_counter: 0,
    impressions_counter: 0,
    author: authorWire(post),
    ...(post.isCompany && post.accountId === viewer.id ? { written_by: { id: viewer.providerId } } : {}),
    permissions: { can_react: true, can_share: true, can_post_comments: true },
    is_repost: post.repostOf !== null,
    ...repostWire(post, now),
    attachments: attachmentsWire(post.id, post.attachments),
  };
}

function repostWire(post: Post, now: Date): Record<string, unknown> {
  if (post.repostOf === null) return {};
  const original = post.repostOf;
  return {
    repost_id: original.id,
    reposted_by: authorWire(post),
    repost_content: {
      id: original.id,
      date: relativeDate(original.at, now),
      parsed_datetime: original.at.toISOString(),
      author: authorWire(original),
      text: original.text,
    },
  };
}

function authorWire(post: Post): Record<string, unknown> {
  return {
    public_identifier: post.authorPublicIdentifier,
    id: post.authorId,
    name: post.authorName,
    is_company: post.isCompany,
  };
}
