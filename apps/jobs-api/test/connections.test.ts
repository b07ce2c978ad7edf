/**
 * How long a socket is waited for, and how many there may be: over real ones, with limits of the
 * test's own.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { LIMITS, type Limits } from '../src/limits.ts';
import { asOps, createTestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';
import { headOf, rawRequest } from './support/raw-http.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function serve(limits: Partial<Limits>): Promise<{ port: number; close: () => Promise<void> }> {
  const { app } = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')], limits });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return { port: (app.server.address() as AddressInfo).port, close: () => app.close() };
}

/** The port of a service of the test's own. */
async function listening(limits: Partial<Limits>): Promise<number> {
  const { port, close } = await serve(limits);
  onTestFinished(close);
  return port;
}

const HEALTH = 'GET /health HTTP/1.1\r\nhost: a\r\n\r\n';
const AUTHORIZED = `host: a\r\nauthorization: ${asOps.authorization}\r\ncontent-type: application/json\r\n`;

/** A socket, and everything that it got so far. */
async function opened(
  port: number,
): Promise<{ socket: Socket; received: () => string; closed: Promise<string> }> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  const received = () => Buffer.concat(chunks).toString('utf8');
  socket.on('data', (chunk) => chunks.push(chunk));
  // A write to a socket that the server has closed meanwhile is no failure of the test's.
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  const closed = once(socket, 'close').then(received);
  await Promise.race([once(socket, 'connect'), closed]);
  return { socket, received, closed };
}

/** 0 where no socket is to be had. */
const statusOfHealth = (port: number): Promise<number> =>
  fetch(`http://127.0.0.1:${port}/health`).then(
    ({ status }) => status,
    () => 0,
  );

const answered = (received: () => string, socket: Socket, count = 1): Promise<void> =>
  new Promise((resolve) => {
    const look = () => {
      if (received().split('HTTP/1.1 ').length > count) resolve();
    };
    socket.on('data', look);
    look();
  });

describe('a request that is slow', () => {
  let port: number;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ port, close } = await serve({ headersMsMax: 150, requestMsMax: 300, lateCheckMs: 20 }));
  });
  afterAll(() => close());

  it.each([
    { what: 'never begins', sent: '' },
    { what: 'stops in its first line', sent: 'GET /hea' },
    { what: 'stops in its headers', sent: 'GET /health HTTP/1.1\r\nhost: a\r\nx-a: ' },
  ])('and $what is 408, and its socket closed', async ({ sent }) => {
    const answer = await rawRequest(port, sent);
    expect(headOf(answer).status).toBe(408);
    expect(answer).toContain('/problems/request-timeout');
  });

  it('a header at a time is 408 however often one comes', async () => {
    const { socket, closed } = await opened(port);
    socket.write('GET /health HTTP/1.1\r\n');
    const dripping = setInterval(() => socket.write('x-a: b\r\n'), 20);
    onTestFinished(() => clearInterval(dripping));
    expect(headOf(await closed).status).toBe(408);
  });

  it('a byte of its body at a time is 408 however often one comes', async () => {
    const { socket, closed } = await opened(port);
    socket.write(`POST /api/sending/pause HTTP/1.1\r\n${AUTHORIZED}content-length: 60000\r\n\r\n`);
    const dripping = setInterval(() => socket.write(' '), 20);
    onTestFinished(() => clearInterval(dripping));
    expect(headOf(await closed).status).toBe(408);
  });

  it('holds nobody up who asks meanwhile, as long as one socket is left', async () => {
    const full = await listening({ connectionsMax: 8 });
    const others = await Promise.all(Array.from({ length: 7 }, () => opened(full)));
    for (const { socket } of others) socket.write('GET /health HTTP/1.1\r\nx-a: ');
    const { socket, received, closed } = await opened(full);
    socket.write(HEALTH);
    await Promise.race([answered(received, socket), closed]);
    expect(headOf(received()).status).toBe(200);
    expect(await (await opened(full)).closed).toBe('');
  });

  it('gives its socket back: a service that was full of such serves again', async () => {
    const full = await listening({
      connectionsMax: 3,
      headersMsMax: 150,
      requestMsMax: 300,
      lateCheckMs: 20,
    });
    const others = await Promise.all([opened(full), opened(full), opened(full)]);
    for (const { socket } of others) socket.write('GET /health HTTP/1.1\r\nx-a: ');
    for (const { closed } of others) expect(headOf(await closed).status).toBe(408);
    await expect.poll(() => statusOfHealth(full)).toBe(200);
  });

  it('is waited for so long in production, and late ones are looked for often enough', () => {
    expect(LIMITS.headersMsMax).toBeLessThanOrEqual(20_000);
    expect(LIMITS.requestMsMax).toBeLessThanOrEqual(60_000);
    // Node looks every 30 s by default, whatever the limits are.
    expect(LIMITS.lateCheckMs).toBeLessThan(LIMITS.headersMsMax);
  });
});

describe('sockets', () => {
  it('above the limit are closed at once, and the others stay', async () => {
    const port = await listening({ connectionsMax: 3 });
    const open = await Promise.all([opened(port), opened(port), opened(port)]);
    for (const { socket, received } of open) {
      socket.write(HEALTH);
      await answered(received, socket);
    }
    const further = await opened(port);
    expect(await further.closed).toBe('');
    for (const { socket, received } of open) {
      socket.write(HEALTH);
      await answered(received, socket, 2);
      expect(received().match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    }
    open[0]?.socket.destroy();
    await open[0]?.closed;
    await expect.poll(() => statusOfHealth(port)).toBe(200);
  });

  it('carry so many requests: the answer to the last says so, and a further one is not served', async () => {
    const port = await listening({ requestsPerSocketMax: 3 });
    const { socket, received } = await opened(port);
    for (const count of [1, 2, 3, 4]) {
      socket.write(HEALTH);
      await answered(received, socket, count);
    }
    const answers = received()
      .split(/(?=HTTP\/1\.1 )/)
      .map(headOf);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 503]);
    expect(answers.map(({ headers }) => headers.connection).slice(0, 3)).toEqual([
      'keep-alive',
      'keep-alive',
      'close',
    ]);
  });

  it('are as many in production as a thousand triggers at once need', () => {
    expect(LIMITS.connectionsMax).toBeGreaterThan(2_000);
    expect(LIMITS.requestsPerSocketMax).toBeGreaterThan(0);
  });
});

describe('what is too large', () => {
  const padded = (bytes: number): string => {
    const head = 'GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-a: \r\n\r\n';
    return head.replace('x-a: ', `x-a: ${'x'.repeat(bytes - head.length)}`);
  };

  it('of headers is 431, and what fits is read', async () => {
    const port = await listening({ headerBytesMax: 4_096 });
    expect(headOf(await rawRequest(port, padded(4_000))).status).toBe(200);
    expect(headOf(await rawRequest(port, padded(4_400))).status).toBe(431);
    expect(LIMITS.headerBytesMax).toBe(16_384);
  });

  it.each([
    { what: 'said beforehand', head: 'content-length: 65537\r\n', body: '' },
    // Two chunks of 40,000 bytes, and none that says that it is the last.
    {
      what: 'not said',
      head: 'transfer-encoding: chunked\r\n',
      body: `9c40\r\n${' '.repeat(40_000)}\r\n`.repeat(2),
    },
  ])('of a body, $what, is 413 before it has come', async ({ head, body }) => {
    const port = await listening({});
    const { socket, received } = await opened(port);
    socket.write(`POST /api/sending/pause HTTP/1.1\r\n${AUTHORIZED}${head}\r\n${body}`);
    await answered(received, socket);
    expect(headOf(received()).status).toBe(413);
  });
});
