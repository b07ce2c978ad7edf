/** The commands, and what all of them take. */
import { Command } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { type Action, actionFor } from './cli-context.ts';
import { address } from './command-line.ts';
import { addAccountsCommands } from './commands/accounts.ts';
import { addAlertsCommand } from './commands/alerts.ts';
import { addAnalyticsCommands } from './commands/analytics.ts';
import { addAuditCommand } from './commands/audit.ts';
import { addDmCommands } from './commands/dm.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addPostsCommands } from './commands/posts.ts';
import { addRestoredCommand } from './commands/restored.ts';
import { addRunCommand } from './commands/run.ts';
import { addRunsCommands } from './commands/runs.ts';
import { addUnknownsCommands } from './commands/settle.ts';
import { addStatusCommand } from './commands/status.ts';
import { addWhyCommand } from './commands/why.ts';
import { EXIT_CODES_HELP, type ExitCode } from './exit-codes.ts';
import type { Io } from './io.ts';

const ENVIRONMENT_HELP = `
Environment:
  JOBS_API_URL  where the jobs API is; --url stands before it
  OPS_TOKEN     an ops token. There is no option for it: whoever sees the process list would see it
  NO_COLOR      no colours

An account is given by its id or its name. Instants are shown in UTC.`;

/** @param onEnd called with the exit code of the command that was carried out */
export function createProgram(io: Io, onEnd: (code: ExitCode) => void): Command {
  const program = new Command('ops')
    .description('RevOS jobs from a terminal: runs, messages, posts, accounts.')
    .version(manifest.version, '--version', 'the version of this program')
    .option('--url <address>', 'where the jobs API is; JOBS_API_URL by default', address)
    .option('--json', 'the answer of the API as it is, and nothing else on standard output')
    .option('--no-color', 'no colours')
    .addHelpText('after', ENVIRONMENT_HELP)
    .addHelpText('after', EXIT_CODES_HELP)
    .helpCommand(true)
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
    })
    .exitOverride()
    .showHelpAfterError('(--help shows what it takes)');
  const action: Action = actionFor(io, onEnd);
  addStatusCommand(program, action);
  addRunCommand(program, action);
  addRunsCommands(program, action);
  addWhyCommand(program, action);
  addDmCommands(program, action);
  addPostsCommands(program, action);
  addAccountsCommands(program, action);
  addUnknownsCommands(program, action);
  addRestoredCommand(program, action);
  addAnalyticsCommands(program, action);
  addAlertsCommand(program, action);
  addAuditCommand(program, action);
  addDoctorCommand(program, action);
  return program;
}
