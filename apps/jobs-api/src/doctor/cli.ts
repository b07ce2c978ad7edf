/**
 * `npm run doctor`: looks at the environment of this process, or at one in a file. Exit code 0 if
 * nothing is wrong, else 1.
 */
import { readFileSync } from 'node:fs';
import { parseArgs, parseEnv } from 'node:util';
import { environment, WAYS, type Way } from './env.ts';
import { examine } from './examine.ts';
import { reportText } from './report.ts';

const USAGE = `Usage: npm run doctor -- [--way ${WAYS.join('|')}] [--env-file <file>] [--json]

Looks at the environment of a deployment, all of it in one: what is set on Vercel and what is set on Render.
It changes nothing and prints no secret. Exit code 0: nothing is wrong; 1: something is; 2: it could not look.
`;

async function run(): Promise<number> {
  const { values } = parseArgs({
    options: {
      way: { type: 'string' },
      'env-file': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const way = WAYS.find((known) => known === values.way) satisfies Way | undefined;
  if (values.way !== undefined && way === undefined)
    throw new TypeError(`--way is one of ${WAYS.join(', ')}`);
  const file = values['env-file'];
  const env = file === undefined ? environment : parseEnv(readFileSync(file, 'utf8'));
  const examination = await examine(env, { way });
  process.stdout.write(`${values.json ? JSON.stringify(examination, null, 2) : reportText(examination)}\n`);
  return examination.ok ? 0 : 1;
}

try {
  process.exitCode = await run();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'it could not look'}\n${USAGE}`);
  process.exitCode = 2;
}
