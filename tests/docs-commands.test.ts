/**
 * Every command that the manuals show: it exists, and takes what it is given there.
 *
 * `ops` commands are parsed by the program itself, and not carried out; scripts must know each
 * option; requests go to paths that the job API has. Whatever else is shown stands in a list, with
 * the test that runs it.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { createProgram } from '../apps/ops/src/program.ts';
import { cloneDatabase, poolOf } from './support/test-postgres.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

const MANUALS = globSync(
  [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'docs/*.md',
    'apps/*/README.md',
    'packages/*/README.md',
    'monitoring/README.md',
  ],
  {
    cwd: ROOT,
  },
);

/** Its commands are run as they stand there. */
const RUN_WHOLE: Readonly<Record<string, string>> = { 'docs/api.md': 'apps/jobs-api/test/api-docs.test.ts' };

/** Commands of other programs, as far as `shown` says, and where they are run. */
const RUN_ELSEWHERE: ReadonlyArray<{ readonly shown: RegExp; readonly by: string }> = [
  { shown: /^docker build --build-arg COMMIT=/, by: 'tests/acceptance/image.test.ts' },
  { shown: /^docker run --read-only --tmpfs \/tmp --env-file /, by: 'tests/acceptance/image.test.ts' },
  { shown: /^npm pack \.\/apps\/ops$/, by: 'apps/ops/test/systems/pack.test.ts' },
  { shown: /^npm install --global \.\/revos-ops-0\.1\.0\.tgz$/, by: 'apps/ops/test/systems/pack.test.ts' },
  // Its files, one after the other and each in one transaction.
  { shown: /^psql "\$DATABASE_URL" -1 -v ON_ERROR_STOP=1 -f "\$file"$/, by: 'tests/sql/migrations.test.ts' },
  {
    shown: /^psql "\$DATABASE_URL" -c "select public\.sending_pause_set\(/,
    by: 'tests/docs-commands.test.ts',
  },
];

const SHELL_WORDS = /^(for \w+ in .+|do|done|break|exit)$/;

interface Shown {
  readonly where: string;
  readonly command: string;
}

/** The commands of a block: without comments, one for each part between `&&`, `||`, `|` and `;`. */
function commandsIn(block: string): string[] {
  const commands: string[] = [];
  let current = '';
  let quote = '';
  const end = (): void => {
    const command = current
      .trim()
      .replace(/\s+>\s*\S+$/, '')
      .replace(/^do /, '');
    if (command !== '') commands.push(command);
    current = '';
  };
  const text = block.replaceAll(/\\\n/g, ' ');
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (quote !== '') {
      if (character === quote) quote = '';
      current += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      current += character;
    } else if (character === '#' && (current === '' || current.endsWith(' '))) {
      while (at < text.length && text[at + 1] !== '\n') at += 1;
    } else if (/[\n;|&]/.test(character)) end();
    else current += character;
  }
  end();
  return commands;
}

/** Words, without their quotes. */
const wordsOf = (command: string): string[] =>
  (command.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? []).map((word) => word.replaceAll(/["']/g, ''));

const shown: Shown[] = MANUALS.filter((file) => !(file in RUN_WHOLE)).flatMap((file) =>
  [...read(file).matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)].flatMap(([, block = '']) =>
    commandsIn(block).map((command) => ({ where: file, command })),
  ),
);

/** Why an `ops` command would be refused before it asked anything; null if it would not. */
async function refusalOfOps(args: readonly string[]): Promise<string | null> {
  const stream = () => Object.assign(new PassThrough().resume(), { isTTY: false });
  const program = createProgram({ env: {}, stdin: stream(), stdout: stream(), stderr: stream() }, () => {});
  const disarm = (command: ReturnType<typeof createProgram>): void => {
    // What a leaf does is not done; a command with others below it keeps asking for one.
    if (command.commands.length === 0 || command.registeredArguments.length > 0) command.action(() => {});
    command.exitOverride();
    command.commands.forEach(disarm);
  };
  disarm(program);
  // Whatever stands for an id.
  const filled = args.map((word) => word.replace(/^<.+>$|^[^=]*…$/, '00000000-0000-4000-8000-000000000000'));
  try {
    await program.parseAsync(filled, { from: 'user' });
    return null;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return code === 'commander.version' || code === 'commander.helpDisplayed' ? null : message;
  }
}

/** Why a script of package.json would not know what it is given. */
function refusalOfScript(name: string, args: readonly string[]): string | null {
  const script: string | undefined = JSON.parse(read('package.json')).scripts[name];
  if (script === undefined) return `package.json has no script ${name}`;
  const [file] =
    /\S+\.ts$/.exec(script) ?? (name === 'start' ? ['packages/local-stack/src/demo/start.ts'] : []);
  const options = args.filter((arg) => arg.startsWith('--')).map((arg) => arg.slice(2));
  if (options.length === 0) return null;
  if (file === undefined) return `nothing says which options ${name} takes`;
  const source = read(file);
  const unknown = options.filter(
    (option) => !new RegExp(`['"]?(--)?${option}['"]?\\s*[:,)\\]]`).test(source),
  );
  return unknown.length === 0 ? null : `${file} has no --${unknown.join(', --')}`;
}

const paths = Object.keys(JSON.parse(read('apps/jobs-api/openapi.json')).paths);

function refusalOfCurl(command: string): string | null {
  const asked = /(?:https:\/\/<jobs-api>|\$\w+)(\/[a-z/-]+)/.exec(command)?.[1] ?? '';
  const matches = (known: string): boolean =>
    new RegExp(`^${known.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(asked);
  return paths.some(matches) ? null : `the job API has no ${asked}`;
}

const variables = read('docs/environment.md');

async function refusalOf({ command }: Shown): Promise<string | null> {
  const [program = '', ...words] = wordsOf(command);
  if (SHELL_WORDS.test(command)) return null;
  if (RUN_ELSEWHERE.some(({ shown: known }) => known.test(command))) return null;
  if (program === 'export') {
    const unknown = words
      .map((word) => word.split('=')[0] ?? '')
      .filter((name) => !variables.includes(`\`${name}\``));
    return unknown.length === 0 ? null : `docs/environment.md has no ${unknown.join(', ')}`;
  }
  if (program === 'ops') return refusalOfOps(words);
  if (program === 'pnpm' && words[0] === 'ops') return refusalOfOps(words.slice(1));
  if (program === 'curl') return refusalOfCurl(command);
  if (program === 'npm') {
    const [verb = '', ...rest] = words.filter((word) => word !== '--silent');
    const [name = '', ...args] = verb === 'run' ? rest : [verb, ...rest];
    const own = args[0] === '--' ? args.slice(1) : args;
    return name === 'ops' ? refusalOfOps(own) : refusalOfScript(name, own);
  }
  return 'nothing here knows the program';
}

describe('every command of the manuals', () => {
  it('is found', () => {
    expect(shown.length).toBeGreaterThan(40);
    expect(new Set(shown.map(({ where }) => where))).toContain('docs/deploying.md');
  });

  it.each(shown)('$where: $command', async (one) => {
    expect(await refusalOf(one)).toBeNull();
  });

  it('that is run elsewhere has a test there', () => {
    for (const file of [...Object.values(RUN_WHOLE), ...RUN_ELSEWHERE.map(({ by }) => by)]) {
      expect(existsSync(path.join(ROOT, file)), file).toBe(true);
    }
    for (const { shown: known } of RUN_ELSEWHERE) {
      expect(
        shown.some(({ command }) => known.test(command)),
        String(known),
      ).toBe(true);
    }
  });

  it.each([
    { command: 'ops stauts', refusal: /unknown command/ },
    { command: 'ops status --colour', refusal: /unknown option/ },
    { command: 'ops run', refusal: /missing required argument/ },
    { command: 'npm run simulate', refusal: /no script simulate/ },
    { command: 'npm run sim -- 4711 --seads 3', refusal: /no --seads/ },
    { command: 'curl https://<jobs-api>/api/jobz/dm-queue', refusal: /has no \/api\/jobz/ },
    { command: 'export JOBS_API_URI=https://<jobs-api>', refusal: /has no JOBS_API_URI/ },
    { command: 'supabase db push', refusal: /nothing here knows/ },
  ])('would be refused if it were $command', async ({ command, refusal }) => {
    expect(await refusalOf({ where: 'here', command })).toMatch(refusal);
  });
});

describe('docs/deploying.md', () => {
  const manual = read('docs/deploying.md');

  it('holds everything back by a statement that does', async () => {
    const [, statement = ''] = /psql "\$DATABASE_URL" -c "(.+)"/.exec(manual) ?? [];
    const database = await cloneDatabase();
    onTestFinished(() => database.drop());
    const pool = poolOf({ connectionString: database.url });
    onTestFinished(() => pool.end());
    await pool.query(statement);
    const { rows } = await pool.query('select public.sending_is_paused() as is_paused');
    expect(rows).toEqual([{ is_paused: true }]);
  });

  it('names every value that Render asks for, and no other', () => {
    const { services } = parse(read('render.yaml')) as {
      services: Array<{ envVars: Array<{ key: string; sync?: boolean }> }>;
    };
    const asked = services.flatMap(({ envVars }) => envVars.filter(({ sync }) => sync === false));
    const [, table = ''] = /\| Asked for \|([\s\S]*?)\n\n/.exec(manual) ?? [];
    const named = [...table.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name);
    expect(named.sort()).toEqual(asked.map(({ key }) => key).sort());
  });

  it('rotates every secret that there is', () => {
    const secrets = [...variables.matchAll(/^\| `([A-Z_]+)` \|/gm)]
      .map(([, name = '']) => name)
      .filter((name) => /SECRET|TOKEN|KEY$|DSN|^DATABASE_URL|REDIS_URL|WEBHOOK|HEARTBEAT/.test(name));
    // No secret; the older name of one; the address that a secret goes to.
    const none = ['UNIPILE_DSN', 'SUPABASE_SERVICE_ROLE_KEY', 'ALERT_WEBHOOK_URL'];
    const section = manual.slice(manual.indexOf('## Rotating a secret'), manual.indexOf('## Going back'));
    expect(secrets.length).toBeGreaterThan(10);
    expect(secrets.filter((name) => !none.includes(name) && !section.includes(`\`${name}\``))).toEqual([]);
  });
});
