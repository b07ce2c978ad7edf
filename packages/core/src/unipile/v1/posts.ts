/** Posts over Unipile v1: publishing one, and finding one whose answer was lost. */

import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { FormData } from 'undici';
import { isSameText } from '../same-text.ts';
import type {
  CreatePostRequest,
  Failure,
  FindPostRequest,
  FoundPost,
  PublishedPost,
  ReadPostRequest,
  SearchResult,
} from '../unipile.ts';
import { type Exchange, unreadable } from './exchange.ts';
import {
  earliestOf,
  instantOf,
  isMissing,
  notFound,
  readAccount,
  readList,
  type TakeItem,
} from './search.ts';
import { storableId } from './storable.ts';

/** Posts are read from LinkedIn itself and count there: the newest few are nearly always enough. */
const PAGE_SIZE = 20;

/** Characters of a post's address that the database keeps. */
const URL_LENGTH_MAX = 2_048;

export async function createPost(
  exchange: Exchange,
  post: CreatePostRequest,
  timeoutMs: number,
): Promise<PublishedPost | Failure> {
  const options = { timeoutMs, idField: 'post_id', inChat: false } as const;
  const written = await exchange.write('posts', formOf(post), options);
  if (!written.ok) return asAboutThePost(written, post);
  const { httpStatus, id } = written;
  if (id === null) return { ok: true, httpStatus, postId: null, socialId: null, shareUrl: null };
  // Asked once: it is published, and this must not hold up the record of it.
  const read = await exchange.read(postPath(id), { account_id: post.accountId }, { isRetried: false });
  const { socialId, shareUrl } = addressesOf(read.ok ? read.body : {});
  return { ok: true, httpStatus, postId: id, socialId, shareUrl };
}

/**
 * What is not found may be the page or the person that a post names: that is no reason to stop the
 * account.
 */
function asAboutThePost(failure: Failure, post: CreatePostRequest): Failure {
  const namesOthers = post.asOrganization !== null || post.mentions.length > 0;
  return failure.kind === 'account_missing' && namesOthers ? { ...failure, kind: 'rejected' } : failure;
}

function formOf(post: CreatePostRequest): FormData {
  const form = new FormData();
  form.append('account_id', post.accountId);
  form.append('text', post.text);
  for (const [index, { name, profile_id, is_company }] of post.mentions.entries()) {
    form.append(`mentions[${index}][name]`, name);
    form.append(`mentions[${index}][profile_id]`, profile_id);
    form.append(`mentions[${index}][is_company]`, String(is_company));
  }
  if (post.externalLink !== null) form.append('external_link', post.externalLink);
  if (post.asOrganization !== null) form.append('as_organization', post.asOrganization);
  for (const { name, mimeType, bytes } of post.attachments) {
    form.append('attachments', new File([bytes as Uint8Array<ArrayBuffer>], name, { type: mimeType }), name);
  }
  return form;
}

const Post = Compile(
  Type.Object({
    id: Type.String({ minLength: 1 }),
    text: Type.Union([Type.String(), Type.Null()]),
    parsed_datetime: Type.String(),
    author: Type.Object({ id: Type.Optional(Type.Union([Type.String(), Type.Null()])) }),
    is_repost: Type.Boolean(),
  }),
);

/** Looks at the newest posts of the author, on LinkedIn itself. */
export async function findPost(
  exchange: Exchange,
  sought: FindPostRequest,
  searchSignal: AbortSignal,
): Promise<SearchResult<FoundPost>> {
  const account = await readAccount(exchange, sought.accountId, searchSignal);
  if (!account.ok) return account;
  // LinkedIn would not be read for it, and is better not asked.
  if (account.status !== 'OK') return { ok: true, kind: 'account_out_of_order', status: account.status };
  const authorId = sought.asOrganization ?? account.providerId;
  const earliest = earliestOf(sought.since);
  // Nothing of a list is kept but this: it may be long, and its texts too.
  let oldest: Omit<FoundPost, 'postId'> & { readonly postId: string | null } = NOT_YET;
  const take: TakeItem = (item) => {
    const sentAt = Post.Check(item) ? instantOf(item.parsed_datetime) : null;
    // One that cannot be read might be the one.
    if (!Post.Check(item) || sentAt === null) return false;
    const isAuthor = item.author.id === authorId || item.author.id?.endsWith(`:${authorId}`) === true;
    const addresses = addressesOf(item);
    // LinkedIn has several ids for one post, and may have answered the write with another than it lists.
    const isKnown = [item.id, addresses.socialId].some((id) => id !== null && sought.knownIds.includes(id));
    const isCandidate = isAuthor && sentAt >= earliest && !isKnown && isSameText(sought, item.text ?? '');
    if (isCandidate && sentAt < oldest.sentAt) oldest = { postId: storableId(item.id), sentAt, ...addresses };
    return true;
  };
  const read = await readPosts(exchange, sought, authorId, take, searchSignal);
  if (!read.ok) return read;
  if (oldest === NOT_YET) return notFound(exchange, sought.accountId, searchSignal);
  const { postId } = oldest;
  // Without its id it could be taken for another row's, or another row's for it.
  return postId === null ? unreadable('unstorable_id') : { ok: true, kind: 'found', ...oldest, postId };
}

/** Later than any post. */
const NOT_YET = { postId: null, socialId: null, shareUrl: null, sentAt: new Date(8.64e15) };

function readPosts(
  exchange: Exchange,
  sought: FindPostRequest,
  authorId: string,
  take: TakeItem,
  searchSignal: AbortSignal,
): ReturnType<typeof readList> {
  const earliest = earliestOf(sought.since);
  return readList(
    exchange,
    {
      path: `users/${encodeURIComponent(authorId)}/posts`,
      query: {
        account_id: sought.accountId,
        is_company: sought.asOrganization === null ? undefined : 'true',
      },
      pageSize: PAGE_SIZE,
      take,
      // Newest first. A repost may bear the date of what it repeats.
      isEnough: (items) => {
        const last = items.findLast((item) => Post.Check(item) && !item.is_repost);
        const lastAt = Post.Check(last) ? instantOf(last.parsed_datetime) : null;
        return lastAt !== null && lastAt < earliest;
      },
    },
    searchSignal,
  );
}

export async function readPost(
  exchange: Exchange,
  { accountId, postId }: ReadPostRequest,
  searchSignal: AbortSignal,
): Promise<SearchResult<FoundPost>> {
  const read = await exchange.read(
    postPath(postId),
    { account_id: accountId },
    { searchSignal, isRetried: true },
  );
  if (!read.ok) {
    // How Unipile says that there is no such post, or that it is not shown yet.
    const isNoPost = isMissing(read) || read.type === 'invalid_post';
    return isNoPost ? notFound(exchange, accountId, searchSignal) : read;
  }
  const sentAt = Post.Check(read.body) ? instantOf(read.body.parsed_datetime) : null;
  if (!Post.Check(read.body) || sentAt === null) return unreadable('unreadable_answer');
  return {
    ok: true,
    kind: 'found',
    postId: storableId(read.body.id) ?? postId,
    sentAt,
    ...addressesOf(read.body),
  };
}

function postPath(postId: string): string {
  return `posts/${encodeURIComponent(postId)}`;
}

/** Where a post can be seen and answered; null for what the answer does not say. */
function addressesOf(post: object): Pick<FoundPost, 'socialId' | 'shareUrl'> {
  const { social_id, share_url } = post as { social_id?: unknown; share_url?: unknown };
  const shareUrl = storableId(share_url, URL_LENGTH_MAX);
  return {
    socialId: storableId(social_id),
    shareUrl: shareUrl !== null && /^https?:\/\//.test(shareUrl) ? shareUrl : null,
  };
}
