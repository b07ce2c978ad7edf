/** The jobs API and a worker as production runs them over Redis: built, with nothing of the repository beside them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isEnded, type Run } from '@revos/core/jobs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildApp, builtProgram } from '../support/built-apps.ts';
import {
  OPS_TOKEN,
  queueCampaign,
  runOf,
  startWorkerStack,
  trigger,
  type WorkerStack,
} from './worker-stack.ts';

let folder: string;
let stack: WorkerStack;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'revos-built-'));
  const dist = await buildApp('jobs-api', folder);
  const programs = { 'jobs-api': builtProgram(dist, 'server'), worker: builtProgram(dist, 'worker') };
  stack = await startWorkerStack({ min: 1, max: 5 }, programs);
});
afterAll(async () => {
  await stack?.close();
  await rm(folder, { recursive: true, force: true });
});

it('hand a run over, work on it once, show the queue, and end in order', async () => {
  const [api, worker] = await Promise.all([stack.startApi(), stack.startWorker()]);
  const texts = await queueCampaign(stack, 'built', { accounts: 3, messages: 2 });
  const { id } = await runOf(await trigger(api.url));
  await expect.poll(async () => isEnded(await stack.rpc.call<Run>('run_get', { id }))).toBe(true);
  expect(await stack.rpc.call('run_get', { id })).toMatchObject({ status: 'succeeded', stats: { sent: 6 } });
  const sent = stack.world.effects({ kind: 'message' }).map(({ text }) => text);
  expect(sent.sort()).toEqual([...texts].sort());
  const workers = await stack.query('select distinct worker from public.dm_attempts', []);
  for (const row of workers) expect(row.worker).toMatch(/^worker@/);

  const headers = { authorization: `Basic ${btoa(`ops:${OPS_TOKEN}`)}` };
  const page = await fetch(`${api.url}/queues`, { headers });
  expect(page.status).toBe(200);
  const assets = [...(await page.text()).matchAll(/(?:src|href)="(static\/[^"]+)"/g)];
  expect(assets.length).toBeGreaterThan(2);
  for (const [, asset] of assets) {
    expect((await fetch(`${api.url}/queues/${asset}`, { headers })).status, asset).toBe(200);
  }
  expect((await fetch(`${api.url}/queues/api/queues`, { headers })).status).toBe(200);

  expect(await Promise.all([worker.stop(), api.stop()])).toEqual([0, 0]);
  const written = [...api.lines, ...worker.lines].join('\n');
  for (const secret of [OPS_TOKEN, ...texts]) expect(written).not.toContain(secret);
});
