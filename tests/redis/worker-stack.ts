/**
 * The jobs API and workers as production runs them, built, over one Redis: a real Postgres behind
 * Supabase's REST API, and the sandbox.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { NewMessage } from '@revos/core/dm';
import type { Run } from '@revos/core/jobs';
import { createSupabaseRpc, type Rpc, type SqlQuery } from '@revos/core/rpc';
import { startSupabase } from '@revos/local-stack';
import { machineEnv } from '@revos/local-stack/env';
import { startSandbox, type World } from '@revos/unipile-sandbox';
import pg from 'pg';
import { inject } from 'vitest';
import { makeAccount } from '../../packages/core/test/support/database.ts';
import { builtProgram } from '../support/built-apps.ts';
import { cloneDatabase } from '../support/test-postgres.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

export const OPS_TOKEN = 'ops-token-0123456789';
const GRACE_SECONDS = 8;

export interface AppProcess {
  /** As it stands in the ledger, before the rest of the worker's name. */
  readonly kind: 'jobs-api' | 'worker';
  readonly pid: number;
  /** Every line it wrote. */
  readonly lines: readonly string[];
  /** SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export interface WorkerStack {
  readonly redis: RedisServer;
  readonly world: World;
  readonly query: SqlQuery;
  readonly rpc: Rpc;
  /** Resolves once it works. */
  startApi(env?: Readonly<Record<string, string>>): Promise<AppProcess & { readonly url: string }>;
  startWorker(env?: Readonly<Record<string, string>>): Promise<AppProcess>;
  close(): Promise<void>;
}

/** @param latencyMs how long each call to Unipile takes */
export async function startWorkerStack(latencyMs: { min: number; max: number }): Promise<WorkerStack> {
  const { jobsApi } = inject('builtApps');
  const programs = { 'jobs-api': builtProgram(jobsApi, 'server'), worker: builtProgram(jobsApi, 'worker') };
  const [redis, database, sandbox] = await Promise.all([
    startRedis(),
    cloneDatabase(),
    startSandbox({ latencyMs }),
  ]);
  const postgresUrl = database.url;
  const supabase = await startSupabase({ connection: { postgresUrl, sessionsMax: 16 } });
  const pool = new pg.Pool({ connectionString: postgresUrl, options: '-c role=service_role', max: 4 });
  pool.on('error', () => {});
  const processes: AppProcess[] = [];

  const start = async (
    kind: AppProcess['kind'],
    ready: RegExp,
    env: Readonly<Record<string, string>>,
  ): Promise<AppProcess & { readonly readyLine: string }> => {
    const child = spawn(process.execPath, programs[kind], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...machineEnv(),
        ...{ NODE_ENV: 'production', DO_NOT_TRACK: '1' },
        SUPABASE_URL: supabase.url,
        SUPABASE_SECRET_KEY: supabase.secretKey,
        UNIPILE_DSN: sandbox.url,
        UNIPILE_API_KEY: sandbox.apiKey,
        JOB_ENGINE: 'bullmq',
        REDIS_URL: redis.url,
        SEND_CONCURRENCY: '2',
        SHUTDOWN_GRACE_SECONDS: String(GRACE_SECONDS),
        // What nobody asks for does not come.
        JOB_SCHEDULES: 'dm-queue=0 0 1 1 *;post-scheduler=0 0 1 1 *;reconcile=0 0 1 1 *;analytics=0 0 1 1 *',
        ...env,
      },
    });
    const started = watch(kind, child);
    processes.push(started);
    await untilReady(child, started, ready);
    return { ...started, readyLine: started.lines.find((line) => ready.test(line)) ?? '' };
  };

  return {
    redis,
    world: sandbox.world,
    query: async (text, values) => (await pool.query(text, [...values])).rows,
    rpc: createSupabaseRpc({ url: supabase.url, secretKey: supabase.secretKey }),
    startWorker: (env = {}) => start('worker', /the worker has started/, env),
    async startApi(env = {}) {
      const listening = /Server listening at (http:\/\/127\.0\.0\.1:\d+)/;
      const app = await start('jobs-api', listening, {
        JOB_SECRET: 'cron-token-0123456789',
        JOBS_SIGNING_SECRETS: `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
        OPS_TOKENS: `ada:${OPS_TOKEN}`,
        ...{ PORT: '0', HOST: '127.0.0.1' },
        ...env,
      });
      return { ...app, url: listening.exec(app.readyLine)?.[1] ?? '' };
    },
    async close() {
      await Promise.all(processes.map((one) => one.kill()));
      await Promise.all([redis.kill(), sandbox.close(), pool.end()]);
      await supabase.close();
      await database.drop();
    },
  };
}

/** @throws with what it wrote, if it ends instead */
async function untilReady(child: ChildProcess, { lines }: AppProcess, ready: RegExp): Promise<void> {
  const ended = once(child, 'close').then(() => {
    throw new Error(`the process has ended:\n${lines.join('\n')}`);
  });
  const isReady = Promise.withResolvers<void>();
  const look = (): void => {
    if (lines.some((line) => ready.test(line))) isReady.resolve();
  };
  // Lines are split by another listener, which may be called after this one.
  child.stdout?.on('data', () => setImmediate(look));
  await Promise.race([isReady.promise, ended]);
  // From here on it may end as it likes.
  ended.catch(() => {});
}

function watch(kind: AppProcess['kind'], child: ChildProcess): AppProcess {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  const gone = once(child, 'exit');
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await gone;
    }
    return child.exitCode;
  };
  if (child.pid === undefined) throw new Error('the process could not be started');
  return {
    kind,
    pid: child.pid,
    lines,
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL');
    },
  };
}

export interface CampaignOptions {
  readonly accounts: number;
  readonly messages: number;
  readonly policy?: Readonly<Record<string, unknown>>;
}

/** Queues a campaign of accounts and messages of its own, and gives what each message says. */
export async function queueCampaign(
  { world, query, rpc }: WorkerStack,
  name: string,
  { accounts, messages, policy = {} }: CampaignOptions,
): Promise<string[]> {
  const rows: NewMessage[] = [];
  for (let account = 0; account < accounts; account += 1) {
    const unipileId = `${name}-${account}`;
    world.declareAccount({ id: unipileId });
    const id = await makeAccount({ rpc, query }, unipileId, policy);
    for (let message = 0; message < messages; message += 1) {
      rows.push({
        linkedin_account_id: id,
        recipient_id: `ACoAA${name}${account}x${message}`,
        message: `${name} ${account}/${message}`,
      });
    }
  }
  await rpc.call('dm_enqueue', { rows });
  return rows.map(({ message }) => message);
}

/** Starts `dm-queue` by hand. */
export async function trigger(url: string): Promise<Response> {
  return fetch(`${url}/api/jobs/dm-queue`, {
    method: 'POST',
    headers: { authorization: `Bearer ${OPS_TOKEN}` },
  });
}

export async function runOf(response: Response): Promise<Run> {
  return ((await response.json()) as { run: Run }).run;
}
