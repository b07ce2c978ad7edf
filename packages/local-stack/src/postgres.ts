/**
 * A real Postgres server, started from npm packages: nothing to install, as root or not.
 *
 * Promises: it listens only on 127.0.0.1, on a port of its own, and asks for a random password. It never
 * outlives the process that started it, however that ends, nor does its temporary folder.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { postgresEnvironment } from './env.ts';
import { findFreePort } from './free-port.ts';
import {
  findPostgresBinaries,
  findPostgresUser,
  type PostgresBinaries,
  type PostgresUser,
} from './postgres-binaries.ts';
import { lastingCluster, newPassword, passingCluster } from './postgres-cluster.ts';
import { type CreateDatabaseOptions, createDatabase, withClient } from './postgres-databases.ts';
import { startWatchdog, type Watchdog } from './postgres-watchdog.ts';
import { tailOf } from './process-log.ts';
import { supabaseRolesSql } from './supabase-roles.ts';

export interface StartPostgresOptions {
  /**
   * Where the data lives. Reused if it holds a database, and kept on `stop()`. By default a temporary
   * folder, removed on `stop()` or with the process. The port may differ from one start to the next.
   */
  readonly folder?: string;
  /**
   * Survive a power cut (fsync on). Default false: what is committed survives SIGKILL, but not the
   * machine.
   */
  readonly durable?: boolean;
  /** Connections at once, superuser's included. Default 200. */
  readonly connectionsMax?: number;
  /**
   * Folder with `initdb` and `postgres` of another installation, 15 or later. By default those that
   * come with this package.
   */
  readonly programs?: string | undefined;
  /** Further settings of the server, each as `name=value`. */
  readonly settings?: readonly string[];
  /** Its key and certificate, in PEM: it then takes connections with TLS too. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface LocalPostgres {
  /** Of the superuser `postgres`, to the database `postgres`. The same after `restart()`. */
  readonly connectionString: string;
  readonly port: number;
  /** Of the postmaster, or null while it is not running. */
  pid(): number | null;
  /** Creates a database and gives its connection string; see {@link createDatabase}. */
  createDatabase(name: string, options?: CreateDatabaseOptions): Promise<string>;
  /** Stops it without waiting for clients, and removes a temporary folder. Once stopped, stays stopped. */
  stop(): Promise<void>;
  /** SIGKILL to the postmaster, as a crash would: resolves when it is gone. `restart()` brings it back. */
  kill(): Promise<void>;
  /** Starts it again on the same port, stopping it first if it runs. Resolves when it has recovered. */
  restart(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const START_ATTEMPTS_MAX = 5;
const RESTART_ATTEMPTS_MAX = 100;
const RESTART_WAIT_MS = 100;

/** What one server is made of; nothing here changes while it lives. */
interface Cluster {
  readonly binaries: PostgresBinaries;
  readonly user: PostgresUser | undefined;
  readonly folder: string;
  readonly temporary: boolean;
  readonly settings: readonly string[];
}

/** Starts a server and gives it once it accepts connections, with the API roles applied. */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<LocalPostgres> {
  const user = await findPostgresUser();
  const binaries = await findPostgresBinaries(user, options.programs);
  const temporary = options.folder === undefined;
  const folder = path.resolve(options.folder ?? (await mkdtemp(path.join(tmpdir(), 'local-stack-'))));
  const cluster: Cluster = { binaries, user, folder, temporary, settings: settingsFor(options) };

  const watchdog = startWatchdog();
  watchdog.set({ pid: null, folder: temporary ? folder : null });
  try {
    const first = await (temporary ? passingCluster(cluster) : lastingCluster(cluster));
    const password = temporary ? newPassword() : first;
    if (options.tls) await writeTls(cluster, options.tls);
    const { port, child } = await launchOnFreePort(cluster);
    const urlWith = (secret: string): string => `postgres://postgres:${secret}@127.0.0.1:${port}/postgres`;
    const connectionString = urlWith(password);
    const server = serverOf(cluster, watchdog, connectionString, port, child);
    await withClient(urlWith(first), async (client) => {
      if (temporary) await client.query(`alter role postgres password ${client.escapeLiteral(password)}`);
      await client.query(supabaseRolesSql);
    });
    return server;
  } catch (error) {
    watchdog.end();
    throw error;
  }
}

function settingsFor(options: StartPostgresOptions): string[] {
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `max_connections=${options.connectionsMax ?? 200}`,
    'timezone=UTC',
    // A test raises errors by the thousand; the client gets them, the log need not.
    'log_min_messages=log',
    'log_checkpoints=off',
  ];
  // Not synchronous_commit=off: what was committed a moment before SIGKILL would be lost.
  const fast = ['fsync=off', 'full_page_writes=off', 'max_wal_size=4GB'];
  return [
    ...settings,
    ...(options.tls ? ['ssl=on'] : []),
    ...(options.durable ? [] : fast),
    ...(options.settings ?? []),
  ];
}

/** Where Postgres looks for them by itself; it refuses a key that others may read. */
async function writeTls(
  { user, folder }: Cluster,
  { key, cert }: { key: string; cert: string },
): Promise<void> {
  for (const [name, pem] of [
    ['server.key', key],
    ['server.crt', cert],
  ] as const) {
    const file = path.join(folder, 'data', name);
    await writeFile(file, pem, { mode: 0o600 });
    if (user) await chown(file, user.uid, user.gid);
  }
}

async function launchOnFreePort(cluster: Cluster): Promise<{ port: number; child: ChildProcess }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await findFreePort();
    try {
      return { port, child: await launch(cluster, port) };
    } catch (error) {
      if (attempt === START_ATTEMPTS_MAX || !isPortTaken(error)) throw error;
    }
  }
}

/**
 * Runs the server and gives its process once it accepts connections.
 *
 * Its own session, so that Ctrl-C in the terminal does not stop the database under the application.
 *
 * @throws {Error} with the end of its log if it ends first, or is not ready in a minute
 */
async function launch(cluster: Cluster, port: number): Promise<ChildProcess> {
  const data = path.join(cluster.folder, 'data');
  const settings = cluster.settings.flatMap((setting) => ['-c', setting]);
  const child = spawn(cluster.binaries.postgres, ['-D', data, '-p', String(port), ...settings], {
    ...cluster.user,
    cwd: data,
    env: postgresEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const log = tailOf(child);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`Postgres was not ready after ${START_TIMEOUT_MS} ms: ${log()}`));
    }, START_TIMEOUT_MS);
    const settle = (end: () => void): void => {
      // A server that is up must not be ended by the limit on its start.
      clearTimeout(timer);
      end();
    };
    child.stderr?.on('data', () => {
      if (log().includes('database system is ready to accept connections')) settle(resolve);
    });
    child.once('error', (error) => settle(() => reject(error)));
    child.once('close', () => settle(() => reject(new Error(`Postgres did not start: ${log()}`))));
  });
  release(child);
  return child;
}

/** A running server does not keep our process alive: when nothing else does, the watchdog stops it. */
function release(child: ChildProcess): void {
  child.unref();
  const { stderr } = child;
  if (stderr && 'unref' in stderr && typeof stderr.unref === 'function') stderr.unref();
}

function serverOf(
  cluster: Cluster,
  watchdog: Watchdog,
  connectionString: string,
  port: number,
  first: ChildProcess,
): LocalPostgres {
  let running: ChildProcess | null = null;
  let stopped = false;
  const folder = cluster.temporary ? cluster.folder : null;

  const adopt = (child: ChildProcess) => {
    running = child;
    watchdog.set({ pid: child.pid ?? null, folder });
    const forget = () => {
      if (running !== child) return;
      running = null;
      watchdog.set({ pid: null, folder });
    };
    child.once('exit', forget);
    if (hasEnded(child)) forget();
  };
  const end = async (signal: NodeJS.Signals) => {
    if (running) await endProcess(running, signal);
  };
  adopt(first);

  return {
    connectionString,
    port,
    pid: () => running?.pid ?? null,
    createDatabase: (name, options) => createDatabase(connectionString, name, options),
    kill: () => end('SIGKILL'),
    async restart() {
      if (stopped) throw new Error('This Postgres was stopped; start another one');
      await end('SIGINT');
      adopt(await relaunch(cluster, port));
    },
    async stop() {
      stopped = true;
      await end('SIGINT');
      if (folder) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      watchdog.end();
    },
  };
}

/** After SIGKILL the server's children take a moment to notice; until then it refuses to start. */
async function relaunch(cluster: Cluster, port: number): Promise<ChildProcess> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await launch(cluster, port);
    } catch (error) {
      const mayClear = String(error).includes('shared memory block') || isPortTaken(error);
      if (attempt === RESTART_ATTEMPTS_MAX || !mayClear) throw error;
      await new Promise((resolve) => setTimeout(resolve, RESTART_WAIT_MS));
    }
  }
}

/** Signals a process and waits until it is gone; after half a minute it is killed. */
async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return;
  // The process alone does not keep the event loop alive; whoever waits for its end must.
  child.ref();
  const gone = once(child, 'exit');
  const insist = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  child.kill(signal);
  await gone;
  clearTimeout(insist);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function isPortTaken(error: unknown): boolean {
  return String(error).includes('Address already in use');
}
