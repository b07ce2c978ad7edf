/** The outcome as a table, and every violation in words. */
import type { Verdict } from './judge.ts';
import type { Outcome } from './outcome.ts';
import { type EngineName, KILLS_AT_WORK_MIN } from './plan.ts';

export interface Times {
  readonly recoveryPasses: number;
  readonly recoveryMs: number;
  readonly wallMs: number;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** In Markdown. */
export function tableOf(outcome: Outcome, times: Times): string {
  const { tally, verdict, queued, visible } = outcome;
  const rows: ReadonlyArray<readonly [what: string, value: string | number]> = [
    ['SIGKILLs of jobs APIs and workers', tally.kills],
    ['of them with rows claimed and not recorded', tally.killsAtWork],
    [
      'rows that they had claimed (of them without a call yet)',
      `${tally.attemptsCut} (${tally.attemptsUncalled})`,
    ],
    [
      'process starts (half of them listen after)',
      `${outcome.startCount} (${seconds(outcome.startMsMedian)})`,
    ],
    [
      'deploys over a working process: ended in time, killed',
      `${tally.deploysEnded}, ${tally.deploysKilled}`,
    ],
    ['SIGKILLs of Postgres', tally.postgresKills],
    ['SIGKILLs of Redis, with all it knew', tally.redisKills],
    ['network cuts (connections)', `${tally.cuts} (${tally.connectionsCut})`],
    ['answers that Unipile lost, held back or falsified', tally.answersSpoilt],
    [
      'signed triggers answered (for a slot once more)',
      `${outcome.triggersAnswered} (${outcome.triggersRepeated})`,
    ],
    ['calls in flight at once, at most', outcome.inFlightMax],
    ['calls in the ledger', outcome.attemptCount],
    ['looks on LinkedIn for what was unknown', outcome.reconciliationCount],
    ['found absent, and sent once more', outcome.resentCount],
    ['messages queued, visible', `${queued.messages}, ${visible.messages}`],
    ['posts queued, visible', `${queued.posts}, ${visible.posts}`],
    ['waiting for a limit (accounts)', `${outcome.waitingCount} (${outcome.limitedCount})`],
    ['held for a person, failed', `${outcome.heldCount}, ${outcome.failedCount}`],
    ['**visible twice**', verdict.duplicates.length],
    ['**lost**', verdict.lost.length],
    ['**visible, and said not to be**', verdict.denied.length],
    ['**over a limit**', verdict.overLimit.length],
    ['**calls of one account at once, at most**', outcome.inFlightMaxOfAccount],
    ['**stuck**', verdict.stuck.length],
    ['**slots with two runs**', verdict.doubleRuns.length],
    ['**processes that ended by themselves**', verdict.crashes.length],
    ['time moved on in the ledger', `${tally.minutesMoved} min`],
    ['recovered in', `${seconds(times.recoveryMs)} (${times.recoveryPasses} passes)`],
    ['wall time', seconds(times.wallMs)],
  ];
  const lines = rows.map(([what, value]) => `| ${what} | ${value} |`);
  return ['| what | count |', '| --- | ---: |', ...lines].join('\n');
}

const SHOWN_MAX = 20;

/** The first of each kind, in words. Empty if there are none. */
export function violationsOf(verdict: Verdict): string {
  return Object.entries(verdict)
    .filter(([, violations]) => violations.length > 0)
    .map(([kind, violations]: [string, readonly string[]]) => {
      const more = violations.length > SHOWN_MAX ? [`… and ${violations.length - SHOWN_MAX} more`] : [];
      return [`${kind}:`, ...violations.slice(0, SHOWN_MAX), ...more].join('\n  ');
    })
    .join('\n');
}

/** A kill proves something where it hit a process that had claimed. */
const SHARE_AT_WORK_MIN = 1 / 3;
/**
 * Below what a fast machine comes to: on a slow one the first calls of a process end before its
 * last begin.
 */
const IN_FLIGHT_MIN = 12;

/** What happened too seldom to prove anything, in words; empty if nothing did. */
export function lacksOf(outcome: Outcome, engine: EngineName): string[] {
  const { tally, inFlightMax, limitedCount, resentCount, triggersRepeated } = outcome;
  const lacks: ReadonlyArray<readonly [isLacking: boolean, what: string]> = [
    [
      tally.killsAtWork < Math.max(KILLS_AT_WORK_MIN, tally.kills * SHARE_AT_WORK_MIN),
      'too few kills hit a process at work',
    ],
    [tally.attemptsUncalled === 0, 'no kill hit a row that waited for its call'],
    [inFlightMax < IN_FLIGHT_MIN, 'too few calls were in flight'],
    [limitedCount === 0, 'no account came to its limit'],
    [resentCount === 0, 'nothing was found absent'],
    [tally.postgresKills === 0, 'Postgres was never killed'],
    [engine === 'bullmq' && tally.redisKills === 0, 'Redis was never killed'],
    [tally.deploysEnded + tally.deploysKilled === 0, 'nothing was deployed'],
    [triggersRepeated === 0, 'no slot was asked for twice'],
    [tally.cuts === 0, 'no connection was cut'],
  ];
  return lacks.filter(([isLacking]) => isLacking).map(([, what]) => what);
}
