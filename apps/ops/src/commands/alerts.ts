/** `ops alerts`: what people were told of. */
import type { Command } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { CURSOR, examples, LIMIT } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type FilterKind, filterHelp, readFilter } from '../filters.ts';
import { alertsTable } from '../output/alert-text.ts';
import { noteNextPage, type PagingOptions, pagingOf } from '../paging.ts';
import type { AlertQuery, Paging } from '../shapes.ts';

const FILTERS = {
  open: 'boolean',
  code: 'codes',
  state: 'codes',
  subject: 'text',
  from: 'instant',
  to: 'instant',
} as const satisfies Readonly<Record<Exclude<keyof AlertQuery, Paging>, FilterKind>>;

export function addAlertsCommand(program: Command, action: Action): void {
  program
    .command('alerts')
    .description(
      'What people were told of, the latest first: since when, until when, through which channels.',
    )
    .argument('[filters...]', 'key=value')
    .addOption(LIMIT)
    .addOption(CURSOR)
    .addHelpText('after', filterHelp(FILTERS))
    .addHelpText('after', examples('alerts open=true', 'alerts code=slot_missed from=2026-12-01T00:00:00Z'))
    .action(action(alerts));
}

async function alerts(cli: Cli, filters: readonly string[], paging: PagingOptions): Promise<ExitCode> {
  const filter = await readFilter(() => cli.api, filters, FILTERS);
  const query: AlertQuery = { ...filter, ...pagingOf(paging) };
  const page = await cli.api.get('/api/alerts', { params: { query } });
  cli.terminal.answer(page, () => alertsTable(page.items));
  noteNextPage(cli.terminal, page);
  return EXIT.ok;
}
