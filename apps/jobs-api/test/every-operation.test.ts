/**
 * What holds for every operation of the API, whichever there are: they are read from its OpenAPI
 * document.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { asOps, CRON_TOKEN, createTestApp, type ProblemAnswer, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';
import { everyOperation, type OperationRequest } from './support/operations.ts';

const operations = await everyOperation();
// One is of the cron credential alone: its own test has it.
const ofOps = operations.filter(({ operationId }) => operationId !== 'checkTrigger');
const withBody = ofOps.filter(({ method }) => method !== 'GET');

let database: TestDatabase;
let test: TestApp;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
afterEach(() => {
  database.reachable = true;
});

async function ask(operation: OperationRequest, change: Partial<RequestInit> & { url?: string } = {}) {
  const { method, url, body } = operation;
  const payload = change.body === undefined ? JSON.stringify(body) : String(change.body);
  const response = await test.app.inject({
    method,
    url: change.url ?? url,
    headers: {
      ...(method === 'GET' ? {} : { 'content-type': 'application/json' }),
      ...((change.headers as Record<string, string> | undefined) ?? asOps),
    },
    ...(method === 'GET' ? {} : { payload }),
  });
  const { type = '', errors = [] } = response.json() as Partial<ProblemAnswer>;
  return {
    status: response.statusCode,
    kind: type.replace('/problems/', ''),
    fields: errors.map(({ field }) => field),
    response,
  };
}

it('there are some', () => {
  expect(operations.length).toBeGreaterThan(25);
  expect(withBody.length).toBeGreaterThan(10);
});

describe('every operation', () => {
  it.each(operations)('$operationId asks for a credential', async (operation) => {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'Basic YTpi' }]) {
      const { status, kind, response } = await ask(operation, { headers });
      expect([status, kind]).toEqual([401, 'unauthenticated']);
      expect(response.headers['www-authenticate']).toMatch(/^Bearer /);
    }
  });

  it.each(operations)('$operationId gives the cron token nothing but its own', async (operation) => {
    const { status, kind } = await ask(operation, { headers: { authorization: `Bearer ${CRON_TOKEN}` } });
    const isTrigger = ['startRun', 'checkTrigger'].includes(operation.operationId);
    expect([status, kind]).toEqual(isTrigger ? [401, 'signature-missing'] : [403, 'credential-not-allowed']);
  });

  it.each(operations)('$operationId refuses a parameter that it does not have', async (operation) => {
    const url = `${operation.url}${operation.url.includes('?') ? '&' : '?'}colour=red`;
    const { status, kind, fields } = await ask(operation, { url });
    expect([status, kind, fields]).toEqual([400, 'invalid-request', ['querystring/colour']]);
  });

  // The verdict says so itself.
  const without = ['getOpenApi', 'getVerdict'];
  it.each(ofOps.filter(({ operationId }) => !without.includes(operationId)))(
    '$operationId is 503 while the database is away',
    async (operation) => {
      database.reachable = false;
      const { status, kind, response } = await ask(operation);
      expect([status, kind]).toEqual([503, 'database-unavailable']);
      expect(response.headers['retry-after']).toBe('5');
      expect(response.body).not.toContain('10.0.0.1');
    },
  );

  it.each(ofOps)('$operationId answers what its document says', async (operation) => {
    const { status, kind } = await ask(operation);
    // There is nothing with these ids; whatever else is wrong would be another refusal, or a 500.
    expect(status === 404 || status === 422 ? kind : status).toSatisfy(
      (answer: unknown) =>
        [200, 202, 'refused'].includes(answer as number) || String(answer).endsWith('-not-found'),
    );
  });
});

describe('every operation with a body', () => {
  it.each(withBody)('$operationId refuses a field that it does not have', async (operation) => {
    const { status, fields } = await ask(operation, {
      body: JSON.stringify({ ...operation.body, colour: 'red' }),
    });
    expect([status, fields]).toEqual([400, expect.arrayContaining(['body/colour'])]);
  });

  it.each(withBody)('$operationId refuses a list and text', async (operation) => {
    for (const body of ['[]', '"text"', '1']) {
      const { status, kind } = await ask(operation, { body });
      expect([body, status, kind]).toEqual([body, 400, 'invalid-request']);
    }
  });

  it.each(withBody)('$operationId refuses what is no JSON', async (operation) => {
    const { status, kind } = await ask(operation, { body: '{"a": ' });
    expect([status, kind]).toEqual([400, 'malformed-body']);
  });

  it.each(withBody)('$operationId refuses another media type', async (operation) => {
    const headers = { ...asOps, 'content-type': 'text/plain' };
    const { status, kind } = await ask(operation, { headers, body: 'a' });
    expect([status, kind]).toEqual([415, 'unsupported-media-type']);
  });
});
