/** The tally of a run: what became of what it claimed, counted as the ledger answers. */
import type { Run, RunStats } from '../jobs/index.ts';
import type { Logger } from '../telemetry/index.ts';
import type { AttemptResult, RecordedResult } from './attempts.ts';
import type { ReconcileResolution } from './outbox.ts';
import { recordedEndOf } from './recorded-end.ts';

/**
 * `due` is how many rows were due when the run began; `confirmed`, `resent` and `held` are unknowns that were
 * settled; `seen` and `skipped` are added at its end.
 */
const COUNTED = [
  'due',
  'eligible',
  'sent',
  'failed',
  'unknown',
  'retried',
  'released',
  'confirmed',
  'resent',
  'held',
] as const;

type Counted = (typeof COUNTED)[number];

export interface Tally<Result extends AttemptResult> {
  /** Calls that the run may still make. What was given back unsent was none. */
  readonly callsLeft: number;
  readonly counts: Readonly<Record<Counted, number>>;
  /** Of the run's beginning: one that goes on elsewhere keeps it. */
  begin(due: number): void;
  claimed(count: number): void;
  /** Of a claim whose answer was lost. */
  givenBack(count: number): void;
  /** Answers as the ledger gave them, in the order of the results. */
  recorded(results: readonly Result[], answers: readonly RecordedResult[]): void;
  settled(resolutions: readonly ReconcileResolution[]): void;
}

/** Goes on from what an earlier process counted for the same run. */
export function createTally<Result extends AttemptResult>(
  { params, stats }: Pick<Run, 'params' | 'stats'>,
  logger: Logger,
): Tally<Result> {
  const counts = countsFrom(COUNTED, stats);
  const callsMax = params.limit ?? Number.POSITIVE_INFINITY;

  const countOne = (result: Result | undefined, answer: RecordedResult): void => {
    const end = recordedEndOf(result, answer);
    if (end !== 'late') counts[end] += 1;
    else {
      const { attempt_id, applied, status } = answer;
      logger.warn({ attempt_id, applied, status }, 'result came too late');
    }
  };

  return {
    counts,
    get callsLeft() {
      return callsMax - (counts.eligible - counts.released);
    },
    begin(due) {
      counts.due = due;
    },
    claimed(count) {
      counts.eligible += count;
    },
    givenBack(count) {
      counts.eligible += count;
      counts.released += count;
    },
    recorded(results, answers) {
      for (const [index, answer] of answers.entries()) countOne(results[index], answer);
    },
    settled(resolutions) {
      for (const { resolution } of resolutions) {
        if (resolution === 'sent') counts.confirmed += 1;
        else if (resolution === 'waiting') counts.resent += 1;
        else if (resolution === 'held') counts.held += 1;
      }
    },
  };
}

/** Counts of a run by their names, going on from what an earlier call for the same run counted. */
export function countsFrom<Name extends string>(
  names: readonly Name[],
  stats: RunStats,
): Record<Name, number> {
  const earlier = stats as Partial<Record<Name, number>>;
  return Object.fromEntries(names.map((name) => [name, earlier[name] ?? 0])) as Record<Name, number>;
}
