/**
 * An alert: something the verdict found that people are told of, once when it begins and once when
 * it ends.
 */
import Type, { type Static } from 'typebox';
import { AnyOf, GivenInstant, Instant, Nullable } from '../shapes/index.ts';
import { FindingCode, VerdictState } from '../verdict/index.ts';

export const CHANNELS = ['webhook', 'slack', 'sentry'] as const;
export type ChannelName = (typeof CHANNELS)[number];

/** What is told: that it began, or that it ended. */
export type AlertEvent = 'opened' | 'ended';

const AlertDelivery = Type.Object({
  event: Type.Enum(['opened', 'ended'], { type: 'string' }),
  channel: Type.Enum([...CHANNELS], { type: 'string' }),
  status: Type.Enum(['waiting', 'delivered', 'given_up'], { type: 'string' }),
  attempts: Type.Integer({ minimum: 0 }),
  delivered_at: Nullable(Instant),
  error: Type.Union([Type.String(), Type.Null()], {
    description: 'Why the last attempt failed: a status, or the code of a socket.',
  }),
});

export const Alert = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    code: FindingCode,
    state: VerdictState,
    subjects: Type.Array(Type.String(), {
      description:
        'What it was about as it began: names of jobs, ids of accounts, messages or posts, or `system`.',
    }),
    open_subjects: Type.Array(Type.String(), { description: 'Those of them that it is still about.' }),
    sentence: Type.String({ description: 'As the verdict said it when it began.' }),
    why: Nullable(Type.String()),
    what_to_do: Nullable(Type.String()),
    since: Nullable(Instant),
    opened_at: Instant,
    ended_at: Type.Union([Instant, Type.Null()], { description: 'Null while it lasts.' }),
    deliveries: Type.Array(AlertDelivery, { description: 'Whom it was told through which channel.' }),
  },
  { $id: 'Alert' },
);
export type Alert = Static<typeof Alert>;

export const AlertFilter = Type.Object(
  {
    open: Type.Optional(Type.Boolean({ description: 'Only those that last, or only those that are over.' })),
    code: Type.Optional(AnyOf(FindingCode)),
    state: Type.Optional(AnyOf(VerdictState)),
    subject: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    from: Type.Optional(GivenInstant),
    to: Type.Optional(GivenInstant),
  },
  { additionalProperties: false, description: 'By when they began.' },
);
export type AlertFilter = Static<typeof AlertFilter>;
