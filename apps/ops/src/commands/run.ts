/** `ops run`: starts a run, and waits for its end if told so. */
import { type Command, Option } from 'commander';
import { accountIds } from '../accounts.ts';
import type { Action, Cli } from '../cli-context.ts';
import { day, examples, integer, nonEmpty, several } from '../command-line.ts';
import { EXIT, type ExitCode, UsageError } from '../exit-codes.ts';
import { runSentence } from '../output/run-text.ts';
import type { StartRun } from '../shapes.ts';
import { endCode, endText, untilEnded } from '../watch-run.ts';

interface RunOptions {
  readonly wait?: number | true;
  readonly account?: readonly string[];
  readonly dryRun?: boolean;
  readonly limit?: number;
  readonly days?: number;
  readonly from?: string;
  readonly to?: string;
  readonly priority?: number;
}

export function addRunCommand(program: Command, action: Action): void {
  program
    .command('run')
    .description('Start a run of a job now; it consumes no slot.')
    .argument('<job>', 'such as dm-queue; `ops jobs` lists them', nonEmpty)
    .option('--wait [seconds]', 'wait for its end, and show how it gets on', integer(1, 86_400))
    .option('--account <id|name>', 'only this account; may be given several times', several)
    .option('--dry-run', 'say what it would do, and change nothing')
    .option('--limit <n>', 'end after so many calls to Unipile', integer(1, 100_000))
    .addOption(
      new Option('--days <n>', 'the last so many days, today among them')
        .argParser(integer(1, 400))
        .conflicts(['from', 'to']),
    )
    .option('--from <day>', 'the first day, with --to', day)
    .option('--to <day>', 'the last day, with --from', day)
    .option('--priority <n>', '0 to 9; a higher one is taken up first', integer(0, 9))
    .addHelpText(
      'after',
      examples(
        'run dm-queue --wait',
        'run dm-queue --account "Ada Moreau" --dry-run --wait 60',
        'run analytics --from 2026-11-01 --to 2026-11-30',
      ),
    )
    .action(action(run));
}

async function run(cli: Cli, job: string, options: RunOptions): Promise<ExitCode> {
  const { terminal, api } = cli;
  const body = await bodyOf(cli, options);
  const started = await api.post('/api/jobs/{job}', { params: { path: { job } }, body });
  const { outcome } = started;
  if (outcome === 'coalesced')
    terminal.note('A run of this job was active already: it goes on in place of a new one.');

  if (options.wait === undefined) {
    terminal.answer(
      started,
      () => `${runSentence(started.run, new Date())}.\nFollow it: ops watch ${started.run.id}`,
    );
    return EXIT.ok;
  }
  terminal.note(`Run ${started.run.id} of ${started.run.job}`);
  const ended = await untilEnded(cli, started.run, options.wait === true ? null : options.wait);
  terminal.answer({ ...started, run: ended }, () => endText(ended, new Date()));
  return endCode(ended);
}

async function bodyOf(cli: Cli, options: RunOptions): Promise<NonNullable<StartRun>> {
  const { account, dryRun, limit, days, from, to, priority } = options;
  if ((from === undefined) !== (to === undefined)) throw new UsageError('--from and --to go together.');
  if (from !== undefined && to !== undefined && from > to)
    throw new UsageError('--to must not be before --from.');
  return {
    ...(account === undefined ? {} : { account_ids: await accountIds(cli.api, account) }),
    ...(dryRun === true ? { dry_run: true } : {}),
    ...(limit === undefined ? {} : { limit }),
    ...(days === undefined ? {} : { days }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(priority === undefined ? {} : { priority }),
  };
}
