/** Posts, as operators see them: the shapes of `post_list`, `post_get`, `post_explain` and the options. */
import Type, { type Static } from 'typebox';
import { AnyOf, attemptsOf, GivenInstant, Id, Instant, Nullable, PausedUntil } from '../shapes/index.ts';

export const PostState = Type.Enum(
  ['draft', 'waiting', 'publishing', 'published', 'unknown', 'failed', 'missed', 'held'],
  {
    $id: 'PostState',
    type: 'string',
    description:
      '`missed`: too late to publish by itself. `held`: something must be mended first. `unknown` may be on LinkedIn.',
  },
);
export type PostState = Static<typeof PostState>;

const post = {
  id: Id,
  linkedin_account_id: Nullable(Id),
  account_name: Nullable(Type.String()),
  campaign_id: Nullable(Id),
  post_status: Type.Union([Type.String(), Type.Null()], { description: 'RevOS’s own status of the post.' }),
  state: PostState,
  reason: Type.Union([Type.String(), Type.Null()], { description: 'One of docs/reasons.md.' }),
  error: Nullable(Type.String()),
  scheduled_for: Nullable(Instant),
  not_before: Nullable(Instant),
  published_at: Nullable(Instant),
  attempts: Type.Integer({ minimum: 0, description: 'Tries that provably did not reach LinkedIn.' }),
  post_url: Nullable(Type.String()),
  unipile_post_id: Nullable(Type.String()),
  has_media: Type.Boolean(),
  created_at: Nullable(Instant),
};

/** A post as lists show it, without its text. */
export const Post = Type.Object(post, { $id: 'Post' });
export type Post = Static<typeof Post>;

/** Why a post has not been published, and the earliest instant at which it can be. */
export const PostExplanation = Type.Object(
  {
    id: Id,
    state: PostState,
    post_status: Nullable(Type.String()),
    reason: Type.Union([Type.String(), Type.Null()], { description: 'One of docs/reasons.md.' }),
    can_go_at: Type.Union([Instant, Type.Null()], {
      description: 'Null where no instant is known, and where it would be too late by then.',
    }),
    ahead: Type.Integer({ minimum: 0, description: 'Due posts of the account that go first.' }),
    error: Nullable(Type.String()),
    next_read_at: Nullable(Instant),
    account: Type.Object({ paused_until: PausedUntil, pause_reason: Nullable(Type.String()) }),
  },
  { $id: 'PostExplanation' },
);
export type PostExplanation = Static<typeof PostExplanation>;

/** One call to Unipile. */
export const PostAttempt = Type.Object(
  {
    id: Id,
    started_at: Instant,
    finished_at: Nullable(Instant),
    outcome: Type.Union(
      [Type.Literal('sent'), Type.Literal('not_sent'), Type.Literal('unknown'), Type.Null()],
      { description: 'Null while in flight.' },
    ),
    http_status: Nullable(Type.Integer()),
    error_type: Nullable(Type.String()),
    detail: Nullable(Type.String()),
    worker: Type.String(),
    read_backs: Type.Integer({ minimum: 0 }),
    next_read_at: Nullable(Instant),
    unipile_post_id: Nullable(Type.String()),
    share_url: Nullable(Type.String()),
  },
  { $id: 'PostAttempt' },
);

const HttpAddress = Type.String({ maxLength: 2_048, pattern: '^https?://[^\\s/]+\\S*$' });

const Media = Type.Object(
  { url: HttpAddress, name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })) },
  { additionalProperties: false },
);

const mention = {
  name: Type.String({ minLength: 1, maxLength: 200 }),
  profile_id: Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'Classic LinkedIn provider id (`ACo…`); of a company, its digits.',
  }),
};

/** How a post is published, besides its text. */
const options = {
  media: Type.Array(Media, { maxItems: 20, description: 'Up to 20 images, or one video, or one document.' }),
  mentions: Type.Array(
    Type.Object({ ...mention, is_company: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
    { maxItems: 50, description: 'The first one stands where the text has `{{0}}`.' },
  ),
  external_link: HttpAddress,
  as_organization: Type.String({ pattern: '^[0-9]{1,40}$', description: 'The digits of a company page.' }),
  is_literal: Type.Boolean({ description: 'What looks like a mark of a template in the text is meant.' }),
};

/** The options of a post, and what was last seen of its media. */
export const PostOptions = Type.Object(
  {
    media: Type.Array(Type.Object({ url: Type.String(), name: Type.Optional(Nullable(Type.String())) })),
    mentions: Type.Array(Type.Object({ ...mention, is_company: Type.Boolean() })),
    external_link: Nullable(Type.String()),
    as_organization: Nullable(Type.String()),
    is_literal: options.is_literal,
    media_checked_at: Nullable(Instant),
    media_problem: Nullable(
      Type.Object({ problem: Type.String(), detail: Nullable(Type.String()), retryable: Type.Boolean() }),
    ),
  },
  { $id: 'PostOptions' },
);
export type PostOptions = Static<typeof PostOptions>;

/** What changes of a post's options: what is not named stands, and null takes one away. */
export const PostOptionsPatch = Type.Object(
  {
    media: Type.Optional(Nullable(options.media)),
    mentions: Type.Optional(Nullable(options.mentions)),
    external_link: Type.Optional(Nullable(options.external_link)),
    as_organization: Type.Optional(Nullable(options.as_organization)),
    is_literal: Type.Optional(Nullable(options.is_literal)),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type PostOptionsPatch = Static<typeof PostOptionsPatch>;

/** A post with its text, its options, its latest attempts, and why it has not been published. */
export const PostDetail = Type.Object(
  {
    ...post,
    content: Type.String(),
    options: PostOptions,
    explanation: PostExplanation,
    ...attemptsOf(PostAttempt),
  },
  { $id: 'PostDetail' },
);
export type PostDetail = Static<typeof PostDetail>;

export const PostFilter = Type.Object(
  {
    state: Type.Optional(AnyOf(PostState)),
    post_status: Type.Optional(
      AnyOf(Type.Enum(['draft', 'scheduled', 'published', 'failed'], { type: 'string' })),
    ),
    account_id: Type.Optional(AnyOf(Id)),
    campaign_id: Type.Optional(AnyOf(Id)),
    reason: Type.Optional(AnyOf(Type.String({ minLength: 1, maxLength: 64 }))),
    scheduled_from: Type.Optional(GivenInstant),
    scheduled_to: Type.Optional(GivenInstant),
    created_from: Type.Optional(GivenInstant),
    created_to: Type.Optional(GivenInstant),
  },
  { additionalProperties: false },
);
export type PostFilter = Static<typeof PostFilter>;
