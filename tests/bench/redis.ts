/** A Redis that writes its log to the disk each second, as one does that jobs are trusted to. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

export interface BenchRedis {
  readonly url: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** @throws if the machine has no `redis-server` */
export async function startBenchRedis(): Promise<BenchRedis> {
  const folder = await mkdtemp(path.join(tmpdir(), 'bench-redis-'));
  const port = await findFreePort();
  const child = spawn('redis-server', [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
    ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
  ]);
  const failed = once(child, 'error').then(() => {
    throw new Error('BullMQ needs redis-server: apt-get install redis-server');
  });
  const ready = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.includes('Ready to accept connections')) return;
    }
    throw new Error('redis-server ended before it was ready');
  })();
  await Promise.race([ready, failed]);
  child.stdout.resume();
  return {
    url: `redis://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
