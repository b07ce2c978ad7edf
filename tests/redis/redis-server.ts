/** A Redis server of one's own: `redis-server` of the machine, on a port of 127.0.0.1. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';

export interface RedisServer {
  readonly url: string;
  /** Of the process that runs now, or ran last. */
  pid(): number;
  /** Kills it; what it knew is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>;
  /** The same, unless it runs. */
  ensure(): Promise<void>;
  /** Makes it forget everything. */
  flush(): Promise<void>;
}

export interface RedisOptions {
  /** What clients must give; none by default. */
  readonly password?: string;
  /**
   * Where it writes its log each second, as one does that jobs are trusted to; by default it writes
   * nothing.
   */
  readonly folder?: string;
}

/** @throws if the machine has no `redis-server` */
export async function startRedis({ password, folder }: RedisOptions = {}): Promise<RedisServer> {
  const port = await findFreePort();
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const started = spawn('redis-server', [
      ...['--port', String(port), '--bind', '127.0.0.1', '--save', ''],
      ...(folder === undefined
        ? ['--appendonly', 'no']
        : ['--appendonly', 'yes', '--appendfsync', 'everysec', '--dir', folder]),
      ...(password === undefined ? [] : ['--requirepass', password]),
    ]);
    child = started;
    const failed = once(started, 'error').then(([cause]): never => {
      throw new Error('redis-server does not start: apt-get install redis-server', { cause });
    });
    const ready = (async () => {
      for await (const line of createInterface({ input: started.stdout })) {
        if (line.includes('Ready to accept connections')) return;
      }
      throw new Error('redis-server ended before it was ready');
    })();
    await Promise.race([ready, failed]);
    // Nobody reads on; its pipe must not fill up.
    started.stdout.resume();
  };
  await start();

  const isRunning = (): boolean =>
    child !== undefined && child.exitCode === null && child.signalCode === null;
  const url = `redis://127.0.0.1:${port}`;
  return {
    url,
    pid: () => child?.pid ?? 0,
    restart: start,
    async ensure() {
      if (!isRunning()) await start();
    },
    async flush() {
      const client = new Redis(url, password === undefined ? {} : { password });
      await client.flushall();
      client.disconnect();
    },
    async kill() {
      if (child === undefined || !isRunning()) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
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
