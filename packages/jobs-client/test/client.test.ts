import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createJobsClient, JobsApiError } from '@revos/jobs-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestApp, OPS_TOKEN, type TestApp } from '../../../apps/jobs-api/test/support/app.ts';
import { openTestDatabase, type TestDatabase } from '../../../apps/jobs-api/test/support/database.ts';
import { quickJob } from '../../../apps/jobs-api/test/support/jobs.ts';

let database: TestDatabase;
let test: TestApp;
let baseUrl: string;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
  await test.app.listen({ host: '127.0.0.1', port: 0 });
  baseUrl = `http://127.0.0.1:${(test.app.server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
beforeEach(() => database.clear());

const client = (token = OPS_TOKEN) => createJobsClient({ baseUrl, token });

/** The error that `call` rejects with. */
const errorOf = async (call: Promise<unknown>): Promise<JobsApiError> => {
  const error: unknown = await call.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof JobsApiError)) throw error;
  return error;
};

const UNKNOWN = '00000000-0000-4000-8000-000000000000';

describe('the client, over HTTP to the service', () => {
  it('starts a run, waits for it, and reads it', async () => {
    const { run, outcome } = await client().post('/api/jobs/{job}', {
      params: { path: { job: 'quick' } },
      headers: { prefer: 'wait=10' },
    });
    expect([outcome, run.status]).toEqual(['created', 'succeeded']);
    const read = await client().get('/api/runs/{id}', { params: { path: { id: run.id } } });
    expect(read).toEqual(run);
  });

  it('queues messages, and lists them by several values of one filter', async () => {
    const account = await database.account('anna');
    const queued = await client().post('/api/messages', {
      body: {
        messages: [
          { linkedin_account_id: account, recipient_id: 'ACo1', message: 'Hello' },
          { linkedin_account_id: account, recipient_id: 'ACo2', message: 'Hello' },
        ],
      },
    });
    const ids = queued.messages.map(({ id }) => id);
    await client().post('/api/messages/actions', {
      body: { action: 'cancel', selection: { ids: ids.slice(0, 1) }, args: {}, dry_run: false },
    });
    const list = (status: ('pending' | 'cancelled')[]) =>
      client().get('/api/messages', { params: { query: { status, limit: 10 } } });
    expect((await list(['pending'])).items.map(({ id }) => id)).toEqual(ids.slice(1));
    expect((await list(['pending', 'cancelled'])).items).toHaveLength(2);
  });

  it('changes a policy', async () => {
    const account = await database.account('anna');
    const policy = await client().patch('/api/accounts/{id}/policy', {
      params: { path: { id: account } },
      body: { dms_per_day: 7 },
    });
    expect(policy.dms_per_day).toBe(7);
  });
});

describe('JobsApiError', () => {
  it('carries a refusal with its fields', async () => {
    const error = await errorOf(
      client().post('/api/messages', {
        body: {
          messages: [{ linkedin_account_id: UNKNOWN, recipient_id: 'ACo1', message: 'Hello {{name}}' }],
        },
      }),
    );
    expect(error).toMatchObject({ kind: 'refused', status: 422, code: 'DM021' });
    expect(error.errors.map(({ field }) => field)).toEqual([
      'messages/0/linkedin_account_id',
      'messages/0/message',
    ]);
    expect(error.message).toContain('nothing was queued');
    expect(error.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('carries how many match when a selection has changed', async () => {
    const error = await errorOf(
      client().post('/api/messages/actions', {
        body: { action: 'cancel', selection: { filter: {} }, dry_run: false, expected_count: 3 },
      }),
    );
    expect(error).toMatchObject({ kind: 'selection-changed', status: 409, matched: 0 });
  });

  it('says that a token is wrong, and that there is nothing', async () => {
    expect(await errorOf(client('wrong-token-0123456').get('/api/sending'))).toMatchObject({
      kind: 'unauthenticated',
      status: 401,
    });
    expect(
      await errorOf(client().get('/api/messages/{id}', { params: { path: { id: UNKNOWN } } })),
    ).toMatchObject({ kind: 'message-not-found', status: 404, errors: [] });
  });

  it('says when to come back', async () => {
    database.reachable = false;
    const error = await errorOf(client().get('/api/sending'));
    database.reachable = true;
    expect(error).toMatchObject({ kind: 'database-unavailable', status: 503, retryAfterSeconds: 5 });
  });
});

describe('what is no answer of the jobs API', () => {
  const answeredBy = async (listener: RequestListener): Promise<JobsApiError> => {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const proxied = createJobsClient({ baseUrl: `http://127.0.0.1:${port}`, token: OPS_TOKEN });
      return await errorOf(proxied.get('/api/sending'));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };

  it('from a proxy is not understood', async () => {
    const error = await answeredBy((_request, response) =>
      response.writeHead(502).end('<html>Bad gateway</html>'),
    );
    expect(error).toMatchObject({ kind: 'not-understood', status: 502 });
    expect(error.message).not.toContain('html');
  });

  it('from a proxy is not understood, either, if it calls itself a success', async () => {
    const error = await answeredBy((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in</html>'),
    );
    expect(error).toMatchObject({ kind: 'not-understood', status: 200 });
  });

  it.each([301, 307, 308])(
    'from a redirect (%i) is not fetched elsewhere: the token stays here',
    async (status) => {
      const elsewhere: (string | undefined)[] = [];
      const other = createServer((request, response) => {
        elsewhere.push(request.headers.authorization);
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"paused":false}');
      }).listen(0, '127.0.0.1');
      await once(other, 'listening');
      const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/api/sending`;
      const error = await answeredBy((_request, response) => response.writeHead(status, { location }).end());
      other.close();
      expect(error).toMatchObject({ kind: 'not-understood', status });
      expect(elsewhere).toEqual([]);
    },
  );

  it.each([
    { what: 'a success', status: 200, type: 'application/json', kind: 'no-answer' },
    { what: 'a refusal', status: 400, type: 'application/problem+json', kind: 'not-understood' },
  ])('without end is given up: $what', async ({ status, type, kind }) => {
    let sentMb = 0;
    const error = await answeredBy((_request, response) => {
      response.writeHead(status, { 'content-type': type }).write('"');
      const megabyte = 'x'.repeat(1_048_576);
      const more = (): void => {
        for (;;) {
          if (response.destroyed) return;
          sentMb += 1;
          if (!response.write(megabyte)) return void response.once('drain', more);
        }
      };
      more();
    });
    expect(error).toMatchObject({ kind });
    expect(sentMb).toBeLessThan(60);
  });

  it.each(['http://jobs.example.com', 'https://ada:canary@jobs.example.com', 'ftp://127.0.0.1', 'jobs'])(
    'is asked for at %s: never, since the token would travel there in the clear',
    (address) => {
      expect(() => createJobsClient({ baseUrl: address, token: OPS_TOKEN })).toThrow(
        new TypeError('baseUrl must be https without a name and a password, or http on this machine'),
      );
    },
  );

  it.each([
    { what: 'before it began', listener: (request, _response) => request.socket.destroy() },
    {
      what: 'in its middle',
      listener: (request, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
        response.write('{"paused":', () => request.socket.destroy());
      },
    },
  ] satisfies { what: string; listener: RequestListener }[])(
    'that breaks off $what is none',
    async ({ listener }) => {
      expect(await answeredBy(listener)).toMatchObject({ kind: 'no-answer', status: null });
    },
  );

  it('from nobody is none, and says why', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const nobody = createJobsClient({ baseUrl: `http://127.0.0.1:${port}`, token: OPS_TOKEN });
    const error = await errorOf(nobody.get('/api/sending'));
    expect(error).toMatchObject({ kind: 'no-answer', detail: 'ECONNREFUSED' });
    expect(JSON.stringify(error)).not.toContain(OPS_TOKEN);
  });

  it('is the abort itself where the caller aborted', async () => {
    const call = client().get('/api/sending', { signal: AbortSignal.abort() });
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
  });
});
