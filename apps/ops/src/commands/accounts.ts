/** `ops accounts`, `ops pause` and `ops resume`. */
import { type Command, Option } from 'commander';
import { accountId } from '../accounts.ts';
import type { Action, Cli } from '../cli-context.ts';
import { CURSOR, examples, instantArgument, LIMIT, nonEmpty } from '../command-line.ts';
import { EXIT, type ExitCode, UsageError } from '../exit-codes.ts';
import { type FilterKind, filterHelp, readFilter } from '../filters.ts';
import { accountsTable, accountText, policyText, sendingText } from '../output/account-text.ts';
import { counted, instant } from '../output/words.ts';
import { noteNextPage, type PagingOptions, pagingOf } from '../paging.ts';
import { POLICY_KEYS, readPolicyPatch } from '../policy-patch.ts';
import type { AccountQuery, Paging } from '../shapes.ts';

const FILTERS = {
  name: 'texts',
  status: 'codes',
  paused: 'boolean',
} as const satisfies Readonly<Record<Exclude<keyof AccountQuery, Paging>, FilterKind>>;

interface PauseOptions {
  readonly reason: string;
  readonly until?: string;
  readonly all?: boolean;
}

export function addAccountsCommands(program: Command, action: Action): void {
  const accounts = program
    .command('accounts')
    .description('Accounts: list, look at, and set their policies.');
  accounts
    .command('list', { isDefault: true })
    .description('Accounts by name, with their pauses and what is queued.')
    .argument('[filters...]', 'key=value')
    .addOption(LIMIT)
    .addOption(CURSOR)
    .addHelpText('after', filterHelp(FILTERS))
    .addHelpText('after', examples('accounts', 'accounts list paused=true'))
    .action(action(listAccounts));
  accounts
    .command('show')
    .description('One account: its policy, what is used of its limits, and whether a message may go now.')
    .argument('<account>', 'its id or name', nonEmpty)
    .addHelpText('after', examples('accounts show "Ada Moreau"'))
    .action(action(showAccount));
  accounts
    .command('policy')
    .description('Show the policy of an account, or change what is named of it.')
    .argument('<account>', 'its id or name', nonEmpty)
    .argument('[settings...]', 'key=value')
    .addHelpText('after', `\nSettings:\n  ${POLICY_KEYS.join(', ')}`)
    .addHelpText(
      'after',
      examples(
        'accounts policy "Ada Moreau" time_zone=Europe/Paris work_days=1-5 window_start=08:30',
        'accounts policy "Ada Moreau" warm_up_from=2026-12-01 holidays=2026-12-25,2026-12-26',
        'accounts policy "Ada Moreau" warm_up_from=none holidays=none',
      ),
    )
    .action(action(policy));

  program
    .command('pause')
    .description(
      'Pause an account, or all sending: of messages and of posts. What is on its way is not called back.',
    )
    .argument('[account]', 'its id or name', nonEmpty)
    .option('--all', 'all sending, of every account')
    .requiredOption('--reason <text>', 'why', nonEmpty)
    .addOption(
      new Option(
        '--until <instant>',
        'its end, such as 2026-12-01T09:30:00Z or 2h; until somebody resumes it',
      ).argParser(instantArgument),
    )
    .addHelpText(
      'after',
      examples(
        'pause "Ada Moreau" --reason "on holiday" --until 3d',
        'pause --all --reason "wrong campaign"',
      ),
    )
    .action(action(pause));
  program
    .command('resume')
    .description('End the pause of an account, or of all sending. Says how many messages that releases.')
    .argument('[account]', 'its id or name', nonEmpty)
    .option('--all', 'all sending; paused accounts stay paused')
    .addHelpText('after', examples('resume "Ada Moreau"', 'resume --all'))
    .action(action(resume));
}

async function listAccounts(cli: Cli, filters: readonly string[], paging: PagingOptions): Promise<ExitCode> {
  const filter = await readFilter(() => cli.api, filters, FILTERS);
  const query: AccountQuery = { ...filter, ...pagingOf(paging) };
  const page = await cli.api.get('/api/accounts', { params: { query } });
  cli.terminal.answer(page, () => accountsTable(page.items, new Date()));
  noteNextPage(cli.terminal, page);
  return EXIT.ok;
}

async function showAccount({ terminal, api }: Cli, given: string): Promise<ExitCode> {
  const id = await accountId(api, given);
  const account = await api.get('/api/accounts/{id}', { params: { path: { id } } });
  terminal.answer(account, () => accountText(account, new Date()));
  return EXIT.ok;
}

async function policy({ terminal, api }: Cli, given: string, settings: readonly string[]): Promise<ExitCode> {
  const patch = readPolicyPatch(settings);
  const id = await accountId(api, given);
  if (settings.length === 0) {
    const account = await api.get('/api/accounts/{id}', { params: { path: { id } } });
    const shown = account.policy;
    terminal.answer(shown, () => (shown === null ? 'It is made with the first message.' : policyText(shown)));
    return EXIT.ok;
  }
  const changed = await api.patch('/api/accounts/{id}/policy', { params: { path: { id } }, body: patch });
  terminal.answer(changed, () => policyText(changed));
  return EXIT.ok;
}

/** @throws {UsageError} unless exactly one of the two is meant */
function assertOne(account: string | undefined, all: boolean | undefined): void {
  if ((account === undefined) === (all !== true)) throw new UsageError('Give one account, or --all.');
}

async function pause(cli: Cli, account: string | undefined, options: PauseOptions): Promise<ExitCode> {
  const { terminal, api } = cli;
  const { reason, until, all } = options;
  assertOne(account, all);
  const body = { reason, ...(until === undefined ? {} : { until }) };
  if (account === undefined) {
    const sending = await api.post('/api/sending/pause', { body });
    terminal.answer(sending, () => sendingText(sending));
    return EXIT.ok;
  }
  const id = await accountId(api, account);
  const paused = await api.post('/api/accounts/{id}/pause', { params: { path: { id } }, body });
  const end =
    paused.paused_until === 'infinity'
      ? 'until somebody resumes it'
      : `until ${instant(paused.paused_until)}`;
  terminal.answer(paused, () => `The account is paused ${end}.`);
  return EXIT.ok;
}

async function resume(cli: Cli, account: string | undefined, { all }: { all?: boolean }): Promise<ExitCode> {
  const { terminal, api } = cli;
  assertOne(account, all);
  if (account === undefined) {
    const sending = await api.post('/api/sending/resume');
    const released = counted(sending.due, 'due message');
    terminal.answer(sending, () => `Sending goes on. That releases ${released}, each account at its pace.`);
    return EXIT.ok;
  }
  const id = await accountId(api, account);
  const resumed = await api.post('/api/accounts/{id}/resume', { params: { path: { id } } });
  terminal.answer(
    resumed,
    () => `The account is resumed. That releases ${counted(resumed.due, 'due message')}, at its pace.`,
  );
  return EXIT.ok;
}
