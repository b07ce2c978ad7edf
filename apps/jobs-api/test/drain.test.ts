import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { JobDefinition, Run } from '@revos/core/jobs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { asOps, createTestApp, type ProblemAnswer, runOf, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { gatedJob } from './support/jobs.ts';

let database: TestDatabase;
let test: TestApp;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => {
  agent.destroy();
  await database.close();
});
afterEach(async () => {
  await test.app.close();
  await database.clear();
});

async function serve(definition: JobDefinition, shutdownGraceMs?: number): Promise<void> {
  test = await createTestApp({
    rpc: database.rpc,
    jobs: [definition],
    ...(shutdownGraceMs === undefined ? {} : { shutdownGraceMs }),
  });
  await test.app.listen({ host: '127.0.0.1', port: 0 });
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A request of a client that keeps its connections. */
async function send(method: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { port } = test.app.server.address() as AddressInfo;
  const request = httpRequest({
    agent,
    port,
    host: '127.0.0.1',
    method,
    path,
    headers: { ...asOps, ...headers },
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString(),
  };
}

const json = ({ body }: Answer): unknown => JSON.parse(body);
const startedRun = (answer: Answer): Run => runOf({ json: () => json(answer) });

/** A job that does not end when it is asked to, but when the gate opens. */
function stubbornJob(): {
  definition: JobDefinition;
  started: Promise<void>;
  stopAsked: Promise<void>;
  open: () => void;
} {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const stopAsked = Promise.withResolvers<void>();
  return {
    definition: {
      name: 'stubborn',
      summary: 'Finishes what is in flight.',
      schedule: '*/15 * * * *',
      loadHandler: async () => async (context) => {
        started.resolve();
        context.signal.addEventListener('abort', () => stopAsked.resolve());
        await gate.promise;
        return { seen: 1, sent: 1 };
      },
    },
    started: started.promise,
    stopAsked: stopAsked.promise,
    open: gate.resolve,
  };
}

describe('closing the app', () => {
  it('takes no trigger any more, shows what is under way, and finishes what is in flight', async () => {
    const job = stubbornJob();
    await serve(job.definition);
    const { id } = startedRun(await send('POST', '/api/jobs/stubborn'));
    await job.started;

    const closing = test.app.close();
    await job.stopAsked;
    const refused = await send('POST', '/api/jobs/stubborn');
    expect(refused.status).toBe(503);
    expect((json(refused) as ProblemAnswer).type).toBe('/problems/shutting-down');
    const patch = await send('PATCH', '/api/accounts/00000000-0000-4000-8000-000000000000/policy');
    expect(patch.status).toBe(503);
    expect(refused.headers).toMatchObject({ 'retry-after': '10', connection: 'close' });
    expect(json(await send('GET', '/health'))).toMatchObject({ status: 'ok', shutting_down: true });
    expect((await send('GET', '/ready')).status).toBe(503);
    expect(json(await send('GET', `/api/runs/${id}`))).toMatchObject({ status: 'running' });

    job.open();
    await closing;
    expect(await test.store.get(id)).toMatchObject({ status: 'interrupted', stats: { sent: 1 } });
    expect(test.logLines.join()).toContain('every run has ended');
  });

  it('ends waits with the run as it is, and does not wait for kept connections', async () => {
    const gated = gatedJob('gated');
    await serve(gated.definition);
    const looked = database.answered('run_start');
    const waiting = send('POST', '/api/jobs/gated', { prefer: 'wait=60' });
    await Promise.all([looked, gated.nextStart()]);
    const [answer] = await Promise.all([waiting, test.app.close()]);
    expect(answer.status).toBe(202);
    expect(answer.headers.connection).toBe('close');
    expect((await test.store.get(startedRun(answer).id))?.status).toBe('interrupted');
  });

  it('does not wait for a client that never finishes its request', async () => {
    await serve(gatedJob('gated').definition);
    const { port } = test.app.server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    const asked = once(test.app.server, 'request');
    socket.write(
      `POST /api/jobs/gated HTTP/1.1\r\nhost: a\r\nauthorization: ${asOps.authorization}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
    );
    await asked;
    // Past the hooks: the body is being read.
    await setImmediate();
    const closed = once(socket, 'close');
    await Promise.all([test.app.close(), closed]);
  });

  it('waits for a trigger that is being taken, and for the run it makes', async () => {
    await serve(gatedJob('gated').definition);
    const start = database.hold('run_start');
    const answering = send('POST', '/api/jobs/gated');
    await start.called;
    const closing = test.app.close();
    await once(test.app.drain.signal, 'abort');
    // The engine has nothing to wait for, and has closed.
    await setImmediate();
    const end = database.hold('run_finish');
    start.release();
    const { id } = startedRun(await answering);
    await end.called;
    const first = await Promise.race([closing.then(() => 'closed'), setImmediate('waiting')]);
    expect(first).toBe('waiting');
    end.release();
    await closing;
    expect((await test.store.get(id))?.status).toBe('interrupted');
  });

  it('marks a run that does not end in time, and leaves what it has in flight to its leases', async () => {
    const job = stubbornJob();
    await serve(job.definition, 50);
    const { id } = startedRun(await send('POST', '/api/jobs/stubborn'));
    await job.started;
    await test.app.close();
    expect((await test.store.get(id))?.status).toBe('interrupted');
    expect(test.logLines.join()).toContain('their leases will expire');
    const finished = database.answered('run_finish');
    job.open();
    await finished;
  });
});
