/** `ops dm`: messages. */
import type { Command } from 'commander';
import { actOnMany, type Rows } from '../act-on-many.ts';
import type { Action, Cli } from '../cli-context.ts';
import { CURSOR, examples, id, instantArgument, LIMIT, nonEmpty } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type FilterKind, filterHelp, readFilter } from '../filters.ts';
import { messagesTable, messageText } from '../output/message-text.ts';
import { noteNextPage, type PagingOptions, pagingOf } from '../paging.ts';
import type { MessageAction, MessageQuery, Paging } from '../shapes.ts';
import {
  actOptionsOf,
  type Decision,
  decisionOption,
  type ManyOptions,
  reasonOf,
  type SettleOptions,
  selectionOf,
  settleArgsOf,
  takesMany,
  takesSettleOptions,
} from './act-options.ts';
import { addImportCommand } from './dm-import.ts';

/** The keys of a filter of messages: those of the API, and the account by its name. */
const FILTERS = {
  status: 'codes',
  account: 'accounts',
  campaign_id: 'texts',
  lead_id: 'texts',
  reason: 'codes',
  recipient_id: 'texts',
  dedupe_key: 'texts',
  created_from: 'instant',
  created_to: 'instant',
  due_before: 'instant',
} as const satisfies Readonly<
  Record<Exclude<keyof MessageQuery, Paging | 'account_id'> | 'account', FilterKind>
>;

export function addDmCommands(program: Command, action: Action): void {
  const dm = program.command('dm').description('Messages: queue, list, look at, and act on many.');
  addImportCommand(dm, action);
  dm.command('list')
    .description('Messages, the last queued first, without their texts.')
    .argument('[filters...]', 'key=value')
    .addOption(LIMIT)
    .addOption(CURSOR)
    .addHelpText('after', filterHelp(FILTERS))
    .addHelpText(
      'after',
      examples('dm list status=failed,unknown account="Ada Moreau"', 'dm list due_before=2h'),
    )
    .action(action(listMessages));
  dm.command('show')
    .description('One message with its text, its attempts, and why it has not gone out.')
    .argument('<message>', 'its id', id)
    .addHelpText('after', examples('dm show 9d2c…'))
    .action(action(showMessage));

  takesMany(dm.command('retry'), 'message', FILTERS)
    .description('Queue again what has failed and was provably not sent.')
    .addHelpText('after', examples('dm retry 9d2c…', 'dm retry --filter status=failed reason=rejected'))
    .action(
      action((cli: Cli, ids: string[] = [], options: ManyOptions) => act(cli, 'retry', ids, options, {})),
    );
  takesMany(dm.command('cancel'), 'message', FILTERS)
    .description('Take what is pending out of the queue.')
    .option('--reason <text>', 'why', nonEmpty)
    .addHelpText('after', examples('dm cancel --filter campaign_id=5f1e… --reason "wrong text" --yes'))
    .action(
      action((cli: Cli, ids: string[] = [], options: ManyOptions & { reason?: string }) =>
        act(cli, 'cancel', ids, options, reasonOf(options)),
      ),
    );
  takesMany(dm.command('reschedule'), 'message', FILTERS)
    .description('Let what is pending go at another time.')
    .requiredOption('--at <instant>', 'not before this, such as 2026-12-01T09:30:00Z or 2h', instantArgument)
    .addHelpText('after', examples('dm reschedule 9d2c… --at 2h'))
    .action(
      action((cli: Cli, ids: string[] = [], options: ManyOptions & { at: string }) =>
        act(cli, 'reschedule', ids, options, { send_at: options.at }),
      ),
    );
  takesSettleOptions(takesMany(dm.command('settle'), 'message', FILTERS))
    .description('Say what became of messages that are unknown.')
    .addOption(decisionOption())
    .addHelpText(
      'after',
      examples('dm settle 9d2c… --as sent', 'dm settle --filter reason=unknown_held --as drop'),
    )
    .action(
      action((cli: Cli, ids: string[] = [], options: ManyOptions & SettleOptions & { as: Decision }) =>
        act(cli, 'settle', ids, options, settleArgsOf(options.as, options)),
      ),
    );
}

async function listMessages(cli: Cli, filters: readonly string[], paging: PagingOptions): Promise<ExitCode> {
  const filter = await readFilter(() => cli.api, filters, FILTERS);
  const query: MessageQuery = { ...filter, ...pagingOf(paging) };
  const page = await cli.api.get('/api/messages', { params: { query } });
  cli.terminal.answer(page, () => messagesTable(page.items));
  noteNextPage(cli.terminal, page);
  return EXIT.ok;
}

async function showMessage({ terminal, api }: Cli, messageId: string): Promise<ExitCode> {
  const message = await api.get('/api/messages/{id}', { params: { path: { id: messageId } } });
  terminal.answer(message, () => messageText(message));
  return EXIT.ok;
}

export const messageRows = ({ api }: Pick<Cli, 'api'>): Rows => ({
  noun: 'message',
  act: (request) => api.post('/api/messages/actions', { body: request as MessageAction }),
  sample: async (filter, count) => {
    const query: MessageQuery = { ...filter, limit: count };
    return messagesTable((await api.get('/api/messages', { params: { query } })).items);
  },
});

async function act(
  cli: Cli,
  name: MessageAction['action'],
  ids: readonly string[],
  options: ManyOptions,
  args: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  const selection = await selectionOf(cli, ids, options, FILTERS);
  return actOnMany(cli, messageRows(cli), { action: name, selection, args }, actOptionsOf(options));
}
