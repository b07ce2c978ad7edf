/** `ops why`: why one message or post has not gone out. */
import { JobsApiError } from '@revos/jobs-client';
import type { Command } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { examples, id } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type Asked, whyText } from '../output/why-text.ts';

export function addWhyCommand(program: Command, action: Action): void {
  program
    .command('why')
    .description('Why a message or a post has not gone out, when it can, and what to do.')
    .argument('<id>', 'of a message or a post', id)
    .addHelpText('after', examples('why 9d2c…'))
    .action(action(why));
}

async function why(cli: Cli, rowId: string): Promise<ExitCode> {
  const asked = await find(cli, rowId);
  cli.terminal.answer(asked.row.explanation, () => whyText(asked));
  return EXIT.ok;
}

async function find({ api }: Cli, rowId: string): Promise<Asked> {
  const params = { path: { id: rowId } };
  try {
    return { kind: 'message', row: await api.get('/api/messages/{id}', { params }) };
  } catch (error) {
    if (!(error instanceof JobsApiError && error.kind === 'message-not-found')) throw error;
  }
  return { kind: 'post', row: await api.get('/api/posts/{id}', { params }) };
}
