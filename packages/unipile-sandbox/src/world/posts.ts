/**
 * Posts: publishing, and reading back. The reads go to LinkedIn itself, so they need a live account.
 */
import { ApiError } from '../errors.ts';
import { isRecipientId } from '../ids.ts';
import { fileWire } from '../wire/attachment.ts';
import { postWire } from '../wire/post.ts';
import { requireLiveAccount } from './accounts.ts';
import type { Circumstances, Context, Outcome } from './context.ts';
import type { Account, Attachment, Mention, Post } from './model.ts';
import { type ListQuery, page } from './pages.ts';
import { assertRoom } from './sending.ts';

/** Characters LinkedIn takes in a post. */
export const POST_LENGTH_MAX = 3_000;
const EXTERNAL_LINK_LENGTH_MAX = 2_048;

/** Characters of a link that LinkedIn shows as it is. */
const LINK_LENGTH_MAX = 26;

/** Values as they came; `undefined` for a field that was not there. */
export interface CreatePostRequest {
  readonly accountId?: string | undefined;
  readonly text?: string | undefined;
  /** `{{0}}` in the text stands for the first. */
  readonly mentions?: readonly Mention[] | undefined;
  /** Any id of a post. Its text may be empty. */
  readonly repost?: string | undefined;
  readonly externalLink?: string | undefined;
  /** Digits of a company page the account administers. */
  readonly asOrganization?: string | undefined;
  readonly attachments?: readonly Attachment[] | undefined;
}

export function createPost(context: Context, request: CreatePostRequest, how: Circumstances): Outcome {
  const { text, mentions = [], externalLink } = request;
  if (text === undefined || (text === '' && request.repost === undefined)) {
    throw new ApiError('missing_parameters', 'text is required.');
  }
  if (externalLink !== undefined && !isHttpUrl(externalLink)) {
    throw new ApiError('invalid_url', 'external_link must be an http or https URL.');
  }
  assertMentions(mentions);
  const account = requireLiveAccount(context, request.accountId);
  const written = withLink(withMentions(text, mentions), externalLink);
  if (written.length > POST_LENGTH_MAX) {
    throw new ApiError('too_many_characters', `text must be at most ${POST_LENGTH_MAX} characters.`);
  }
  const repostOf = request.repost === undefined ? null : findPost(context, request.repost);
  if (repostOf === undefined) throw new ApiError('invalid_post');
  const author = authorOf(account, request.asOrganization);
  assertRoom(context);
  const at = context.now();
  const post: Post = {
    id: context.ids.nextPostId(at),
    shareId: context.ids.nextPostId(at),
    ugcId: context.ids.nextPostId(at),
    seq: ++context.store.seq,
    accountId: account.id,
    ...author,
    text: context.isShorteningLinks ? withShortLinks(context, written) : written,
    repostOf,
    attachments: request.attachments ?? [],
    at,
    visibleAt: new Date(at.getTime() + how.visibilityDelayMs),
  };
  context.store.posts.set(post.id, post);
  context.effects.append({
    kind: 'post',
    account_id: account.id,
    recipient_id: null,
    chat_id: null,
    id: post.id,
    text: post.text,
    attachments: post.attachments.map(fileWire),
    at: at.toISOString(),
  });
  return { status: 201, body: { object: 'PostCreated', post_id: post.id } };
}

function authorOf(
  account: Account,
  organizationId: string | undefined,
): Pick<Post, 'authorId' | 'authorName' | 'authorPublicIdentifier' | 'isCompany'> {
  if (organizationId === undefined || organizationId === '') {
    return {
      authorId: account.providerId,
      authorName: account.name,
      authorPublicIdentifier: account.publicIdentifier,
      isCompany: false,
    };
  }
  const page = account.organizations.find((organization) => organization.id === organizationId);
  if (page === undefined) throw new ApiError('insufficient_permissions');
  return { authorId: page.id, authorName: page.name, authorPublicIdentifier: null, isCompany: true };
}

function assertMentions(mentions: readonly Mention[]): void {
  mentions.forEach((mention, index) => {
    if (mention.name === '')
      throw new ApiError('missing_parameters', `mentions[${index}][name] is required.`);
    const isValid = mention.isCompany ? /^\d+$/.test(mention.profileId) : isRecipientId(mention.profileId);
    if (!isValid) throw new ApiError('invalid_parameters', `mentions[${index}][profile_id] is invalid.`);
  });
}

function withMentions(text: string, mentions: readonly Mention[]): string {
  return text.replace(/\{\{(\d{1,3})\}\}/g, (mark, index) => mentions[Number(index)]?.name ?? mark);
}

/** The link is put at the end unless the text has it already: what is read back is not what was sent. */
function withLink(text: string, link: string | undefined): string {
  if (link === undefined || text.includes(link)) return text;
  return text === '' ? link : `${text}\n${link}`;
}

/** LinkedIn's own short links stand where long ones were. */
function withShortLinks(context: Context, text: string): string {
  return text.replace(/https?:\/\/\S*[^\s.,;:!?)\]}'"]/g, (link) =>
    link.length > LINK_LENGTH_MAX ? `https://lnkd.in/${context.ids.of('link', link).slice(0, 8)}` : link,
  );
}

function isHttpUrl(url: string): boolean {
  return url.length <= EXTERNAL_LINK_LENGTH_MAX && /^https?:\/\//.test(url) && URL.canParse(url);
}

/** Finds by digits or by any of the URNs. */
function findPost(context: Context, identifier: string): Post | undefined {
  const [, flavour, digits] = /^urn:li:(activity|share|ugcPost):(\d+)$/.exec(identifier) ?? [];
  if (flavour === undefined) return context.store.posts.get(identifier);
  if (flavour === 'activity') return context.store.posts.get(digits ?? '');
  for (const post of context.store.posts.values()) {
    if ((flavour === 'share' ? post.shareId : post.ugcId) === digits) return post;
  }
  return undefined;
}

export function getPost(context: Context, postId: string, accountId: string | undefined): Outcome {
  const account = requireLiveAccount(context, accountId);
  const post = findPost(context, postId);
  if (post === undefined || !isShown(context, post)) throw new ApiError('invalid_post');
  return { status: 200, body: postWire(post, account, context.now()) };
}

/** Posts of a member, by LinkedIn id, or with `isCompany` of a page, by its digits. */
export function listPostsOfUser(context: Context, identifier: string, query: ListQuery): Outcome {
  const account = requireLiveAccount(context, query.accountId);
  const isCompany = query.isCompany ?? false;
  if (!(isCompany ? /^\d+$/.test(identifier) : isRecipientId(identifier))) {
    throw new ApiError('invalid_recipient');
  }
  const found = page({
    list: `users/${identifier}/posts`,
    query,
    limits: { fallback: 100, max: 100 },
    rows: () =>
      [...context.store.posts.values()].filter(
        (post) => post.authorId === identifier && post.isCompany === isCompany && isShown(context, post),
      ),
    keyOf: (post) => ({ atMs: post.at.getTime(), seq: post.seq }),
  });
  const items = found.items.map((post) => postWire(post, account, context.now()));
  const paging = { page_count: items.length };
  return { status: 200, body: { object: 'PostList', items, cursor: found.cursor, paging } };
}

function isShown(context: Context, post: Post): boolean {
  return post.visibleAt.getTime() <= context.now().getTime();
}
