/** What large bodies may cost together: over a real socket, and in a process of its own. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { SCHEMA_VERSION } from '@revos/core/rpc';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { asOps, createTestApp, type ProblemAnswer, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';
import { environmentFor, startServer } from './support/server.ts';

const MEGABYTE = 1_048_576;

/** The size of one body of these tests, and what all may have together: one of them, and a small rest. */
const BODY_BYTES = 200_000;
const BODIES_BYTES_MAX = 300_000;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: ProblemAnswer;
}

async function post(port: number, body: string | Uint8Array<ArrayBuffer>): Promise<Answer> {
  const headers = { ...asOps, 'content-type': 'application/json' };
  const url = `http://127.0.0.1:${port}/api/messages`;
  const response = await fetch(url, { method: 'POST', headers, body });
  const retryAfter = response.headers.get('retry-after');
  return { status: response.status, retryAfter, body: (await response.json()) as ProblemAnswer };
}

/** However a socket ends. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

describe('large bodies', () => {
  let database: TestDatabase;
  let test: TestApp;
  let port: number;
  let account: string;

  beforeAll(async () => {
    database = await openTestDatabase();
  });
  afterAll(() => database.close());
  beforeEach(async () => {
    await database.clear();
    account = await database.account('anna-linkedin');
    const limits = { largeBodiesBytesMax: BODIES_BYTES_MAX, bodyPartsMax: 10_000 };
    test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')], limits });
    await test.app.listen({ host: '127.0.0.1', port: 0 });
    port = (test.app.server.address() as AddressInfo).port;
  });
  afterEach(() => test.app.close());

  /** A valid body, padded to its size. */
  const bodyOf = (recipient: string): string =>
    JSON.stringify({
      messages: [{ linkedin_account_id: account, recipient_id: recipient, message: 'Hello' }],
    }).padEnd(BODY_BYTES);

  const queuedCount = async (): Promise<number> =>
    (await database.rows('select from public.dm_queue')).length;

  it('on top of what is being taken in are told to come back, and taken once that is done', async () => {
    const enqueue = database.hold('dm_enqueue');
    const first = post(port, bodyOf('ACo1'));
    await enqueue.called;
    const second = await post(port, bodyOf('ACo2'));
    expect(second).toMatchObject({ status: 503, retryAfter: '5' });
    expect(second.body.type).toBe('/problems/too-many-bodies');
    enqueue.release();
    expect((await first).status).toBe(201);
    expect((await post(port, bodyOf('ACo2'))).status).toBe(201);
    expect(await queuedCount()).toBe(2);
  });

  it('never keep a small one out', async () => {
    const enqueue = database.hold('dm_enqueue');
    const first = post(port, bodyOf('ACo1'));
    await enqueue.called;
    const response = await fetch(`http://127.0.0.1:${port}/api/jobs/quick`, {
      method: 'POST',
      headers: asOps,
    });
    expect(response.status).toBe(202);
    enqueue.release();
    await first;
  });

  it('count as long as they are worked on, also when their sender has gone', async () => {
    const enqueue = database.hold('dm_enqueue');
    const body = bodyOf('ACo1');
    const socket = connect(port, '127.0.0.1');
    const gone = once(test.app.server, 'connection').then(([peer]) => closed(peer));
    socket.write(
      `POST /api/messages HTTP/1.1\r\nhost: a\r\nauthorization: ${asOps.authorization}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await enqueue.called;
    socket.destroy();
    await gone;
    expect((await post(port, bodyOf('ACo2'))).status).toBe(503);
    enqueue.release();
    await expect.poll(async () => (await post(port, bodyOf('ACo2'))).status).toBe(201);
  });

  it('that do not say how large they are count as the largest', async () => {
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let answer = '';
    socket.on('data', (chunk) => (answer += String(chunk)));
    socket.write(
      `POST /api/messages HTTP/1.1\r\nhost: a\r\nauthorization: ${asOps.authorization}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
    );
    await expect.poll(() => answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*too-many-bodies/);
  });

  it('that break off on their way give their room back', async () => {
    const socket = connect(port, '127.0.0.1');
    const [peer] = await once(test.app.server, 'connection');
    const asked = once(test.app.server, 'request');
    socket.write(
      `POST /api/messages HTTP/1.1\r\nhost: a\r\nauthorization: ${asOps.authorization}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
    );
    await asked;
    const gone = closed(peer);
    socket.destroy();
    await gone;
    await expect.poll(async () => (await post(port, bodyOf('ACo1'))).status).toBe(201);
  });

  it('of more bytes than the route takes are told so, and the client hears it', async () => {
    const answer = await post(port, new Uint8Array(21 * MEGABYTE).fill(0x20));
    expect(answer).toMatchObject({ status: 413, body: { type: '/problems/body-too-large' } });
    expect(answer.body.detail).toBe('The body may have 20 MB at most: send fewer rows at once.');
  });

  it('of too many parts are refused unread', async () => {
    const answer = await post(port, `{"messages":[${'{},'.repeat(10_000)}{}]}`);
    expect(answer).toMatchObject({ status: 413, body: { type: '/problems/body-too-large' } });
    expect(answer.body.detail).toContain('10000 names and values');
  });
});

/** Answers for the database, with as little as it can be. */
async function startDatabaseStandIn(): Promise<{ url: string; close: () => void }> {
  const tables = ['dm_queue', 'dm_attempts', 'account_policies', 'job_runs', 'linkedin_accounts'];
  const probe = {
    schema_version: SCHEMA_VERSION,
    can_see: Object.fromEntries(tables.map((name) => [name, true])),
  };
  const server = createServer((request, response) => {
    const answer = request.url?.endsWith('/system_probe')
      ? probe
      : { enqueued: 1, existing: 0, repeated: 0, warnings: [], messages: [] };
    request.resume().once('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

/** The most memory that a process has had so far, in megabytes. */
const peakMegabytes = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;

const aRow = `{"linkedin_account_id":"00000000-0000-4000-8000-000000000001","recipient_id":"ACoAA1","message":"${'x'.repeat(1_400)}"}`;

/** Bodies of 15 MB. One of the second kind cost 900 MB by itself, five of the first 400 MB. */
const BODIES = [
  { what: 'messages', body: `{"messages":[${`${aRow},`.repeat(9_999)}${aRow}]}` },
  { what: 'empty objects', body: `{"messages":[${'{},'.repeat(5_000_000)}{}]}` },
];

// Where a process has said what it took at most.
describe.runIf(process.platform === 'linux')('five bodies of 15 MB at once', () => {
  it.each(BODIES)('of $what cost little more than one, and each is answered', async ({ body }) => {
    const database = await startDatabaseStandIn();
    onTestFinished(database.close);
    const server = await startServer(
      environmentFor({ url: database.url, secretKey: 'sb_secret_0123456789' }, 'http://127.0.0.1:9'),
    );
    onTestFinished(async () => {
      server.child.kill('SIGKILL');
      await server.exited;
    });
    const pid = server.child.pid ?? 0;
    const before = peakMegabytes(pid);
    const bytes = new TextEncoder().encode(body);
    const answers = await Promise.all(Array.from({ length: 5 }, () => post(server.port, bytes)));
    expect(peakMegabytes(pid) - before).toBeLessThan(250);
    const refused = answers.filter(({ body }) => body.type === '/problems/too-many-bodies');
    expect(refused.length).toBeLessThan(answers.length);
    // One that was let in may come to the limit of its call to the database, which is 503 as well.
    expect(answers.map(({ status }) => status).filter((status) => ![201, 413, 503].includes(status))).toEqual(
      [],
    );
  });
});
