/**
 * What is monitored, held against a real scrape: the jobs API as a process that has really sent
 * messages to the sandbox, over the REST API. promtool judges the scrape, the rules and the rules'
 * tests; each expression names only what was scraped.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { jobs } from '@revos/core/registry';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import { REASONS } from '@revos/core/sending';
import { type LocalSupabase, startSupabase } from '@revos/local-stack';
import { machineEnv } from '@revos/local-stack/env';
import { type Sandbox, startSandbox } from '@revos/unipile-sandbox';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { parse } from 'yaml';
import { asOps } from '../../apps/jobs-api/test/support/app.ts';
import { environmentFor, type ServerProcess, startServer } from '../../apps/jobs-api/test/support/server.ts';
import { builtProgram } from '../support/built-apps.ts';
import { promtool } from '../support/promtool.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../monitoring');
const SERVER = builtProgram(inject('builtApps').jobsApi, 'server');
const WORKER = builtProgram(inject('builtApps').jobsApi, 'worker');

/** Where a process says on which port its metrics are. */
const PORT_LINE = /"port":(\d+),"msg":"metrics server listening"/;

const TOKEN = 'scraper-token-0123456789';
/** What no scrape may have in it. */
const TEXT = 'Canary of a message 4b1d';
const ACCOUNT_NAME = 'Canary Account Person';
const RECIPIENT = 'ACoAABcanary';

let supabase: LocalSupabase;
let sandbox: Sandbox;
let rpc: Rpc;
let server: ServerProcess;
let folder: string;
let text: string;
const NOBODY = '00000000-0000-4000-8000-999999999999';

/** An account that may send at any hour. */
const OPEN = {
  window_start: '00:00',
  window_end: '24:00',
  work_days: [1, 2, 3, 4, 5, 6, 7],
  time_zone: 'UTC',
};

/** Of all accounts and messages. */
const ids: string[] = [];

beforeAll(async () => {
  // The local database writes each error that it answers with to the console, rows and all.
  vi.spyOn(console, 'error').mockImplementation(() => {});
  folder = await mkdtemp(path.join(tmpdir(), 'revos-monitoring-'));
  [supabase, sandbox] = await Promise.all([
    startSupabase({ connection: {} }),
    startSandbox({ apiKey: 'unipile-key' }),
  ]);
  rpc = createSupabaseRpc(supabase);
  const environment = {
    ...environmentFor(supabase, sandbox.url),
    METRICS_TOKEN: TOKEN,
    METRICS_PORT: '0',
    RENDER_GIT_COMMIT: '0123456789abcdef',
  };
  server = await startServer(environment, SERVER);
  await queueMessages();
  const ran = await fetch(`http://127.0.0.1:${server.port}/api/jobs/dm-queue`, {
    method: 'POST',
    headers: { ...asOps, prefer: 'wait=50' },
  });
  expect(await ran.json()).toMatchObject({ run: { status: 'succeeded', stats: { sent: 2, failed: 1 } } });
  // The database refuses one by a rule of ours.
  const refused = await fetch(`http://127.0.0.1:${server.port}/api/messages`, {
    method: 'POST',
    headers: { ...asOps, 'content-type': 'application/json' },
    body: JSON.stringify({
      messages: [{ linkedin_account_id: NOBODY, recipient_id: `${RECIPIENT}4`, message: TEXT }],
    }),
  });
  expect(refused.status).toBe(422);
  text = await scrape();
});

afterAll(async () => {
  server?.child.kill('SIGKILL');
  await server?.exited;
  await Promise.all([sandbox?.close(), supabase?.close()]);
  await rm(folder, { recursive: true, force: true });
});

/** Two that go out, and one to somebody who is no connection; each of an account of its own. */
async function queueMessages(): Promise<void> {
  for (const n of [1, 2, 3]) {
    const unipileId = sandbox.world.declareAccount({ name: ACCOUNT_NAME }).id;
    const id = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    const response = await fetch(`${supabase.url}/rest/v1/linkedin_accounts`, {
      method: 'POST',
      headers: { apikey: supabase.secretKey, 'content-type': 'application/json' },
      body: JSON.stringify({ id, account_name: `${ACCOUNT_NAME} ${n}`, unipile_account_id: unipileId }),
    });
    expect(response.ok).toBe(true);
    await rpc.call('account_policy_set', {
      account_id: id,
      patch: { ...OPEN, gap_min_s: 0, gap_max_s: 0 },
    });
    const recipient_id = `${RECIPIENT}${n}`;
    const relation = n < 3 ? 'connected' : 'not_connected';
    sandbox.world.declarePerson({ provider_id: recipient_id, name: 'Canary Recipient', relation });
    const queued = await rpc.call<{ messages: { id: string }[] }>('dm_enqueue', {
      rows: [{ linkedin_account_id: id, recipient_id, message: TEXT }],
    });
    ids.push(id, unipileId, ...queued.messages.map((message) => message.id));
  }
}

async function scrape(): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${server.port}/metrics`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  expect(response.status).toBe(200);
  return response.text();
}

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const samplesOf = (scraped: string): Sample[] =>
  [...scraped.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name = '', labels = '', value]) => ({
    name,
    labels: Object.fromEntries(
      [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text]),
    ),
    value: Number(value),
  }));

/** Names that a query may have: of every sample, and of what is only there with a queue. */
const scrapedNames = (): ReadonlySet<string> =>
  new Set([...samplesOf(text).map(({ name }) => name), 'revos_queue_up', 'revos_queue_slices']);

/** What an expression asks for. */
const namesIn = (expression: string): string[] =>
  [...expression.matchAll(/\b(?:revos|nodejs|process)_[a-z0-9_]+/g)].map(([name]) => name);

/** Rules, one for each expression, for promtool to read. */
async function checkExpressions(
  expressions: readonly string[],
): Promise<{ isContent: boolean; said: string }> {
  const file = path.join(folder, 'expressions.yml');
  const rules = expressions.map((expr, index) => ({ record: `expression:${index}`, expr }));
  await writeFile(file, JSON.stringify({ groups: [{ name: 'expressions', rules }] }));
  return promtool(['check', 'rules', file]);
}

describe('a scrape', () => {
  it('is as Prometheus wants it', async () => {
    expect(await promtool(['check', 'metrics'], { input: text })).toEqual({ isContent: true, said: '' });
    // The judge judges.
    const broken = text.replace(
      '# TYPE revos_runs_ended_total counter',
      '# TYPE revos_runs_ended_total gauge',
    );
    expect((await promtool(['check', 'metrics'], { input: broken })).isContent).toBe(false);
  });

  it('has what the run did', () => {
    const sampleOf = (name: string, labels: Record<string, string>): number | undefined =>
      samplesOf(text).find(
        (sample) =>
          sample.name === name &&
          Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
      )?.value;
    const sent = { kind: 'message', outcome: 'sent' };
    expect(sampleOf('revos_attempts_total', { ...sent, reason: 'none' })).toBe(2);
    expect(
      sampleOf('revos_attempts_total', { kind: 'message', outcome: 'failed', reason: 'not_connected' }),
    ).toBe(1);
    expect(sampleOf('revos_runs_ended_total', { job_name: 'dm-queue', status: 'succeeded' })).toBe(1);
    const toUnipile = 'revos_unipile_call_duration_seconds_count';
    expect(sampleOf(toUnipile, { operation: 'send_message', outcome: 'ok' })).toBe(2);
    expect(sampleOf(toUnipile, { operation: 'send_message', outcome: 'refused' })).toBe(1);
    expect(sampleOf('revos_unipile_calls_in_flight', { operation: 'send_message' })).toBe(0);
    expect(sampleOf('revos_database_call_duration_seconds_count', { function: 'dm_record' })).toBeGreaterThan(
      0,
    );
    expect(sampleOf('revos_accounts_day_limit_used', { used: '1-25%' })).toBe(2);
    expect(sampleOf('revos_database_up', {})).toBe(1);
    expect(sampleOf('revos_build_info', { version: '0.1.0', commit: '0123456789abcdef' })).toBe(1);
  });

  it('has the same on the port of its own', async () => {
    const [, port] = PORT_LINE.exec(server.stdout()) ?? [];
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    const namesOf = (scraped: string) => [...new Set(samplesOf(scraped).map(({ name }) => name))].sort();
    expect(namesOf(await response.text())).toEqual(namesOf(text));
  });

  it('of a worker, which has no other port, has the same', async () => {
    const { PORT, HOST, ...environment } = environmentFor(supabase, sandbox.url);
    const child = spawn(process.execPath, WORKER, {
      env: { ...machineEnv(), ...environment, SCHEDULER: 'internal', METRICS_PORT: '0' } as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const port = Promise.withResolvers<number>();
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += String(chunk);
      const found = PORT_LINE.exec(output)?.[1];
      if (found !== undefined) port.resolve(Number(found));
    });
    void exited.then(([code]) => port.reject(new Error(`the worker ended with ${code}: ${output}`)));
    try {
      const response = await fetch(`http://127.0.0.1:${await port.promise}/metrics`);
      const scraped = await response.text();
      expect(await promtool(['check', 'metrics'], { input: scraped })).toEqual({ isContent: true, said: '' });
      const declaredIn = (told: string) => [...told.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
      expect(declaredIn(scraped)).toEqual(declaredIn(text));
      expect(scraped).toContain('revos_database_up 1');
    } finally {
      child.kill('SIGTERM');
      // Its port is let go of with all else.
      expect(await exited).toEqual([0, null]);
    }
  });

  it('has no id, name, text or secret in it', () => {
    const { SUPABASE_SECRET_KEY = '', OPS_TOKENS = '' } = environmentFor(supabase, sandbox.url);
    const told = [
      ...ids,
      TEXT,
      'Canary',
      RECIPIENT,
      TOKEN,
      SUPABASE_SECRET_KEY,
      OPS_TOKENS.split(':')[1] ?? '',
    ];
    expect(ids.length).toBe(9);
    expect(told.filter((value) => value === '' || text.includes(value))).toEqual([]);
    expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}/);
  });

  it('has labels of few values, each from a list', () => {
    const LISTS: Readonly<Record<string, RegExp>> = {
      job_name: new RegExp(`^(${jobs.map(({ name }) => name).join('|')})$`),
      reason: new RegExp(`^(${[...Object.keys(REASONS), 'none', 'other', 'breaker', 'person'].join('|')})$`),
      function: /^(dm|post|run|system|analytics|account|history|alerts?|restore)_[a-z_]{2,40}$/,
      kind: /^(message|post|rule|unavailable|bug|major|minor|incremental|weakcb)$/,
      operation: /^(send_message|create_post|find_message|find_post|read_post)$/,
      outcome: /^[a-z_]{2,20}$/,
      status: /^(queued|running|succeeded|failed|cancelled|interrupted)$/,
      age: /^(5m|30m|2h|1d|older)$/,
      used: /^[\d-]+%$/,
      resolution: /^(sent|waiting|held|unknown|ignored)$/,
      of: /^(database_call|unipile_read)$/,
      le: /^(\d+(\.\d+)?|\+Inf)$/,
    };
    const wrong = samplesOf(text)
      .filter(({ name }) => name.startsWith('revos_') && name !== 'revos_build_info')
      .flatMap(({ name, labels }) =>
        Object.entries(labels)
          .filter(([key, value]) => LISTS[key]?.test(value) !== true)
          .map(([key, value]) => `${name} ${key}=${value}`),
      );
    expect(wrong).toEqual([]);
    expect(samplesOf(text).length).toBeLessThan(1_500);
  });
});

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
const rules = (): Rule[] =>
  (
    parse(readFileSync(path.join(FOLDER, 'alerts.yml'), 'utf8')) as { groups: { rules: Rule[] }[] }
  ).groups.flatMap((group) => group.rules);

describe('the alerts', () => {
  it('are rules, and fire from their causes alone', async () => {
    for (const args of [
      ['check', 'rules', 'alerts.yml'],
      ['test', 'rules', 'alerts.test.yml'],
    ]) {
      const { isContent, said } = await promtool(args, { cwd: FOLDER });
      expect(isContent, said).toBe(true);
    }
  });

  it('are each tested to fire, and to be silent when all is well', () => {
    interface AlertTest {
      readonly alertname: string;
      readonly exp_alerts?: readonly unknown[];
    }
    const { tests } = parse(readFileSync(path.join(FOLDER, 'alerts.test.yml'), 'utf8')) as {
      tests: { alert_rule_test: AlertTest[] }[];
    };
    const names = rules()
      .map(({ alert }) => alert)
      .sort();
    expect(tests[0]?.alert_rule_test.map(({ alertname }) => alertname).sort()).toEqual(names);
    expect(tests[0]?.alert_rule_test.filter(({ exp_alerts }) => exp_alerts !== undefined)).toEqual([]);
    const fired = tests.flatMap(({ alert_rule_test }) =>
      alert_rule_test.filter(({ exp_alerts = [] }) => exp_alerts.length),
    );
    expect([...new Set(fired.map(({ alertname }) => alertname))].sort()).toEqual(names);
  });

  it('say how bad it is, what it is, and which section of the runbook goes on', async () => {
    const runbook = await readFile(path.join(FOLDER, '../docs/runbook.md'), 'utf8');
    const sections = [...runbook.matchAll(/^##+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const { alert, labels, annotations } of rules()) {
      expect(['critical', 'warning'], alert).toContain(labels.severity);
      expect(annotations, alert).toMatchObject({
        summary: expect.any(String),
        description: expect.any(String),
      });
      expect(
        sections.map((section) => `docs/runbook.md#${section}`),
        alert,
      ).toContain(annotations.runbook);
    }
  });

  it('ask for what is scraped', () => {
    const names = scrapedNames();
    const asked = rules().flatMap(({ expr }) => namesIn(expr));
    expect(asked.length).toBeGreaterThanOrEqual(rules().length);
    expect(asked.filter((name) => !names.has(name))).toEqual([]);
  });
});

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: ReadonlyArray<{ readonly expr: string }>;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

describe('the dashboard', () => {
  const dashboard = JSON.parse(readFileSync(path.join(FOLDER, 'dashboard.json'), 'utf8')) as {
    readonly schemaVersion: number;
    readonly panels: readonly Panel[];
    readonly annotations: { readonly list: ReadonlyArray<{ readonly expr?: string }> };
    readonly templating: { readonly list: ReadonlyArray<{ readonly definition?: string }> };
  };
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');
  const expressions = [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...dashboard.annotations.list.flatMap(({ expr }) => (expr === undefined ? [] : [expr])),
  ];
  /** As Grafana fills it in. */
  const filledIn = (expression: string): string =>
    expression.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*');

  it('has queries that Prometheus can read', async () => {
    expect(expressions.length).toBeGreaterThan(30);
    const { isContent, said } = await checkExpressions(expressions.map(filledIn));
    expect(isContent, said).toBe(true);
    expect((await checkExpressions(['sum by (kind) (rate(revos_attempts_total[1m])'])).isContent).toBe(false);
    expect(expressions.map(filledIn).filter((expression) => expression.includes('$'))).toEqual([]);
  });

  it('asks for what is scraped, and shows all of ours', () => {
    const names = scrapedNames();
    const queries = [...expressions, ...dashboard.templating.list.map(({ definition = '' }) => definition)];
    const asked = new Set(queries.flatMap(namesIn));
    expect([...asked].filter((name) => !names.has(name))).toEqual([]);
    const declared = [...text.matchAll(/^# TYPE (revos_\w+) /gm)].map(([, name = '']) => name);
    const shown = [...asked].map((name) => name.replace(/_(?:bucket|sum|count)$/, ''));
    // The number of accounts is the sum of each of the others.
    expect(declared.filter((name) => !shown.includes(name))).toEqual(['revos_accounts']);
  });

  it('has a unit and a description on each panel, and none over another', () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(41);
    expect(
      panels.filter(({ description, fieldConfig }) => !description || !fieldConfig?.defaults.unit),
    ).toEqual([]);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });
});
