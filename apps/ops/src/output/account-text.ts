/** Accounts, pauses and the audit trail in words. Pure: the current instant is an argument. */
import { reasonInWords } from '@revos/core/sending';
import type { Account, AccountDetail, AuditEntry, Policy, Sending } from '../shapes.ts';
import { facts, table, textCell } from './table.ts';
import { exactInstant, instant, NOTHING, onOneLine } from './words.ts';

/**
 * Whether the account is paused at this instant: a pause that is over stands in its policy until
 * the next one.
 */
export function isPaused(policy: Policy | null, now: Date): boolean {
  const until = policy?.paused_until ?? null;
  return until !== null && (until === 'infinity' || Date.parse(until) > now.getTime());
}

export function accountsTable(accounts: readonly Account[], now: Date): string {
  if (accounts.length === 0) return 'There are no such accounts.';
  const count = (status: string) => (account: Account) => account.messages[status] ?? 0;
  return table(accounts, [
    { head: 'Account', of: ({ id }) => id },
    { head: 'Name', of: ({ account_name }) => onOneLine(account_name) },
    { head: 'Status', of: ({ status }) => textCell(status) },
    {
      head: 'Paused',
      of: ({ policy }) => (policy !== null && isPaused(policy, now) ? pauseOf(policy) : null),
      width: 36,
    },
    { head: 'Waiting', of: (account) => count('pending')(account) + count('sending')(account) },
    { head: 'Sent', of: count('sent') },
    { head: 'Failed', of: count('failed') },
    { head: 'Unknown', of: count('unknown') },
  ]);
}

function pauseOf({ paused_until, pause_reason }: Policy): string {
  const why = pause_reason === null ? '' : `: ${onOneLine(reasonInWords(pause_reason))}`;
  return `${paused_until === 'infinity' ? 'until it is resumed' : `until ${instant(paused_until)}`}${why}`;
}

export function accountText(account: AccountDetail, now: Date): string {
  const { policy, usage, gate } = account;
  const used = (count: number, limit: number): string => `${count} of ${limit}`;
  return facts([
    ['Account', account.id],
    ['Name', onOneLine(account.account_name)],
    ['Status', textCell(account.status) ?? NOTHING],
    ['Unipile’s id', textCell(account.unipile_account_id) ?? NOTHING],
    ['Paused', policy !== null && isPaused(policy, now) ? pauseOf(policy) : 'no'],
    ['May send', gateText(gate)],
    ['Used today', usage === null ? NOTHING : used(usage.day, usage.day_limit)],
    ['Used in 24 h', usage === null ? NOTHING : used(usage.last_24h, usage.limit_24h)],
    ['Used in 7 days', usage === null ? NOTHING : used(usage.last_7d, usage.limit_7d)],
    ['Messages', countsText(account.messages)],
    ...(policy === null ? [['Policy', 'made with its first message'] as const] : policyFacts(policy)),
  ]);
}

function gateText(gate: AccountDetail['gate']): string {
  if (gate === null) return NOTHING;
  if (gate.reason === null) return 'now';
  const when = gate.clear_at === null ? '' : `; ${instant(gate.clear_at)} at the earliest`;
  return `not now: ${onOneLine(reasonInWords(gate.reason))}${when}`;
}

const countsText = (counts: Account['messages']): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([status, count]) => `${count} ${onOneLine(status)}`)
    .join(', ') || 'none';

/** `09:00`; the seconds only if there are any. */
const clock = (time: string): string => time.replace(/^(\d\d:\d\d):00$/, '$1');

const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;

const policyFacts = (policy: Policy): ReadonlyArray<readonly [string, string]> => [
  ['Limits', `${policy.dms_per_day} a day, ${policy.dms_per_24h} in 24 h, ${policy.dms_per_7d} in 7 days`],
  [
    'Pace',
    `${policy.gap_min_s} to ${policy.gap_max_s} s between two messages, ${policy.post_gap_s} s between two posts`,
  ],
  ['Hours', `${clock(policy.window_start)} to ${clock(policy.window_end)}, ${onOneLine(policy.time_zone)}`],
  ['Work days', policy.work_days.map((day) => DAYS[day - 1] ?? day).join(', ')],
  ['Repeats', policy.no_repeat_days === 0 ? 'told' : `none within ${policy.no_repeat_days} days`],
  ['Holidays', policy.holidays.join(', ') || 'none'],
  ['Warm-up from', policy.warm_up_from ?? 'none'],
];

export const policyText = (policy: Policy): string => facts(policyFacts(policy));

export function sendingText({ paused, reason, paused_at, paused_until, paused_by }: Sending): string {
  if (!paused) return 'Sending is not paused.';
  const until = paused_until === null ? 'until somebody resumes it' : `until ${instant(paused_until)}`;
  return `All sending is paused ${until}: ${onOneLine(reason ?? '')} (since ${instant(paused_at)}, by ${onOneLine(paused_by ?? NOTHING)}).`;
}

export function auditTable(entries: readonly AuditEntry[]): string {
  if (entries.length === 0) return 'There are no such entries.';
  return table(entries, [
    { head: 'At', of: ({ at }) => exactInstant(at) },
    { head: 'Who', of: ({ actor }) => onOneLine(actor) },
    { head: 'What', of: ({ action }) => onOneLine(action) },
    { head: 'On', of: ({ subject }) => textCell(subject), width: 36 },
    {
      head: 'With',
      of: ({ params }) => (Object.keys(params).length === 0 ? null : onOneLine(JSON.stringify(params))),
      width: 60,
      breaksWords: true,
    },
  ]);
}
