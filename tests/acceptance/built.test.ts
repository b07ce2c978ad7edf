/** The jobs API and the worker as production runs them: built, with nothing of the repository beside them. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Run } from '@revos/core/jobs';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import {
  clientOf,
  createTemplate,
  type LocalSupabase,
  readMigrations,
  startPostgres,
  startSupabase,
} from '@revos/local-stack';
import { type Collector, startCollector } from '@revos/local-stack/collector';
import { type Sandbox, startSandbox } from '@revos/unipile-sandbox';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  asOps,
  CRON_TOKEN,
  cronRequest,
  OPS_TOKEN,
  SIGNING_SECRET,
  slotNow,
} from '../../apps/jobs-api/test/support/app.ts';
import {
  type Environment,
  environmentFor,
  type ServerProcess,
  spawnServer,
  startServer,
} from '../../apps/jobs-api/test/support/server.ts';
import { buildBundle } from '../../scripts/build.ts';
import { buildApp, builtProgram } from '../support/built-apps.ts';
import { pathTo } from '../support/trace-path.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const MESSAGE = 'Hello from a message that no log has';
const asReader = { authorization: `Basic ${btoa(`ops:${OPS_TOKEN}`)}` };

const dist = inject('builtApps').jobsApi;

let folder: string;
let supabase: LocalSupabase;
let sandbox: Sandbox;
let collector: Collector;
let rpc: Rpc;
let environment: Environment;
let running: Omit<ServerProcess, 'port'> | undefined;
/** All that the processes wrote. */
let written = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'revos-built-'));
  supabase = await startSupabase({ connection: {} });
  sandbox = await startSandbox();
  collector = await startCollector();
  rpc = createSupabaseRpc(supabase);
  environment = { ...environmentFor(supabase, sandbox.url), UNIPILE_API_KEY: sandbox.apiKey };
});
afterAll(async () => {
  await sandbox.close();
  await collector.close();
  await supabase.close();
  await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  running?.child.kill('SIGKILL');
  await running?.exited;
  if (running) written += running.stdout() + running.stderr();
  running = undefined;
});

async function started(change: Environment = {}): Promise<ServerProcess> {
  const server = await startServer({ ...environment, ...change }, builtProgram(dist, 'server'));
  running = server;
  return server;
}

let accounts = 0;

/** Queues a message of an account of its own, and gives its recipient. */
async function queue(): Promise<string> {
  accounts += 1;
  const { id: unipileId } = sandbox.world.declareAccount({ name: `Built ${accounts}` });
  const { data } = await clientOf(supabase)
    .from('linkedin_accounts')
    .insert({ account_name: unipileId, unipile_account_id: unipileId })
    .select('id')
    .single();
  const patch = { window_start: '00:00', window_end: '24:00', work_days: [1, 2, 3, 4, 5, 6, 7] };
  await rpc.call('account_policy_set', { account_id: data?.id, patch });
  const recipient = `ACoAABbuilt${accounts}`;
  await rpc.call('dm_enqueue', {
    rows: [{ linkedin_account_id: data?.id, recipient_id: recipient, message: MESSAGE }],
  });
  return recipient;
}

const sentTo = (recipient: string) =>
  sandbox.world.effects({ kind: 'message' }).filter(({ recipient_id }) => recipient_id === recipient);

/** Every file below a folder, by its path. */
async function filesOf(at: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(at, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const contents = files.sort().map(async (file) => {
    return [path.relative(at, file), (await readFile(file)).toString('base64')] as const;
  });
  return new Map(await Promise.all(contents));
}

describe('a build', () => {
  it('of the same sources has the same bytes', async () => {
    const again = await buildApp('jobs-api', path.join(folder, 'again', 'elsewhere'));
    const [first, second] = await Promise.all([filesOf(dist), filesOf(again)]);
    expect([...second.keys()]).toEqual([...first.keys()]);
    expect(
      [...second].filter(([name, content]) => first.get(name) !== content).map(([name]) => name),
    ).toEqual([]);
  });

  it('names no folder of the machine that made it', async () => {
    for (const [name, content] of await filesOf(dist)) {
      expect(Buffer.from(content, 'base64').includes(ROOT), name).toBe(false);
    }
  });

  it.each([
    { what: 'a file that is not there', code: "import './missing.ts';" },
    { what: 'a package that is not there', code: "import 'no-such-package';" },
    { what: 'a name that is not exported', code: "import { none } from './entry.ts'; console.log(none);" },
  ])('fails on an import of $what', async ({ code }) => {
    const app = path.join(folder, 'broken');
    await mkdir(app, { recursive: true });
    await writeFile(path.join(app, 'entry.ts'), code);
    const bundle = { app, entries: { broken: 'entry.ts' } };
    await expect(buildBundle(bundle, path.join(app, 'dist'))).rejects.toThrow(/missing|no-such-package|none/);
  });
});

describe('the built jobs API', () => {
  it('does the main job: triggered, sent once, traced, ended in order by SIGTERM', async () => {
    const recipient = await queue();
    // Its last slot and its next one are both far away.
    const schedule = `0 ${(new Date().getUTCHours() + 12) % 24} * * *`;
    const { port, child, exited, stdout, stderr } = await started({
      JOB_SCHEDULES: `dm-queue=${schedule}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    });
    const { body, headers } = cronRequest({ job: 'dm-queue', slot: slotNow(schedule) });
    const response = await fetch(`http://127.0.0.1:${port}/api/jobs/dm-queue`, {
      ...{ method: 'POST', body },
      headers: { ...headers, traceparent: `00-${TRACE}-${CALLER}-01` },
    });
    expect(response.status).toBe(202);
    const { run } = (await response.json()) as { run: Run };
    const runNow = () => rpc.call<Run>('run_get', { id: run.id });
    await expect.poll(runNow).toMatchObject({ status: 'running', stats: { sent: 1 } });
    // It would wait for more until its next slot.
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(await runNow()).toMatchObject({ status: 'interrupted', stats: { sent: 1 } });
    expect(sentTo(recipient)).toHaveLength(1);
    expect(stdout()).toMatch(/shutting down[\s\S]*every run has ended[\s\S]*shut down/);
    expect(stderr()).toBe('');

    // The slice's span ended with the process.
    const spans = collector.spans().filter(({ traceId }) => traceId === TRACE);
    expect(spans.find(({ name }) => name === 'request')?.parentSpanId).toBe(CALLER);
    const paths = spans.map((span) => pathTo(span, spans).join(' > '));
    const slice = '… > request > start run > slice';
    expect(new Set(paths)).toEqual(
      new Set([
        '… > request',
        '… > request > start run',
        slice,
        `${slice} > claim`,
        `${slice} > call`,
        `${slice} > record`,
      ]),
    );
    const [call, record] = ['call', 'record'].map((name) => spans.find((span) => span.name === name));
    expect(call?.attributes).toMatchObject({
      'revos.run_id': run.id,
      'revos.outcome': 'sent',
      'http.response.status_code': 201,
    });
    expect(record?.links).toEqual([call?.spanId]);
    expect(spans.find(({ name }) => name === 'slice')?.attributes).toMatchObject({
      'revos.job': 'dm-queue',
      'revos.status': 'interrupted',
    });
  });

  it('loads OpenTelemetry only to trace', async () => {
    const files = await filesOf(dist);
    const textOf = (name: string): string => Buffer.from(files.get(name) ?? '', 'base64').toString();
    const loaded = new Set<string>();
    const load = (name: string): void => {
      if (loaded.has(name)) return;
      loaded.add(name);
      for (const [, next = ''] of textOf(name).matchAll(/^(?:import|export) [^;]*?"\.\/([^"]+\.js)";/gm))
        load(next);
    };
    for (const entry of ['server.js', 'worker.js']) load(entry);
    expect(loaded.size).toBeGreaterThan(5);
    const holders = (names: Iterable<string>) =>
      [...names].filter(
        (name) => name.endsWith('.js') && textOf(name).includes('OTel-OTLP-Exporter-JavaScript'),
      );
    expect(holders(files.keys())).toHaveLength(1);
    expect(holders(loaded)).toEqual([]);
  });

  it('answers on every path of its document, and shows it with all that the page needs', async () => {
    const { port } = await started();
    const get = (at: string, headers: Record<string, string> = asOps) =>
      fetch(`http://127.0.0.1:${port}${at}`, { headers });
    const document = JSON.parse(await readFile(path.join(ROOT, 'apps/jobs-api/openapi.json'), 'utf8'));
    expect(await (await get('/api/openapi.json')).json()).toEqual(document);
    const paths = Object.entries<object>(document.paths).filter(([, operations]) => 'get' in operations);
    expect(paths.length).toBeGreaterThan(10);
    for (const [at] of paths) {
      const { status } = await get(at.replaceAll(/\{\w+\}/g, crypto.randomUUID()));
      // What nobody has made is not found; what wants a parameter says so.
      expect([200, 400, 404], at).toContain(status);
    }
    const page = await get('/docs', asReader);
    expect(page.status).toBe(200);
    const html = await page.text();
    const assets = [...html.matchAll(/(?:src|href)="\.?\/?([^"#]+)"/g)].map(([, name]) => name ?? '');
    expect(assets.length).toBeGreaterThan(4);
    for (const asset of assets) {
      const at = asset.startsWith('docs/') ? `/${asset}` : `/docs/${asset}`;
      expect((await get(at, asReader)).status, at).toBe(200);
    }
  });

  it('says where in the sources an error was made', async () => {
    const { port, stdout } = await started({ SUPABASE_URL: 'http://127.0.0.1:9' });
    expect((await fetch(`http://127.0.0.1:${port}/api/runs`, { headers: asOps })).status).toBe(503);
    await expect.poll(stdout).toMatch(/packages\/core\/src\/rpc\/supabase\.ts:\d+/);
  });

  it('speaks to Postgres itself with DATABASE_URL', async () => {
    const postgres = await startPostgres();
    try {
      const template = await createTemplate(postgres.connectionString, {
        migrations: await readMigrations(),
      });
      const url = await postgres.createDatabase('direct', { template });
      const { port, child, exited, stderr } = await started({ DATABASE_URL: url });
      expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
      child.kill('SIGTERM');
      expect(await exited).toBe(0);
      expect(stderr()).toBe('');
    } finally {
      await postgres.stop();
    }
  });

  it('says what is missing, and no value', async () => {
    running = spawnServer({ JOB_SECRET: 'canary' }, builtProgram(dist, 'server'));
    expect(await running.exited).toBe(1);
    expect(running.stderr()).toContain('SUPABASE_SECRET_KEY');
    expect(running.stderr()).not.toContain('canary');
  });
});

describe('the built worker', () => {
  it('does the main job by its own clock, once, and is ended in order by SIGTERM', async () => {
    const recipient = await queue();
    const schedules = 'dm-queue=* * * * * *;post-scheduler=0 0 1 1 *;reconcile=0 0 1 1 *;analytics=0 0 1 1 *';
    const worker = spawnServer(
      { ...environment, SCHEDULER: 'internal', JOB_SCHEDULES: schedules },
      builtProgram(dist, 'worker'),
    );
    running = worker;
    await expect.poll(() => sentTo(recipient).length).toBe(1);
    worker.child.kill('SIGTERM');
    expect(await worker.exited).toBe(0);
    expect(sentTo(recipient)).toHaveLength(1);
    expect(worker.stdout()).toMatch(/the worker has started[\s\S]*shut down/);
    expect(worker.stderr()).toBe('');
  });
});

it('none of what they wrote has a secret or a text', () => {
  expect(written).toContain('dm-queue');
  for (const secret of [CRON_TOKEN, OPS_TOKEN, SIGNING_SECRET, supabase.secretKey, sandbox.apiKey, MESSAGE]) {
    expect(written).not.toContain(secret);
    expect(collector.requests.map(({ body }) => body).join()).not.toContain(secret);
  }
});
