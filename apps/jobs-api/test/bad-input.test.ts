import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  asOps,
  CRON_TOKEN,
  createTestApp,
  cronRequest,
  OPS_TOKEN,
  type ProblemAnswer,
  SIGNING_SECRET,
  type TestApp,
} from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';
import { rawRequest } from './support/raw-http.ts';

/** Stands wherever a caller can put something, and must come back from nowhere. */
const CANARY = 'canary-5f2e9b';

let database: TestDatabase;
let test: TestApp;
let port: number;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
  await test.app.listen({ host: '127.0.0.1', port: 0 });
  port = (test.app.server.address() as AddressInfo).port;
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
beforeEach(() => {
  database.reachable = true;
  test.logLines.length = 0;
});

/** No secret and nothing that the caller wrote stands in an answer or in the log. */
function expectNothingTold(answer: string): void {
  // An error's own text may quote anything.
  expect(test.logLines.join()).not.toContain('"stack"');
  for (const secret of [CANARY, OPS_TOKEN, CRON_TOKEN, SIGNING_SECRET, 'v1,']) {
    expect(answer).not.toContain(secret);
    expect(test.logLines.join()).not.toContain(secret);
  }
}

const json = { ...asOps, 'content-type': 'application/json' };
const RUN = '/api/runs/00000000-0000-4000-8000-000000000000';

interface BadRequest {
  readonly what: string;
  readonly method: string;
  readonly url: string;
  readonly headers?: Record<string, string>;
  readonly payload?: string;
  readonly status: number;
  readonly kind: string;
  readonly field?: string;
  readonly answerHeaders?: Record<string, string>;
}

const badRequests: readonly BadRequest[] = [
  { what: 'an unknown path', method: 'GET', url: `/nothing?token=${CANARY}`, status: 404, kind: 'not-found' },
  { what: 'an unknown path under /api', method: 'GET', url: '/api/nothing', status: 404, kind: 'not-found' },
  {
    what: 'a body for an unknown path',
    method: 'POST',
    url: '/nothing',
    payload: CANARY,
    status: 404,
    kind: 'not-found',
  },
  { what: 'a slash at the end', method: 'GET', url: '/api/jobs/', status: 404, kind: 'not-found' },
  {
    what: 'GET of a trigger',
    method: 'GET',
    url: '/api/jobs/quick',
    headers: asOps,
    status: 405,
    kind: 'method-not-allowed',
    answerHeaders: { allow: 'POST' },
  },
  {
    what: 'DELETE of a run',
    method: 'DELETE',
    url: RUN,
    headers: asOps,
    status: 405,
    kind: 'method-not-allowed',
    answerHeaders: { allow: 'GET, HEAD' },
  },
  {
    what: 'PUT of the runs',
    method: 'PUT',
    url: '/api/runs',
    payload: CANARY,
    status: 405,
    kind: 'method-not-allowed',
    answerHeaders: { allow: 'GET, HEAD' },
  },
  {
    what: 'POST of health',
    method: 'POST',
    url: '/health',
    status: 405,
    kind: 'method-not-allowed',
    answerHeaders: { allow: 'GET, HEAD' },
  },
  {
    what: 'a method that is rare',
    method: 'PROPFIND',
    url: '/health',
    status: 405,
    kind: 'method-not-allowed',
  },
  {
    what: 'a path that cannot be decoded',
    method: 'GET',
    url: `/api/jobs/%E0%A4%A`,
    headers: asOps,
    status: 400,
    kind: 'bad-request',
  },
  {
    what: 'a path that is too long',
    method: 'POST',
    url: `/api/jobs/${'x'.repeat(101)}`,
    headers: asOps,
    status: 414,
    kind: 'uri-too-long',
  },
  {
    what: 'a job that does not exist',
    method: 'POST',
    url: `/api/jobs/${CANARY.slice(0, 6)}x`,
    headers: asOps,
    status: 404,
    kind: 'job-not-found',
  },
  {
    what: 'a job’s name that is too long',
    method: 'POST',
    url: `/api/jobs/${'x'.repeat(65)}`,
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'params/job',
  },
  {
    what: 'a body that is no JSON',
    method: 'POST',
    url: '/api/jobs/quick',
    headers: json,
    payload: `{"a": ${CANARY}`,
    status: 400,
    kind: 'malformed-body',
  },
  {
    what: 'a body with a field',
    method: 'POST',
    url: '/api/jobs/quick',
    headers: json,
    payload: `{"force":"${CANARY}"}`,
    status: 400,
    kind: 'invalid-request',
    field: 'body/force',
  },
  {
    what: 'a body whose field has no decent name',
    method: 'POST',
    url: '/api/jobs/quick',
    headers: json,
    payload: `{"${CANARY} ${CANARY}":1}`,
    status: 400,
    kind: 'invalid-request',
    field: 'body/?',
  },
  {
    what: 'a body that is a list',
    method: 'POST',
    url: '/api/jobs/quick',
    headers: json,
    payload: `["${CANARY}"]`,
    status: 400,
    kind: 'invalid-request',
    field: 'body',
  },
  {
    what: 'a body that is null',
    method: 'POST',
    url: '/api/jobs/quick',
    headers: json,
    payload: 'null',
    status: 400,
    kind: 'invalid-request',
    field: 'body',
  },
  {
    what: 'a body that is text',
    method: 'POST',
    url: '/api/jobs/quick',
    headers: { ...asOps, 'content-type': 'text/plain' },
    payload: CANARY,
    status: 415,
    kind: 'unsupported-media-type',
  },
  {
    what: 'a body of no type',
    method: 'POST',
    url: '/api/jobs/quick',
    headers: { ...asOps, 'content-type': '' },
    payload: CANARY,
    status: 415,
    kind: 'unsupported-media-type',
  },
  {
    what: 'a form',
    method: 'POST',
    url: `${RUN}/cancel`,
    headers: { ...asOps, 'content-type': 'application/x-www-form-urlencoded' },
    payload: `a=${CANARY}`,
    status: 415,
    kind: 'unsupported-media-type',
  },
  {
    what: 'text to cancel',
    method: 'POST',
    url: `${RUN}/cancel`,
    headers: { ...asOps, 'content-type': 'text/plain' },
    payload: CANARY,
    status: 415,
    kind: 'unsupported-media-type',
  },
  {
    what: 'no JSON to cancel',
    method: 'POST',
    url: `${RUN}/cancel`,
    headers: json,
    payload: `{${CANARY}`,
    status: 400,
    kind: 'malformed-body',
  },
  {
    what: 'a field to cancel',
    method: 'POST',
    url: `${RUN}/cancel`,
    headers: json,
    payload: `{"reason":"${CANARY}"}`,
    status: 400,
    kind: 'invalid-request',
  },
  {
    what: 'a body of 64 KB and a byte',
    method: 'POST',
    url: '/api/jobs/quick',
    headers: json,
    payload: `"${CANARY.padEnd(65_535, 'x')}"`,
    status: 413,
    kind: 'body-too-large',
  },
  {
    what: 'a body that is nested deeper than a stack',
    method: 'POST',
    url: '/api/messages',
    headers: json,
    payload: `{"messages":[${'['.repeat(30_000)}${']'.repeat(30_000)}]}`,
    status: 400,
    kind: 'invalid-request',
    field: 'body',
  },
  {
    what: 'a limit of 0',
    method: 'GET',
    url: '/api/runs?limit=0',
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'querystring/limit',
  },
  {
    what: 'a limit of 201',
    method: 'GET',
    url: '/api/runs?limit=201',
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'querystring/limit',
  },
  {
    what: 'a limit in words',
    method: 'GET',
    url: `/api/runs?limit=${CANARY}`,
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'querystring/limit',
  },
  {
    what: 'a limit that is a fraction',
    method: 'GET',
    url: '/api/runs?limit=1.5',
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'querystring/limit',
  },
  ...['1e1', '0x10', '+1', ' 1', ''].map((limit) => ({
    what: `a limit of "${limit}"`,
    method: 'GET',
    url: `/api/runs?limit=${encodeURIComponent(limit)}`,
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'querystring/limit',
  })),
  {
    what: 'two limits',
    method: 'GET',
    url: '/api/runs?limit=1&limit=2',
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'querystring/limit',
  },
  {
    what: 'an unknown status',
    method: 'GET',
    url: `/api/runs?status=${CANARY}`,
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'querystring/status',
  },
  {
    what: 'an unknown filter',
    method: 'GET',
    url: `/api/runs?colour=${CANARY}`,
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'querystring/colour',
  },
  {
    what: 'an id that is none',
    method: 'GET',
    url: `/api/runs/${CANARY.slice(0, 6)}`,
    headers: asOps,
    status: 400,
    kind: 'invalid-request',
    field: 'params/id',
  },
  {
    what: 'events for a browser tab',
    method: 'GET',
    url: `${RUN}/events`,
    headers: { ...asOps, accept: 'text/html' },
    status: 406,
    kind: 'not-acceptable',
  },
  {
    what: 'events of no run',
    method: 'GET',
    url: `${RUN}/events`,
    headers: asOps,
    status: 404,
    kind: 'run-not-found',
  },
  {
    what: 'a wrong token',
    method: 'GET',
    url: '/api/jobs',
    headers: { authorization: `Bearer ${CANARY}` },
    status: 401,
    kind: 'unauthenticated',
  },
];

describe('a request that is refused', () => {
  it.each(badRequests)('$what → $status $kind', async (request) => {
    const { method, url, headers = {}, payload } = request;
    const response = await test.app.inject({
      method: method as 'GET',
      url,
      headers,
      ...(payload === undefined ? {} : { payload }),
    });
    const problem = response.json() as ProblemAnswer;
    expect(response.statusCode).toBe(request.status);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(problem).toMatchObject({ type: `/problems/${request.kind}`, status: request.status });
    expect(problem.instance).toBe(`urn:uuid:${problem.request_id}`);
    expect(response.headers).toMatchObject(request.answerHeaders ?? {});
    if (request.field) expect(problem.errors?.map(({ field }) => field)).toContain(request.field);
    expectNothingTold(response.body + JSON.stringify(response.headers));
  });

  it('with a signature that is wrong tells nothing either', async () => {
    const { headers } = cronRequest();
    const payload = JSON.stringify({ text: CANARY });
    const request = { method: 'POST', url: `/api/jobs/quick?token=${CANARY}`, headers, payload } as const;
    const response = await test.app.inject(request);
    expect(response.statusCode).toBe(401);
    expectNothingTold(response.body);
    expect(test.logLines.join()).not.toContain(headers['webhook-signature']);
  });

  it('by the parser: headers that are too large', async () => {
    const answer = await rawRequest(
      port,
      `GET /health HTTP/1.1\r\nhost: a\r\nx-large: ${CANARY.padEnd(20_000, 'x')}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    expect(answer).toContain('application/problem+json');
    expect(answer).toContain('/problems/headers-too-large');
    expectNothingTold(answer);
  });

  it('by the parser: what is no HTTP', async () => {
    const answer = await rawRequest(port, `${CANARY}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('/problems/bad-request');
    expectNothingTold(answer);
  });
});

describe('a request that cannot be served', () => {
  it('is an opaque 500 when the database refuses the call, and its id stands in the log', async () => {
    await database.asOwner('revoke execute on function public.run_list from service_role');
    const response = await test.app.inject({ method: 'GET', url: '/api/runs', headers: asOps });
    await database.asOwner('grant execute on function public.run_list to service_role');
    const problem = response.json() as ProblemAnswer;
    expect(problem).toMatchObject({ type: '/problems/internal', status: 500 });
    expect(problem.detail).toBeUndefined();
    expect(response.body).not.toContain('run_list');
    const failure = test.logLines.find((line) => line.includes('request failed'));
    expect(failure).toContain(problem.request_id);
    expect(failure).toContain('run_list');
  });
});
