/** `ops status`: whether the system is well, as its API judges it. */
import type { Command } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { examples } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { jobsTable } from '../output/job-text.ts';
import { verdictText } from '../output/verdict-text.ts';

export function addStatusCommand(program: Command, action: Action): void {
  program
    .command('status')
    .description(
      'Whether all is well; if not, since when, why, and what to do. Exit code 1 unless all is well.',
    )
    .addHelpText('after', examples('status', 'status --json'))
    .action(action(status));
}

async function status({ terminal, api }: Cli): Promise<ExitCode> {
  const verdict = await api.get('/api/verdict');
  // What cannot be seen now is no reason to keep the verdict back.
  const jobs = verdict.state === 'unknown' ? [] : (await api.get('/api/jobs')).jobs;
  const isWell = verdict.state === 'well';
  terminal.answer({ ok: isWell, verdict, jobs }, () =>
    [
      ...(jobs.length === 0 ? [] : [jobsTable(jobs)]),
      ...verdictText(verdict).map((line, index) =>
        index === 0 ? terminal.paint(isWell ? 'green' : 'red', line) : line,
      ),
    ].join('\n'),
  );
  return isWell ? EXIT.ok : EXIT.unhealthy;
}
