/**
 * What the rollup and the platform's view must say, recounted row by row from a history.
 *
 * Written from docs/analytics.md and not from the SQL, with JavaScript's own zones.
 */
import { daysBetween, localDate } from '../support/local-time.ts';
import type {
  RawAttempt,
  RawDmAttempt,
  RawMessage,
  RawPost,
  RawPostAttempt,
  RawPublication,
} from '../support/raw-rows.ts';

export interface PolicyOfAccount {
  readonly time_zone: string;
  readonly dms_per_day: number;
  readonly warm_up_from: string | null;
}

export interface History {
  readonly messages: readonly RawMessage[];
  /** In the order in which they began. */
  readonly dmAttempts: readonly RawDmAttempt[];
  readonly posts: readonly RawPost[];
  readonly postAttempts: readonly RawPostAttempt[];
  readonly publications: readonly RawPublication[];
  readonly policies: ReadonlyMap<string, PolicyOfAccount>;
  readonly clientOfCampaign: ReadonlyMap<string, string | null>;
  readonly clientOfAccount: ReadonlyMap<string, string | null>;
}

const COUNTS = [
  'queued',
  'sent',
  'failed',
  'unknown',
  'posts_published',
  'posts_failed',
  'posts_missed',
  'counted',
] as const;
type Count = (typeof COUNTS)[number];

export interface ExpectedRow extends Record<Count, number> {
  readonly day: string;
  readonly account_id: string;
  readonly client_id: string | null;
  readonly campaign_id: string | null;
  failed_by_reason: Record<string, number>;
  lateness_s: number[];
  day_limit: number | null;
}

/** The value at a percentile by nearest rank. */
export function percentile(values: readonly number[], percent: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil((percent * sorted.length) / 100 - 1e-9) - 1] ?? null;
}

/** 20 % on the first day of the warm-up, in equal steps to all of it on the 14th. */
function dayLimit(policy: PolicyOfAccount, day: string): number {
  if (policy.warm_up_from === null) return policy.dms_per_day;
  const step = Math.min(Math.max(daysBetween(policy.warm_up_from, day), 0), 13);
  return Math.max(1, Math.floor(policy.dms_per_day * (0.2 + (0.8 * step) / 13) + 1e-9));
}

export function recount(history: History): ExpectedRow[] {
  const rows = new Map<string, ExpectedRow>();
  const messages = new Map(history.messages.map((message) => [message.id, message]));
  const posts = new Map(history.posts.map((post) => [post.id, post]));

  const rowAt = (account: string, campaign: string | null, at: string): ExpectedRow => {
    const policy = history.policies.get(account);
    const day = localDate(policy?.time_zone ?? 'UTC', Date.parse(at));
    const key = `${day} ${account} ${campaign}`;
    const client =
      (campaign === null ? null : history.clientOfCampaign.get(campaign)) ??
      history.clientOfAccount.get(account) ??
      null;
    const row = rows.get(key) ?? {
      ...(Object.fromEntries(COUNTS.map((count) => [count, 0])) as Record<Count, number>),
      day,
      account_id: account,
      client_id: client,
      campaign_id: campaign,
      failed_by_reason: {},
      lateness_s: [],
      day_limit: policy ? dayLimit(policy, day) : null,
    };
    rows.set(key, row);
    return row;
  };
  const late = (row: ExpectedRow, askedFor: string | null | undefined, at: string): void => {
    if (askedFor)
      row.lateness_s.push(Math.max(0, Math.floor((Date.parse(at) - Date.parse(askedFor)) / 1000)));
  };

  for (const attempt of history.dmAttempts) {
    const message = messages.get(attempt.message_id);
    const campaign = message?.campaign_id ?? null;
    if (attempt.outcome === 'sent') {
      const row = rowAt(attempt.account_id, campaign, attempt.started_at);
      row.sent += 1;
      late(row, message?.send_at, attempt.started_at);
    }
    if (attempt.outcome === 'unknown') rowAt(attempt.account_id, campaign, attempt.started_at).unknown += 1;
    if (attempt.outcome !== 'not_sent') rowAt(attempt.account_id, campaign, attempt.effect_by).counted += 1;
  }
  for (const message of history.messages) {
    rowAt(message.linkedin_account_id, message.campaign_id, message.created_at).queued += 1;
    if (message.status !== 'failed') continue;
    const last = lastOf(history.dmAttempts.filter((attempt) => attempt.message_id === message.id));
    const row = rowAt(
      last?.account_id ?? message.linkedin_account_id,
      message.campaign_id,
      last?.started_at ?? message.created_at,
    );
    const reason = message.reason ?? 'unspecified';
    row.failed += 1;
    row.failed_by_reason[reason] = (row.failed_by_reason[reason] ?? 0) + 1;
  }

  for (const attempt of history.postAttempts.filter(({ outcome }) => outcome === 'sent')) {
    const post = posts.get(attempt.post_id);
    const row = rowAt(attempt.account_id, post?.campaign_id ?? null, attempt.started_at);
    row.posts_published += 1;
    late(row, post?.scheduled_for, attempt.started_at);
  }
  for (const { post_id, state, missed_for, created_at } of history.publications) {
    const post = posts.get(post_id);
    const account = post?.linkedin_account_id ?? null;
    const campaign = post?.campaign_id ?? null;
    if (state === 'failed') {
      const last = lastOf(history.postAttempts.filter((attempt) => attempt.post_id === post_id));
      const failedAs = last?.account_id ?? account;
      if (failedAs) rowAt(failedAs, campaign, last?.started_at ?? created_at).posts_failed += 1;
    }
    if (state === 'missed' && account && post?.scheduled_for && sameInstant(missed_for, post.scheduled_for))
      rowAt(account, campaign, post.scheduled_for).posts_missed += 1;
  }
  for (const row of rows.values()) row.lateness_s.sort((a, b) => a - b);
  return [...rows.values()].sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

const sameInstant = (a: string | null, b: string): boolean => a !== null && Date.parse(a) === Date.parse(b);

/** The attempt that began last; of those that began at once, the one that was written last. */
function lastOf<Attempt extends RawAttempt>(attempts: readonly Attempt[]): Attempt | undefined {
  return attempts.reduce<Attempt | undefined>(
    (last, attempt) =>
      last === undefined || Date.parse(attempt.started_at) >= Date.parse(last.started_at) ? attempt : last,
    undefined,
  );
}

export const placeOf = (row: Pick<ExpectedRow, 'day' | 'account_id' | 'campaign_id'>): string =>
  `${row.day} ${row.account_id} ${row.campaign_id ?? ''}`;

export interface ExpectedDay extends Record<Count, number> {
  readonly day: string;
  failed_by_reason: Record<string, number>;
  readonly lateness_p50_s: number | null;
  readonly lateness_p95_s: number | null;
  readonly capacity: number;
  readonly accounts_active: number;
  readonly accounts_at_cap: number;
}

/** The rows of one day, all platform. */
export function platformDay(day: string, rows: readonly ExpectedRow[]): ExpectedDay {
  const sums = Object.fromEntries(
    COUNTS.map((count) => [count, rows.reduce((sum, row) => sum + row[count], 0)]),
  ) as Record<Count, number>;
  const reasons: Record<string, number> = {};
  for (const row of rows) {
    for (const [reason, count] of Object.entries(row.failed_by_reason))
      reasons[reason] = (reasons[reason] ?? 0) + count;
  }
  const accounts = [...Map.groupBy(rows, (row) => row.account_id).values()];
  const sumOf = (some: readonly ExpectedRow[], of: (row: ExpectedRow) => number): number =>
    some.reduce((sum, row) => sum + of(row), 0);
  const lateness = rows.flatMap((row) => row.lateness_s);
  return {
    ...sums,
    day,
    failed_by_reason: reasons,
    lateness_p50_s: percentile(lateness, 50),
    lateness_p95_s: percentile(lateness, 95),
    capacity: accounts.reduce((sum, [row]) => sum + (row?.day_limit ?? 0), 0),
    accounts_active: accounts.filter((some) => sumOf(some, (row) => row.sent + row.posts_published) > 0)
      .length,
    accounts_at_cap: accounts.filter(
      (some) => sumOf(some, (row) => row.counted) >= (some[0]?.day_limit ?? Number.POSITIVE_INFINITY),
    ).length,
  };
}
