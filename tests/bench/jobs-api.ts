/** The jobs API as a process, over a database of its own, by either way to it. */
import type { LocalPostgres } from '@revos/local-stack';
import { asOps } from '../../apps/jobs-api/test/support/app.ts';
import {
  type Environment,
  environmentFor,
  type ServerProcess,
  startServer,
} from '../../apps/jobs-api/test/support/server.ts';
import { startRest } from './rest.ts';

export type Way = 'rest' | 'direct';
export const WAYS: readonly Way[] = ['rest', 'direct'];

export const titleOf = (way: Way): string => (way === 'rest' ? 'REST API' : 'DATABASE_URL');

/** A database, and what a jobs API needs to know to work on it. */
export interface Site {
  readonly databaseUrl: string;
  readonly environment: Environment;
  close(): Promise<void>;
}

let sites = 0;

/** @param server one with the template `revos` */
export async function openSite(server: LocalPostgres, way: Way, unipileDsn: string): Promise<Site> {
  sites += 1;
  const databaseUrl = await server.createDatabase(`site_${sites}`, { template: 'revos' });
  const rest = way === 'rest' ? await startRest(databaseUrl) : null;
  return {
    databaseUrl,
    environment: {
      ...environmentFor(rest?.ready ?? { url: 'http://127.0.0.1:9', secretKey: '' }, unipileDsn),
      ...(rest === null ? { DATABASE_URL: databaseUrl } : {}),
      LOG_LEVEL: 'info',
    },
    async close() {
      await rest?.child.end();
    },
  };
}

const running = new Set<ServerProcess['child']>();
// Also where a benchmark fails.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Starts it, and gives it back with how long it took until it was ready, in milliseconds.
 *
 * @param program the arguments of Node.js; by default the sources as they are
 */
export async function startTimed(
  environment: Environment,
  program?: readonly string[],
): Promise<ServerProcess & { readonly readyMs: number }> {
  const startedMs = performance.now();
  const api = await startServer(environment, program);
  running.add(api.child);
  const ready = await fetch(`http://127.0.0.1:${api.port}/ready`);
  if (ready.status !== 200) throw new Error(`not ready: ${await ready.text()}`);
  return { ...api, readyMs: performance.now() - startedMs };
}

/** Asks for a run of `dm-queue`, and waits for its end. */
export async function runMessages(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/api/jobs/dm-queue`, {
    method: 'POST',
    headers: { ...asOps, prefer: 'wait=60' },
  });
  const { run } = (await response.json()) as { run?: { status: string } };
  if (run?.status !== 'succeeded') throw new Error(`the run is ${JSON.stringify(run)}`);
}

export async function endProcess(api: Pick<ServerProcess, 'child' | 'exited'>): Promise<void> {
  api.child.kill('SIGKILL');
  await api.exited;
}
