/**
 * How much of the web app a cron route brings with it, and how long it takes to load: its cold
 * start, but for the platform's part.
 */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { buildWeb } from '@revos/local-stack/demo/web-build';
import { describeMachine, median, table } from './report.ts';

const ROUTE = path.resolve(import.meta.dirname, '../../apps/web/.next/server/app/api/cron/[job]/route.js');
const STARTS = 9;

/** Every file that the route is deployed with, as Next.js traced it. */
async function traceOf(route: string): Promise<string[]> {
  const { files } = JSON.parse(await readFile(`${route}.nft.json`, 'utf8')) as { files: string[] };
  return files.map((file) => path.resolve(path.dirname(route), file));
}

/** How long a fresh process takes to load a module, or nothing, in milliseconds. */
async function loadMs(file: string | null): Promise<number> {
  const code = `
    const startedMs = performance.now();
    ${file === null ? '' : `require(${JSON.stringify(file)});`}
    process.stdout.write(String(performance.now() - startedMs));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', code], {
    env: { ...process.env, NODE_ENV: 'production' },
  });
  return Number(stdout);
}

await buildWeb();
const files = await traceOf(ROUTE);
const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
const bytes = sizes.reduce((sum, size) => sum + size, 0);
const times: number[] = [];
for (let start = 0; start < STARTS; start += 1) times.push(await loadMs(ROUTE));

const columns = [
  { head: 'The cron route', cell: ([what]: readonly [string, string]) => what },
  { head: '', cell: ([, value]: readonly [string, string]) => value },
];
const rows = [
  ['files it is deployed with', String(files.length)],
  ['their size, MB', (bytes / 2 ** 20).toFixed(1)],
  ['to load it in a fresh process, ms', median(times).toFixed(0)],
] as const;
process.stdout.write(`${describeMachine()}\n\n${table(columns, rows)}\n`);
