/**
 * `ops doctor`: whether an environment would do for a deployment. Unlike the others it asks more
 * than the jobs API.
 */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { type Command, Option } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { examples } from '../command-line.ts';
import { EXIT, type ExitCode, UsageError } from '../exit-codes.ts';

interface DoctorOptions {
  readonly way?: 'hybrid' | 'direct' | 'worker';
  readonly envFile?: string;
}

export function addDoctorCommand(program: Command, action: Action): void {
  program
    .command('doctor')
    .description(
      'What is right and wrong in the environment of a deployment, and what to do. Exit code 1 if anything is wrong.',
    )
    .addOption(
      new Option('--way <way>', 'how it runs; by default what the environment is made for').choices([
        'hybrid',
        'direct',
        'worker',
      ]),
    )
    .option('--env-file <file>', 'the environment, as lines of NAME=value; by default that of this process')
    .addHelpText('after', examples('doctor --env-file .env.production', 'doctor --way worker --json'))
    .action(action(doctor));
}

async function doctor({ io, terminal }: Cli, { way, envFile }: DoctorOptions): Promise<ExitCode> {
  const env = envFile === undefined ? io.env : readEnvFile(envFile);
  // Loaded only here: it brings the database's client, and all that reads a deployment's variables.
  const [{ examine }, { reportText }] = await Promise.all([
    import('@revos/jobs-api/doctor/examine'),
    import('@revos/jobs-api/doctor/report'),
  ]);
  const examination = await examine(env, { way });
  terminal.answer(examination, () => reportText(examination));
  return examination.ok ? EXIT.ok : EXIT.unhealthy;
}

function readEnvFile(file: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(file, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`${file} cannot be read${code === undefined ? '' : ` (${code})`}.`);
  }
}
