/**
 * What the jobs API and the worker tell Sentry, as processes of their own: each error and each slot
 * once, and nothing else.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Run } from '@revos/core/jobs';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import { type LocalSupabase, readMigrations, startSupabase } from '@revos/local-stack';
import { type SentryStandIn, startSentry } from '@revos/local-stack/sentry';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { builtProgram } from '../../../../tests/support/built-apps.ts';
import { asOps, cronRequest, slotNow } from '../support/app.ts';
import {
  type Environment,
  environmentFor,
  type ServerProcess,
  SOURCES,
  spawnServer,
  spawnWorker,
  startServer,
  startUnipile,
  type UnipileStandIn,
} from '../support/server.ts';

const SERVER = builtProgram(inject('builtApps').jobsApi, 'server');
const WORKER = builtProgram(inject('builtApps').jobsApi, 'worker');

/** A database in which two functions are gone: what calls them finds a bug of ours. */
const BROKEN_SQL = `do $$
declare gone text;
begin
  for gone in select oid::regprocedure::text from pg_proc
    where pronamespace = 'public'::regnamespace and proname in ('audit_list', 'analytics_days')
  loop execute 'drop function ' || gone; end loop;
end $$;`;

let folder: string;
let supabase: LocalSupabase;
let unipile: UnipileStandIn;
let sentry: SentryStandIn;
let rpc: Rpc;
let environment: Environment;
let server: Omit<ServerProcess, 'port'> | undefined;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'revos-sentry-'));
  const migrations = [
    ...(await readMigrations()),
    { version: '99991231000000', name: 'broken', sql: BROKEN_SQL },
  ];
  supabase = await startSupabase({ connection: {}, migrations });
  unipile = await startUnipile();
  rpc = createSupabaseRpc(supabase);
});
afterAll(async () => {
  await unipile.close();
  await supabase.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  sentry = await startSentry();
  environment = {
    ...environmentFor(supabase, unipile.dsn),
    JOB_SCHEDULES: 'analytics=*/15 * * * *',
    SENTRY_DSN: sentry.dsn,
    SENTRY_ENVIRONMENT: 'staging',
    RENDER_GIT_COMMIT: 'abc1234',
  };
});
afterEach(async () => {
  server?.child.kill('SIGKILL');
  await server?.exited;
  server = undefined;
  await sentry.close();
});

async function started(change: Environment = {}, program = SERVER): Promise<ServerProcess> {
  const running = await startServer({ ...environment, ...change }, program);
  server = running;
  return running;
}

/** A module that is loaded into the process before anything else. */
async function preload(code: string): Promise<Environment> {
  const file = path.join(folder, `${Date.now()}.mjs`);
  await writeFile(file, code);
  return { NODE_OPTIONS: `--import=${pathToFileURL(file)}` };
}

const eventWith = (type: string, value: string, tags: object, level = 'error') => ({
  event_id: expect.stringMatching(/^[0-9a-f]{32}$/),
  timestamp: expect.any(Number),
  platform: 'node',
  level,
  release: expect.stringMatching(/^\d+\.\d+\.\d+\+abc1234$/),
  environment: 'staging',
  exception: {
    values: [
      {
        ...{ type, value },
        stacktrace: { frames: expect.any(Array) },
        mechanism: { type: 'generic', handled: level !== 'fatal' },
      },
    ],
  },
  tags,
});

/** But for alerts: what goes wrong here is one of those too, a minute later. */
const payloads = (type?: 'event' | 'check_in') =>
  sentry
    .items(type)
    .map(({ payload }) => payload)
    .filter(({ fingerprint }) => fingerprint === undefined);

/** The run of the job's current slot, once it has ended. */
async function runSlot(port: number, job: string, slot = slotNow()): Promise<Run> {
  const { body, headers } = cronRequest({ job, slot });
  const asked = await fetch(`http://127.0.0.1:${port}/api/jobs/${job}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
  });
  expect(asked.status).toBe(202);
  const { run } = (await asked.json()) as { run: Run };
  await expect.poll(async () => (await rpc.call<Run>('run_get', { id: run.id })).finished_at).not.toBeNull();
  return rpc.call<Run>('run_get', { id: run.id });
}

describe('without a DSN', () => {
  it('no module of Sentry is loaded; with one it is', async () => {
    const hooks = `import { registerHooks } from 'node:module';
registerHooks({ load(url, context, next) {
  if (url.includes('@sentry') || url.includes('packages/sentry/')) process.stderr.write('loaded ' + url + '\\n');
  return next(url, context);
} });`;
    const watched = await preload(hooks);
    // Of the sources: what is built has no modules with names.
    const bare = await started({ ...watched, SENTRY_DSN: undefined }, SOURCES);
    expect((await fetch(`http://127.0.0.1:${bare.port}/api/audit`, { headers: asOps })).status).toBe(500);
    expect(bare.stderr()).not.toContain('loaded');
    bare.child.kill('SIGTERM');
    expect(await bare.exited).toBe(0);
    const told = await started(watched, SOURCES);
    expect(told.stderr()).toContain('loaded');
  });

  it.each([
    'https://sentry.example.com/1',
    'canary',
    'http://0123456789abcdef0123456789abcdef@elsewhere.example/1',
  ])('%s is refused at the start, by name', async (SENTRY_DSN) => {
    server = spawnServer({ ...environment, SENTRY_DSN }, SERVER);
    expect(await server.exited).toBe(1);
    expect(server.stderr()).toContain('invalid: SENTRY_DSN');
    expect(server.stderr()).not.toContain(SENTRY_DSN);
  });
});

describe('an error', () => {
  it('of a request is told once, with its id; what was expected is not', async () => {
    const { port } = await started();
    const ask = (at: string, headers: Record<string, string> = asOps) =>
      fetch(`http://127.0.0.1:${port}${at}`, { headers });
    expect((await ask('/api/audit', {})).status).toBe(401);
    expect((await ask('/api/no-such-thing')).status).toBe(404);
    expect((await ask('/api/runs?limit=x')).status).toBe(400);
    const failed = await ask('/api/audit');
    expect(failed.status).toBe(500);
    const { request_id } = (await failed.json()) as { request_id: string };
    await expect.poll(() => payloads().length).toBe(1);
    expect(payloads()).toEqual([
      eventWith('RpcError', expect.stringMatching(/^audit_list: /), {
        ...{ process: 'jobs-api', request_id },
        ...{ code: 'PGRST202', kind: 'bug' },
      }),
    ]);
  });

  it('that a run failed of is told with the run, and its slot is in order no more', async () => {
    const { port, child, exited } = await started();
    const run = await runSlot(port, 'analytics');
    expect(run.status).toBe('failed');
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    const tags = {
      process: 'jobs-api',
      job: 'analytics',
      run_id: run.id,
      slot: run.scheduled_for,
      slice: '0',
    };
    expect(payloads('event')).toEqual([
      eventWith('RpcError', expect.any(String), {
        ...tags,
        ...{ code: 'PGRST202', kind: 'bug' },
      }),
    ]);
    expect(payloads('check_in').map(({ status, monitor_slug }) => [monitor_slug, status])).toEqual([
      ['analytics', 'in_progress'],
      ['analytics', 'error'],
    ]);
  });

  it('that ends the process is told before it is gone', async () => {
    const crash = await preload(
      "process.once('SIGWINCH', () => setImmediate(() => { throw Object.assign(new Error('a row'), { code: '23514' }) }));\n",
    );
    const { child, exited } = await started(crash);
    child.kill('SIGWINCH');
    expect(await exited).toBe(1);
    expect(payloads()).toEqual([
      eventWith('Error', 'the database refused with 23514', { process: 'jobs-api', code: '23514' }, 'fatal'),
    ]);
  });

  it('of a worker names the worker', async () => {
    // No other job has a slot meanwhile.
    const others = ['dm-queue', 'post-scheduler', 'reconcile'].map((job) => `${job}=0 0 29 2 *`);
    const JOB_SCHEDULES = ['analytics=* * * * * *', ...others].join(';');
    server = spawnWorker({ ...environment, SCHEDULER: 'internal', JOB_SCHEDULES }, WORKER);
    await expect.poll(() => payloads('event').length).toBeGreaterThan(0);
    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
    expect(payloads('event')[0]).toMatchObject({
      tags: { process: 'worker', job: 'analytics', kind: 'bug' },
    });
    // A schedule with seconds is for development.
    expect(payloads('check_in')).toEqual([]);
  });
});

describe('a slot', () => {
  it('is checked in as it begins and as it ends, and not for what a person asked for', async () => {
    const { port, child, exited } = await started();
    const byHand = await fetch(`http://127.0.0.1:${port}/api/jobs/reconcile`, {
      method: 'POST',
      headers: asOps,
    });
    expect(byHand.status).toBe(202);
    const { run } = (await byHand.json()) as { run: Run };
    await expect.poll(async () => (await rpc.call<Run>('run_get', { id: run.id })).status).toBe('succeeded');

    const slot = slotNow('*/5 * * * *');
    const ended = await runSlot(port, 'reconcile', slot);
    expect(ended).toMatchObject({ status: 'succeeded' });
    expect(new Date(ended.scheduled_for ?? 0)).toEqual(slot);
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    const same = {
      check_in_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      monitor_slug: 'reconcile',
      release: expect.stringMatching(/^\d+\.\d+\.\d+\+abc1234$/),
      environment: 'staging',
      monitor_config: {
        schedule: { type: 'crontab', value: '*/5 * * * *' },
        ...{ timezone: 'UTC', checkin_margin: 5, max_runtime: 10 },
      },
    };
    expect(payloads()).toEqual([
      { ...same, status: 'in_progress' },
      { ...same, status: 'ok', duration: expect.any(Number) },
    ]);
    expect(new Set(payloads().map(({ check_in_id }) => check_in_id)).size).toBe(1);
  });
});

describe('Sentry', () => {
  it.each(['nothing', 429, 500] as const)(
    'that answers %s holds up no request and no shutdown',
    async (answer) => {
      sentry.answerWith(answer);
      const { port, child, exited } = await started({ SHUTDOWN_GRACE_SECONDS: '1' });
      for (let count = 0; count < 5; count += 1) {
        const startedAt = performance.now();
        const failed = await fetch(`http://127.0.0.1:${port}/api/audit`, { headers: asOps });
        expect(failed.status).toBe(500);
        expect(performance.now() - startedAt).toBeLessThan(2_000);
      }
      const startedAt = performance.now();
      child.kill('SIGTERM');
      expect(await exited).toBe(0);
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    },
  );
});
