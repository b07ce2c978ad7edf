/**
 * The whole system on one machine: database, Unipile sandbox, jobs API and web app, each with
 * credentials of its own that live as long as the stack does.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import { type Sandbox, startSandbox } from '@revos/unipile-sandbox';
import type { SupabaseClient } from '@supabase/supabase-js';
import { readMigrations } from '../migrations.ts';
import { repositoryRoot } from '../repository.ts';
import { clientOf, type LocalSupabase, startSupabase } from '../supabase.ts';
import { type AppProcess, startApp } from './processes.ts';
import { buildWeb } from './web-build.ts';

export interface StackOptions {
  /** Emptied first; holds the database and the apps' logs. */
  readonly dataDir: string;
  /** Other schedules, as JOB_SCHEDULES has them. */
  readonly schedules?: string;
  /** Further variables of the jobs API. */
  readonly jobsApiEnv?: Readonly<Record<string, string>>;
  /** Further variables of the web app. */
  readonly webEnv?: Readonly<Record<string, string>>;
  /** SQL that comes after the migrations, for a database that has more in it than ours. */
  readonly moreSql?: string;
  /** Told of each step, for people who wait. */
  readonly onStep: (step: string) => void;
}

export interface Stack {
  readonly supabase: LocalSupabase;
  /** As RevOS itself would use it: supabase-js with the secret key. */
  readonly client: SupabaseClient;
  readonly rpc: Rpc;
  readonly sandbox: Sandbox;
  readonly jobsApi: AppProcess;
  readonly web: AppProcess;
  readonly cronSecret: string;
  readonly opsToken: string;
  /** The variables that each app was given, by name: all their secrets are here. */
  readonly environments: Readonly<Record<'jobsApi' | 'web', Readonly<Record<string, string>>>>;
  /** Rejects as soon as an app ends that should not. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** Empties the folder and marks it as this process's. @throws if another process lives in it */
async function takeFolder(dataDir: string): Promise<void> {
  const pidFile = path.join(dataDir, 'pid');
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => '0'));
  if (pid !== process.pid && isAlive(pid)) {
    throw new Error(
      `Process ${pid} is running on ${dataDir} already; end it first, or choose another folder (--data)`,
    );
  }
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(dataDir, { recursive: true });
  await writeFile(pidFile, String(process.pid));
}

function isAlive(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const secret = (): string => randomBytes(24).toString('base64url');

async function migrationsAnd(sql: string | undefined) {
  const migrations = await readMigrations();
  return sql === undefined ? migrations : [...migrations, { version: '99991231000000', name: 'more', sql }];
}

/** Starts everything, or nothing: what was started is stopped again if a later part fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataDir, onStep } = options;
  await takeFolder(dataDir);
  const opened: Array<{ close(): Promise<unknown> }> = [];
  const close = async (): Promise<void> => {
    for (const part of opened.splice(0).reverse()) await part.close();
    await rm(path.join(dataDir, 'pid'), { force: true });
  };
  const keep = <Part>(part: Part, end: (part: Part) => Promise<unknown>): Part => {
    opened.push({ close: () => end(part) });
    return part;
  };

  try {
    onStep('Database: Supabase REST and Auth on PGlite, from supabase/migrations');
    const build = buildWeb();
    // Awaited below; until then a failed build must not end this process unheard.
    build.catch(() => {});
    const supabase = keep(
      await startSupabase({
        connection: { dataDir: path.join(dataDir, 'database') },
        migrations: await migrationsAnd(options.moreSql),
      }),
      (part) => part.close(),
    );
    onStep('Unipile sandbox');
    const sandbox = keep(await startSandbox({ apiKey: secret() }), (part) => part.close());

    const cronSecret = secret();
    const jobSecret = secret();
    const opsToken = secret();
    const signingSecret = `whsec_${randomBytes(32).toString('base64')}`;
    const shared = {
      NODE_ENV: 'production',
      JOB_SECRET: jobSecret,
      JOBS_SIGNING_SECRETS: signingSecret,
      ...(options.schedules === undefined ? {} : { JOB_SCHEDULES: options.schedules }),
    };

    const jobsApiEnv = {
      ...shared,
      SUPABASE_URL: supabase.url,
      SUPABASE_SECRET_KEY: supabase.secretKey,
      UNIPILE_DSN: sandbox.url,
      UNIPILE_API_KEY: sandbox.apiKey,
      OPS_TOKENS: `local:${opsToken}`,
      ...options.jobsApiEnv,
    };

    onStep('Jobs API');
    const jobsApi = keep(
      await startApp({
        name: 'The jobs API',
        command: ['node', 'src/server.ts'],
        cwd: path.join(repositoryRoot, 'apps', 'jobs-api'),
        probePath: '/health',
        logFile: path.join(dataDir, 'logs', 'jobs-api.log'),
        env: jobsApiEnv,
      }),
      (part) => part.stop(),
    );

    onStep('Web app (the first time it is built, which takes half a minute)');
    await build;
    const webEnv = {
      ...shared,
      CRON_SECRET: cronSecret,
      JOBS_API_URL: jobsApi.url,
      OPS_TOKEN: opsToken,
      NEXT_TELEMETRY_DISABLED: '1',
      ...options.webEnv,
    };
    const web = keep(
      await startApp({
        name: 'The web app',
        command: ['next', 'start', '--port', '{port}', '--hostname', '127.0.0.1'],
        cwd: path.join(repositoryRoot, 'apps', 'web'),
        probePath: '/api/cron/dm-queue',
        logFile: path.join(dataDir, 'logs', 'web.log'),
        env: webEnv,
      }),
      (part) => part.stop(),
    );

    const failed = Promise.race([jobsApi.failed, web.failed]);
    // Whoever races with it hears of it; until then it must not end this process unheard.
    failed.catch(() => {});
    return {
      supabase,
      client: clientOf(supabase),
      rpc: createSupabaseRpc({ url: supabase.url, secretKey: supabase.secretKey }),
      sandbox,
      jobsApi,
      web,
      cronSecret,
      opsToken,
      environments: { jobsApi: jobsApiEnv, web: webEnv },
      failed,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
