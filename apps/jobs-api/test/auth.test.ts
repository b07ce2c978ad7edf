import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { signTrigger } from '@revos/core/signing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  asOps,
  CRON_TOKEN,
  CRON_TOKEN_NEXT,
  createTestApp,
  cronRequest,
  FOREIGN_SECRET,
  OPS_TOKEN,
  type ProblemAnswer,
  runOf,
  SIGNING_SECRET,
  SIGNING_SECRET_NEXT,
  type SignOptions,
  slotNow,
  type TestApp,
} from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';
import { rawRequest } from './support/raw-http.ts';

let database: TestDatabase;
let test: TestApp;
let port: number;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick'), quickJob('other')] });
  await test.app.listen({ host: '127.0.0.1', port: 0 });
  port = (test.app.server.address() as AddressInfo).port;
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
beforeEach(async () => {
  await database.clear();
  test.logLines.length = 0;
});

const MINUTE_MS = 60_000;
const minutesFromNow = (minutes: number): Date => new Date(Date.now() + minutes * MINUTE_MS);

/** A trigger of `quick`, changed on its way. */
const post = (
  change: {
    /** A time that is told as it is then: the table is read long before. */
    sign?: SignOptions & { readonly minutesAhead?: number };
    path?: string;
    body?: string;
    headers?: Record<string, string | undefined>;
  } = {},
) => {
  const { minutesAhead = 0, ...sign } = change.sign ?? {};
  const { body, headers } = cronRequest({ signedAt: minutesFromNow(minutesAhead), ...sign });
  const sent = Object.entries({ ...headers, ...change.headers }).filter(([, value]) => value !== undefined);
  return test.app.inject({
    method: 'POST',
    url: change.path ?? '/api/jobs/quick',
    headers: Object.fromEntries(sent) as Record<string, string>,
    payload: change.body ?? body,
  });
};

const kindOf = (response: { json: () => unknown }): string =>
  (response.json() as ProblemAnswer).type.replace('/problems/', '');

describe('the signature of a cron trigger', () => {
  it.each([
    { what: 'a good one', change: {}, status: 202 },
    { what: 'signed with the second secret', change: { sign: { secret: SIGNING_SECRET_NEXT } }, status: 202 },
    { what: 'four minutes old', change: { sign: { minutesAhead: -4 } }, status: 202 },
    {
      what: 'the second cron token',
      change: { headers: { authorization: `Bearer ${CRON_TOKEN_NEXT}` } },
      status: 202,
    },
  ])('$what is let in', async ({ change, status }) => {
    const response = await post(change);
    expect(response.statusCode).toBe(status);
    expect(runOf(response)).toMatchObject({ trigger: 'vercel-cron', requested_by: 'cron' });
  });

  it.each([
    { what: 'no id', change: { headers: { 'webhook-id': undefined } }, kind: 'signature-missing' },
    {
      what: 'no timestamp',
      change: { headers: { 'webhook-timestamp': undefined } },
      kind: 'signature-missing',
    },
    {
      what: 'no signature',
      change: { headers: { 'webhook-signature': undefined } },
      kind: 'signature-missing',
    },
    {
      what: 'an empty signature',
      change: { headers: { 'webhook-signature': '' } },
      kind: 'signature-missing',
    },
    { what: 'six minutes old', change: { sign: { minutesAhead: -6 } }, kind: 'signature-stale' },
    { what: 'six minutes ahead', change: { sign: { minutesAhead: 6 } }, kind: 'signature-stale' },
    { what: 'a foreign secret', change: { sign: { secret: FOREIGN_SECRET } }, kind: 'signature-invalid' },
    {
      what: 'a signature that is none',
      change: { headers: { 'webhook-signature': 'v1,xxxx' } },
      kind: 'signature-invalid',
    },
    {
      what: 'another version',
      change: { headers: { 'webhook-signature': 'v9,AAAA' } },
      kind: 'signature-invalid',
    },
    {
      what: 'a timestamp in words',
      change: { headers: { 'webhook-timestamp': 'now' } },
      kind: 'signature-invalid',
    },
    {
      what: 'another id',
      change: { headers: { 'webhook-id': 'cron:other:2026-01-01T00:00:00Z' } },
      kind: 'signature-invalid',
    },
    {
      what: 'a tampered body',
      change: { body: cronRequest().body.replace('quick', 'other') },
      kind: 'signature-invalid',
    },
    {
      what: 'a body with a space more',
      change: { body: `${cronRequest().body} ` },
      kind: 'signature-invalid',
    },
    { what: 'no body', change: { body: '' }, kind: 'signature-invalid' },
  ])('$what is 401 $kind', async ({ change, kind }) => {
    const response = await post(change);
    expect(response.statusCode).toBe(401);
    expect(kindOf(response)).toBe(kind);
    expect(response.headers['www-authenticate']).toMatch(/^Bearer/);
    expect((await test.store.list({ limit: 1 })).items).toEqual([]);
  });

  it('looks the same from outside, whatever is wrong with it', async () => {
    const answers = await Promise.all([
      post({ sign: { secret: FOREIGN_SECRET } }),
      post({ headers: { 'webhook-timestamp': 'now' } }),
      post({ body: '{' }),
    ]);
    const seen = answers.map((answer) => {
      const { request_id, instance, ...rest } = answer.json() as ProblemAnswer;
      return rest;
    });
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    expect(test.logLines.join()).toContain('"signature":"mismatch"');
    expect(test.logLines.join()).toContain('"signature":"malformed"');
  });

  it('of one job does not open another', async () => {
    const response = await post({ path: '/api/jobs/other' });
    expect(response.statusCode).toBe(403);
    expect(kindOf(response)).toBe('job-mismatch');
    expect((await test.store.list({ limit: 1 })).items).toEqual([]);
  });

  it('of a job that does not exist is 404', async () => {
    const response = await post({ path: '/api/jobs/gone', sign: { job: 'gone' } });
    expect(response.statusCode).toBe(404);
    expect(kindOf(response)).toBe('job-not-found');
  });

  it('replayed, answers with the run of its slot', async () => {
    const { body, headers } = cronRequest();
    const request = { method: 'POST', url: '/api/jobs/quick', headers, payload: body } as const;
    const first = await test.app.inject(request);
    const second = await test.app.inject(request);
    expect([first.statusCode, second.statusCode]).toEqual([202, 200]);
    expect(runOf(second).id).toBe(runOf(first).id);
    expect(second.headers.location).toBe(`/api/runs/${runOf(first).id}`);
    expect((await test.store.list({ limit: 10 })).items).toHaveLength(1);
  });

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature', 'authorization'] as const)(
    'with %s twice is refused',
    async (name) => {
      const { body, headers } = cronRequest();
      const lines = Object.entries({ ...headers, host: 'localhost', connection: 'close' });
      lines.push(['content-length', String(Buffer.byteLength(body))], [name, headers[name]]);
      const head = lines.map(([key, value]) => `${key}: ${value}\r\n`).join('');
      const answer = await rawRequest(port, `POST /api/jobs/quick HTTP/1.1\r\n${head}\r\n${body}`);
      expect(answer).toMatch(/^HTTP\/1\.1 401 /);
      expect((await test.store.list({ limit: 1 })).items).toEqual([]);
    },
  );
});

describe('a signed trigger in another shape', () => {
  const slot = slotNow();
  const { body } = cronRequest({ slot });
  const typed = 'content-type: application/json\r\n';
  const length = (bytes: string | Buffer) => `content-length: ${Buffer.byteLength(bytes)}\r\n`;

  /** Sends the trigger of `quick` with this head and these bytes after it. */
  async function sent(head: string, bytes: string | Buffer): Promise<string> {
    const { 'content-type': _, ...others } = cronRequest({ slot }).headers;
    const lines = Object.entries({ ...others, host: 'localhost', connection: 'close' });
    const common = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const start = Buffer.from(`POST /api/jobs/quick HTTP/1.1\r\n${common}${head}\r\n`, 'latin1');
    const answer = await rawRequest(port, Buffer.concat([start, Buffer.from(bytes)]));
    return answer.slice(9, 12);
  }

  it.each([
    { what: 'as it is', head: typed + length(body), bytes: body },
    {
      what: 'in chunks',
      head: `${typed}transfer-encoding: chunked\r\n`,
      bytes: `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    },
    {
      what: 'in chunks of one byte, with extensions and a trailer',
      head: `${typed}transfer-encoding: chunked\r\n`,
      bytes: `${[...body].map((byte) => `1;a=b\r\n${byte}\r\n`).join('')}0\r\nwebhook-id: other\r\n\r\n`,
    },
    {
      what: 'as UTF-8, which it says',
      head: `content-type: application/json; charset=utf-8\r\n${length(body)}`,
      bytes: body,
    },
    {
      what: 'with other names of the headers in another case',
      head: `${(typed + length(body)).toUpperCase()}`,
      bytes: body,
    },
  ])('$what is let in', async ({ head, bytes }) => {
    expect(await sent(head, bytes)).toBe('202');
  });

  it.each([
    {
      what: 'with a body that is compressed',
      status: '401',
      head: `${typed}content-encoding: gzip\r\n${length(gzipSync(body))}`,
      bytes: gzipSync(body),
    },
    {
      what: 'in UTF-16',
      status: '401',
      head: `content-type: application/json; charset=utf-16\r\n${length(Buffer.from(body, 'utf16le'))}`,
      bytes: Buffer.from(body, 'utf16le'),
    },
    {
      what: 'behind a byte order mark',
      status: '401',
      head: typed + length(`\uFEFF${body}`),
      bytes: `\uFEFF${body}`,
    },
    {
      what: 'without its last byte',
      status: '401',
      head: typed + length(body.slice(1)),
      bytes: body.slice(0, -1),
    },
    { what: 'with a byte more', status: '401', head: typed + length(`${body} `), bytes: `${body} ` },
    {
      what: 'as a form',
      status: '415',
      head: `content-type: application/x-www-form-urlencoded\r\n${length(body)}`,
      bytes: body,
    },
    { what: 'as nothing', status: '415', head: length(body), bytes: body },
    {
      what: 'with a length and in chunks',
      status: '400',
      head: `${typed}${length(body)}transfer-encoding: chunked\r\n`,
      bytes: '0\r\n\r\n',
    },
    {
      what: 'with two lengths',
      status: '400',
      head: `${typed}${length(body)}content-length: 1\r\n`,
      bytes: body,
    },
    {
      what: 'with its id folded',
      status: '400',
      head: `${typed}${length(body)}x-a: b\r\n webhook-id: c\r\n`,
      bytes: body,
    },
    {
      what: 'with a method of its own',
      status: '401',
      head: `${typed}x-http-method-override: GET\r\n${length('')}`,
      bytes: '',
    },
  ])('$what is $status, and makes no run', async ({ status, head, bytes }) => {
    expect(await sent(head, bytes)).toBe(status);
    expect((await test.store.list({ limit: 1 })).items).toEqual([]);
  });

  it('for another service is refused: the secret is of this one', async () => {
    // The same slot of the same job, signed for a deployment that has other secrets.
    const response = await post({ sign: { secret: FOREIGN_SECRET } });
    expect([response.statusCode, kindOf(response)]).toEqual([401, 'signature-invalid']);
  });

  it('captured and sent again with a fresh time is refused', async () => {
    const old = cronRequest({ signedAt: minutesFromNow(-6) });
    const fresh = String(Math.floor(Date.now() / 1_000));
    const response = await post({
      sign: { minutesAhead: -6 },
      headers: { 'webhook-timestamp': fresh },
    });
    expect(old.headers['webhook-timestamp']).not.toBe(fresh);
    expect([response.statusCode, kindOf(response)]).toEqual([401, 'signature-invalid']);
  });

  it('with a signature of ours that is of another slot is refused', async () => {
    const other = cronRequest({ slot: new Date(slotNow().getTime() - 15 * MINUTE_MS) });
    const response = await post({ headers: { 'webhook-signature': other.headers['webhook-signature'] } });
    expect([response.statusCode, kindOf(response)]).toEqual([401, 'signature-invalid']);
  });

  it('under an ops token is a run by hand, if its body were one: what is signed is not looked at', async () => {
    const response = await post({ headers: { authorization: `Bearer ${OPS_TOKEN}` } });
    expect([response.statusCode, kindOf(response)]).toEqual([400, 'invalid-request']);
  });
});

describe('the slot of a cron trigger', () => {
  const HOUR_MS = 60 * MINUTE_MS;
  const slot = slotNow();
  const before = (ms: number): Date => new Date(slot.getTime() - ms);

  it.each([
    { what: 'the latest one', at: slot, status: 202, kind: null },
    { what: 'one of 23 hours ago', at: before(23 * HOUR_MS), status: 202, kind: null },
    { what: 'one of 25 hours ago', at: before(25 * HOUR_MS), status: 422, kind: 'slot-too-old' },
    { what: 'one in half an hour', at: before(-30 * MINUTE_MS), status: 422, kind: 'slot-too-early' },
    { what: 'a minute past one', at: before(-MINUTE_MS), status: 422, kind: 'not-a-slot' },
    { what: 'a millisecond past one', at: before(-1), status: 422, kind: 'not-a-slot' },
  ])('$what is $status', async ({ at, status, kind }) => {
    const response = await post({ sign: { slot: at } });
    expect(response.statusCode).toBe(status);
    if (kind !== null) expect(kindOf(response)).toBe(kind);
  });

  it.each(['2026-02-31T10:00:00.000Z', '2026-01-01T24:00:00.000Z', '2026-13-01T10:00:00.000Z'])(
    '%s, which no calendar knows, is 422 not-a-slot',
    async (scheduled_for) => {
      const trigger = { job: 'quick', scheduled_for, trigger: 'vercel-cron' } as const;
      const { body, headers } = signTrigger(trigger, [SIGNING_SECRET], new Date());
      const response = await post({ body, headers: { ...headers } });
      expect(response.statusCode).toBe(422);
      expect(kindOf(response)).toBe('not-a-slot');
    },
  );
});

describe('the cron credential elsewhere', () => {
  it.each([
    { method: 'GET', url: '/api/jobs' },
    { method: 'GET', url: '/api/runs' },
    { method: 'GET', url: '/api/runs/00000000-0000-4000-8000-000000000000' },
    { method: 'GET', url: '/api/runs/00000000-0000-4000-8000-000000000000/events' },
    { method: 'POST', url: '/api/runs/00000000-0000-4000-8000-000000000000/cancel' },
  ] as const)('$method $url is 403', async ({ method, url }) => {
    const response = await test.app.inject({
      method,
      url,
      headers: { authorization: `Bearer ${CRON_TOKEN}` },
    });
    expect(response.statusCode).toBe(403);
    expect(kindOf(response)).toBe('credential-not-allowed');
  });
});

describe('bearer tokens', () => {
  it('of ops need no signature, and name who asked', async () => {
    const response = await test.app.inject({ method: 'POST', url: '/api/jobs/quick', headers: asOps });
    expect(response.statusCode).toBe(202);
    expect(runOf(response)).toMatchObject({ trigger: 'ops', requested_by: 'anna', scheduled_for: null });
  });

  it.each(['bearer', 'BEARER', 'bEARER'])(
    'may have the scheme written %s: it has no case',
    async (scheme) => {
      const headers = { authorization: `${scheme} ${OPS_TOKEN}` };
      expect((await test.app.inject({ method: 'GET', url: '/api/jobs', headers })).statusCode).toBe(200);
    },
  );

  it('of cron as well', async () => {
    const response = await post({ headers: { authorization: `bearer ${CRON_TOKEN}` } });
    expect(response.statusCode).toBe(202);
  });

  const refused = [
    { what: 'none', authorization: undefined },
    { what: 'an empty one', authorization: 'Bearer ' },
    { what: 'an unknown one', authorization: 'Bearer not-a-token-0123456789' },
    { what: 'one that begins well', authorization: `Bearer ${OPS_TOKEN.slice(0, -1)}` },
    { what: 'one that goes on', authorization: `Bearer ${OPS_TOKEN}0` },
    { what: 'another case', authorization: `Bearer ${OPS_TOKEN.toUpperCase()}` },
    { what: 'a name with its token', authorization: `Bearer anna:${OPS_TOKEN}` },
    { what: 'no scheme', authorization: OPS_TOKEN },
    { what: 'another scheme', authorization: `Basic ${Buffer.from(`anna:${OPS_TOKEN}`).toString('base64')}` },
  ];
  const routes = [
    { method: 'POST', url: '/api/jobs/quick' },
    { method: 'GET', url: '/api/jobs' },
    { method: 'GET', url: '/api/runs' },
    { method: 'GET', url: '/api/runs/00000000-0000-4000-8000-000000000000' },
    { method: 'GET', url: '/api/runs/00000000-0000-4000-8000-000000000000/events' },
    { method: 'POST', url: '/api/runs/00000000-0000-4000-8000-000000000000/cancel' },
  ] as const;
  it.each(refused)('$what is 401 on every route', async ({ authorization }) => {
    for (const { method, url } of routes) {
      const headers = authorization === undefined ? {} : { authorization };
      const response = await test.app.inject({ method, url, headers });
      expect(response.statusCode).toBe(401);
      expect(kindOf(response)).toBe('unauthenticated');
      expect(response.headers['www-authenticate']).toMatch(/^Bearer/);
    }
    expect((await test.store.list({ limit: 1 })).items).toEqual([]);
  });

  it('is looked at before the body is', async () => {
    // The body never comes; the answer does.
    const answer = await rawRequest(
      port,
      'POST /api/jobs/quick HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });
});
