/**
 * How much a random test tries, and from which seed.
 *
 * The seed is the commit's, so that each commit tries what no other one did and each run of it
 * tries the same. A test goes on until its time is up; `DEEP=1` asks for all that it has. `SEED`
 * and `RUNS` replay.
 */
import { execFileSync } from 'node:child_process';

const { SEED, RUNS, DEEP } = process.env;

/** Whether everything is tried that there is, however long it takes. */
export const isDeep = DEEP === '1';

/** From 0 to 268,435,455. */
export const seed = SEED === undefined ? commitSeed() : Number(SEED);

function commitSeed(): number {
  const hash = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: import.meta.dirname, encoding: 'utf8' });
  return Number.parseInt(hash.slice(0, 7), 16);
}

export interface Trials {
  /** So many at least, however long they take. */
  readonly min: number;
  /** So many at most: as many as there are when all are asked for. */
  readonly max: number;
  readonly seconds: number;
}

/** The seed of each trial, one after the other, while there is time. */
export function* trials({ min, max, seconds }: Trials): Generator<number> {
  const until = performance.now() + seconds * 1_000;
  const count = RUNS === undefined ? max : Number(RUNS);
  const isExact = isDeep || RUNS !== undefined;
  for (let trial = 0; trial < count; trial += 1) {
    if (!isExact && trial >= min && performance.now() > until) return;
    yield seed + trial;
  }
}

/**
 * Of what is to come up so often in all trials together, a third is asked for in few of them: it
 * does not fail by chance.
 */
const OFTEN_MIN = 30;

/**
 * What came up too seldom: an invariant that was never tested is not proven. From `enough` trials on
 * all of it is asked for; in fewer what is rare may not come up at all, so a third is enough of what
 * comes often, and the rest is not asked for.
 *
 * @param expected by its name, how often something comes up in a trial at least
 */
export function tooSeldom(
  tally: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
  trialCount: number,
  enough: number,
): string[] {
  const isEnough = trialCount >= enough;
  return Object.entries(expected)
    .map(([name, perTrial]) => ({ name, often: perTrial * trialCount, count: tally[name] ?? 0 }))
    .filter(({ often, count }) => (isEnough ? count < often : often >= OFTEN_MIN && count < often / 3))
    .map(({ name, count }) => `${name}: ${count} in ${trialCount}`);
}
