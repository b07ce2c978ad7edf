/**
 * Nearly right requests, and wholly wrong ones, to every operation that the OpenAPI document has,
 * over the real SQL functions: none is a 500, none is left without an answer, none is answered as
 * the document does not say, and none makes an answer or the log tell what they must not.
 *
 * A failure prints the request, the seed and the path. To replay it: `SEED=… FUZZ_PATH=… vitest run
 * apps/jobs-api/test/fuzz.test.ts -t <operation>`. FUZZ_RUNS draws more or fewer.
 */
import type { AddressInfo } from 'node:net';
import { RunParams } from '@revos/core/jobs';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { seed } from '../../../tests/support/trials.ts';
import { openApiDocument } from '../src/openapi-document.ts';
import {
  asOps,
  CRON_TOKEN,
  CRON_TOKEN_NEXT,
  createTestApp,
  OPS_TOKEN,
  SIGNING_SECRET,
  SIGNING_SECRET_NEXT,
  type TestApp,
} from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import {
  documentedOperations,
  type FuzzRequest,
  fuzzRequestOf,
  surroundingsOf,
} from './support/fuzz-requests.ts';
import { quickJob } from './support/jobs.ts';
import { headOf, rawRequest } from './support/raw-http.ts';

const { FUZZ_PATH, FUZZ_RUNS } = process.env;
const parameters = {
  seed,
  ...(FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }),
  numRuns: FUZZ_RUNS === undefined ? 25 : Number(FUZZ_RUNS),
  // A request that is simpler may be answered otherwise, after what this one has changed.
  endOnFailure: true,
};

/** Longer than any wait that the requests ask for. */
const ANSWER_MS_MAX = 20_000;

const MESSAGE = 'canary-message-3b1f';
const POST = 'canary-post-9c2d';
/** What a caller writes is kept, and shown to whoever may see it; it is not logged. */
const WRITTEN = 'canary-written-4e7a';
const SECRETS = [OPS_TOKEN, CRON_TOKEN, CRON_TOKEN_NEXT, SIGNING_SECRET, SIGNING_SECRET_NEXT];

/** What our code, Node, Postgres or PostgREST would say, and no caller here writes. */
const INSIDE =
  /(?:\\n|\n) {2,}at .+:\d+:\d+|node:internal|node_modules|\/(?:src|apps|packages)\/|syntax error|relation \\?"|column \\?"|invalid input|violates|PL\/pgSQL|SQLSTATE|PGRST|ECONN/;

// As it is served: what is undefined is not there.
const document = JSON.parse(JSON.stringify(await openApiDocument())) as Record<string, unknown>;
const operations = documentedOperations(document);

let database: TestDatabase;
let test: TestApp;
let port: number;
const ids: string[] = ['00000000-0000-4000-8000-000000000000'];

beforeAll(async () => {
  database = await openTestDatabase();
  const told = { ...quickJob('told'), params: RunParams };
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick'), told] });
  await test.app.listen({ host: '127.0.0.1', port: 0 });
  port = (test.app.server.address() as AddressInfo).port;
  const account = await database.account('fuzz');
  const [post] = await database.rows<{ id: string }>(
    `insert into public.posts (linkedin_account_id, content, status, scheduled_for)
     values ('${account}', '${POST}', 'scheduled', now() + interval '1 day') returning id`,
  );
  const message = { linkedin_account_id: account, recipient_id: 'ACoAA1', message: MESSAGE };
  await database.rpc.call('dm_enqueue', { rows: [message] });
  const [queued] = await database.rows<{ id: string }>('select id from public.dm_queue');
  const started = await test.app.inject({
    method: 'POST',
    url: '/api/jobs/quick',
    headers: { ...asOps, prefer: 'wait=10' },
  });
  ids.push(account, post?.id ?? '', queued?.id ?? '', (started.json() as { run: { id: string } }).run.id);
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
beforeEach(() => {
  test.logLines.length = 0;
});

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function inTime(answer: Promise<Answer>): Promise<Answer> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('no answer')), ANSWER_MS_MAX);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function injected({ method, url, headers, payload }: FuzzRequest): Promise<Answer> {
  const response = await test.app.inject({
    method: method as 'GET',
    url,
    headers,
    ...(payload === undefined ? {} : { payload }),
  });
  return {
    status: response.statusCode,
    type: String(response.headers['content-type'] ?? ''),
    text: JSON.stringify(response.headers) + response.body,
  };
}

/** Fails if the answer or the log tells what they must not. */
function expectNothingTold({ text }: Answer, mayTellTexts: boolean): void {
  const log = test.logLines.join('');
  for (const secret of SECRETS) {
    expect(text).not.toContain(secret);
    expect(log).not.toContain(secret);
  }
  expect(text).not.toMatch(INSIDE);
  expect(log).not.toMatch(INSIDE);
  expect(log).not.toContain('"stack"');
  expect(log).not.toContain(WRITTEN);
  for (const canary of [MESSAGE, POST]) {
    expect(log).not.toContain(canary);
    if (!mayTellTexts) expect(text).not.toContain(canary);
  }
}

it('there are some operations', () => expect(operations.length).toBeGreaterThan(30));

describe('every operation, asked anything,', () => {
  it.each(operations)('$operationId answers as its document says, and tells nothing', async (operation) => {
    const around = surroundingsOf(document, { ids, written: WRITTEN });
    const tellsTexts = ['getMessage', 'getPost'].includes(operation.operationId);
    await fc.assert(
      fc.asyncProperty(fuzzRequestOf(operation, around), async (request) => {
        test.logLines.length = 0;
        const answer = await inTime(injected(request));
        // A path or a method that is drawn may be another operation's, or nobody's.
        expect(answer.status).toBeLessThan(500);
        expect([200, 201, 202, 400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 431]).toContain(
          answer.status,
        );
        const [path = ''] = request.url.split(/[?#;]/);
        if (
          request.method === operation.method &&
          path.split('/').length === operation.path.split('/').length
        ) {
          expect([...operation.statuses, 400, 404, 405]).toContain(answer.status);
        }
        if (answer.status >= 400) expect(answer.type).toMatch(/^application\/problem\+json/);
        if (request.knows === 'nothing' && path.startsWith('/api/'))
          expect(answer.status).toBeGreaterThanOrEqual(400);
        expectNothingTold(answer, tellsTexts && request.knows === 'ops');
      }),
      parameters,
    );
  });
});

const CRLF = '\r\n';

/** Bytes of one request, broken as no client would. */
const rawRequests = fc
  .tuple(
    fc.constantFrom(...operations),
    fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', 'http/1.1', ''),
    fc.array(
      fc.constantFrom(
        `authorization: ${asOps.authorization}`,
        `authorization: Bearer ${CRON_TOKEN}`,
        'content-type: application/json',
        'content-length: 2',
        'content-length: 3',
        'content-length: -1',
        'content-length: 99999999999999999999',
        'transfer-encoding: chunked',
        'transfer-encoding: gzip, chunked',
        'transfer-encoding : chunked',
        'content-encoding: gzip',
        'expect: 100-continue',
        'upgrade: h2c',
        'x-\u0000: a',
        'x-a: a\rb',
        'no colon',
        ' folded: a',
        'x-a: \u00ff\u00fe',
        'webhook-id: a',
        'webhook-id: b',
        `x-large: ${'x'.repeat(17_000)}`,
      ),
      { maxLength: 5 },
    ),
    fc.constantFrom(
      '',
      '{}',
      '2\r\n{}\r\n0\r\n\r\n',
      'zz\r\n{}',
      '0\r\n\r\n',
      '\0\0',
      'GET /api/jobs HTTP/1.1\r\n\r\n',
    ),
    fc.constantFrom(CRLF, '\n', '\r'),
    fc.nat({ max: 40 }),
  )
  .map(([{ method, path }, version, headers, body, lineBreak, cut]) => {
    const lines = [`${method} ${path} ${version}`, 'host: a', 'connection: close', ...headers, '', body];
    const bytes = Buffer.from(lines.join(lineBreak), 'latin1');
    // Some of them stop in the middle.
    return cut === 0 ? bytes.subarray(0, Math.floor(bytes.length / 2)) : bytes;
  });

it('bytes that are no request, or two at once, are answered or cut off, and the service lives', async () => {
  await fc.assert(
    fc.asyncProperty(rawRequests, async (bytes) => {
      test.logLines.length = 0;
      const text = await rawRequest(port, bytes, { half: true });
      const answers = text === '' ? [] : text.split(/(?=HTTP\/1\.1 \d{3} )/);
      for (const answer of answers) expect(headOf(answer).status).toBeLessThan(500);
      expectNothingTold({ status: 0, type: '', text }, false);
    }),
    { ...parameters, numRuns: parameters.numRuns * 4 },
  );
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
});
