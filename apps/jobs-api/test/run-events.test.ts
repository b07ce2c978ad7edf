import { once } from 'node:events';
import { type ClientRequest, get as httpGet, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Run } from '@revos/core/jobs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  asOps,
  createTestApp,
  type ProblemAnswer,
  runOf,
  type TestApp,
  type TestAppOptions,
} from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { type EventReader, readEvents } from './support/event-reader.ts';
import { gatedJob, quickJob } from './support/jobs.ts';

let database: TestDatabase;
let test: TestApp;
let requests: ClientRequest[] = [];

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());
afterEach(async () => {
  for (const request of requests) request.destroy();
  requests = [];
  await test.app.close();
  await database.clear();
});

async function serve(options: Omit<TestAppOptions, 'rpc'>): Promise<void> {
  test = await createTestApp({ rpc: database.rpc, ...options });
  await test.app.listen({ host: '127.0.0.1', port: 0 });
}

const start = async (job: string): Promise<Run> =>
  runOf(await test.app.inject({ method: 'POST', url: `/api/jobs/${job}`, headers: asOps }));

/** Opens the events of a run over a socket. */
async function open(id: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const { port } = test.app.server.address() as AddressInfo;
  const request = httpGet({
    port,
    host: '127.0.0.1',
    path: `/api/runs/${id}/events`,
    headers: { ...asOps, ...headers },
  });
  requests.push(request);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

const runIn = (event: Awaited<ReturnType<EventReader['next']>>): Run =>
  JSON.parse(event?.data ?? 'null') as Run;

describe('GET /api/runs/:id/events', () => {
  it('shows each change until the end, then closes', async () => {
    const gated = gatedJob('gated');
    await serve({ jobs: [gated.definition] });
    const { id } = await start('gated');
    const context = await gated.nextStart();
    const response = await open(id, { accept: 'text/event-stream' });
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      connection: 'close',
    });

    const events = readEvents(response);
    const first = await events.next();
    expect(first).toMatchObject({ id: '1', event: 'run' });
    expect(runIn(first)).toMatchObject({ id, status: 'running', stats: { sent: 1 } });
    context.report({ seen: 3, sent: 2 });
    const second = await events.next();
    expect(second).toMatchObject({ id: '2', event: 'run' });
    expect(runIn(second).stats.sent).toBe(2);

    gated.open();
    const rest = await events.rest();
    expect(runIn(rest.at(-1) ?? null)).toMatchObject({ id, status: 'succeeded', stats: { sent: 3 } });
    const ids = rest.map((event) => Number(event.id));
    expect(ids).toEqual(ids.map((_, index) => index + 3));
  });

  it('shows a run that has ended once, and goes on counting where the client was', async () => {
    await serve({ jobs: [quickJob('quick')] });
    const run = await start('quick');
    await test.runs.waitForEnd(run, 10_000, new AbortController().signal);
    const events = await readEvents(await open(run.id, { 'last-event-id': '41' })).rest();
    expect(events).toMatchObject([{ id: '42', event: 'run' }]);
    expect(runIn(events[0] ?? null).status).toBe('succeeded');
  });

  it('shows the end of a run that is worked on elsewhere', async () => {
    await serve({ jobs: [quickJob('quick')] });
    const { run } = await test.store.start({
      job: 'quick',
      trigger: 'worker',
      scheduledFor: null,
      requestedBy: 'another process',
      horizonAt: new Date(Date.now() + 900_000),
    });
    const events = readEvents(await open(run.id));
    expect(runIn(await events.next()).status).toBe('queued');
    await test.store.cancel(run.id, 'another process');
    expect(runIn((await events.rest()).at(-1) ?? null).status).toBe('cancelled');
  });

  it('sends comments while nothing changes', async () => {
    const gated = gatedJob('gated');
    await serve({ jobs: [gated.definition], heartbeatMs: 10 });
    const { id } = await start('gated');
    await gated.nextStart();
    const events = readEvents(await open(id));
    await events.comment();
    await events.comment();
    gated.open();
  });

  it('keeps no more open than it may, and lets the next one in when one has gone', async () => {
    const gated = gatedJob('gated');
    await serve({ jobs: [gated.definition], streamsMax: 2 });
    const { id } = await start('gated');
    const first = readEvents(await open(id));
    await first.next();
    const second = await open(id);
    await readEvents(second).next();

    const refused = await open(id);
    expect(refused.statusCode).toBe(503);
    expect(refused.headers['retry-after']).toBe('30');
    const [body] = (await once(refused, 'data')) as [Buffer];
    expect((JSON.parse(body.toString()) as ProblemAnswer).type).toBe('/problems/too-many-streams');

    second.destroy();
    // The server learns of it with the close of its own socket.
    const connections = () =>
      new Promise<number>((resolve, reject) =>
        test.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    await expect.poll(connections).toBeLessThan(3);
    expect((await open(id)).statusCode).toBe(200);
    gated.open();
  });

  it('ends on shutdown', async () => {
    const gated = gatedJob('gated');
    await serve({ jobs: [gated.definition] });
    const { id } = await start('gated');
    await gated.nextStart();
    const events = readEvents(await open(id));
    await events.next();
    await Promise.all([test.app.close(), events.rest()]);
    expect((await test.store.get(id))?.status).toBe('interrupted');
  });

  it('ends on shutdown though the run goes on elsewhere', async () => {
    await serve({ jobs: [quickJob('quick')] });
    const { run } = await test.store.start({
      job: 'quick',
      trigger: 'worker',
      scheduledFor: null,
      requestedBy: 'another process',
      horizonAt: new Date(Date.now() + 900_000),
    });
    await test.store.begin(run.id, 'another process');
    const cut = vi.spyOn(test.app.server, 'closeAllConnections');
    const events = readEvents(await open(run.id));
    await events.next();
    await Promise.all([test.app.close(), events.rest()]);
    expect((await test.store.get(run.id))?.status).toBe('running');
    expect(cut).not.toHaveBeenCalled();
  });
});
