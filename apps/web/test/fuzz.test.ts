/**
 * Anything, asked of the web app's doors, and anything, answered by the jobs API: nobody gets in
 * who should not, nothing throws, and no answer holds a secret. A failure prints the seed and the
 * path; `SEED=… FUZZ_PATH=…` replays it.
 */

import fc from 'fast-check';
import { NextRequest } from 'next/server';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { seed } from '../../../tests/support/trials.ts';
import { answerCron } from '../src/cron/answer-cron.ts';
import { readCronEnv, readDashboardEnv } from '../src/env.ts';
import { readOverview, readRun } from '../src/jobs-api/read.ts';
import { proxy } from '../src/proxy.ts';
import { aRun } from './a-run.ts';
import { scriptedEffects } from './scripted-effects.ts';
import { type ScriptedServer, scriptedServer } from './scripted-server.ts';
import { TELLS_NOBODY } from './tells-nobody.ts';

const { FUZZ_PATH, FUZZ_RUNS } = process.env;
const parameters = {
  seed,
  ...(FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }),
  numRuns: FUZZ_RUNS === undefined ? 300 : Number(FUZZ_RUNS),
};

const CRON_SECRET = 'the-cron-secret-7a';
const OPS_TOKEN = 'the-ops-token-7a:with-colon';
const JOB_SECRET = 'the-job-secret-7a';
const SIGNING_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

function expectNoSecret(text: string): void {
  for (const secret of [CRON_SECRET, OPS_TOKEN, JOB_SECRET, SIGNING_SECRET])
    expect(text).not.toContain(secret);
  expect(text).not.toMatch(/\n {2,}at .+:\d+:\d+|node_modules/);
}

/** What a header can hold: bytes but for NUL and line breaks. */
const headerText = fc
  .string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 60 })
  .map((text) => text.replace(/[\r\n]/g, ''));

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What is nearly `secret`. */
const nearly = (secret: string): string[] => [
  secret.slice(0, -1),
  secret.slice(1),
  ` ${secret}`,
  `${secret} `,
  `${secret}\n`,
  `${secret}\0`,
  secret.toUpperCase(),
  `${secret}${secret}`,
  secret.replace('-', '–'),
  secret.replace('e', 'е'),
  'undefined',
  'null',
  '',
];

const near = (secret: string) =>
  fc.oneof(fc.constantFrom(...nearly(secret)), fc.string({ unit: 'binary', maxLength: 40 }));

describe('the door of the pages', () => {
  afterEach(() => vi.unstubAllEnvs());

  const knock = (authorization: string | null, token: string | undefined) => {
    vi.stubEnv('OPS_TOKEN', token);
    const headers = authorization === null ? {} : { authorization };
    return proxy(new NextRequest('https://app.example.com/', { headers }));
  };
  const isOpen = (response: Response): boolean => response.headers.get('x-middleware-next') === '1';

  it('opens to the token', () => {
    expect(isOpen(knock(`Basic ${base64(`a:${OPS_TOKEN}`)}`, OPS_TOKEN))).toBe(true);
  });

  it.each(nearly(OPS_TOKEN))('does not open to %j', (text) => {
    for (const pair of [`a:${text}`, text]) {
      expect(isOpen(knock(`Basic ${base64(pair)}`, OPS_TOKEN))).toBe(false);
    }
  });

  it('opens to nothing else', async () => {
    const wrong = fc.oneof(
      headerText,
      headerText.map((text) => `Basic ${text}`),
      near(OPS_TOKEN).map((text) => `Basic ${base64(`a:${text}`)}`),
      near(OPS_TOKEN).map((text) => `Basic ${base64(text)}`),
      fc.constantFrom(
        OPS_TOKEN,
        `Bearer ${OPS_TOKEN}`,
        `Basic ${OPS_TOKEN}`,
        `Basic ${base64(`a:${OPS_TOKEN}`)}, Basic ${base64(`a:${OPS_TOKEN}`)}`,
        `Basic ${base64(base64(`a:${OPS_TOKEN}`))}`,
        `Basic ${base64(`a:${OPS_TOKEN}`).slice(0, -2)}`,
      ),
    );
    await fc.assert(
      fc.asyncProperty(wrong, fc.constantFrom(OPS_TOKEN, '', undefined), async (authorization, token) => {
        const response = knock(authorization, token);
        expect(isOpen(response)).toBe(false);
        expect(response.status).toBe(token ? 401 : 503);
        expectNoSecret((await response.text()) + JSON.stringify([...response.headers]));
      }),
      parameters,
    );
  });
});

describe('the cron route', () => {
  it('asks the jobs API for nobody but who has the secret', async () => {
    const dependencies = {
      readEnv: () =>
        readCronEnv({
          CRON_SECRET,
          JOBS_API_URL: 'http://127.0.0.1:9',
          JOB_SECRET,
          JOBS_SIGNING_SECRETS: SIGNING_SECRET,
        }),
      effects: scriptedEffects(new Date('2026-11-24T10:07:30Z')),
      fetch: () => Promise.reject(new Error('nobody may ask')),
      ...TELLS_NOBODY,
      onFailure: () => expect.unreachable(),
      onFallback: () => expect.unreachable(),
      runDirectly: () => expect.unreachable(),
    };
    const wrong = fc.oneof(
      headerText,
      near(CRON_SECRET).map((text) => `Bearer ${text}`),
      fc.constantFrom(
        null,
        CRON_SECRET,
        `bearer ${CRON_SECRET.toUpperCase()}`,
        `Bearer  ${CRON_SECRET}`,
        `Bearer ${CRON_SECRET}, Bearer ${CRON_SECRET}`,
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 70 }), wrong, async (job, authorization) => {
        const response = await answerCron({ job, authorization }, dependencies);
        expect(response.status).toBe(401);
        expectNoSecret(await response.text());
      }),
      parameters,
    );
  });
});

describe('whatever the jobs API answers,', () => {
  let server: ScriptedServer;
  let next: { status: number; headers: Record<string, string>; body: string };
  beforeAll(async () => {
    server = await scriptedServer((_asked, response) => {
      response.writeHead(next.status, next.headers);
      response.end(next.body);
    });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const answers = fc.record({
    status: fc.constantFrom(200, 202, 204, 301, 304, 400, 401, 404, 429, 500, 502, 503, 504, 599),
    headers: fc.dictionary(
      fc.constantFrom('retry-after', 'content-type', 'location', 'content-encoding', 'x-a'),
      fc.constantFrom(
        '',
        'a',
        '-1',
        '1e9',
        '9'.repeat(50),
        'application/json',
        'gzip',
        'https://evil.example/',
        'Thu, 01 Jan 1970 00:00:00 GMT',
      ),
    ),
    body: fc.oneof(
      fc.json({ maxDepth: 3 }),
      fc.constantFrom(
        '',
        'null',
        '[]',
        '{',
        '\0',
        '<html>',
        '{"run":{}}',
        '{"run":{"id":1},"outcome":null}',
        '{"__proto__":{"run":1}}',
      ),
      fc.constantFrom(
        `{"title":"${'t'.repeat(10_000)}"}`,
        '['.repeat(20_000),
        JSON.stringify({ run: aRun(), outcome: 'created' }),
      ),
      fc.constantFrom(
        JSON.stringify({ jobs: [] }),
        JSON.stringify({ items: [aRun()] }),
        JSON.stringify(aRun()),
      ),
    ),
  });

  it('the cron route tells Vercel in its own words', async () => {
    await fc.assert(
      fc.asyncProperty(answers, async (answer) => {
        next = answer;
        const env = {
          CRON_SECRET,
          JOBS_API_URL: server.url,
          JOB_SECRET,
          JOBS_SIGNING_SECRETS: SIGNING_SECRET,
        };
        const response = await answerCron(
          { job: 'dm-queue', authorization: `Bearer ${CRON_SECRET}` },
          {
            readEnv: () => readCronEnv(env),
            effects: scriptedEffects(new Date('2026-11-24T10:07:30Z')),
            fetch,
            ...TELLS_NOBODY,
            onFailure: (failure) => expectNoSecret(JSON.stringify(failure)),
            onFallback: () => expect.unreachable(),
            runDirectly: () => Promise.reject(new Error('the simulated jobs API is there')),
          },
        );
        expect([200, 202, 502, 504]).toContain(response.status);
        expectNoSecret(await response.text());
      }),
      { ...parameters, numRuns: Math.ceil(parameters.numRuns / 3) },
    );
  });

  it('the pages read it, or say what is wrong', async () => {
    await fc.assert(
      fc.asyncProperty(answers, async (answer) => {
        next = answer;
        const dependencies = {
          readEnv: () => readDashboardEnv({ JOBS_API_URL: server.url, OPS_TOKEN }),
          effects: scriptedEffects(new Date('2026-11-24T10:07:30Z')),
          fetch,
        };
        const readings = [await readOverview(dependencies), await readRun(aRun().id, dependencies)];
        for (const { kind } of readings) expect(['read', 'absent', 'failure']).toContain(kind);
        expectNoSecret(JSON.stringify(readings));
      }),
      { ...parameters, numRuns: Math.ceil(parameters.numRuns / 3) },
    );
  });
});
