import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout as later } from 'node:timers/promises';
import type { Run, RunPage } from '@revos/core/jobs';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import { type LocalSupabase, startSupabase } from '@revos/local-stack';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { builtProgram } from '../../../../tests/support/built-apps.ts';
import { asOps, CRON_TOKEN, OPS_TOKEN, SIGNING_SECRET } from '../support/app.ts';
import { readEvents } from '../support/event-reader.ts';
import {
  type Environment,
  environmentFor,
  type ServerProcess,
  spawnServer,
  startServer,
  startUnipile,
  type UnipileStandIn,
} from '../support/server.ts';

const SERVER = builtProgram(inject('builtApps').jobsApi, 'server');
const EXIT_MS_MAX = 25_000;

let supabase: LocalSupabase;
let unipile: UnipileStandIn;
let rpc: Rpc;
let environment: Environment;
let server: Omit<ServerProcess, 'port'> | undefined;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  supabase = await startSupabase({ connection: {} });
  unipile = await startUnipile();
  rpc = createSupabaseRpc(supabase);
  environment = environmentFor(supabase, unipile.dsn);
});
afterAll(async () => {
  agent.destroy();
  await unipile.close();
  await supabase.close();
});
afterEach(async () => {
  server?.child.kill('SIGKILL');
  await server?.exited;
  server = undefined;
  // A run whose process was killed would answer the next test's trigger until its lease runs out.
  const [run] = (await rpc.call<RunPage>('run_list', { limit: 1 })).items;
  if (run) await rpc.call('run_cancel', { id: run.id, requested_by: 'the test' });
});

async function started(change: Environment = {}): Promise<ServerProcess> {
  const running = await startServer({ ...environment, ...change }, SERVER);
  server = running;
  return running;
}

/** A request of a client that keeps its connections. */
async function send(port: number, method: string, path: string): Promise<IncomingMessage> {
  const request = httpRequest({ agent, port, host: '127.0.0.1', method, path, headers: asOps });
  request.on('error', () => {});
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

async function json(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

let accountCount = 0;

/** Two messages of one account: the second waits for the gap after the first. */
async function queueTwo(): Promise<void> {
  accountCount += 1;
  const id = `00000000-0000-4000-8000-${String(accountCount).padStart(12, '0')}`;
  const response = await fetch(`${supabase.url}/rest/v1/linkedin_accounts`, {
    method: 'POST',
    headers: { apikey: supabase.secretKey, 'content-type': 'application/json' },
    body: JSON.stringify({ id, account_name: id, unipile_account_id: `unipile-${accountCount}` }),
  });
  if (!response.ok) throw new Error(`the account was refused: ${response.status}`);
  await rpc.call('account_policy_set', {
    account_id: id,
    patch: { window_start: '00:00', window_end: '24:00', work_days: [1, 2, 3, 4, 5, 6, 7], time_zone: 'UTC' },
  });
  await rpc.call('dm_enqueue', {
    rows: ['one', 'two'].map((name) => ({
      linkedin_account_id: id,
      recipient_id: `ACoAA${name}`,
      message: 'Hello',
    })),
  });
}

const secrets = [CRON_TOKEN, OPS_TOKEN, SIGNING_SECRET];

describe('a service that cannot start', () => {
  it('names everything that is missing or wrong at once, on standard error, and no value', async () => {
    server = spawnServer({ JOB_SECRET: 'canary', SUPABASE_URL: 'canary' }, SERVER);
    expect(await server.exited).toBe(1);
    for (const name of [
      'SUPABASE_SECRET_KEY',
      'UNIPILE_DSN',
      'UNIPILE_API_KEY',
      'JOBS_SIGNING_SECRETS',
      'OPS_TOKENS',
    ]) {
      expect(server.stderr()).toContain(name);
    }
    expect(server.stderr()).toMatch(/invalid: JOB_SECRET, SUPABASE_URL/);
    expect(server.stderr()).not.toContain('canary');
    expect(server.stdout()).toBe('');
  });

  it('says so when its key may not see the tables', async () => {
    server = spawnServer({ ...environment, SUPABASE_SECRET_KEY: supabase.publishableKey }, SERVER);
    expect(await server.exited).toBe(1);
    expect(server.stderr()).toContain('SUPABASE_SECRET_KEY must be the secret key of the project');
    expect(server.stderr()).not.toContain(supabase.publishableKey);
  });
});

describe('a service whose database is away', () => {
  it('starts, says so, and is not ready', async () => {
    const { port, stdout } = await started({ SUPABASE_URL: 'http://127.0.0.1:9' });
    expect(stdout()).toContain('database unavailable');
    expect((await send(port, 'GET', '/health')).statusCode).toBe(200);
    const ready = await send(port, 'GET', '/ready');
    expect(ready.statusCode).toBe(503);
    expect(await json(ready)).toMatchObject({ detail: 'Failing: database.' });
  });
});

describe('SIGTERM', () => {
  it('with nothing under way ends the service at once, with a kept connection open', async () => {
    const { port, child, exited, stdout } = await started();
    await json(await send(port, 'GET', '/ready'));
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(stdout()).toContain('shut down');
  });

  it('finishes what is in flight, ends the streams, marks the run and exits 0', async () => {
    await queueTwo();
    const { port, child, exited, stdout, stderr } = await started();
    const { run } = (await json(await send(port, 'POST', '/api/jobs/dm-queue'))) as { run: Run };
    const answer = await unipile.nextSend();
    const stream = await send(port, 'GET', `/api/runs/${run.id}/events`);
    const events = readEvents(stream);
    expect((await events.next())?.event).toBe('run');

    const startedAt = performance.now();
    child.kill('SIGTERM');
    await events.rest();
    expect(await json(await send(port, 'GET', '/health'))).toMatchObject({ shutting_down: true });
    answer();
    expect(await exited).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(EXIT_MS_MAX);

    const ended = await rpc.call<Run>('run_get', { id: run.id });
    expect(ended).toMatchObject({ status: 'interrupted', stats: { sent: 1 } });
    expect(await rpc.call('dm_counts')).toMatchObject({ sent: 1, pending: 1 });
    expect(stdout()).toContain('every run has ended');
    for (const secret of [...secrets, supabase.secretKey, 'Hello'])
      expect(stdout() + stderr()).not.toContain(secret);
  });

  it('exits 0 in time with a call to Unipile that is never answered', async () => {
    await queueTwo();
    const { port, child, exited, stdout } = await started({ SHUTDOWN_GRACE_SECONDS: '1' });
    await json(await send(port, 'POST', '/api/jobs/dm-queue'));
    await unipile.nextSend();
    const startedAt = performance.now();
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(6_000);
    expect(stdout()).toContain('their leases will expire');
  });

  // The process has a clock of its own, so this takes as long as it says. Above every default that
  // a library ends a shutdown by.
  it('waits for an answer that takes nearly all of the grace', async () => {
    await queueTwo();
    const { port, child, exited, stdout } = await started({ SHUTDOWN_GRACE_SECONDS: '18' });
    const { run } = (await json(await send(port, 'POST', '/api/jobs/dm-queue'))) as { run: Run };
    const answer = await unipile.nextSend();
    child.kill('SIGTERM');
    const ending = await Promise.race([exited, later(15_000, 'still waiting')]);
    expect(ending).toBe('still waiting');
    answer();
    expect(await exited).toBe(0);
    expect(stdout()).toContain('every run has ended');
    expect(await rpc.call<Run>('run_get', { id: run.id })).toMatchObject({
      status: 'interrupted',
      stats: { sent: 1 },
    });
  }, 40_000);

  it('a second time ends it at once', async () => {
    await queueTwo();
    const { port, child, exited, stdout } = await started();
    await json(await send(port, 'POST', '/api/jobs/dm-queue'));
    await unipile.nextSend();
    child.kill('SIGTERM');
    await expect.poll(() => stdout()).toContain('shutting down');
    child.kill('SIGTERM');
    expect(await exited).toBe(1);
  });
});
