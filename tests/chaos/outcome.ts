/**
 * What came of a chaos run: the evidence, gathered from both sides, the verdict on it, and what
 * happened in numbers.
 */
import type { Campaign } from './campaign.ts';
import type { Cluster } from './cluster.ts';
import type { Database } from './database.ts';
import { judge, type Row, type Verdict, type Visible } from './judge.ts';
import { countAttempts, countResent, readLeftovers, readRows } from './ledger.ts';
import type { Stack } from './stack.ts';
import type { Tally } from './tally.ts';
import type { Triggers } from './triggers.ts';

export interface Played {
  readonly stack: Stack;
  readonly database: Database;
  readonly campaign: Campaign;
  readonly triggers: Triggers;
  readonly tally: Tally;
  readonly clusters: readonly Cluster[];
}

export interface Outcome {
  readonly tally: Tally;
  readonly verdict: Verdict;
  readonly startCount: number;
  /** Half of the starts took longer than this until the process listened, in milliseconds. */
  readonly startMsMedian: number;
  readonly queued: { readonly messages: number; readonly posts: number };
  readonly visible: { readonly messages: number; readonly posts: number };
  readonly waitingCount: number;
  readonly heldCount: number;
  readonly failedCount: number;
  /** Accounts that came to their limit. */
  readonly limitedCount: number;
  readonly attemptCount: number;
  readonly reconciliationCount: number;
  readonly resentCount: number;
  /** Writes at once, of all accounts. */
  readonly inFlightMax: number;
  readonly inFlightMaxOfAccount: number;
  readonly triggersAnswered: number;
  /** Of them, those for a slot that had been answered before. */
  readonly triggersRepeated: number;
}

export async function outcomeOf(played: Played): Promise<Outcome> {
  const { stack, database, campaign, triggers, tally, clusters } = played;
  const rows = await readRows(database, campaign);
  const visible = visibleIn(stack);
  // By work: it goes on after a connection has broken, and after its caller has died.
  const inFlightMax = stack.instrumented.maxByAccount();
  const verdict = judge({
    rows,
    visible,
    limits: new Map(campaign.accounts.map((account) => [account.unipileId, account])),
    inFlightMax,
    runsBySlot: triggers.runsBySlot,
    leftovers: await readLeftovers(database),
    crashes: clusters.flatMap(({ crashes }) => crashes),
  });
  const rowsThat = (state: Row['state']): Row[] => rows.filter((row) => row.state === state);
  const { attempts, reconciler } = await countAttempts(database);
  const startMs = clusters.flatMap((cluster) => cluster.startMs).sort((left, right) => left - right);
  return {
    tally,
    verdict,
    startCount: startMs.length,
    startMsMedian: startMs[Math.floor(startMs.length / 2)] ?? 0,
    queued: { messages: campaign.queued.messages.size, posts: campaign.queued.posts.size },
    visible: {
      messages: visible.filter(({ kind }) => kind === 'message').length,
      posts: visible.filter(({ kind }) => kind === 'post').length,
    },
    waitingCount: rowsThat('waiting').length,
    heldCount: rowsThat('held').length,
    failedCount: rowsThat('failed').length,
    limitedCount: new Set(rowsThat('waiting').map(({ account }) => account)).size,
    attemptCount: attempts,
    reconciliationCount: reconciler,
    resentCount: await countResent(database),
    inFlightMax: stack.instrumented.underWayMax(),
    inFlightMaxOfAccount: Math.max(0, ...inFlightMax.values()),
    triggersAnswered: triggers.answered,
    triggersRepeated: triggers.repeated,
  };
}

function visibleIn({ world }: Stack): Visible[] {
  if (world.effectsTruncatedCount() > 0) throw new Error('the log of effects was too small for the run');
  return world.effects().map(({ kind, account_id, text, at }) => ({
    kind: kind === 'post' ? 'post' : 'message',
    account: account_id,
    text,
    atMs: Date.parse(at),
  }));
}
