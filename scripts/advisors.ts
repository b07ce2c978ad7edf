/**
 * Supabase's database advisors on our migrations: the lints that its dashboard shows, run by its
 * CLI against an embedded Postgres. No Docker and no account; npx fetches the CLI. `node
 * scripts/advisors.ts [folder of migrations]`
 *
 * Fails on any finding above info. A clean answer counts only from advisors that looked: faults are
 * planted in the same database afterwards, and each must be found.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import {
  applyMigrations,
  olderDefaultGrantsSql,
  pgExec,
  readMigrations,
  startPostgres,
  withClient,
} from '../packages/local-stack/src/index.ts';

const CLI = 'supabase@3.1.0';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** One lint, as the CLI prints it. */
interface Finding {
  readonly name: string;
  readonly level: string;
  readonly detail: string;
}

/** Lints, and a fault that each must find. */
const FAULTS: Readonly<Record<string, string>> = {
  rls_disabled_in_public:
    'create table planted_table (id integer primary key); grant select on planted_table to anon',
  function_search_path_mutable: `create function planted_function() returns integer language sql as 'select 1'`,
  materialized_view_in_api:
    'create materialized view planted_view as select 1 as one; grant select on planted_view to anon',
};

/** What is wrong above info with a database made by the migrations, as lines. */
async function problemsOf(url: string, folder: string): Promise<string[]> {
  const found = await findingsOf(url, folder);
  const notes = Object.groupBy(
    found.filter(({ level }) => level === 'INFO'),
    ({ name }) => name,
  );
  for (const [name, all] of Object.entries(notes)) print(`  INFO ${name} (${all?.length})`);
  const problems = found
    .filter(({ level }) => level !== 'INFO')
    .map(({ level, name, detail }) => `${level} ${name}: ${detail}`);

  await withClient(url, (client) => client.query(Object.values(FAULTS).join('; ')));
  const planted = (await findingsOf(url, folder)).filter(({ detail }) => detail.includes('planted_'));
  const missed = Object.keys(FAULTS).filter((name) => !planted.some((finding) => finding.name === name));
  return [...problems, ...missed.map((name) => `the advisors did not find the planted ${name}`)];
}

/** @throws {Error} if the CLI ends badly, or prints something else than lints */
async function findingsOf(url: string, folder: string): Promise<readonly Finding[]> {
  const flags = ['--level', 'info', '--fail-on', 'none', '--output-format', 'json', '--yes'];
  const cli = spawn(
    'npx',
    ['--yes', CLI, 'db', 'advisors', `--remote=${url}`, '--workdir', folder, ...flags],
    {
      cwd: folder,
      env: { ...process.env, DO_NOT_TRACK: '1', PGSSLMODE: 'disable' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const [out, err, [code]] = await Promise.all([text(cli.stdout), text(cli.stderr), once(cli, 'close')]);
  if (code !== 0) throw new Error(`the advisors ended with ${code}: ${err}`);
  const { results } = JSON.parse(out) as { results?: readonly Finding[] };
  if (!Array.isArray(results)) throw new Error(`the advisors gave no results: ${out}`);
  return results;
}

const PROJECTS = { closed: '', older: olderDefaultGrantsSql };

const migrations = await readMigrations(process.argv[2]);
const folder = await mkdtemp(path.join(tmpdir(), 'advisors-'));
const server = await startPostgres();
try {
  for (const [project, grants] of Object.entries(PROJECTS)) {
    print(`A project whose default grants are ${project}:`);
    const url = await server.createDatabase(project);
    await withClient(url, async (client) => {
      await client.query(grants);
      await applyMigrations(pgExec(client), { migrations });
    });
    const problems = await problemsOf(url, folder);
    for (const problem of problems) print(`  ✗ ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
  }
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
if (process.exitCode === undefined) print('Nothing above info, and every planted fault was found.');
