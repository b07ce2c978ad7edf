/** `ops restored`: the database was put back to an earlier instant. */
import { type Command, Option } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { examples, instantWithZone } from '../command-line.ts';
import { EXIT, type ExitCode, UsageError } from '../exit-codes.ts';
import { restoreQuestion, restoreText } from '../output/restore-text.ts';

interface RestoredOptions {
  readonly to: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export function addRestoredCommand(program: Command, action: Action): void {
  program
    .command('restored')
    .description(
      'Say that the database was put back: pauses all sending, and looks on LinkedIn for all that could have gone out since.',
    )
    .addOption(
      new Option('--to <instant>', 'that of the backup, or an earlier one, such as 2026-12-01T09:30:00Z')
        .argParser(instantWithZone)
        .makeOptionMandatory(),
    )
    .option('--dry-run', 'say what would be looked for, and do nothing')
    .option('--yes', 'do it without a question')
    .addHelpText(
      'after',
      examples('restored --to 2026-12-01T03:00:00Z --dry-run', 'restored --to 2026-12-01T03:00:00Z'),
    )
    .addHelpText(
      'after',
      '\nGiven again, it goes on where it was interrupted, and says how far the looks have come.',
    )
    .action(action(restored));
}

async function restored(
  { terminal, api }: Cli,
  { to, dryRun = false, yes = false }: RestoredOptions,
): Promise<ExitCode> {
  const foreseen = await api.post('/api/restores', { body: { to, dry_run: true } });
  if (dryRun || foreseen.is_marked) {
    terminal.answer(foreseen, () => restoreText(foreseen));
    return EXIT.ok;
  }
  terminal.note(restoreText(foreseen));
  if (!yes) {
    if (!terminal.canAsk) throw new UsageError('Nothing was done: without a terminal, it needs --yes.');
    if (!(await terminal.confirm(restoreQuestion(foreseen)))) {
      terminal.note('Nothing was done.');
      return EXIT.unhealthy;
    }
  }
  let marked = await api.post('/api/restores', { body: { to } });
  // Each call marks some accounts more.
  while (!marked.is_marked) marked = await api.post('/api/restores', { body: { to } });
  terminal.answer(marked, () => restoreText(marked));
  return EXIT.ok;
}
