/** How long the jobs API takes from its start until it is ready, and how much memory it has then. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '@revos/local-stack';
import { endProcess, openSite, startTimed, titleOf, WAYS } from './jobs-api.ts';
import { describeMachine, median, table } from './paper.ts';
import { createTemplates } from './queues.ts';

const STARTS = 7;

/** Resident memory in MB; Linux only. */
function memoryOf(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1_024;
}

interface Row {
  readonly title: string;
  readonly readyMs: number[];
  readonly memoryMb: number[];
}

const server = await startPostgres();
const cache = await mkdtemp(path.join(tmpdir(), 'bench-compile-cache-'));
try {
  await createTemplates(server);
  const rows: Row[] = [];
  for (const way of WAYS) {
    const site = await openSite(server, way, 'http://127.0.0.1:9');
    for (const isCached of [false, true]) {
      const row: Row = {
        title: `${titleOf(way)}${isCached ? ', with NODE_COMPILE_CACHE' : ''}`,
        readyMs: [],
        memoryMb: [],
      };
      // The first one with a cache fills it.
      for (let start = isCached ? -1 : 0; start < STARTS; start += 1) {
        const api = await startTimed({
          ...site.environment,
          ...(isCached ? { NODE_COMPILE_CACHE: cache } : {}),
        });
        if (start >= 0) {
          row.readyMs.push(api.readyMs);
          row.memoryMb.push(memoryOf(api.child.pid ?? 0));
        }
        // A process that is killed writes no cache.
        if (start < 0) {
          api.child.kill('SIGTERM');
          await api.exited;
        } else await endProcess(api);
      }
      rows.push(row);
    }
    await site.close();
  }
  const columns = [
    { head: 'The jobs API over', cell: ({ title }: Row) => title },
    { head: 'ready after, ms', cell: ({ readyMs }: Row) => median(readyMs).toFixed(0) },
    { head: 'memory, MB', cell: ({ memoryMb }: Row) => median(memoryMb).toFixed(0) },
  ];
  process.stdout.write(`${describeMachine()}\n\n${table(columns, rows)}\n`);
} finally {
  await rm(cache, { recursive: true, force: true });
  await server.stop();
}
