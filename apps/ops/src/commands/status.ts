/** `ops status`: whether the system is well. */
import { JobsApiError } from '@revos/jobs-client';
import type { Command } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { examples } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { troubles } from '../judge-status.ts';
import { sendingText } from '../output/account-text.ts';
import { jobsTable } from '../output/job-text.ts';

export function addStatusCommand(program: Command, action: Action): void {
  program
    .command('status')
    .description('Whether the service is ready, its jobs run, and sending is not paused; exit code 1 if not.')
    .addHelpText('after', examples('status', 'status --json'))
    .action(action(status));
}

async function status({ terminal, api }: Cli): Promise<ExitCode> {
  const notReady = await readinessTrouble(api);
  const [{ jobs }, sending] = await Promise.all([api.get('/api/jobs'), api.get('/api/sending')]);
  const wrong = troubles({ notReady, jobs, sending }, new Date());
  terminal.answer({ ok: wrong.length === 0, troubles: wrong, jobs, sending }, () =>
    [
      jobsTable(jobs),
      sendingText(sending),
      ...(wrong.length === 0
        ? [terminal.paint('green', 'All is well.')]
        : wrong.map((trouble) => terminal.paint('red', trouble))),
    ].join('\n'),
  );
  return wrong.length === 0 ? EXIT.ok : EXIT.notWell;
}

/** What keeps the service from its work; null if nothing does. */
async function readinessTrouble(api: Cli['api']): Promise<string | null> {
  try {
    await api.get('/ready');
    return null;
  } catch (error) {
    if (error instanceof JobsApiError && error.status === 503 && error.kind !== 'not-understood') {
      return error.detail ?? error.title;
    }
    throw error;
  }
}
