/** Analytics in words. Pure. */
import { reasonInWords } from '@revos/core/sending';
import type { DailyRow, Platform, Summary } from '../shapes.ts';
import { type Column, table, textCell } from './table.ts';
import { duration, instant, NOTHING, onOneLine } from './words.ts';

/** What every row of analytics counts. */
type Counted = Omit<Summary['items'][number], 'key' | 'accounts' | 'capacity' | 'computed_at'>;

const COUNTS: ReadonlyArray<Column<Counted>> = [
  { head: 'Queued', of: ({ queued }) => queued },
  { head: 'Sent', of: ({ sent }) => sent },
  { head: 'Failed', of: ({ failed }) => failed },
  { head: 'Unknown', of: ({ unknown }) => unknown },
  { head: 'Posts', of: ({ posts_published }) => posts_published },
  { head: 'Posts failed', of: ({ posts_failed }) => posts_failed },
  { head: 'Posts missed', of: ({ posts_missed }) => posts_missed },
  { head: 'Late p50', of: ({ lateness_p50_s }) => lateness(lateness_p50_s) },
  { head: 'Late p95', of: ({ lateness_p95_s }) => lateness(lateness_p95_s) },
];

const lateness = (seconds: number | null): string => (seconds === null ? NOTHING : duration(seconds * 1_000));

/** How much of the limits was used. */
const used = (counted: number, limit: number | null): string => `${counted} of ${limit ?? NOTHING}`;

export function platformText({ as_of, days, totals }: Platform): string {
  const shown = table(days, [
    { head: 'Day', of: ({ day }) => day },
    ...COUNTS,
    { head: 'Limit used', of: ({ counted, capacity }) => used(counted, capacity) },
    { head: 'Active', of: ({ accounts_active }) => accounts_active },
    { head: 'At limit', of: ({ accounts_at_cap }) => accounts_at_cap },
  ]);
  return [
    shown,
    totalText(totals),
    as_of === null ? 'Nothing was counted yet.' : `Counted ${instant(as_of)}.`,
  ].join('\n');
}

const totalText = (totals: Counted): string =>
  `In all: ${totals.queued} queued, ${totals.sent} sent, ${totals.failed} failed${failuresText(totals)}, ${totals.unknown} unknown; ${totals.posts_published} posts published.`;

function failuresText({ failed_by_reason }: Counted): string {
  const reasons = Object.entries(failed_by_reason)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${count} as ${onOneLine(reasonInWords(reason))}`);
  return reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
}

export function dailyText(rows: readonly DailyRow[]): string {
  if (rows.length === 0) return 'Nothing was counted on such days.';
  return table(rows, [
    { head: 'Day', of: ({ day }) => day },
    { head: 'Account', of: ({ account_id }) => account_id },
    { head: 'Campaign', of: ({ campaign_id }) => textCell(campaign_id) },
    ...COUNTS,
    { head: 'Limit used', of: ({ counted, day_limit }) => used(counted, day_limit) },
  ]);
}

const GROUP_HEADS = {
  day: 'Day',
  account: 'Account',
  client: 'Client',
  campaign: 'Campaign',
  none: 'All',
} as const;

export function summaryText({ from, to, group_by, items, truncated }: Summary): string {
  if (items.length === 0) return `Nothing was counted from ${from} to ${to}.`;
  const shown = table(items, [
    { head: GROUP_HEADS[group_by], of: ({ key }) => textCell(key) },
    ...COUNTS,
    { head: 'Limit used', of: ({ counted, capacity }) => used(counted, capacity) },
    { head: 'Accounts', of: ({ accounts }) => accounts },
  ]);
  return truncated ? `${shown}\nThere are more: name fewer days.` : shown;
}
