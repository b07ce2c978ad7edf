/**
 * `npm start`: the whole system on this machine, and its jobs done before your eyes.
 *
 * Brings up the stack, loads the example campaign, calls the cron routes exactly as Vercel does, shows
 * the runs, and says what was sent, what was not and why. Then it stays up and triggers by the schedule.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isEnded, nextSlot, type Run, type RunStats } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { repositoryRoot } from '../repository.ts';
import { checkExample } from './check.ts';
import { dim, heading, reportText, summarize } from './report.ts';
import { type Stack, startStack } from './stack.ts';
import { followRun, triggerCron } from './trigger.ts';
import { loadWorld } from './world.ts';

const JOB = 'dm-queue';

/** With --fast, every 20 seconds instead of every 15 minutes. */
const FAST_SCHEDULES = `${JOB}=*/20 * * * * *;post-scheduler=*/20 * * * * *`;

/** Triggers until the example is through: a run ends with its slot, and the next slot goes on. */
const TRIGGERS_MAX = 20;

/** Why a message that is due may still wait: it goes out within a slot or two. */
const SHORT_WAITS = ['ready', 'gap', 'in_flight'] as const;

const USAGE = `npm start [-- options]

  --once    each job once, then a one-line JSON summary, then exit
  --fast    triggers every 20 seconds instead of every 15 minutes
  --data    the folder of its data, which is emptied first; .data/local
  --help    this text
`;

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean' },
      fast: { type: 'boolean' },
      help: { type: 'boolean' },
      data: { type: 'string', default: path.join(repositoryRoot, '.data', 'local') },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }

  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());

  say(heading('RevOS jobs, on this machine alone'));
  const stack = await startStack({
    dataDir: path.resolve(values.data),
    onStep: (step) => say(dim(`  ${step}`)),
    ...(values.fast ? { schedules: FAST_SCHEDULES } : {}),
  });
  try {
    const { messages, posts } = await loadWorld(stack);
    say(dim(`  Example campaign: ${messages} messages of four accounts, and ${posts} posts\n`));
    await untilStopped(stack, stopped.signal, runExample(stack));
    say(`\n${await reportText(stack.rpc)}`);
    await checkExample(stack);
    if (values.once) {
      say(JSON.stringify(await summarize(stack.rpc)));
      return 0;
    }
    say(whereToGoNext(stack));
    await untilStopped(stack, stopped.signal, triggerBySchedule(stack, stopped.signal, values.fast ?? false));
    return 0;
  } finally {
    if (stopped.signal.aborted) say('\nStopping …');
    await stack.close();
  }
}

/** Runs `work` until it is done, the user stops it, or an app fails. */
async function untilStopped(stack: Stack, stopped: AbortSignal, work: Promise<void>): Promise<void> {
  const stop = new Promise<void>((resolve) => {
    if (stopped.aborted) resolve();
    stopped.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([work, stop, stack.failed]);
}

/** Publishes the posts and sends the messages at the same time, and then counts both. */
async function runExample(stack: Stack): Promise<void> {
  // It works on while the messages are sent; its end is shown after theirs.
  const posts = await triggerCron(stack, 'post-scheduler');
  await sendMessages(stack);
  for (const { run } of [posts, await triggerCron(stack, 'analytics')]) {
    say(`${heading(`GET /api/cron/${run.job}`)}  →  run ${run.id}`);
    const { status, error, stats } = await followRun(stack, run.id, () => {});
    if (status !== 'succeeded') throw new Error(`The run ended as ${status}: ${error ?? 'no reason'}`);
    say(
      run.job === 'analytics'
        ? `  ${status}: ${stats.days} days, ${stats.rows} rows`
        : progressOf(status, stats),
    );
  }
}

/** Triggers the job and follows its run; again with the next slot while messages wait only for it. */
async function sendMessages(stack: Stack): Promise<void> {
  let lastRun = '';
  for (let triggers = 1; triggers <= TRIGGERS_MAX; triggers += 1) {
    const { run } = await triggerCron(stack, JOB);
    if (run.id === lastRun) {
      // Still the slot of the run that just ended; the next one is at most seconds away.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      continue;
    }
    lastRun = run.id;
    say(`${heading('GET /api/cron/dm-queue')}  →  run ${run.id}`);
    const ended = await followRun(stack, run.id, showProgress());
    process.stdout.write('\n');
    if (ended.status !== 'succeeded')
      throw new Error(`The run ended as ${ended.status}: ${ended.error ?? 'no reason'}`);
    const skipped = ended.stats.skipped ?? {};
    if (SHORT_WAITS.every((reason) => (skipped[reason] ?? 0) === 0)) return;
  }
  throw new Error(`The example was not through after ${TRIGGERS_MAX} triggers`);
}

/** Shows a run on one line that is written over, or on a line each where there is no terminal. */
function showProgress(): (run: Run) => void {
  let shown = '';
  return (run) => {
    const { due = 0, sent = 0, failed = 0, unknown = 0 } = run.stats;
    if (due === 0 && !isEnded(run)) return;
    const line = progressOf(run.status, run.stats);
    if (line === shown) return;
    shown = line;
    if (process.stdout.isTTY) process.stdout.write(`\r${line}\u001B[K`);
    else if (isEnded(run) || (sent + failed + unknown) % 10 === 0) process.stdout.write(`${line}\n`);
  };
}

/** Where a run is; what was unknown and then found on LinkedIn is told apart. */
function progressOf(status: string, stats: RunStats): string {
  const { due = 0, sent = 0, failed = 0, unknown = 0, confirmed = 0 } = stats;
  const found = confirmed === 0 ? '' : `, of which ${confirmed} was found on LinkedIn`;
  return `  ${status}: ${sent} of ${due} sent, ${failed} failed, ${unknown} unknown${found}`;
}

async function triggerBySchedule(stack: Stack, stopped: AbortSignal, isFast: boolean): Promise<void> {
  const job = jobsWithSchedules(isFast ? FAST_SCHEDULES : undefined).find(({ name }) => name === JOB);
  if (!job) throw new Error(`No such job: ${JOB}`);
  while (!stopped.aborted) {
    const slot = nextSlot(job.schedule, new Date());
    if (slot === null) return;
    await new Promise((resolve) => setTimeout(resolve, slot.getTime() - Date.now()));
    if (stopped.aborted) return;
    await triggerCron(stack, 'post-scheduler');
    const { run } = await triggerCron(stack, JOB);
    const ended = await followRun(stack, run.id, () => {});
    const { sent = 0, skipped = {} } = ended.stats;
    const waits = Object.entries(skipped).map(([reason, count]) => `${count} ${reason}`);
    say(
      `${slot.toISOString().slice(11, 19)} UTC  ${ended.status}: ${sent} sent${waits.length > 0 ? `; waiting: ${waits.join(', ')}` : ''}`,
    );
  }
}

function whereToGoNext(stack: Stack): string {
  const dashboard = new URL(stack.web.url);
  dashboard.username = 'local';
  dashboard.password = stack.opsToken;
  return [
    '',
    heading('Where to go next'),
    `  The last runs           ${dashboard.href}`,
    `  What LinkedIn saw       ${stack.sandbox.url}/_control/log`,
    `  The job API             curl -H 'authorization: Bearer ${stack.opsToken}' ${stack.jobsApi.url}/api/runs`,
    `  Run it now, and wait    curl -X POST -H 'authorization: Bearer ${stack.opsToken}' -H 'prefer: wait=60' ${stack.jobsApi.url}/api/jobs/${JOB}`,
    '',
    dim('It stays up and triggers by the schedule. Ctrl-C ends it.'),
  ].join('\n');
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
