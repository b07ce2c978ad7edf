/** `ops jobs`, `ops runs` and `ops watch`: what runs, and how it gets on. */
import { type Command, Option } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { CURSOR, examples, id, LIMIT, nonEmpty } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { jobsTable } from '../output/job-text.ts';
import { runSentence, runsTable, runText } from '../output/run-text.ts';
import { noteNextPage } from '../paging.ts';
import type { RunQuery, RunStatus } from '../shapes.ts';
import { endCode, endText, untilEnded } from '../watch-run.ts';

const STATUSES: readonly RunStatus[] = [
  'queued',
  'running',
  'succeeded',
  'failed',
  'cancelled',
  'interrupted',
];

export function addRunsCommands(program: Command, action: Action): void {
  program
    .command('jobs')
    .description('Every job with its schedule, its next slot and its last run.')
    .addHelpText('after', examples('jobs'))
    .action(action(jobs));

  const runs = program
    .command('runs')
    .description('Runs, newest first; and one run.')
    .addHelpText('after', examples('runs --job dm-queue --status failed', 'runs show 1f0c…'));
  runs
    .command('list', { isDefault: true })
    .description('Runs, newest first.')
    .option('--job <job>', 'of this job only', nonEmpty)
    .addOption(new Option('--status <status>', 'in this status only').choices(STATUSES))
    .addOption(LIMIT)
    .addOption(CURSOR)
    .addHelpText('after', examples('runs --job dm-queue --status failed'))
    .action(action(listRuns));
  runs
    .command('show')
    .description('One run: what it saw and did, and why the rest waits.')
    .argument('<run>', 'its id', id)
    .addHelpText('after', examples('runs show 1f0c…'))
    .action(action(showRun));
  runs
    .command('cancel')
    .description('Cancel a run: what is in flight is finished, the rest stays pending.')
    .argument('<run>', 'its id', id)
    .addHelpText('after', examples('runs cancel 1f0c…'))
    .action(action(cancelRun));

  program
    .command('watch')
    .description('Follow a run until its end.')
    .argument('<run>', 'its id', id)
    .addHelpText('after', examples('watch 1f0c…'))
    .action(action(watch));
}

async function jobs({ terminal, api }: Cli): Promise<ExitCode> {
  const answer = await api.get('/api/jobs');
  terminal.answer(answer, () => jobsTable(answer.jobs));
  return EXIT.ok;
}

async function listRuns({ terminal, api }: Cli, query: RunQuery): Promise<ExitCode> {
  const { job, status, limit, cursor } = query;
  const page = await api.get('/api/runs', {
    params: {
      query: {
        ...(job === undefined ? {} : { job }),
        ...(status === undefined ? {} : { status }),
        ...(limit === undefined ? {} : { limit }),
        ...(cursor === undefined ? {} : { cursor }),
      },
    },
  });
  terminal.answer(page, () => runsTable(page.items, new Date()));
  noteNextPage(terminal, page);
  return EXIT.ok;
}

async function showRun({ terminal, api }: Cli, runId: string): Promise<ExitCode> {
  const run = await api.get('/api/runs/{id}', { params: { path: { id: runId } } });
  terminal.answer(run, () => runText(run, new Date()));
  return EXIT.ok;
}

async function cancelRun({ terminal, api }: Cli, runId: string): Promise<ExitCode> {
  const run = await api.post('/api/runs/{id}/cancel', { params: { path: { id: runId } } });
  terminal.answer(run, () => `${runSentence(run, new Date())}.`);
  return EXIT.ok;
}

async function watch(cli: Cli, runId: string): Promise<ExitCode> {
  const { terminal, api } = cli;
  const run = await api.get('/api/runs/{id}', { params: { path: { id: runId } } });
  const ended = await untilEnded(cli, run, null);
  terminal.answer(ended, () => endText(ended, new Date()));
  return endCode(ended);
}
