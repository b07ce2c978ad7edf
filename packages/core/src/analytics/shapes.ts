/**
 * Analytics, as the HTTP API shows them: the shapes of `analytics_daily_list`, `analytics_summary`
 * and `analytics_platform`. `docs/analytics.md` says what each column counts. Days are
 * `YYYY-MM-DD`, instants ISO 8601.
 */
import Type, { type Static } from 'typebox';
import { Count, Day, GivenDay, givenDay, Id, Instant, Nullable } from '../shapes/index.ts';

const Seconds = (description: string) =>
  Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description });

const counts = {
  queued: Count,
  sent: Count,
  failed: Count,
  failed_by_reason: Type.Record(Type.String(), Count, {
    description: 'Failed messages by reason; they add up to `failed`.',
  }),
  unknown: Count,
  posts_published: Count,
  posts_failed: Count,
  posts_missed: Count,
  lateness_p50_s: Seconds(
    'Seconds from the time asked for to the call, of half of what went out at most; exact.',
  ),
  lateness_p95_s: Seconds('The same of 95 of 100.'),
  counted: Type.Integer({ minimum: 0, description: 'Attempts that count against the limits.' }),
};

const capacity = Type.Integer({
  minimum: 0,
  description: 'The day limits of the accounts that did anything, added up. `counted` of it is used.',
});

/** A row of the rollup: what one account did for one campaign on one day of its own. */
export const DailyRow = Type.Object(
  {
    day: Type.String({ format: 'date', description: 'The account’s local day.' }),
    account_id: Id,
    client_id: Nullable(Id),
    campaign_id: Nullable(Id),
    ...counts,
    day_limit: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      description: 'Of the account on that day, by its policy as it is now; the same in each of its rows.',
    }),
    computed_at: Instant,
  },
  { $id: 'DailyRow' },
);
export type DailyRow = Static<typeof DailyRow>;

/** Several values of one filter: any of them matches. */
const AnyId = Type.Array(Id, { minItems: 1, maxItems: 100, description: 'Any of these.' });

export const DailyFilter = Type.Object(
  {
    from: Type.Optional(GivenDay),
    to: Type.Optional(givenDay({ description: 'Included.' })),
    account_id: Type.Optional(AnyId),
    client_id: Type.Optional(AnyId),
    campaign_id: Type.Optional(AnyId),
  },
  { additionalProperties: false },
);
export type DailyFilter = Static<typeof DailyFilter>;

export const SummaryGroup = Type.Union(
  [
    Type.Literal('day'),
    Type.Literal('account'),
    Type.Literal('client'),
    Type.Literal('campaign'),
    Type.Literal('none'),
  ],
  { $id: 'SummaryGroup' },
);
export type SummaryGroup = Static<typeof SummaryGroup>;

export const SummaryItem = Type.Object(
  {
    key: Type.Union([Type.String(), Type.Null()], {
      description: 'The day, or the id of the account, client or campaign; null for none.',
    }),
    accounts: Count,
    ...counts,
    capacity,
    computed_at: Nullable(Instant),
  },
  { $id: 'SummaryItem' },
);
export type SummaryItem = Static<typeof SummaryItem>;

/** Sums of the rollup over days. */
export const Summary = Type.Object(
  {
    from: Day,
    to: Day,
    group_by: SummaryGroup,
    /** Days in their order, anything else by what was sent, the most first. */
    items: Type.Array(SummaryItem, { maxItems: 1_000 }),
    truncated: Type.Boolean({ description: 'There are more than these 1,000.' }),
  },
  { $id: 'Summary' },
);
export type Summary = Static<typeof Summary>;

export const PlatformDay = Type.Object(
  {
    day: Day,
    ...counts,
    capacity,
    accounts_active: Type.Integer({ minimum: 0, description: 'Accounts of which anything went out.' }),
    accounts_at_cap: Type.Integer({
      minimum: 0,
      description: 'Accounts that used up the limit of their day.',
    }),
  },
  { $id: 'PlatformDay' },
);
export type PlatformDay = Static<typeof PlatformDay>;

/** The platform's last days, each of them, and their totals. */
export const Platform = Type.Object(
  {
    as_of: Type.Union([Instant, Type.Null()], {
      description: 'When the latest of these days was counted; null if none was.',
    }),
    from: Day,
    to: Day,
    days: Type.Array(PlatformDay),
    totals: SummaryItem,
  },
  { $id: 'Platform' },
);
export type Platform = Static<typeof Platform>;
