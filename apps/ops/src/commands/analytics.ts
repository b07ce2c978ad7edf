/** `ops analytics`: what went out, by day, account, client and campaign. */
import { type Command, Option } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { CURSOR, day, examples, integer, LIMIT } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type FilterKind, filterHelp, readFilter } from '../filters.ts';
import { dailyText, platformText, summaryText } from '../output/analytics-text.ts';
import { noteNextPage, type PagingOptions, pagingOf } from '../paging.ts';
import type { DailyQuery, Paging, SummaryQuery } from '../shapes.ts';

const FILTERS = {
  from: 'day',
  to: 'day',
  account: 'accounts',
  client_id: 'texts',
  campaign_id: 'texts',
} as const satisfies Readonly<
  Record<Exclude<keyof DailyQuery, Paging | 'account_id'> | 'account', FilterKind>
>;

const GROUPS: ReadonlyArray<NonNullable<SummaryQuery['group_by']>> = [
  'day',
  'account',
  'client',
  'campaign',
  'none',
];

export function addAnalyticsCommands(program: Command, action: Action): void {
  const analytics = program.command('analytics').description('What went out, by day, account and campaign.');
  analytics
    .command('platform', { isDefault: true })
    .description('The platform’s last days, and their totals.')
    .option('--days <n>', 'how many', integer(1, 400))
    .addHelpText('after', examples('analytics platform --days 7'))
    .action(action(platform));
  analytics
    .command('daily')
    .description('What each account did for each campaign on each of its days, the latest day first.')
    .argument('[filters...]', 'key=value')
    .addOption(LIMIT)
    .addOption(CURSOR)
    .addHelpText('after', filterHelp(FILTERS))
    .addHelpText('after', examples('analytics daily account="Ada Moreau" from=2026-11-01 to=2026-11-30'))
    .action(action(daily));
  analytics
    .command('summary')
    .description('Sums over days, 400 at most.')
    .requiredOption('--from <day>', 'the first day', day)
    .requiredOption('--to <day>', 'the last day', day)
    .addOption(new Option('--group-by <what>', 'what stands in a row').choices(GROUPS))
    .addHelpText('after', examples('analytics summary --from 2026-11-01 --to 2026-11-30 --group-by account'))
    .action(action(summary));
}

async function platform({ terminal, api }: Cli, { days }: { days?: number }): Promise<ExitCode> {
  const query = days === undefined ? {} : { days };
  const answer = await api.get('/api/analytics/platform', { params: { query } });
  terminal.answer(answer, () => platformText(answer));
  return EXIT.ok;
}

async function daily(cli: Cli, filters: readonly string[], paging: PagingOptions): Promise<ExitCode> {
  const filter = await readFilter(() => cli.api, filters, FILTERS);
  const query: DailyQuery = { ...filter, ...pagingOf(paging) };
  const page = await cli.api.get('/api/analytics/daily', { params: { query } });
  cli.terminal.answer(page, () => dailyText(page.items));
  noteNextPage(cli.terminal, page);
  return EXIT.ok;
}

interface SummaryOptions {
  readonly from: string;
  readonly to: string;
  readonly groupBy?: NonNullable<SummaryQuery['group_by']>;
}

async function summary({ terminal, api }: Cli, { from, to, groupBy }: SummaryOptions): Promise<ExitCode> {
  const query: SummaryQuery = { from, to, ...(groupBy === undefined ? {} : { group_by: groupBy }) };
  const answer = await api.get('/api/analytics/summary', { params: { query } });
  terminal.answer(answer, () => summaryText(answer));
  return EXIT.ok;
}
