/** The service as a process of its own, over a Supabase API and a Unipile stand-in on this machine. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { LocalSupabase } from '@revos/local-stack';
import { machineEnv } from '@revos/local-stack/env';
import { CRON_TOKEN, OPS_TOKEN, SIGNING_SECRET } from './app.ts';

/** The arguments of Node.js: the sources as they are. */
export const SOURCES: readonly string[] = [path.resolve(import.meta.dirname, '../../src/server.ts')];
const WORKER: readonly string[] = [path.resolve(import.meta.dirname, '../../src/worker.ts')];

export interface ServerProcess {
  readonly child: ChildProcess;
  readonly port: number;
  /** Standard output so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit code, once the process has ended; a signal's name if that ended it. */
  readonly exited: Promise<number | NodeJS.Signals | null>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the service needs to run; the schedule is far off, so that nothing runs unasked. */
export function environmentFor(
  supabase: Pick<LocalSupabase, 'url' | 'secretKey'>,
  unipileDsn: string,
): Environment {
  return {
    SUPABASE_URL: supabase.url,
    SUPABASE_SECRET_KEY: supabase.secretKey,
    UNIPILE_DSN: unipileDsn,
    UNIPILE_API_KEY: 'unipile-key',
    JOB_SECRET: CRON_TOKEN,
    JOBS_SIGNING_SECRETS: SIGNING_SECRET,
    OPS_TOKENS: `anna:${OPS_TOKEN}`,
    JOB_SCHEDULES: 'dm-queue=0 0 1 1 *',
    CATCH_UP: 'off',
    HOST: '127.0.0.1',
    PORT: '0',
  };
}

/**
 * Starts the service and takes it as it comes: it may refuse.
 *
 * @param program the arguments of Node.js, for a service that was built
 */
export const spawnServer = (environment: Environment, program = SOURCES) => spawnApp(program, environment);

/** Starts a worker, which listens nowhere. */
export const spawnWorker = (environment: Environment, program = WORKER) => spawnApp(program, environment);

function spawnApp(program: readonly string[], environment: Environment): Omit<ServerProcess, 'port'> {
  const child = spawn(process.execPath, program, {
    env: { ...machineEnv(), ...environment, DO_NOT_TRACK: '1' } as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString();
  });
  // `close`, not `exit`: by then everything it wrote has been read.
  const exited = once(child, 'close').then(
    ([code, signal]: Array<number | NodeJS.Signals | null>) => code ?? signal ?? null,
  );
  return { child, stdout: () => output.stdout, stderr: () => output.stderr, exited };
}

/** Starts the service, and gives it back once it listens. */
export async function startServer(environment: Environment, program = SOURCES): Promise<ServerProcess> {
  const server = spawnServer(environment, program);
  const listening = new Promise<number>((resolve, reject) => {
    server.child.stdout?.on('data', () => {
      const port = /Server listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(server.stdout())?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    void server.exited.then((code) => reject(new Error(`exited with ${code}: ${server.stderr()}`)));
  });
  return { ...server, port: await listening };
}

export interface UnipileStandIn {
  readonly dsn: string;
  /** Resolves with the way to answer the next message that is sent. */
  nextSend(): Promise<() => void>;
  close(): Promise<void>;
}

/** Takes messages as Unipile does, and answers each when the test says so. */
export async function startUnipile(): Promise<UnipileStandIn> {
  const sends: ServerResponse[] = [];
  let waiting: ((response: ServerResponse) => void)[] = [];
  let count = 0;
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      const [first, ...rest] = waiting;
      waiting = rest;
      if (first) first(response);
      else sends.push(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    dsn: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async nextSend() {
      const response =
        sends.shift() ?? (await new Promise<ServerResponse>((resolve) => waiting.push(resolve)));
      return () => {
        count += 1;
        response.writeHead(201, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify({ object: 'ChatStarted', chat_id: `chat-${count}`, message_id: `message-${count}` }),
        );
      };
    },
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
