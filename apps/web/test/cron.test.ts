/** The cron route's logic against a real HTTP server: who may ask, for which slot, and what is retried. */

import { EnvironmentError } from '@revos/core/config';
import { RpcError } from '@revos/core/rpc';
import { verifyTrigger } from '@revos/core/signing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answerCron, type CronDependencies } from '../src/cron/answer-cron.ts';
import { readCronEnv } from '../src/env.ts';
import type { Problem } from '../src/http/problem.ts';
import { aRun } from './a-run.ts';
import { type ScriptedEffects, scriptedEffects } from './scripted-effects.ts';
import { answerJson, type Script, type ScriptedServer, scriptedServer } from './scripted-server.ts';
import { TELLS_NOBODY } from './tells-nobody.ts';

const NOW = new Date('2026-11-24T10:07:30.000Z');
const SIGNING_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const OLD_SIGNING_SECRET = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
const SECRETS = ['cron-secret-of-tests', 'job-secret-of-tests', SIGNING_SECRET, OLD_SIGNING_SECRET];

const started = { run: aRun({ status: 'queued' }), outcome: 'created' };
const succeed: Script = (_asked, response) => answerJson(response, 202, started);

function environment(jobsApiUrl: string): Record<string, string | undefined> {
  return {
    CRON_SECRET: 'cron-secret-of-tests',
    JOBS_API_URL: jobsApiUrl,
    JOB_SECRET: 'job-secret-of-tests, older-job-secret',
    JOBS_SIGNING_SECRETS: `${SIGNING_SECRET}, ${OLD_SIGNING_SECRET}`,
  };
}

interface Call {
  readonly job?: string;
  readonly authorization?: string | null;
  readonly env?: Record<string, string | undefined>;
  readonly effects?: ScriptedEffects;
  readonly runDirectly?: CronDependencies['runDirectly'];
}

const failures: Problem[] = [];
const fallbacks: Problem[] = [];

const runsNothing: CronDependencies['runDirectly'] = () => {
  throw new Error('no slot is to be run here');
};

/** Calls as Vercel does, unless told otherwise. Whatever comes back names no secret. */
async function call(jobsApiUrl: string, options: Call = {}) {
  const {
    job = 'dm-queue',
    authorization = 'Bearer cron-secret-of-tests',
    effects = scriptedEffects(NOW),
    runDirectly = runsNothing,
  } = options;
  const env = { ...environment(jobsApiUrl), ...options.env };
  const response = await answerCron(
    { job, authorization },
    {
      ...{ readEnv: () => readCronEnv(env), effects, fetch, runDirectly },
      ...TELLS_NOBODY,
      onFailure: (failure) => failures.push(failure),
      onFallback: (cause) => fallbacks.push(cause),
    },
  );
  const text = await response.text();
  for (const secret of SECRETS) expect(text + JSON.stringify(failures)).not.toContain(secret);
  expect(response.headers.get('cache-control')).toBe('no-store');
  if (!response.ok) expect(response.headers.get('content-type')).toBe('application/problem+json');
  return { status: response.status, body: JSON.parse(text), effects, headers: response.headers };
}

beforeEach(() => {
  failures.length = 0;
  fallbacks.length = 0;
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
});
afterEach(() => vi.useRealTimers());

describe('authentication', () => {
  it.each([
    { given: null },
    { given: '' },
    { given: 'Bearer ' },
    { given: 'Bearer undefined' },
    { given: 'Bearer cron-secre' },
    { given: 'Bearer cron-secret-of-testss' },
    { given: 'bearer CRON-SECRET-OF-TESTS' },
    { given: 'bearer' },
    { given: 'Bearer  cron-secret-of-tests' },
    { given: 'cron-secret-of-tests' },
    { given: 'Basic cron-secret-of-tests' },
    { given: 'Bearer job-secret-of-tests' },
  ])('$given → 401, and the jobs API hears nothing', async ({ given }) => {
    await using server = await scriptedServer(succeed);
    const { status, headers } = await call(server.url, { authorization: given });
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe('Bearer');
    expect(server.asked).toEqual([]);
  });
});

it.each(['Bearer', 'bearer', 'BEARER'])('the scheme may be written %s: it has no case', async (scheme) => {
  await using server = await scriptedServer(succeed);
  expect((await call(server.url, { authorization: `${scheme} cron-secret-of-tests` })).status).toBe(202);
});

describe('environment', () => {
  it.each(['CRON_SECRET', 'JOB_SECRET', 'JOBS_SIGNING_SECRETS'])(
    'without %s → 500 that names it, whoever asks',
    async (name) => {
      await using server = await scriptedServer(succeed);
      for (const value of [undefined, '', '  ']) {
        for (const authorization of [null, 'Bearer ', 'Bearer undefined', 'Bearer cron-secret-of-tests']) {
          const { status, body } = await call(server.url, { env: { [name]: value }, authorization });
          expect({ status, variables: body.variables }).toEqual({ status: 500, variables: [name] });
        }
      }
      expect(server.asked).toEqual([]);
      expect(failures.length).toBe(12);
    },
  );

  it('names everything that is missing at once', async () => {
    const env = { CRON_SECRET: '', JOB_SECRET: '', JOBS_SIGNING_SECRETS: '' };
    const { status, body } = await call('https://jobs.example.com', { env });
    expect(status).toBe(500);
    expect(body.variables).toEqual(['CRON_SECRET', 'JOBS_SIGNING_SECRETS', 'JOB_SECRET']);
    expect(body.detail).toContain('missing: CRON_SECRET, JOBS_SIGNING_SECRETS, JOB_SECRET');
  });

  it.each([
    { name: 'JOBS_API_URL', value: 'http://jobs.example.com' },
    { name: 'JOBS_API_URL', value: 'http://127.0.0.1.example.com' },
    { name: 'JOBS_API_URL', value: 'https://user:password@jobs.example.com' },
    { name: 'JOBS_API_URL', value: 'jobs.example.com' },
    { name: 'JOBS_API_URL', value: 'ftp://localhost' },
    { name: 'CRON_SECRET', value: 'fifteen-letters' },
    { name: 'CRON_SECRET', value: 'of sixteen letters, with spaces' },
    { name: 'JOB_SECRET', value: ' , ' },
    { name: 'JOB_SECRET', value: 'fifteen-letters' },
    { name: 'JOB_SECRET', value: 'older-job-secret,fifteen-letters' },
    { name: 'JOB_SECRET', value: 'pasted-with-a\nline-break' },
    { name: 'JOBS_SIGNING_SECRETS', value: 'whsec_short' },
    { name: 'JOBS_SIGNING_SECRETS', value: `${SIGNING_SECRET},not-a-secret` },
    { name: 'JOB_SCHEDULES', value: 'no-such-job=* * * * *' },
    { name: 'JOB_SCHEDULES', value: 'dm-queue=whenever' },
    { name: 'DIRECT_FALLBACK', value: 'perhaps' },
  ])('$name=$value is refused, and not repeated', async ({ name, value }) => {
    const { status, body } = await call('http://127.0.0.1:9', { env: { [name]: value } });
    expect({ status, variables: body.variables }).toEqual({ status: 500, variables: [name] });
    expect(JSON.stringify(body)).not.toContain(value);
  });

  it.each(['https://jobs.example.com', 'http://localhost:4000', 'http://127.0.0.2:1', 'http://[::1]:4000/'])(
    'JOBS_API_URL=%s is accepted',
    (url) => expect(readCronEnv(environment(url)).jobsApi?.JOBS_API_URL).toBe(url),
  );
});

describe('the slot', () => {
  it.each([
    { now: '2026-11-24T10:00:00.000Z', slot: '2026-11-24T10:00:00.000Z' },
    { now: '2026-11-24T10:14:54.999Z', slot: '2026-11-24T10:00:00.000Z' },
    { now: '2026-11-24T10:14:55.000Z', slot: '2026-11-24T10:15:00.000Z' }, // a clock 5 s ahead
    { now: '2026-11-24T10:14:59.999Z', slot: '2026-11-24T10:15:00.000Z' },
    { now: '2026-11-24T10:15:59.000Z', slot: '2026-11-24T10:15:00.000Z' }, // within Vercel's minute
    { now: '2027-01-01T00:00:10.000Z', slot: '2027-01-01T00:00:00.000Z' },
  ])('at $now → $slot', async ({ now, slot }) => {
    vi.setSystemTime(now);
    await using server = await scriptedServer(succeed);
    const { status, body } = await call(server.url, { effects: scriptedEffects(new Date(now)) });
    expect({ status, slot: body.slot }).toEqual({ status: 202, slot });
    expect(triggerOf(server, 0)).toEqual({ job: 'dm-queue', scheduled_for: slot, trigger: 'vercel-cron' });
  });

  it('follows JOB_SCHEDULES', async () => {
    await using server = await scriptedServer(succeed);
    const env = { JOB_SCHEDULES: 'dm-queue=*/20 * * * * *' };
    const { body } = await call(server.url, { env });
    expect(body.slot).toBe('2026-11-24T10:07:20.000Z');
  });

  it.each(['no-such-job', '', '__proto__', 'DM-QUEUE', '../ops'])('job %s → 404', async (job) => {
    await using server = await scriptedServer(succeed);
    const { status } = await call(server.url, { job });
    expect(status).toBe(404);
    expect(server.asked).toEqual([]);
  });
});

describe('the trigger', () => {
  it('is a signed POST with the first bearer token, under the base address', async () => {
    await using server = await scriptedServer(succeed);
    const { status, body } = await call(`${server.url}/base`);
    expect(status).toBe(202);
    expect(body).toEqual({
      ...{ ...started, driver: 'jobs-api' },
      ...{ slot: '2026-11-24T10:00:00.000Z', attempts: 1 },
    });
    expect(server.asked).toMatchObject([{ method: 'POST', path: '/base/api/jobs/dm-queue' }]);
    expect(server.asked[0]?.headers).toMatchObject({
      authorization: 'Bearer job-secret-of-tests',
      'content-type': 'application/json',
      'webhook-id': 'cron:dm-queue:2026-11-24T10:00:00Z',
    });
    expect(() => triggerOf(server, 0, OLD_SIGNING_SECRET)).toThrow('matches no secret');
  });

  it('passes on a run that exists as 200', async () => {
    const existing = { run: aRun(), outcome: 'exists' };
    await using server = await scriptedServer((_asked, response) => answerJson(response, 200, existing));
    const { status, body } = await call(server.url);
    expect({ status, outcome: body.outcome, run: body.run }).toEqual({
      status: 200,
      outcome: 'exists',
      run: aRun(),
    });
  });
});

describe('retries', () => {
  it.each([
    { first: 'a 502', fail: status(502) },
    { first: 'a 503', fail: status(503) },
    { first: 'a 504', fail: status(504) },
    { first: 'a 429', fail: status(429) },
    { first: 'a reset', fail: ((_asked, response) => response.socket?.resetAndDestroy()) as Script },
    { first: 'half an answer', fail: halfAnAnswer },
  ])('after $first: the same slot, a fresh timestamp and signature', async ({ fail }) => {
    // From half a second on, each wait ends in another second: a timestamp has no finer ones.
    const effects = scriptedEffects(new Date(NOW.getTime() + 500));
    await using server = await scriptedServer((asked, response, index) => {
      (index < 2 ? fail : succeed)(asked, response, index);
    });
    const { status, body } = await call(server.url, { effects });
    expect({ status, attempts: body.attempts }).toEqual({ status: 202, attempts: 3 });
    expect(effects.waits).toEqual([750, 1_500]);
    const all = server.asked.map(({ headers }) => headers);
    expect(new Set(all.map((headers) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(all.map((headers) => headers['webhook-timestamp'])).size).toBe(3);
    expect(new Set(all.map((headers) => headers['webhook-signature'])).size).toBe(3);
    for (const index of [0, 1, 2]) expect(triggerOf(server, index).scheduled_for).toBe(body.slot);
    expect(failures).toEqual([]);
  });

  it('after a refused connection', async () => {
    const { port } = await portThatIsFree();
    let server: ScriptedServer | undefined;
    const effects = scriptedEffects(NOW, async (waitCount) => {
      if (waitCount === 2) server = await scriptedServer(succeed, port);
    });
    const { status, body } = await call(`http://127.0.0.1:${port}`, { effects });
    await server?.[Symbol.asyncDispose]();
    expect({ status, attempts: body.attempts }).toEqual({ status: 202, attempts: 3 });
  });

  it('after a try that was never answered', async () => {
    const effects = scriptedEffects(NOW);
    await using server = await scriptedServer((asked, response, index) => {
      if (index === 0) effects.expireTimeouts();
      else succeed(asked, response, index);
    });
    const { status, body } = await call(server.url, { effects });
    expect({ status, attempts: body.attempts }).toEqual({ status: 202, attempts: 2 });
    expect(effects.now().getTime() - NOW.getTime()).toBe(20_000 + 750);
  });

  it.each([
    { retryAfter: '7', waitMs: 7_000 },
    { retryAfter: 'Tue, 24 Nov 2026 10:07:41 GMT', waitMs: 11_000 },
    { retryAfter: '0', waitMs: 750 },
    { retryAfter: 'Tue, 24 Nov 2026 10:00:00 GMT', waitMs: 750 },
    { retryAfter: 'soon', waitMs: 750 },
    { retryAfter: '-3', waitMs: 750 },
  ])('Retry-After: $retryAfter → $waitMs ms', async ({ retryAfter, waitMs }) => {
    await using server = await scriptedServer((asked, response, index) => {
      if (index === 0) answerJson(response, 429, {}, { 'retry-after': retryAfter });
      else succeed(asked, response, index);
    });
    const { status, effects } = await call(server.url);
    expect({ status, waits: effects.waits }).toEqual({ status: 202, waits: [waitMs] });
  });

  it.each([301, 307, 400, 401, 403, 404, 409, 413, 422, 500, 501])('not after a %i', async (code) => {
    await using elsewhere = await scriptedServer(succeed);
    await using server = await scriptedServer((_asked, response) =>
      answerJson(response, code, { title: 'No' }, { location: `${elsewhere.url}/stolen` }),
    );
    const { status, body } = await call(server.url);
    expect({ status, upstream: body.upstream_status }).toEqual({ status: 502, upstream: code });
    expect(body).toMatchObject({ attempts: 1, detail: `It answered ${code} (No).`, job: 'dm-queue' });
    expect(server.asked.length).toBe(1);
    expect(elsewhere.asked).toEqual([]);
    expect(failures.length).toBe(1);
  });

  it.each([
    { what: 'a page', text: '<html>hello</html>' },
    { what: 'no run', text: '{"outcome":"created"}' },
    { what: 'nothing', text: '' },
  ])('not after a 200 with $what', async ({ text }) => {
    await using server = await scriptedServer((_asked, response) => void response.end(text));
    const { status, body } = await call(server.url);
    expect(status).toBe(502);
    expect(body.detail).toContain('not with a run');
    expect(server.asked.length).toBe(1);
  });
});

describe('without a jobs API', () => {
  const ran = { run: aRun(), outcome: 'created' } as const;
  const SELF_CONTAINED = { JOBS_API_URL: ' ', JOB_SECRET: undefined, JOBS_SIGNING_SECRETS: undefined };

  it('works on the slot itself, with all the time that the function has', async () => {
    const asked: unknown[] = [];
    const { status, body } = await call('', {
      env: SELF_CONTAINED,
      runDirectly: async (job, scheduledFor, remainingMs) => {
        asked.push([job.name, scheduledFor.toISOString(), remainingMs()]);
        return ran;
      },
    });
    expect(asked).toEqual([['dm-queue', '2026-11-24T10:00:00.000Z', 295_000]]);
    expect({ status, body }).toEqual({
      status: 200,
      body: { ...ran, driver: 'direct', attempts: 0, slot: '2026-11-24T10:00:00.000Z' },
    });
    expect([...failures, ...fallbacks]).toEqual([]);
  });

  it('is as closed as with one', async () => {
    const { status } = await call('', { env: SELF_CONTAINED, authorization: 'Bearer guess' });
    expect(status).toBe(401);
  });

  it('says all that is missing: either the one or the other', async () => {
    const { status, body } = await call('', {
      env: SELF_CONTAINED,
      runDirectly: () => Promise.reject(new EnvironmentError(['SUPABASE_URL', 'UNIPILE_DSN'], [])),
    });
    expect({ status, variables: body.variables }).toEqual({
      status: 500,
      variables: ['JOBS_API_URL', 'SUPABASE_URL', 'UNIPILE_DSN'],
    });
    expect(failures).toHaveLength(1);
  });

  it.each([
    {
      what: 'a database that is away',
      runDirectly: () =>
        Promise.reject(new RpcError('unavailable', 'run_start', '', 'no answer from the database')),
      expected: { status: 503, title: 'The slot could not be run here' },
    },
    {
      what: 'a run that failed',
      runDirectly: async () => ({
        outcome: 'created' as const,
        run: aRun({ status: 'failed', error: 'no key' }),
      }),
      expected: { status: 500, title: 'The run failed', detail: 'no key', run_id: aRun().id },
    },
  ])('$what is told, with job and slot', async ({ runDirectly, expected }) => {
    const { body } = await call('', { env: SELF_CONTAINED, runDirectly });
    expect(body).toMatchObject({ ...expected, job: 'dm-queue', slot: '2026-11-24T10:00:00.000Z' });
    expect(failures).toHaveLength(1);
  });
});

describe('a jobs API that gives no answer', () => {
  const fallBack = { DIRECT_FALLBACK: 'on' };

  it('is replaced where that is wanted, for what is left of the function', async () => {
    await using server = await scriptedServer(status(503));
    let leftMs = 0;
    const { body } = await call(server.url, {
      env: fallBack,
      runDirectly: async (_job, _slot, remainingMs) => {
        leftMs = remainingMs();
        return { run: aRun(), outcome: 'created' };
      },
    });
    expect(body).toMatchObject({ driver: 'direct', attempts: server.asked.length });
    expect(leftMs).toBeGreaterThanOrEqual(245_000);
    expect(leftMs).toBeLessThan(260_000);
    expect(fallbacks).toMatchObject([{ status: 504, job: 'dm-queue', detail: 'It answered 503.' }]);
    expect(failures).toEqual([]);
  });

  it('is not where it is not', async () => {
    await using server = await scriptedServer(status(503));
    expect((await call(server.url)).status).toBe(504);
  });

  it('is not where it refused: that is an answer', async () => {
    await using server = await scriptedServer(status(401));
    expect((await call(server.url, { env: fallBack })).status).toBe(502);
  });
});

describe('the time budget', () => {
  const spentMs = (effects: ScriptedEffects) => effects.now().getTime() - NOW.getTime();

  it('ends a service that stays unavailable with 504', async () => {
    await using server = await scriptedServer(status(503));
    const { status: code, body, effects } = await call(server.url);
    expect(code).toBe(504);
    expect(body).toMatchObject({ detail: 'It answered 503.', attempts: server.asked.length });
    expect(server.asked.length).toBeGreaterThan(5);
    expect(spentMs(effects)).toBeLessThanOrEqual(49_000);
    expect(spentMs(effects)).toBeGreaterThan(40_000);
    expect(failures.length).toBe(1);
  });

  it('ends a service that never answers with 504, within 50 s', async () => {
    const effects = scriptedEffects(NOW);
    await using server = await scriptedServer(() => effects.expireTimeouts());
    const { status: code, body } = await call(server.url, { effects });
    expect(code).toBe(504);
    expect(body).toMatchObject({ detail: 'It did not answer: TIMEOUT.', attempts: 3 });
    expect(spentMs(effects)).toBe(50_000);
  });

  it('ends a refused connection with 504 and the socket’s code', async () => {
    const { port } = await portThatIsFree();
    const { status: code, body } = await call(`http://127.0.0.1:${port}`);
    expect(code).toBe(504);
    expect(body.detail).toBe('It did not answer: ECONNREFUSED.');
  });

  it.each([
    { seconds: 49, code: 202 }, // the last try has one second
    { seconds: 50, code: 504 },
    { seconds: 86_400, code: 504 },
  ])('does not wait for longer than it has: Retry-After $seconds → $code', async ({ seconds, code }) => {
    await using server = await scriptedServer((asked, response, index) => {
      if (index === 0) answerJson(response, 503, {}, { 'retry-after': String(seconds) });
      else succeed(asked, response, index);
    });
    const { status: answered, effects } = await call(server.url);
    expect(answered).toBe(code);
    expect(spentMs(effects)).toBe(code === 202 ? seconds * 1_000 : 0);
  });
});

function status(code: number): Script {
  return (_asked, response) => answerJson(response, code, {});
}

function halfAnAnswer(_asked: unknown, response: Parameters<Script>[1]): void {
  response.writeHead(202, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"run":', () => response.socket?.destroy());
}

/** The trigger as the jobs API verifies it. */
function triggerOf(server: ScriptedServer, index: number, secret = SIGNING_SECRET) {
  const asked = server.asked[index];
  if (asked === undefined) throw new Error(`no request ${index}`);
  return verifyTrigger(asked.body, asked.headers, [secret], new Date());
}

async function portThatIsFree(): Promise<{ port: number }> {
  await using server = await scriptedServer(succeed);
  return { port: server.port };
}
