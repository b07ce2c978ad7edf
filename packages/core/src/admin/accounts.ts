/** Accounts, as operators see them: the shapes of `account_list`, `account_get` and the policies. */
import Type, { type Static } from 'typebox';
import { AnyOf, Count, Day, GivenDay, Id, Instant, Nullable, PausedUntil } from '../shapes/index.ts';
import { MessageCounts } from './messages.ts';

const ClockTime = Type.String({
  pattern: '^(([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d)?|24:00(:00)?)$',
  description: 'Of the account’s local day; 24:00 is its end.',
});

const WorkDays = Type.Array(Type.Integer({ minimum: 1, maximum: 7 }), {
  minItems: 1,
  maxItems: 7,
  description: 'ISO days of the week, 1 (Monday) to 7.',
});

/** What may be set of a policy, with days that are given, or shown. */
const rulesOf = <DayOf extends typeof Day>(day: DayOf) => ({
  dms_per_day: Type.Integer({ minimum: 1, maximum: 50 }),
  dms_per_24h: Type.Integer({ minimum: 1, maximum: 50 }),
  dms_per_7d: Type.Integer({ minimum: 1, maximum: 350 }),
  gap_min_s: Type.Integer({
    minimum: 0,
    maximum: 86_400,
    description: 'Seconds between two messages, at least.',
  }),
  gap_max_s: Type.Integer({
    minimum: 0,
    maximum: 86_400,
    description: 'Seconds between two messages, at most.',
  }),
  post_gap_s: Type.Integer({
    minimum: 0,
    maximum: 86_400,
    description: 'Seconds between two posts, at least.',
  }),
  no_repeat_days: Type.Integer({
    minimum: 0,
    maximum: 90,
    description: 'Days in which the same text does not go to the same person twice; 0: it is only told.',
  }),
  time_zone: Type.String({
    minLength: 1,
    maxLength: 64,
    description: 'The name of a place, such as Europe/Berlin, or UTC; no abbreviation.',
  }),
  window_start: ClockTime,
  window_end: ClockTime,
  work_days: WorkDays,
  holidays: Type.Array(day, { maxItems: 400 }),
  warm_up_from: Type.Union([day, Type.Null()], {
    description: 'The day on which the warm-up began: 20 % of dms_per_day, all of it from the 14th day on.',
  }),
});

export const Policy = Type.Object(
  {
    account_id: Id,
    ...rulesOf(Day),
    paused_until: PausedUntil,
    pause_reason: Nullable(Type.String()),
    paused_at: Nullable(Instant),
    created_at: Instant,
    updated_at: Instant,
  },
  { $id: 'Policy' },
);
export type Policy = Static<typeof Policy>;

/** What changes of a policy; what is not named stands. */
export const PolicyPatch = Type.Partial(Type.Object(rulesOf(GivenDay)), {
  additionalProperties: false,
  minProperties: 1,
});
export type PolicyPatch = Static<typeof PolicyPatch>;

const account = {
  id: Id,
  account_name: Type.String(),
  status: Nullable(Type.String()),
  unipile_account_id: Nullable(Type.String()),
  policy: Type.Union([Policy, Type.Null()], { description: 'Null until its first message is queued.' }),
  messages: MessageCounts,
};

export const Account = Type.Object(account, { $id: 'Account' });
export type Account = Static<typeof Account>;

/** An account with what its limits allow, counted as the gate counts. */
export const AccountDetail = Type.Object(
  {
    ...account,
    usage: Nullable(
      Type.Object({
        day: Count,
        day_limit: Count,
        last_24h: Count,
        limit_24h: Count,
        last_7d: Count,
        limit_7d: Count,
      }),
    ),
    gate: Nullable(
      Type.Object({
        reason: Type.Union([Type.String(), Type.Null()], { description: 'Null: a message may go now.' }),
        clear_at: Nullable(Instant),
      }),
    ),
  },
  { $id: 'AccountDetail' },
);
export type AccountDetail = Static<typeof AccountDetail>;

export const AccountFilter = Type.Object(
  {
    status: Type.Optional(AnyOf(Type.Enum(['active', 'expired', 'error'], { type: 'string' }))),
    paused: Type.Optional(Type.Boolean()),
    names: Type.Optional(AnyOf(Type.String({ minLength: 1, maxLength: 500 }))),
  },
  { additionalProperties: false },
);
export type AccountFilter = Static<typeof AccountFilter>;

export const ResumedPolicy = Type.Object({
  ...Policy.properties,
  due: Type.Integer({ minimum: 0, description: 'Due messages that this releases.' }),
});
export type ResumedPolicy = Static<typeof ResumedPolicy>;
