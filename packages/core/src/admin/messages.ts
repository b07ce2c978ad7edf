/** Messages, as operators see them: the shapes of `dm_list`, `dm_get`, `dm_explain` and `dm_enqueue`. */
import Type, { type Static } from 'typebox';
import {
  AnyOf,
  attemptsOf,
  Count,
  GivenInstant,
  Id,
  Instant,
  Nullable,
  PausedUntil,
} from '../shapes/index.ts';

export const MessageStatus = Type.Enum(['pending', 'sending', 'sent', 'failed', 'unknown', 'cancelled'], {
  $id: 'MessageStatus',
  type: 'string',
  description: '`unknown` may have reached LinkedIn: it is not sent again before that is settled.',
});
export type MessageStatus = Static<typeof MessageStatus>;

const message = {
  id: Id,
  linkedin_account_id: Id,
  account_name: Nullable(Type.String()),
  recipient_id: Type.String({ description: 'LinkedIn provider id, as the sending account sees the person.' }),
  chat_id: Nullable(Type.String()),
  status: MessageStatus,
  reason: Type.Union([Type.String(), Type.Null()], { description: 'One of docs/reasons.md.' }),
  error: Nullable(Type.String()),
  priority: Type.Integer({ minimum: 0, maximum: 9, description: 'A higher one goes first.' }),
  send_at: Instant,
  not_before: Nullable(Instant),
  sent_at: Nullable(Instant),
  attempts: Type.Integer({ minimum: 0, description: 'Tries that provably did not reach LinkedIn.' }),
  dedupe_key: Nullable(Type.String()),
  campaign_id: Nullable(Id),
  lead_id: Nullable(Id),
  is_literal: Type.Boolean({ description: 'What looks like a mark of a template in its text is meant.' }),
  unipile_message_id: Nullable(Type.String()),
  created_at: Instant,
  updated_at: Instant,
};

/** A message as lists show it, without its text. */
export const Message = Type.Object(message, { $id: 'Message' });
export type Message = Static<typeof Message>;

/** Why a message has not gone out, and the earliest instant at which it can. */
export const MessageExplanation = Type.Object(
  {
    id: Id,
    status: Type.String(),
    reason: Type.String({ description: 'One of docs/reasons.md.' }),
    can_go_at: Type.Union([Instant, Type.Null()], { description: 'Null where no instant is known.' }),
    ahead: Type.Integer({
      minimum: 0,
      description: 'Due messages of the account that go first; 1,000 at most.',
    }),
    error: Nullable(Type.String()),
    next_read_at: Type.Union([Instant, Type.Null()], {
      description: 'When it is next looked for on LinkedIn; null unless it is unknown.',
    }),
    account: Type.Object({ paused_until: PausedUntil, pause_reason: Nullable(Type.String()) }),
  },
  { $id: 'MessageExplanation' },
);
export type MessageExplanation = Static<typeof MessageExplanation>;

/** One call to Unipile. */
export const MessageAttempt = Type.Object(
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
    read_backs: Type.Integer({ minimum: 0, description: 'How often it was looked for on LinkedIn.' }),
    next_read_at: Nullable(Instant),
    unipile_message_id: Nullable(Type.String()),
  },
  { $id: 'MessageAttempt' },
);

/** A message with its text, its latest attempts, and why it has not gone out. */
export const MessageDetail = Type.Object(
  {
    ...message,
    message: Type.String(),
    explanation: MessageExplanation,
    ...attemptsOf(MessageAttempt),
  },
  { $id: 'MessageDetail' },
);
export type MessageDetail = Static<typeof MessageDetail>;

export const MessageFilter = Type.Object(
  {
    status: Type.Optional(AnyOf(MessageStatus)),
    account_id: Type.Optional(AnyOf(Id)),
    campaign_id: Type.Optional(AnyOf(Id)),
    lead_id: Type.Optional(AnyOf(Id)),
    reason: Type.Optional(AnyOf(Type.String({ minLength: 1, maxLength: 64 }))),
    recipient_id: Type.Optional(AnyOf(Type.String({ minLength: 1, maxLength: 200 }))),
    dedupe_key: Type.Optional(AnyOf(Type.String({ minLength: 1, maxLength: 200 }))),
    created_from: Type.Optional(GivenInstant),
    created_to: Type.Optional(GivenInstant),
    due_before: Type.Optional(GivenInstant),
  },
  { additionalProperties: false },
);
export type MessageFilter = Static<typeof MessageFilter>;

/** Messages in one call of `dm_enqueue`. */
export const MESSAGES_MAX = 10_000;

/**
 * Bytes of JSON in one call: 10,000 messages of 1,500 characters or so, with all their ids. Longer
 * ones take several calls.
 */
export const ENQUEUE_BYTES_MAX = 20 * 1_048_576;

export const NewMessage = Type.Object(
  {
    linkedin_account_id: Id,
    recipient_id: Type.String({
      minLength: 1,
      maxLength: 200,
      description:
        'The person’s classic LinkedIn provider id (`ACo…`); those of Sales Navigator and Recruiter are refused.',
    }),
    message: Type.String({
      minLength: 1,
      maxLength: 8_000,
      description:
        'Up to 8,000 UTF-16 units, of which an emoji has two. It must show something, and be filled in: marks of templates and what they leave (`Hi {first_name}`, `Hi undefined,`) are refused.',
    }),
    chat_id: Type.Optional(Nullable(Type.String({ minLength: 1, maxLength: 200 }))),
    send_at: Type.Optional(
      Type.Union([GivenInstant, Type.Null()], { description: 'Not before this instant; now by default.' }),
    ),
    priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 9, default: 0 })),
    dedupe_key: Type.Optional(
      Type.Union([Type.String({ minLength: 1, maxLength: 200 }), Type.Null()], {
        description:
          'A message with a key that is known already is the one that exists; with another account, recipient or text it is refused.',
      }),
    ),
    campaign_id: Type.Optional(Nullable(Id)),
    lead_id: Type.Optional(Nullable(Id)),
    is_literal: Type.Optional(
      Type.Union([Type.Boolean(), Type.Null()], {
        description: 'What looks like a mark of a template in the text is meant.',
      }),
    ),
  },
  { $id: 'NewMessage', additionalProperties: false },
);
export type NewMessage = Static<typeof NewMessage>;

export const EnqueuedMessages = Type.Object(
  {
    enqueued: Type.Integer({ minimum: 0, description: 'Messages that are new.' }),
    existing: Type.Integer({ minimum: 0, description: 'Messages whose `dedupe_key` was known already.' }),
    messages: Type.Array(
      Type.Object({
        row: Type.Integer({ minimum: 0, description: 'Its place in the request, from 0.' }),
        id: Id,
        is_new: Type.Boolean(),
      }),
    ),
    repeated: Type.Integer({
      minimum: 0,
      description:
        'Messages that say the same to the same person as another one, which waits or may have been sent.',
    }),
    warnings: Type.Array(
      Type.Object({
        row: Type.Integer({ minimum: 0, description: 'Its place in the request, from 0.' }),
        field: Type.String(),
        problem: Type.String(),
        twin_row: Type.Optional(Type.Integer({ minimum: 0, description: 'The row that it repeats.' })),
        twin_id: Type.Optional(Id),
      }),
      { maxItems: 1_000, description: 'The first 1,000 of those.' },
    ),
  },
  { $id: 'EnqueuedMessages' },
);
export type EnqueuedMessages = Static<typeof EnqueuedMessages>;

/** How many messages are in each status. */
export const MessageCounts = Type.Record(Type.String(), Count);
