/** `ops audit`: what people did. */
import type { Command } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { CURSOR, examples, LIMIT } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type FilterKind, filterHelp, readFilter } from '../filters.ts';
import { auditTable } from '../output/account-text.ts';
import { noteNextPage, type PagingOptions, pagingOf } from '../paging.ts';
import type { AuditQuery, Paging } from '../shapes.ts';

const FILTERS = {
  actor: 'codes',
  action: 'codes',
  subject: 'text',
  from: 'instant',
  to: 'instant',
} as const satisfies Readonly<Record<Exclude<keyof AuditQuery, Paging>, FilterKind>>;

export function addAuditCommand(program: Command, action: Action): void {
  program
    .command('audit')
    .description('What people did, newest first.')
    .argument('[filters...]', 'key=value')
    .addOption(LIMIT)
    .addOption(CURSOR)
    .addHelpText('after', filterHelp(FILTERS))
    .addHelpText(
      'after',
      examples('audit', 'audit actor=anna action=account.pause from=2026-12-01T00:00:00Z'),
    )
    .action(action(audit));
}

async function audit(cli: Cli, filters: readonly string[], paging: PagingOptions): Promise<ExitCode> {
  const filter = await readFilter(() => cli.api, filters, FILTERS);
  const query: AuditQuery = { ...filter, ...pagingOf(paging) };
  const page = await cli.api.get('/api/audit', { params: { query } });
  cli.terminal.answer(page, () => auditTable(page.items));
  noteNextPage(cli.terminal, page);
  return EXIT.ok;
}
