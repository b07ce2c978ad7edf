/**
 * The judge: what LinkedIn shows, held against what the product says of it.
 *
 * Pure, and fed from two sources that know nothing of each other: the sandbox's own log of effects,
 * and the rows.
 */
import { localDate } from '../support/local-time.ts';

/** What the product says of one message or post. */
export interface Row {
  readonly kind: 'message' | 'post';
  readonly account: string;
  readonly text: string;
  /**
   * `waiting`: it goes out later, for `reason`; `held`: a person decides; `failed`: given up as not sent;
   * `under-way`: neither, which nothing may be in the end; `missing`: it was queued, and there is no row.
   */
  readonly state: 'sent' | 'waiting' | 'held' | 'failed' | 'under-way' | 'missing';
  readonly reason: string | null;
}

/** What somebody on LinkedIn can see. */
export interface Visible {
  readonly kind: Row['kind'];
  readonly account: string;
  readonly text: string;
  readonly atMs: number;
}

export interface Limits {
  readonly timeZone: string;
  readonly dmsPerDay: number;
  readonly dmsPer24h: number;
  readonly dmsPer7d: number;
}

export interface Evidence {
  readonly rows: readonly Row[];
  readonly visible: readonly Visible[];
  readonly limits: ReadonlyMap<string, Limits>;
  /** The most writes at once, by account. */
  readonly inFlightMax: ReadonlyMap<string, number>;
  /** The runs that a slot was answered with, by slot. */
  readonly runsBySlot: ReadonlyMap<string, ReadonlySet<string>>;
  /** What must not be left at the end, in words: open attempts, runs without a process. */
  readonly leftovers: readonly string[];
  /** Processes that ended although nobody asked them to, in words. */
  readonly crashes: readonly string[];
}

/** Each violation in words; all lists are empty if every invariant held. */
export interface Verdict {
  /** Visible more than once: one for each time too many. */
  readonly duplicates: readonly string[];
  /** Said to be sent and not visible, or gone. */
  readonly lost: readonly string[];
  /** Visible, and said not to be. */
  readonly denied: readonly string[];
  readonly overLimit: readonly string[];
  /** Accounts with more than one call at once. */
  readonly concurrent: readonly string[];
  /** Neither at an end nor waiting for a limit. */
  readonly stuck: readonly string[];
  readonly doubleRuns: readonly string[];
  readonly crashes: readonly string[];
}

/** What a message may still wait for once everything has settled. */
const LIMIT_REASONS: ReadonlySet<string> = new Set(['day_limit', 'rolling_24h_limit', 'rolling_7d_limit']);

const DAY_MS = 86_400_000;

export function judge(evidence: Evidence): Verdict {
  const shown = Map.groupBy(evidence.visible, keyOf);
  const known = new Set(evidence.rows.map(keyOf));
  const countOf = (row: Row): number => shown.get(keyOf(row))?.length ?? 0;
  const rowsWhere = (holds: (row: Row) => boolean): string[] => evidence.rows.filter(holds).map(describe);
  return {
    duplicates: [...shown].flatMap(([key, visible]) => visible.slice(1).map(() => key)),
    lost: rowsWhere((row) => row.state === 'missing' || (row.state === 'sent' && countOf(row) === 0)),
    denied: [
      ...rowsWhere((row) => ['waiting', 'held', 'failed', 'missing'].includes(row.state) && countOf(row) > 0),
      ...[...shown.keys()].filter((key) => !known.has(key)),
    ],
    overLimit: overLimit(evidence),
    concurrent: [...evidence.inFlightMax]
      .filter(([, most]) => most > 1)
      .map(([account, most]) => `${account}: ${most} at once`),
    stuck: [...rowsWhere((row) => !isSettled(row)), ...evidence.leftovers],
    doubleRuns: [...evidence.runsBySlot]
      .filter(([, runs]) => runs.size > 1)
      .map(([slot, runs]) => `${slot}: ${[...runs].join(', ')}`),
    crashes: evidence.crashes,
  };
}

export function isClean(verdict: Verdict): boolean {
  return Object.values(verdict).every((violations: readonly string[]) => violations.length === 0);
}

function keyOf({ kind, account, text }: Pick<Row, 'kind' | 'account' | 'text'>): string {
  return `${kind} of ${account}: ${text}`;
}

const describe = (row: Row): string => `${keyOf(row)} is ${row.state} (${row.reason ?? 'no reason'})`;

/** Whether the row is at an end, or waits for a limit, which takes a day. */
export function isSettled({ kind, state, reason }: Row): boolean {
  if (state === 'waiting') return kind === 'message' && reason !== null && LIMIT_REASONS.has(reason);
  return state !== 'under-way';
}

/** Messages alone are limited. A window is half-open: what is exactly a day old is out of it. */
function overLimit({ visible, limits }: Evidence): string[] {
  const messages = Map.groupBy(
    visible.filter(({ kind }) => kind === 'message'),
    ({ account }) => account,
  );
  return [...messages].flatMap(([account, effects]) => {
    const limit = limits.get(account);
    if (limit === undefined) return [`${account}: an account that nobody made`];
    const instants = effects.map(({ atMs }) => atMs).sort((left, right) => left - right);
    const byDay = Map.groupBy(instants, (atMs) => localDate(limit.timeZone, atMs));
    const counted: ReadonlyArray<readonly [what: string, count: number, max: number]> = [
      ['one local day', Math.max(...[...byDay.values()].map(({ length }) => length)), limit.dmsPerDay],
      ['24 hours', mostWithin(instants, DAY_MS), limit.dmsPer24h],
      ['7 days', mostWithin(instants, 7 * DAY_MS), limit.dmsPer7d],
    ];
    return counted
      .filter(([, count, max]) => count > max)
      .map(([what, count, max]) => `${account}: ${count} messages within ${what}, of ${max}`);
  });
}

/** The most of these instants, in ascending order, that lie within a period of that length. */
function mostWithin(instants: readonly number[], periodMs: number): number {
  let first = 0;
  let most = 0;
  for (const [index, atMs] of instants.entries()) {
    while (atMs - (instants[first] ?? atMs) >= periodMs) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}
