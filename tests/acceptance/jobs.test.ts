/**
 * Every job, asked for in every way it can be: by its cron route, over HTTP, and from the command line,
 * through the built web app, the jobs API as a process, Supabase's REST API and Unipile's wire format.
 */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Run } from '@revos/core/jobs';
import { jobs } from '@revos/core/registry';
import { type Stack, startStack } from '@revos/local-stack/demo/stack';
import { followRun, type Triggered, triggerCron } from '@revos/local-stack/demo/trigger';
import { machineEnv } from '@revos/local-stack/env';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { builtProgram } from '../support/built-apps.ts';

const OPS = builtProgram(inject('builtApps').ops, 'ops');

let dataDir: string;
let stack: Stack;
let accountId: string;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'revos-jobs-'));
  stack = await startStack({ dataDir, onStep: () => {} });
  const unipileId = stack.sandbox.world.declareAccount({ name: 'Ada' }).id;
  const { data } = await stack.client
    .from('linkedin_accounts')
    .insert({ account_name: 'Ada', unipile_account_id: unipileId })
    .select('id')
    .single();
  accountId = String(data?.id);
  const open = { window_start: '00:00', window_end: '24:00', work_days: [1, 2, 3, 4, 5, 6, 7] };
  await stack.rpc.call('account_policy_set', {
    account_id: accountId,
    patch: { ...open, gap_min_s: 0, gap_max_s: 0, post_gap_s: 0 },
  });
});

afterAll(async () => {
  await stack.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** A day of the calendar, so many days from today. */
const dayOf = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

let count = 0;
async function queueMessage(): Promise<string> {
  count += 1;
  const row = {
    linkedin_account_id: accountId,
    recipient_id: `ACoAABwho${count}`,
    message: `Hello ${count}`,
  };
  const { messages } = await stack.rpc.call<{ messages: Array<{ id: string }> }>('dm_enqueue', {
    rows: [row],
  });
  return messages[0]?.id ?? '';
}

async function schedulePost(): Promise<string> {
  count += 1;
  const { data } = await stack.client
    .from('posts')
    .insert({
      linkedin_account_id: accountId,
      content: `Post ${count}`,
      status: 'scheduled',
      scheduled_for: new Date().toISOString(),
    })
    .select('id')
    .single();
  return String(data?.id);
}

const asOps = () => ({ authorization: `Bearer ${stack.opsToken}` });

async function byHttp(job: string, body: object = {}): Promise<Run> {
  const response = await fetch(`${stack.jobsApi.url}/api/jobs/${job}`, {
    method: 'POST',
    headers: { ...asOps(), prefer: 'wait=60', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  expect(response.status, text).toBeLessThan(300);
  return (JSON.parse(text) as Triggered).run;
}

async function byCron(job: string): Promise<Run> {
  return followRun(stack, (await triggerCron(stack, job)).run.id, () => {});
}

/** The command line as a process of its own. */
function ops(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...machineEnv(), JOBS_API_URL: stack.jobsApi.url, OPS_TOKEN: stack.opsToken };
  return new Promise((resolve) => {
    execFile(process.execPath, [...OPS, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

const effects = (kind: 'message' | 'post') => stack.sandbox.world.effects({ kind });

/** Every row of what a run could change. */
async function everything(): Promise<string> {
  const tables = [
    'dm_queue',
    'dm_attempts',
    'account_policies',
    'posts',
    'post_publications',
    'post_attempts',
  ];
  const rows = await Promise.all(tables.map((table) => stack.client.from(table).select('*')));
  return JSON.stringify(rows.map(({ data }) => data));
}

/** What a job has to do, and how many of it LinkedIn saw. */
const WORK = {
  'dm-queue': { add: queueMessage, seen: () => effects('message').length },
  'post-scheduler': { add: schedulePost, seen: () => effects('post').length },
} as const;

describe.each(['dm-queue', 'post-scheduler'] as const)('%s', (job) => {
  it('by cron, by HTTP and from the command line: each time what was due, once', async () => {
    const before = WORK[job].seen();
    await WORK[job].add();
    expect(await byCron(job)).toMatchObject({
      status: 'succeeded',
      trigger: 'vercel-cron',
      stats: { sent: 1 },
    });
    expect(WORK[job].seen()).toBe(before + 1);

    await WORK[job].add();
    expect(await byHttp(job)).toMatchObject({
      status: 'succeeded',
      trigger: 'ops',
      requested_by: 'local',
      stats: { sent: 1 },
    });
    expect(WORK[job].seen()).toBe(before + 2);

    await WORK[job].add();
    const { code, stdout, stderr } = await ops('run', job, '--wait', '60', '--json');
    expect(code, stderr).toBe(0);
    expect((JSON.parse(stdout) as Triggered).run).toMatchObject({ status: 'succeeded', stats: { sent: 1 } });
    expect(WORK[job].seen()).toBe(before + 3);
  });

  it('a dry run says what it would do, and changes nothing', async () => {
    const id = await WORK[job].add();
    const [before, seen] = [await everything(), WORK[job].seen()];
    const run = await byHttp(job, { dry_run: true });
    expect(run).toMatchObject({ status: 'succeeded', params: { dry_run: true } });
    expect(run.stats).toMatchObject({ dry_run: true, due: 1, eligible: 1, would_send: [id] });
    expect(await everything()).toBe(before);
    expect(WORK[job].seen()).toBe(seen);
    expect((await byHttp(job, { account_ids: [accountId], limit: 1 })).stats).toMatchObject({ sent: 1 });
    expect(WORK[job].seen()).toBe(seen + 1);
  });
});

describe('reconcile', () => {
  it('by cron, by HTTP and from the command line', async () => {
    expect(await byCron('reconcile')).toMatchObject({ status: 'succeeded', stats: { seen: 0 } });
    expect(await byHttp('reconcile')).toMatchObject({ status: 'succeeded', trigger: 'ops' });
    expect((await ops('run', 'reconcile', '--wait')).code).toBe(0);
  });
});

describe('analytics', () => {
  it('by cron, by HTTP and from the command line: the same numbers, and those of the queue', async () => {
    const summary = async () => {
      const { code, stdout, stderr } = await ops(
        'analytics',
        'summary',
        '--from',
        dayOf(-2),
        '--to',
        dayOf(1),
        '--json',
      );
      expect(code, stderr).toBe(0);
      return (JSON.parse(stdout) as { items: Array<Record<string, unknown>> }).items;
    };
    expect(await byCron('analytics')).toMatchObject({ status: 'succeeded' });
    const { data: sent } = await stack.client.from('dm_queue').select('id').eq('status', 'sent');
    const { data: published } = await stack.client.from('posts').select('id').eq('status', 'published');
    const rows = async () =>
      (await stack.client.from('analytics_daily').select('sent, posts_published, queued, counted')).data ??
      [];
    const total = (list: ReadonlyArray<Record<string, number>>, name: string) =>
      list.reduce((sum, row) => sum + (row[name] ?? 0), 0);
    const first = await rows();
    expect(total(first, 'sent')).toBe(sent?.length);
    expect(total(first, 'posts_published')).toBe(published?.length);
    expect(sent?.length).toBeGreaterThan(3);
    expect(await byHttp('analytics', { days: 5 })).toMatchObject({
      status: 'succeeded',
      params: { days: 5 },
    });
    expect(await rows()).toEqual(first);
    expect((await ops('run', 'analytics', '--wait', '--days', '2')).code).toBe(0);
    expect(await rows()).toEqual(first);
    expect((await summary()).length).toBeGreaterThan(0);
  });
});

it('every job of the registry was asked for above', () => {
  expect(jobs.map(({ name }) => name).sort()).toEqual([
    'analytics',
    'dm-queue',
    'post-scheduler',
    'reconcile',
  ]);
});

it('what a person did is in the audit trail, with the name of the token', async () => {
  const { stdout } = await ops('audit', '--json');
  const { items } = JSON.parse(stdout) as { items: Array<{ actor: string; action: string }> };
  expect(items.filter(({ action }) => action === 'run.start').length).toBeGreaterThan(5);
  expect(new Set(items.map(({ actor }) => actor))).toEqual(new Set(['local']));
});
