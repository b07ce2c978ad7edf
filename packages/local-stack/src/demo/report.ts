/** What a person sees at the end: what was sent, what was not, and why. */
import { styleText } from 'node:util';
import type { Rpc } from '@revos/core/rpc';
import { reasonInWords } from '@revos/core/sending';
import Table from 'cli-table3';

export interface Summary {
  readonly sent: number;
  readonly failed: number;
  readonly unknown: number;
  readonly pending: number;
  /** Posts. */
  readonly published: number;
}

interface AccountRow {
  readonly account_name: string;
  readonly messages: Readonly<Record<string, number>>;
}

/** A message that has not gone out, as `dm_unsent` answers it. */
export interface UnsentRow {
  readonly account_name: string;
  readonly recipient_id: string;
  readonly status: string;
  readonly reason: string;
  readonly can_go_at: string | null;
  readonly error: string | null;
  /** Why its account is paused, if it is. */
  readonly pause_reason: string | null;
}

export interface PostRow {
  readonly account_name: string;
  readonly state: string;
  readonly reason: string | null;
  readonly post_url: string | null;
}

/** Plain lines, no colour codes, and none between two rows. */
const LOOK = {
  style: { head: [], border: [] },
  chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
};

/** Rows of the second table; the dashboard has the rest. */
const UNSENT_MAX = 12;

export async function listPosts(rpc: Rpc): Promise<readonly PostRow[]> {
  return (await rpc.call<{ items: readonly PostRow[] }>('post_list')).items;
}

export async function summarize(rpc: Rpc): Promise<Summary> {
  const counts = await rpc.call<Readonly<Record<string, number>>>('dm_counts');
  const count = (status: string): number => counts[status] ?? 0;
  return {
    sent: count('sent'),
    failed: count('failed'),
    unknown: count('unknown'),
    pending: count('pending') + count('sending'),
    published: (await listPosts(rpc)).filter(({ state }) => state === 'published').length,
  };
}

/** Three tables as text: by account, the messages that have not gone out, and the posts. */
export async function reportText(rpc: Rpc): Promise<string> {
  const { items: accounts } = await rpc.call<{ items: readonly AccountRow[] }>('account_list');
  const unsent = await rpc.call<readonly UnsentRow[]>('dm_unsent', { limit: 1_000 });

  const byAccount = new Table({
    ...LOOK,
    head: ['Account', 'Sent', 'Failed', 'Unknown', 'Waiting'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
  });
  for (const { account_name, messages } of accounts) {
    const waiting = (messages.pending ?? 0) + (messages.sending ?? 0);
    byAccount.push([account_name, messages.sent ?? 0, messages.failed ?? 0, messages.unknown ?? 0, waiting]);
  }

  const byMessage = new Table({
    ...LOOK,
    head: ['Not sent to', 'Account', 'Status', 'Why', 'Can go'],
    colWidths: [null, null, null, 46, null],
    wordWrap: true,
  });
  for (const row of unsent.slice(0, UNSENT_MAX)) {
    byMessage.push([
      `${row.recipient_id.slice(0, 12)}…`,
      row.account_name,
      row.status,
      reasonInWords(row.reason),
      row.can_go_at === null ? '–' : inShort(row.can_go_at),
    ]);
  }
  const posts = new Table({ ...LOOK, head: ['Post of', 'State', 'On LinkedIn'] });
  for (const { account_name, state, post_url } of await listPosts(rpc)) {
    posts.push([account_name, state, post_url ?? '–']);
  }
  const more = unsent.length > UNSENT_MAX ? `\n… and ${unsent.length - UNSENT_MAX} more` : '';
  return [
    byAccount.toString(),
    unsent.length === 0 ? 'Everything was sent.' : byMessage.toString() + more,
    posts.toString(),
  ].join('\n');
}

/** An instant as `Tue 18:30 UTC`. */
function inShort(instant: string): string {
  const at = new Date(instant);
  const day = at.toLocaleDateString('en-GB', { weekday: 'short', timeZone: 'UTC' });
  return `${day} ${at.toISOString().slice(11, 16)} UTC`;
}

export const heading = (text: string): string => styleText('bold', text);
export const dim = (text: string): string => styleText('dim', text);
