/**
 * The jobs API and a worker as production runs them over Redis: built, with nothing of the
 * repository beside them.
 */
import { isEnded, type Run } from '@revos/core/jobs';
import { type Collector, startCollector } from '@revos/local-stack/collector';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pathTo } from '../support/trace-path.ts';
import {
  OPS_TOKEN,
  queueCampaign,
  runOf,
  startWorkerStack,
  trigger,
  type WorkerStack,
} from './worker-stack.ts';

let stack: WorkerStack;
let collector: Collector;

beforeAll(async () => {
  collector = await startCollector();
  stack = await startWorkerStack({ min: 1, max: 5 });
});
afterAll(async () => {
  await stack?.close();
  await collector?.close();
});

it('hand a run over with its trace, work on it once, show the queue, and end in order', async () => {
  const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint };
  const [api, worker] = await Promise.all([stack.startApi(traced), stack.startWorker(traced)]);
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
  const told = collector.requests.map(({ body }) => body).join('\n');
  for (const secret of [OPS_TOKEN, ...texts]) expect(written + told).not.toContain(secret);

  const spans = collector.spans();
  const slices = spans.filter(({ name }) => name === 'slice');
  // Another one may come too late.
  expect(slices.length).toBeGreaterThan(0);
  const path = ['request', 'start run', 'slice'];
  for (const slice of slices) expect(pathTo(slice, spans)).toEqual(path);
  const calls = spans.filter(({ name }) => name === 'call');
  expect(calls).toHaveLength(6);
  for (const call of calls) expect(pathTo(call, spans)).toEqual([...path, 'call']);
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  expect(new Set([...slices, ...calls].map(({ service }) => service))).toEqual(new Set(['revos-worker']));
});
