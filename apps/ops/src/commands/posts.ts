/** `ops posts`: posts and their publication. */
import type { Command } from 'commander';
import { actOnMany, type Rows } from '../act-on-many.ts';
import type { Action, Cli } from '../cli-context.ts';
import { CURSOR, examples, id, instantArgument, LIMIT, nonEmpty } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type FilterKind, filterHelp, readFilter } from '../filters.ts';
import { postsTable, postText } from '../output/message-text.ts';
import { noteNextPage, type PagingOptions, pagingOf } from '../paging.ts';
import type { Paging, PostAction, PostQuery } from '../shapes.ts';
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
import { addPostOptionsCommand } from './post-options.ts';

/** The keys of a filter of posts: those of the API, and the account by its name. */
const FILTERS = {
  state: 'codes',
  post_status: 'codes',
  account: 'accounts',
  campaign_id: 'texts',
  reason: 'codes',
  scheduled_from: 'instant',
  scheduled_to: 'instant',
  created_from: 'instant',
  created_to: 'instant',
} as const satisfies Readonly<
  Record<Exclude<keyof PostQuery, Paging | 'account_id'> | 'account', FilterKind>
>;

export function addPostsCommands(program: Command, action: Action): void {
  const posts = program.command('posts').description('Posts: list, look at, set options, and act on many.');
  posts
    .command('list')
    .description('Posts, without their texts.')
    .argument('[filters...]', 'key=value')
    .addOption(LIMIT)
    .addOption(CURSOR)
    .addHelpText('after', filterHelp(FILTERS))
    .addHelpText('after', examples('posts list state=missed,held account="Ada Moreau"'))
    .action(action(listPosts));
  posts
    .command('show')
    .description('One post with its text, its options, its attempts, and why it has not been published.')
    .argument('<post>', 'its id', id)
    .addHelpText('after', examples('posts show 7b4e…'))
    .action(action(showPost));
  addPostOptionsCommand(posts, action);
  addPostActions(posts, action);
}

function addPostActions(posts: Command, action: Action): void {
  const plain = [
    { name: 'retry', summary: 'Try again what has failed and was provably not published.' },
    { name: 'publish-now', summary: 'Publish what was missed, or waits, with the next run.' },
  ] as const;
  for (const { name, summary } of plain) {
    takesMany(posts.command(name), 'post', FILTERS)
      .description(summary)
      .addHelpText('after', examples(`posts ${name} 7b4e…`, `posts ${name} --filter account="Ada Moreau"`))
      .action(
        action((cli: Cli, ids: string[] = [], options: ManyOptions) =>
          act(cli, name === 'retry' ? 'retry' : 'publish_now', ids, options, {}),
        ),
      );
  }
  takesMany(posts.command('cancel'), 'post', FILTERS)
    .description('Do not publish what waits.')
    .option('--reason <text>', 'why', nonEmpty)
    .addHelpText('after', examples('posts cancel 7b4e… --reason "wrong picture"'))
    .action(
      action((cli: Cli, ids: string[] = [], options: ManyOptions & { reason?: string }) =>
        act(cli, 'cancel', ids, options, reasonOf(options)),
      ),
    );
  takesMany(posts.command('reschedule'), 'post', FILTERS)
    .description('Publish what waits at another time.')
    .requiredOption('--at <instant>', 'such as 2026-12-01T09:30:00Z or 2h', instantArgument)
    .addHelpText('after', examples('posts reschedule 7b4e… --at 2026-12-01T09:30:00Z'))
    .action(
      action((cli: Cli, ids: string[] = [], options: ManyOptions & { at: string }) =>
        act(cli, 'reschedule', ids, options, { scheduled_for: options.at }),
      ),
    );
  takesSettleOptions(takesMany(posts.command('settle'), 'post', FILTERS))
    .description('Say what became of posts that are unknown.')
    .addOption(decisionOption())
    .addHelpText('after', examples('posts settle 7b4e… --as sent'))
    .action(
      action((cli: Cli, ids: string[] = [], options: ManyOptions & SettleOptions & { as: Decision }) =>
        act(cli, 'settle', ids, options, settleArgsOf(options.as, options)),
      ),
    );
}

async function listPosts(cli: Cli, filters: readonly string[], paging: PagingOptions): Promise<ExitCode> {
  const filter = await readFilter(() => cli.api, filters, FILTERS);
  const query: PostQuery = { ...filter, ...pagingOf(paging) };
  const page = await cli.api.get('/api/posts', { params: { query } });
  cli.terminal.answer(page, () => postsTable(page.items));
  noteNextPage(cli.terminal, page);
  return EXIT.ok;
}

async function showPost({ terminal, api }: Cli, postId: string): Promise<ExitCode> {
  const post = await api.get('/api/posts/{id}', { params: { path: { id: postId } } });
  terminal.answer(post, () => postText(post));
  return EXIT.ok;
}

export const postRows = ({ api }: Pick<Cli, 'api'>): Rows => ({
  noun: 'post',
  act: (request) => api.post('/api/posts/actions', { body: request as PostAction }),
  sample: async (filter, count) => {
    const query: PostQuery = { ...filter, limit: count };
    return postsTable((await api.get('/api/posts', { params: { query } })).items);
  },
});

async function act(
  cli: Cli,
  name: PostAction['action'],
  ids: readonly string[],
  options: ManyOptions,
  args: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  const selection = await selectionOf(cli, ids, options, FILTERS);
  return actOnMany(cli, postRows(cli), { action: name, selection, args }, actOptionsOf(options));
}
