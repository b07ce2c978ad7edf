/**
 * The parts under chaos: a real Postgres, Supabase's REST API, the sandbox, and proxies to cut
 * between them.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import { type LocalPostgres, readMigrations, startPostgres } from '@revos/local-stack';
import { createWorld, startSandbox, type World } from '@revos/unipile-sandbox';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { buildApp } from '../support/built-apps.ts';
import type { Random } from '../support/random.ts';
import type { SupabaseOrder, SupabaseReady } from '../support/supabase-process.ts';
import { type Cluster, createCluster } from './cluster.ts';
import { type InstrumentedSandbox, instrument } from './instrumented-sandbox.ts';
import type { Form } from './plan.ts';
import { startProxy, type TcpProxy } from './proxy.ts';

/** Credentials of a system that lives for minutes on this machine. */
export const CREDENTIALS = {
  cronToken: 'chaos-cron-token-0123456789',
  opsToken: 'chaos-ops-token-0123456789',
  signingSecret: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
} as const;

/** How long a process may finish what is in flight after SIGTERM, in seconds. */
export const GRACE_SECONDS = 3;

/** Connections of the REST API to Postgres. */
const SESSIONS_MAX = 24;

/** Of so many processes one has a clock of its own. */
const CLOCK_EVERY = 4;

/**
 * A slot every two seconds: whoever was killed, the next one comes at once. Analytics are not what
 * this is about.
 */
export const SCHEDULES = {
  faults: 'dm-queue=*/2 * * * * *;post-scheduler=*/2 * * * * *;reconcile=*/15 * * * * *;analytics=0 0 1 1 *',
  recovery:
    'dm-queue=*/10 * * * * *;post-scheduler=*/10 * * * * *;reconcile=*/10 * * * * *;analytics=0 0 1 1 *',
} as const;

export interface Stack {
  readonly folder: string;
  readonly postgres: LocalPostgres;
  /** Of the superuser, to the database under test. */
  readonly databaseUrl: string;
  /** Past every proxy, as RevOS would call: nothing of it is cut but by the database's own death. */
  readonly rpc: Rpc;
  /** Null without BullMQ. */
  readonly redis: RedisServer | null;
  readonly world: World;
  readonly instrumented: InstrumentedSandbox;
  readonly proxies: { readonly database: TcpProxy; readonly unipile: TcpProxy };
  cluster(schedules: string): Cluster;
  /** Stops everything, once. The folder with the logs stays if `keepLogs`. */
  close(keepLogs: boolean): Promise<void>;
}

export async function startStack(form: Form, random: Random, migrations: string | undefined): Promise<Stack> {
  const folder = await mkdtemp(path.join(tmpdir(), 'revos-chaos-'));
  const clusters: Cluster[] = [];
  const dist = await buildApp('jobs-api', path.join(folder, 'jobs-api'));
  const postgres = await startPostgres();
  const databaseUrl = await postgres.createDatabase('chaos');
  const supabase = await startSupabaseProcess(
    { postgresUrl: databaseUrl, migrations: await readMigrations(migrations), sessionsMax: SESSIONS_MAX },
    path.join(folder, 'supabase.log'),
  );
  const instrumented = instrument(
    createWorld({ random: random.next, effectsMax: 1_000_000, storedMax: 2_000_000, visibilityDelayMs: 300 }),
  );
  const sandbox = await startSandbox({ world: instrumented.world });
  const proxies = {
    database: await startProxy(supabase.ready.url),
    unipile: await startProxy(sandbox.url),
  };
  const redis = form.engine === 'bullmq' ? await startRedis() : null;
  const env = {
    ...(redis === null ? {} : { JOB_ENGINE: 'bullmq', REDIS_URL: redis.url }),
    NODE_ENV: 'production',
    // Only what a start costs: a process that is killed writes none, so those that are stopped do it for all.
    NODE_COMPILE_CACHE: path.join(folder, 'compile-cache'),
    DO_NOT_TRACK: '1',
    SUPABASE_URL: proxies.database.url,
    SUPABASE_SECRET_KEY: supabase.ready.secretKey,
    UNIPILE_DSN: proxies.unipile.url,
    UNIPILE_API_KEY: sandbox.apiKey,
    JOB_SECRET: CREDENTIALS.cronToken,
    JOBS_SIGNING_SECRETS: CREDENTIALS.signingSecret,
    OPS_TOKENS: `chaos:${CREDENTIALS.opsToken}`,
    SEND_CONCURRENCY: String(form.sendConcurrency),
    // The ledger is moved by hours.
    POST_LATE_LIMIT_MINUTES: '10080',
    SHUTDOWN_GRACE_SECONDS: String(GRACE_SECONDS),
    PORT: '0',
    HOST: '127.0.0.1',
  };
  const closeAll = async (keepLogs: boolean): Promise<void> => {
    await Promise.all(clusters.flatMap((cluster) => cluster.instances().map((instance) => instance.kill())));
    await Promise.all([proxies.database.close(), proxies.unipile.close(), sandbox.close(), redis?.kill()]);
    supabase.child.disconnect();
    await postgres.stop();
    if (!keepLogs) await rm(folder, { recursive: true, force: true });
  };
  let closing: Promise<void> | undefined;
  return {
    folder,
    postgres,
    databaseUrl,
    rpc: createSupabaseRpc(supabase.ready),
    redis,
    world: instrumented.world,
    instrumented,
    proxies,
    cluster(schedules) {
      const envOf = (ordinal: number): Record<string, string> => ({
        ...env,
        JOB_SCHEDULES: schedules,
        // A few trigger themselves, beside the crons: one slot, three that ask.
        SCHEDULER: schedules === SCHEDULES.faults && ordinal % CLOCK_EVERY === 0 ? 'internal' : 'off',
      });
      const cluster = createCluster(dist, envOf, path.join(folder, 'processes.log'));
      clusters.push(cluster);
      return cluster;
    },
    close: (keepLogs) => {
      closing ??= closeAll(keepLogs);
      return closing;
    },
  };
}

async function startSupabaseProcess(
  order: SupabaseOrder,
  logFile: string,
): Promise<{ child: ChildProcess; ready: SupabaseReady }> {
  const child = fork(path.join(import.meta.dirname, '../support/supabase-process.ts'), { silent: true });
  const log = createWriteStream(logFile);
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  child.send(order);
  const ended = once(child, 'exit').then(([code]): never => {
    throw new Error(`Supabase's process ended with ${code}; see ${logFile}`);
  });
  // Heard of at the start; later the calls that it no longer answers say so.
  ended.catch(() => {});
  const [ready] = (await Promise.race([once(child, 'message'), ended])) as [SupabaseReady];
  return { child, ready };
}
