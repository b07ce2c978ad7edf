/**
 * Chaos: the whole system on real processes, killed and cut at random while it sends, and counted afterwards.
 *
 * What LinkedIn shows is counted from the sandbox's own log, which survives everything. Exit code 1
 * if an invariant was violated, or if too few faults were injected to prove anything. MIGRATIONS names a
 * folder of other migrations, to see that a violation is detected.
 */
import { parseArgs } from 'node:util';
import { createCampaign } from './campaign.ts';
import { openDatabase } from './database.ts';
import { runFaultPhase } from './fault-phase.ts';
import { isClean } from './judge.ts';
import { outcomeOf } from './outcome.ts';
import { type Form, LONG, SHORT, streamsOf } from './plan.ts';
import { recover } from './recovery.ts';
import { lacksOf, tableOf, violationsOf } from './report.ts';
import { SCHEDULES, type Stack, startStack } from './stack.ts';
import { createTally } from './tally.ts';
import { createTriggers } from './triggers.ts';

const HELP = `pnpm chaos [--short] [--bullmq] [--seed N] [--rounds N] [--minutes N] [--keep-logs]

  --short      a few dozen kills in two minutes; without it, a thousand in about three quarters of an hour
  --bullmq     jobs APIs and workers with Redis between, which is killed as well; redis-server must be there
  --seed N     the plan's seed; by default a new one
  --rounds N     so many rounds instead of the form's own
  --minutes N  the fault phase lasts no longer than that, however slow the machine is
  --keep-logs  leaves the folder with the processes' logs, as a failure does
`;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function wholeNumber(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new Error(`--${name} must be a whole number from 1`);
  return Number(value);
}

/** Whether every invariant held, under faults that tested them. */
async function play(form: Form, seed: number, stack: Stack): Promise<boolean> {
  const startedMs = performance.now();
  const onStep = (step: string): void =>
    say(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(5)} s  ${step}`);
  const database = openDatabase(stack.databaseUrl);
  try {
    const streams = streamsOf(seed);
    const campaign = await createCampaign(form, seed, streams('campaign'), { ...stack, database });
    const parts = { stack, database, campaign, triggers: createTriggers(), tally: createTally(), onStep };
    const clusters = { faults: stack.cluster(SCHEDULES.faults), recovery: stack.cluster(SCHEDULES.recovery) };
    onStep(`${form.accountCount} accounts, ${form.placeCount} processes, ${form.roundCount} rounds`);

    await runFaultPhase({ ...parts, form, streams, cluster: clusters.faults });
    const recoveryStartMs = performance.now();
    const recoveryPasses = await recover({ ...parts, form, cluster: clusters.recovery });
    const recoveryMs = performance.now() - recoveryStartMs;

    const outcome = await outcomeOf({ ...parts, clusters: [clusters.faults, clusters.recovery] });
    say(`\n${tableOf(outcome, { recoveryPasses, recoveryMs, wallMs: performance.now() - startedMs })}`);
    if (!isClean(outcome.verdict)) say(`\n${violationsOf(outcome.verdict)}`);
    const lacks = lacksOf(outcome, form.engine);
    for (const lack of lacks) say(`\nThe run proves too little: ${lack}.`);
    return isClean(outcome.verdict) && lacks.length === 0;
  } finally {
    await database.close();
  }
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean', default: false },
      bullmq: { type: 'boolean', default: false },
      seed: { type: 'string' },
      rounds: { type: 'string' },
      minutes: { type: 'string' },
      'keep-logs': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(HELP);
    return true;
  }
  const base = values.short ? SHORT : LONG;
  const form: Form = {
    ...base,
    engine: values.bullmq ? 'bullmq' : 'in-process',
    roundCount: wholeNumber('rounds', values.rounds) ?? base.roundCount,
    minutesMax: wholeNumber('minutes', values.minutes) ?? base.minutesMax,
  };
  const seed = wholeNumber('seed', values.seed) ?? Math.ceil(Math.random() * 1_000_000);
  const replay = [
    'pnpm chaos',
    ...(['short', 'bullmq'] as const).flatMap((name) => (values[name] ? [`--${name}`] : [])),
    `--seed ${seed}`,
  ];
  for (const name of ['rounds', 'minutes'] as const)
    if (values[name]) replay.push(`--${name} ${values[name]}`);
  say(`The plan again: ${replay.join(' ')}`);

  const stack = await startStack(form, streamsOf(seed)('unipile'), process.env.MIGRATIONS);
  // Nothing of it outlives a run that is interrupted.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stack.close(false).then(() => process.exit(1)));
  }
  let isGood = false;
  try {
    isGood = await play(form, seed, stack);
    say(`\n${isGood ? 'Every invariant held.' : 'VIOLATED.'} The plan again: ${replay.join(' ')}`);
    return isGood;
  } finally {
    const keepLogs = values['keep-logs'] || !isGood;
    await stack.close(keepLogs);
    if (keepLogs) say(`Logs: ${stack.folder}`);
  }
}

const isGood = await main();
// Whatever is still open, a kept connection or a watch over one, is not waited for.
process.exit(isGood ? 0 : 1);
