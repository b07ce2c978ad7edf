/**
 * How long the jobs API takes from its start until it is ready, and how much memory it has then;
 * and how long the command line takes to say how all is. Both as they are in the repository, and as
 * production runs them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '@revos/local-stack';
import { machineEnv } from '@revos/local-stack/env';
import { OPS_TOKEN } from '../../apps/jobs-api/test/support/app.ts';
import { buildApp, builtProgram } from '../support/built-apps.ts';
import { endProcess, openSite, type Site, startTimed, titleOf, WAYS } from './jobs-api.ts';
import { createTemplates } from './queues.ts';
import { describeMachine, median, table } from './report.ts';

const STARTS = 5;

/** Resident memory in MB; Linux only. */
function memoryOf({ pid }: ChildProcess): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1_024;
}

/** The kernel's ticks of processor time, in milliseconds. */
const TICK_MS = 10;

/** Processor time so far in milliseconds, which depends less on what else the machine does; Linux only. */
function processorOf({ pid }: ChildProcess): number {
  // After the name, which may have spaces: user and system time are the 12th and 13th.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

interface Row {
  readonly title: string;
  readonly readyMs: number[];
  readonly processorMs: number[];
  readonly memoryMb: number[];
}

interface StatusRow {
  readonly title: string;
  readonly statusMs: number[];
}

/** @param cache where compiled code is kept, if it is; the first start fills it, and does not count */
async function startOften(
  title: string,
  site: Site,
  program: readonly string[] | undefined,
  cache: string | null,
): Promise<Row> {
  const row: Row = { title, readyMs: [], processorMs: [], memoryMb: [] };
  for (let start = cache === null ? 0 : -1; start < STARTS; start += 1) {
    const kept = cache === null ? {} : { NODE_COMPILE_CACHE: cache };
    const api = await startTimed({ ...site.environment, NODE_COMPILE_CACHE: undefined, ...kept }, program);
    if (start >= 0) {
      row.readyMs.push(api.readyMs);
      row.processorMs.push(processorOf(api.child));
      row.memoryMb.push(memoryOf(api.child));
      await endProcess(api);
    } else {
      // A process that is killed writes no cache.
      api.child.kill('SIGTERM');
      await api.exited;
    }
  }
  return row;
}

/** `ops status` as a process, from its start to its end, in milliseconds. The first fills its cache. */
async function statusOften(title: string, program: string, port: number): Promise<StatusRow> {
  const row: StatusRow = { title, statusMs: [] };
  for (let time = -1; time < STARTS; time += 1) {
    const startedMs = performance.now();
    const child = spawn(process.execPath, [program, 'status'], {
      env: {
        ...machineEnv(),
        NODE_COMPILE_CACHE: undefined,
        JOBS_API_URL: `http://127.0.0.1:${port}`,
        OPS_TOKEN,
      },
      stdio: 'ignore',
    });
    const [code] = await once(child, 'exit');
    // 1 says that not all is well, and was asked like any other.
    if (code !== 0 && code !== 1) throw new Error(`ops ended with ${code}`);
    if (time >= 0) row.statusMs.push(performance.now() - startedMs);
  }
  return row;
}

const folder = await mkdtemp(path.join(tmpdir(), 'bench-start-up-'));
const server = await startPostgres();
try {
  await createTemplates(server);
  const dist = await buildApp('jobs-api', path.join(folder, 'jobs-api'));
  const ops = path.join(await buildApp('ops', path.join(folder, 'ops')), 'ops.js');
  const programs = [
    { from: 'its sources', program: undefined },
    { from: 'its build', program: builtProgram(dist, 'server') },
  ];
  const rows: Row[] = [];
  const statusRows: StatusRow[] = [];
  for (const way of WAYS) {
    const site = await openSite(server, way, 'http://127.0.0.1:9');
    for (const { from, program } of programs) {
      const title = `${titleOf(way)}, from ${from}`;
      rows.push(await startOften(title, site, program, null));
      const cache = path.join(folder, `cache-${rows.length}`);
      rows.push(await startOften(`${title}, with NODE_COMPILE_CACHE`, site, program, cache));
    }
    if (way === 'direct') {
      const api = await startTimed(site.environment, builtProgram(dist, 'server'));
      const sources = path.resolve(import.meta.dirname, '../../apps/ops/src/cli.ts');
      statusRows.push(await statusOften('its sources', sources, api.port));
      statusRows.push(await statusOften('its build', ops, api.port));
      await endProcess(api);
    }
    await site.close();
  }
  const columns = [
    { head: 'The jobs API over', cell: ({ title }: Row) => title },
    { head: 'ready after, ms', cell: ({ readyMs }: Row) => median(readyMs).toFixed(0) },
    { head: 'processor, ms', cell: ({ processorMs }: Row) => median(processorMs).toFixed(0) },
    { head: 'memory, MB', cell: ({ memoryMb }: Row) => median(memoryMb).toFixed(0) },
  ];
  const statusColumns = [
    { head: '`ops status` from', cell: ({ title }: StatusRow) => title },
    { head: 'ms', cell: ({ statusMs }: StatusRow) => median(statusMs).toFixed(0) },
  ];
  process.stdout.write(
    `${describeMachine()}\n\n${table(columns, rows)}\n\n${table(statusColumns, statusRows)}\n`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
  await server.stop();
}
