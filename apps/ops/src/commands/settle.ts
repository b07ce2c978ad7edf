/** `ops unknowns` and `ops settle`: what may have reached LinkedIn, and what became of it. */
import { JobsApiError } from '@revos/jobs-client';
import { Argument, type Command } from 'commander';
import { actOnMany } from '../act-on-many.ts';
import type { Action, Cli } from '../cli-context.ts';
import { examples, id, LIMIT } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type UnknownRow, unknownsTable } from '../output/unknown-text.ts';
import type { PagingOptions } from '../paging.ts';
import {
  DECISION_HELP,
  DECISIONS,
  type Decision,
  type SettleOptions,
  settleArgsOf,
  takesSettleOptions,
} from './act-options.ts';
import { messageRows } from './dm.ts';
import { postRows } from './posts.ts';

/** Rows that are asked about at the same time. */
const AT_ONCE = 8;

export function addUnknownsCommands(program: Command, action: Action): void {
  program
    .command('unknowns')
    .description('Messages and posts that may have reached LinkedIn, and when they are looked for next.')
    .addOption(LIMIT)
    .addHelpText('after', examples('unknowns', 'unknowns --limit 200'))
    .action(action(unknowns));
  takesSettleOptions(program.command('settle'))
    .description('Say what became of one message or post that is unknown.')
    .argument('<id>', 'of a message or a post', id)
    .addArgument(new Argument('<decision>', DECISION_HELP).choices(DECISIONS))
    .addHelpText('after', examples('settle 9d2c… sent', 'settle 9d2c… drop --reason "the lead has answered"'))
    .action(action(settle));
}

async function unknowns({ terminal, api }: Cli, { limit }: PagingOptions): Promise<ExitCode> {
  const paging = limit === undefined ? {} : { limit };
  const [messages, posts] = await Promise.all([
    api.get('/api/messages', { params: { query: { status: ['unknown'], ...paging } } }),
    api.get('/api/posts', { params: { query: { state: ['unknown'], ...paging } } }),
  ]);
  const rows: UnknownRow[] = [
    ...(await withExplanations(messages.items, (rowId) =>
      api.get('/api/messages/{id}/explanation', { params: { path: { id: rowId } } }),
    ).then((items) => items.map((item) => ({ kind: 'message' as const, ...item })))),
    ...(await withExplanations(posts.items, (rowId) =>
      api.get('/api/posts/{id}/explanation', { params: { path: { id: rowId } } }),
    ).then((items) => items.map((item) => ({ kind: 'post' as const, ...item })))),
  ];
  terminal.answer({ messages, posts, explanations: rows.map(({ explanation }) => explanation) }, () =>
    unknownsTable(rows),
  );
  const isMore = messages.next_cursor !== null || posts.next_cursor !== null;
  if (isMore) terminal.note('There are more: --limit 200, or `ops dm list status=unknown`.');
  return EXIT.ok;
}

async function withExplanations<Row extends { readonly id: string }, Explanation>(
  rows: readonly Row[],
  explain: (id: string) => Promise<Explanation>,
): Promise<Array<{ row: Row; explanation: Explanation }>> {
  const explained: Array<{ row: Row; explanation: Explanation }> = [];
  for (let start = 0; start < rows.length; start += AT_ONCE) {
    const some = rows.slice(start, start + AT_ONCE);
    const parts = some.map(async (row) => ({ row, explanation: await explain(row.id) }));
    for (const part of await Promise.all(parts)) explained.push(part);
  }
  return explained;
}

async function settle(
  cli: Cli,
  rowId: string,
  decision: Decision,
  options: SettleOptions,
): Promise<ExitCode> {
  const rows = (await isMessage(cli, rowId)) ? messageRows(cli) : postRows(cli);
  const request = {
    action: 'settle',
    selection: { ids: [rowId] },
    args: settleArgsOf(decision, options),
  };
  return actOnMany(cli, rows, request, { dryRun: false, yes: true });
}

async function isMessage({ api }: Cli, rowId: string): Promise<boolean> {
  try {
    await api.get('/api/messages/{id}/explanation', { params: { path: { id: rowId } } });
    return true;
  } catch (error) {
    if (error instanceof JobsApiError && error.kind === 'message-not-found') return false;
    throw error;
  }
}
