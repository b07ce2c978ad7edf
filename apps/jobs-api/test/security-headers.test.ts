/** What stands in the head of every answer, whoever gives it: a route, the router, or the parser. */
import type { AddressInfo } from 'node:net';
import type { Run } from '@revos/core/jobs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SECURITY_HEADERS } from '../src/plugins/security-headers.ts';
import { asOps, createTestApp, OPS_TOKEN, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';
import { headOf, rawRequest } from './support/raw-http.ts';

let database: TestDatabase;
let test: TestApp;
let port: number;
let run: Run;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({
    rpc: database.rpc,
    jobs: [quickJob('quick')],
    limits: { headersMsMax: 100, lateCheckMs: 20 },
  });
  await test.app.listen({ host: '127.0.0.1', port: 0 });
  port = (test.app.server.address() as AddressInfo).port;
  const headers = { ...asOps, prefer: 'wait=10' };
  const answer = await test.app.inject({ method: 'POST', url: '/api/jobs/quick', headers });
  run = (answer.json() as { run: Run }).run;
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});

const basic = `Basic ${Buffer.from(`:${OPS_TOKEN}`).toString('base64')}`;

interface Asked {
  readonly status: number;
  readonly line: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const send = ({ line, headers = {}, body = '' }: Asked) => {
  const head = Object.entries({ host: 'a', connection: 'close', ...headers });
  return rawRequest(
    port,
    `${line} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  );
};

const ANSWERS: readonly Asked[] = [
  { status: 200, line: 'GET /health' },
  { status: 200, line: 'HEAD /health' },
  { status: 200, line: 'GET /api/jobs', headers: asOps },
  { status: 400, line: 'GET /api/jobs/%E0%A4%A' },
  { status: 400, line: 'GET /api/runs?limit=0', headers: asOps },
  { status: 401, line: 'GET /api/jobs' },
  { status: 404, line: 'GET /nothing' },
  { status: 404, line: 'OPTIONS *' },
  { status: 405, line: 'DELETE /api/runs', headers: asOps },
  { status: 405, line: 'OPTIONS /api/runs', headers: { origin: 'https://evil.example' } },
  {
    status: 413,
    line: 'POST /api/sending/pause',
    headers: { ...asOps, 'content-type': 'application/json', 'content-length': '70000' },
  },
  { status: 414, line: `POST /api/jobs/${'x'.repeat(101)}`, headers: asOps },
  {
    status: 415,
    line: 'POST /api/sending/pause',
    headers: { ...asOps, 'content-type': 'text/plain', 'content-length': '1' },
    body: 'a',
  },
  { status: 431, line: 'GET /health', headers: { 'x-large': 'x'.repeat(20_000) } },
];

describe('every answer', () => {
  const expectClosed = (answer: string, status: number): void => {
    const head = headOf(answer);
    expect(head.status).toBe(status);
    expect(head.headers).toMatchObject(SECURITY_HEADERS);
    expect(head.headers['cache-control']).toBe('no-store');
    for (const name of ['server', 'x-powered-by', 'access-control-allow-origin']) {
      expect(head.headers[name]).toBeUndefined();
    }
  };

  it.each(ANSWERS)('$status of $line', async (asked) => {
    expectClosed(await send(asked), asked.status);
  });

  it('400 of what is no HTTP', async () => expectClosed(await rawRequest(port, 'hello\r\n\r\n'), 400));

  it('408 of what never comes', async () =>
    expectClosed(await rawRequest(port, 'GET /health HTTP/1.1\r\n'), 408));

  it('500 and 503', async () => {
    database.reachable = false;
    expectClosed(await send({ status: 503, line: 'GET /api/runs', headers: asOps }), 503);
    database.reachable = true;
    await database.asOwner('revoke execute on function public.run_list from service_role');
    expectClosed(await send({ status: 500, line: 'GET /api/runs', headers: asOps }), 500);
    await database.asOwner('grant execute on function public.run_list to service_role');
  });

  it('an event stream', async () => {
    expectClosed(await send({ status: 200, line: `GET /api/runs/${run.id}/events`, headers: asOps }), 200);
  });

  it('the reference page, but for what its own scripts and styles need', async () => {
    const { headers } = headOf(
      await send({ status: 200, line: 'GET /docs/', headers: { authorization: basic } }),
    );
    const { 'content-security-policy': _, ...others } = SECURITY_HEADERS;
    expect(headers).toMatchObject(others);
    const policy = headers['content-security-policy'] ?? '';
    for (const directive of [
      "default-src 'self'",
      "script-src 'self'",
      "object-src 'none'",
      "frame-ancestors 'none'",
    ]) {
      expect(policy.split('; ')).toContain(directive);
    }
    expect(policy).not.toMatch(/script-src[^;]*unsafe|https?:|\*/);
  });
});

it('what is written out is what helmet sets', async () => {
  const { headers } = headOf(await send({ status: 200, line: 'GET /health' }));
  const ours = new Set([
    'cache-control',
    'x-request-id',
    'content-type',
    'content-length',
    'date',
    'connection',
  ]);
  const set = Object.fromEntries(Object.entries(headers).filter(([name]) => !ours.has(name)));
  expect(set).toEqual(SECURITY_HEADERS);
});
