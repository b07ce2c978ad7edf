/**
 * `npm run sim -- [seed]`: the simulation of a seed, or of one drawn now; with `--seeds N` of as many
 * from that seed on, none of which begins after `--seconds N`. With `--sabotage` each guard of the
 * product is taken away in turn, and simulations run until one breaks.
 *
 * Exit code 1 and one line that replays it if an invariant was violated, or if a missing guard went unnoticed.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { DAY_MS } from '../support/builders.ts';
import { coverageGaps } from './coverage.ts';
import { runSimulations } from './run-simulations.ts';
import { SABOTAGES } from './sabotages.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    seconds: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
    sabotage: { type: 'boolean', default: false },
    /** Shows what happened in the end also if nothing broke. */
    verbose: { type: 'boolean', default: false },
  },
});

/** Simulations run without a guard before its absence is said to be unnoticed. */
const SABOTAGE_SEEDS = 200;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`${name} must be a whole number, and is ${text}\n`);
  process.exit(2);
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const first = wholeNumber('seed', positionals[0] ?? String(Math.trunc(Math.random() * 1_000_000_000)));
const seeds = wholeNumber('--seeds', values.seeds ?? (values.sabotage ? String(SABOTAGE_SEEDS) : '1'));
const workers = Math.max(
  1,
  Math.min(wholeNumber('--workers', values.workers), values.sabotage ? SABOTAGES.length : seeds),
);
const seconds =
  values.seconds === undefined ? Number.POSITIVE_INFINITY : wholeNumber('--seconds', values.seconds);
const startedAt = performance.now();
const isTime = (): boolean => performance.now() - startedAt < seconds * 1_000;
const secondsPassed = (): string => ((performance.now() - startedAt) / 1_000).toFixed(1);

process.exitCode = (await (values.sabotage ? runWithoutGuards() : runAll())) ? 0 : 1;

/** Simulations of the product as it is: none may fail, and each kind of fault must have come up. */
async function runAll(): Promise<boolean> {
  const counts: Record<string, number> = {};
  let [next, simulationCount, failed, steps, simulatedMs] = [first, 0, 0, 0, 0];
  await runSimulations({
    workers,
    next: () => (next < first + seeds && failed === 0 && isTime() ? { seed: next++, sabotage: null } : null),
    onResult(result) {
      simulationCount += 1;
      steps += result.steps;
      simulatedMs += result.simulatedMs;
      for (const [name, count] of Object.entries(result.counts)) counts[name] = (counts[name] ?? 0) + count;
      const failure = result.violation ?? result.error;
      if (failure !== null || values.verbose) print(result.lastLines.join('\n'));
      if (failure === null) return;
      failed += 1;
      print(`\nseed ${result.seed}: ${failure}\nreplay: npm run sim -- ${result.seed}\n`);
    },
  });
  for (const [name, count] of Object.entries(counts).sort()) print(`  ${name}: ${count}`);
  const days = (simulatedMs / DAY_MS).toFixed(0);
  print(
    `${simulationCount} ${simulationCount === 1 ? 'simulation' : 'simulations'} from seed ${first}: ${days} simulated days in ${secondsPassed()} s, ${steps} steps, ${failed} failed`,
  );
  const missing = failed === 0 ? coverageGaps(counts, simulationCount) : [];
  for (const line of missing) print(`not covered: ${line}`);
  // None at all proves nothing.
  return failed === 0 && missing.length === 0 && simulationCount === next - first && simulationCount > 0;
}

/** Without each guard some simulation must violate an invariant: else that invariant is not checked. */
async function runWithoutGuards(): Promise<boolean> {
  const noticed = new Set<number>();
  const errors: string[] = [];
  /** Of each thread, the guard that is missing, and how many simulations ran without it: it stays with one to the end. */
  const at = new Map<number, { sabotage: number; simulationCount: number }>();
  let nextSabotage = 0;
  await runSimulations({
    workers,
    next(worker) {
      const place = at.get(worker);
      if (place !== undefined && !noticed.has(place.sabotage) && place.simulationCount < seeds) {
        place.simulationCount += 1;
        return { seed: first + place.simulationCount - 1, sabotage: place.sabotage };
      }
      const sabotage = nextSabotage++;
      if (sabotage >= SABOTAGES.length) return null;
      at.set(worker, { sabotage, simulationCount: 1 });
      return { seed: first, sabotage };
    },
    onResult({ seed, violation, error }, { sabotage }) {
      // SQL that does not run says nothing of the guard.
      if (error !== null && sabotage !== null) {
        errors.push(`without “${SABOTAGES[sabotage]?.guard}”, seed ${seed}: ${error}`);
      }
      if (violation === null || sabotage === null) return;
      noticed.add(sabotage);
      print(`without “${SABOTAGES[sabotage]?.guard}”, seed ${seed}: ${violation.split('\n', 1)[0]}`);
    },
  });
  const unnoticed = SABOTAGES.filter((_, index) => !noticed.has(index));
  for (const { guard } of unnoticed) print(`UNNOTICED in ${seeds} simulations: ${guard}`);
  print(`${noticed.size} of ${SABOTAGES.length} missing guards noticed in ${secondsPassed()} s`);
  for (const line of errors) print(`ERROR ${line}`);
  return unnoticed.length === 0 && errors.length === 0;
}
