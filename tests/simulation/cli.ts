/**
 * `npm run sim -- [seed]`: the simulation of a seed, or of a random one; with `--seeds N` of N
 * seeds from there on, none of which starts after `--seconds N`. With `--mutations` each guard of
 * the product is taken away in turn, and simulations run until one violates an invariant.
 *
 * Exit code 1 if an invariant is violated, with one line that replays it, or if a mutation
 * survives.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { DAY_MS } from '../support/builders.ts';
import { coverageGaps } from './coverage.ts';
import { MUTATIONS } from './mutations.ts';
import { runSimulations } from './run-simulations.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    seconds: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
    mutations: { type: 'boolean', default: false },
    /** Prints the end of the trace also if nothing failed. */
    verbose: { type: 'boolean', default: false },
  },
});

/** Simulations of a mutation, after which it has survived. */
const SEEDS_PER_MUTATION = 200;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`${name} must be a whole number, and is ${text}\n`);
  process.exit(2);
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const first = wholeNumber('seed', positionals[0] ?? String(Math.trunc(Math.random() * 1_000_000_000)));
const seeds = wholeNumber('--seeds', values.seeds ?? (values.mutations ? String(SEEDS_PER_MUTATION) : '1'));
const workers = Math.max(
  1,
  Math.min(wholeNumber('--workers', values.workers), values.mutations ? MUTATIONS.length : seeds),
);
const seconds =
  values.seconds === undefined ? Number.POSITIVE_INFINITY : wholeNumber('--seconds', values.seconds);
const startedAt = performance.now();
const isTime = (): boolean => performance.now() - startedAt < seconds * 1_000;
const secondsPassed = (): string => ((performance.now() - startedAt) / 1_000).toFixed(1);

process.exitCode = (await (values.mutations ? runMutations() : runSeeds())) ? 0 : 1;

/** Simulations of the product as it is: none may fail, and together they must cover enough. */
async function runSeeds(): Promise<boolean> {
  const counts: Record<string, number> = {};
  let [next, done, failed, steps, simulatedMs] = [first, 0, 0, 0, 0];
  await runSimulations({
    workers,
    next: () => (next < first + seeds && failed === 0 && isTime() ? { seed: next++, mutation: null } : null),
    onResult(result) {
      done += 1;
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
  const what = `${done} ${done === 1 ? 'simulation' : 'simulations'} from seed ${first}`;
  const days = (simulatedMs / DAY_MS).toFixed(0);
  print(`${what}: ${days} simulated days in ${secondsPassed()} s, ${steps} steps, ${failed} failed`);
  const gaps = failed === 0 ? coverageGaps(counts, done) : [];
  for (const gap of gaps) print(`not covered: ${gap}`);
  // None at all proves nothing.
  return failed === 0 && gaps.length === 0 && done === next - first && done > 0;
}

/** Each mutation must be detected by some simulation: the invariants miss one that survives. */
async function runMutations(): Promise<boolean> {
  const detected = new Set<number>();
  const errors: string[] = [];
  /** By thread: its mutation, until detected or survived, and how many seeds of it started. */
  const assigned = new Map<number, { mutation: number; started: number }>();
  let nextMutation = 0;
  await runSimulations({
    workers,
    next(worker) {
      const current = assigned.get(worker);
      if (current !== undefined && !detected.has(current.mutation) && current.started < seeds) {
        current.started += 1;
        return { seed: first + current.started - 1, mutation: current.mutation };
      }
      const mutation = nextMutation++;
      if (mutation >= MUTATIONS.length) return null;
      assigned.set(worker, { mutation, started: 1 });
      return { seed: first, mutation };
    },
    onResult({ seed, violation, error }, { mutation }) {
      // SQL that does not run says nothing of the guard.
      if (error !== null && mutation !== null) {
        errors.push(`without “${MUTATIONS[mutation]?.guard}”, seed ${seed}: ${error}`);
      }
      if (violation === null || mutation === null) return;
      detected.add(mutation);
      print(`without “${MUTATIONS[mutation]?.guard}”, seed ${seed}: ${violation.split('\n', 1)[0]}`);
    },
  });
  const survivors = MUTATIONS.filter((_, index) => !detected.has(index));
  for (const { guard } of survivors) print(`SURVIVED ${seeds} simulations: without “${guard}”`);
  print(`${detected.size} of ${MUTATIONS.length} mutations detected in ${secondsPassed()} s`);
  for (const line of errors) print(`ERROR ${line}`);
  return survivors.length === 0 && errors.length === 0;
}
