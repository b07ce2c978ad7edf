/** The app as it is deployed: built, started, and asked over HTTP, with a scripted jobs API behind it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Run } from '@revos/core/jobs';
import { verifyTrigger } from '@revos/core/signing';
import type { Verdict } from '@revos/core/verdict';
import { type SentryStandIn, startSentry } from '@revos/local-stack/sentry';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { leaksIn } from '../../../../tests/support/canaries.ts';
import { aRun } from '../a-run.ts';
import { answerJson, type ScriptedServer, scriptedServer } from '../scripted-server.ts';

const WEB = path.join(import.meta.dirname, '../..');
const NEXT = path.join(WEB, 'node_modules/next/dist/bin/next');
const SIGNING_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const SECRETS = [
  'the-cron-secret-of-tests',
  'the-job-secret-of-tests',
  'the-ops-token-of-tests',
  SIGNING_SECRET,
];
const AS_VERCEL = { authorization: 'Bearer the-cron-secret-of-tests', 'user-agent': 'vercel-cron/1.0' };
const AS_OPS = { authorization: `Basic ${Buffer.from('anyone:the-ops-token-of-tests').toString('base64')}` };

const children = new Set<ChildProcess>();

/** Runs `next` with an environment of its own, in a process group of its own. */
function next(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [NEXT, ...args], {
    cwd: WEB,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      NODE_ENV: 'production',
      NEXT_TELEMETRY_DISABLED: '1',
      ...env,
    },
  });
  children.add(child);
  let output = '';
  const grown = () => Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  return { child, output: () => output, grown };
}

async function startApp(env: Readonly<Record<string, string>>) {
  const app = next(['start', '-p', '0', '-H', '127.0.0.1'], env);
  for (;;) {
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(app.output()) ?? [];
    if (url !== undefined && app.output().includes('Ready in')) return { url, output: app.output };
    if (app.child.exitCode !== null) throw new Error(app.output());
    await app.grown();
  }
}

let jobsApi: ScriptedServer;
let runs: readonly Run[] = [];
/** Null: the jobs API cannot say. */
let verdict: Verdict | null = null;
let app: Awaited<ReturnType<typeof startApp>>;

beforeAll(async () => {
  const jobs = () => [
    {
      name: 'dm-queue',
      summary: 'Sends the due messages.',
      schedule: '*/15 * * * *',
      next_slot: null,
      last_run: runs[0] ?? null,
    },
  ];
  jobsApi = await scriptedServer(({ method, path: asked }, response) => {
    if (method === 'POST')
      return answerJson(response, 202, { run: aRun({ status: 'queued' }), outcome: 'created' });
    if (asked === '/api/jobs') return answerJson(response, 200, { jobs: jobs() });
    if (asked === '/api/verdict') {
      return verdict === null
        ? answerJson(response, 503, { title: 'Not now' })
        : answerJson(response, 200, verdict);
    }
    if (asked === '/api/runs?limit=50') return answerJson(response, 200, { items: runs, next_cursor: null });
    const one = runs.find((run) => asked === `/api/runs/${run.id}`);
    return one ? answerJson(response, 200, one) : answerJson(response, 404, { title: 'No such run' });
  });
  app = await startApp({
    CRON_SECRET: 'the-cron-secret-of-tests',
    JOBS_API_URL: jobsApi.url,
    JOB_SECRET: 'the-job-secret-of-tests',
    JOBS_SIGNING_SECRETS: SIGNING_SECRET,
    OPS_TOKEN: 'the-ops-token-of-tests',
  });
}, 300_000);

beforeEach(() => {
  runs = [];
  verdict = null;
  jobsApi.asked.length = 0;
});

afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.pid === undefined) continue;
    const closed = once(child, 'close');
    process.kill(-child.pid, 'SIGKILL');
    await closed;
  }
  await jobsApi?.[Symbol.asyncDispose]();
}, 60_000);

const get = (at: string, headers: Readonly<Record<string, string>> = {}, base = app.url) =>
  fetch(`${base}${at}`, { headers, redirect: 'manual' });

describe('the cron route', () => {
  it.each(['GET', 'POST'])('%s as Vercel calls it makes a run', async (method) => {
    const response = await fetch(`${app.url}/api/cron/dm-queue`, {
      method,
      headers: AS_VERCEL,
      redirect: 'manual',
    });
    expect(response.status).toBe(202);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const body = (await response.json()) as { slot: string };
    expect(body).toMatchObject({ outcome: 'created', attempts: 1, run: { job: 'dm-queue' } });
    expect(jobsApi.asked).toMatchObject([{ method: 'POST', path: '/api/jobs/dm-queue' }]);
    const [asked] = jobsApi.asked;
    expect(asked?.headers.authorization).toBe('Bearer the-job-secret-of-tests');
    expect(asked && verifyTrigger(asked.body, asked.headers, [SIGNING_SECRET], new Date())).toEqual({
      job: 'dm-queue',
      scheduled_for: body.slot,
      trigger: 'vercel-cron',
    });
  });

  it('is not cached: each call is a trigger', async () => {
    for (const count of [1, 2]) {
      await get('/api/cron/dm-queue', AS_VERCEL);
      expect(jobsApi.asked.length).toBe(count);
    }
  });

  it('is closed to everyone else', async () => {
    for (const headers of [{}, AS_OPS, { ...AS_VERCEL, authorization: 'Bearer undefined' }]) {
      const response = await get('/api/cron/dm-queue', headers);
      expect(response.status).toBe(401);
      expect(response.headers.get('content-type')).toBe('application/problem+json');
    }
    expect(jobsApi.asked).toEqual([]);
  });

  it('loads nothing of what works on runs, and little at all', async () => {
    const script = `
      const { prototype } = require('node:module');
      const compile = prototype._compile;
      const loaded = [];
      prototype._compile = function (code, file) {
        loaded.push({ file, code: file.includes('.next') ? code : '' });
        return compile.call(this, code, file);
      };
      require(${JSON.stringify(path.join(WEB, '.next/server/app/api/cron/[job]/route.js'))});
      const text = loaded.map(({ code }) => code).join('');
      const found = ['PostgrestClient', 'fast-json-stringify', 'attendees_ids', 'multipart/form-data', 'pg_catalog']
        .filter((mark) => text.includes(mark));
      process.stdout.write(JSON.stringify({ bytes: text.length, found }));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], {
      env: { ...process.env, NODE_ENV: 'production' },
    });
    const { bytes, found } = JSON.parse(stdout) as { bytes: number; found: string[] };
    expect(found).toEqual([]);
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThan(700_000);
  });

  it('knows no other job', async () => {
    expect((await get('/api/cron/no-such-job', AS_VERCEL)).status).toBe(404);
  });
});

describe('the pages', () => {
  it.each([
    '/',
    `/runs/${aRun().id}`,
    '/no-such-page',
    '/api/cron',
    '/api/cronies',
    '/_next/image',
    '/?_rsc=1',
  ])('%s is closed without the ops token', async (at) => {
    for (const headers of [{}, AS_VERCEL, { authorization: 'Basic OnRoZQ==' }]) {
      const response = await get(at, headers);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toMatch(/^Basic realm=/);
      expect(await response.text()).not.toContain('dm-queue');
    }
    expect(jobsApi.asked).toEqual([]);
  });

  it('is not opened by a header that an older framework trusted', async () => {
    const middleware = 'src/middleware:src/middleware:src/middleware:src/middleware:src/middleware';
    expect((await get('/', { 'x-middleware-subrequest': middleware })).status).toBe(401);
  });

  it('/ shows jobs and runs, and escapes what a run says', async () => {
    const error = '</script><script>alert(1)</script><img src=x onerror=alert(2)>';
    runs = [
      aRun({
        status: 'failed',
        error,
        stats: { seen: 1_234, sent: 56, failed: 7, skipped: { day_limit: 89 } },
      }),
    ];
    const response = await get('/', AS_OPS);
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toContain('no-store');
    const html = await response.text();
    for (const text of [
      'Every 15 minutes',
      'Failed',
      '1,234',
      '56',
      '89',
      'limit for the day',
      'Last runs',
    ]) {
      expect(html).toContain(text);
    }
    expect(html).toContain(`href="/runs/${aRun().id}"`);
    expect(html).toContain('title="2026-11-24 10:00:00 UTC"');
    expect(html).toContain('&lt;script&gt;alert(1)');
    expect(html).not.toContain('<script>alert(1)');
    expect(html).not.toContain('<img src=x');
    for (const secret of SECRETS) expect(html).not.toContain(secret);
    expect(jobsApi.asked.map((asked) => asked.headers.authorization)).toEqual(
      jobsApi.asked.map(() => 'Bearer the-ops-token-of-tests'),
    );
  });

  it('/ says that there was no run yet, and when the next is', async () => {
    const html = await (await get('/', AS_OPS)).text();
    expect(html).toContain('No run yet.');
    expect(html).toContain('The next slot is');
  });

  it('/ says the verdict of the jobs API as it is, and does not judge by itself', async () => {
    const finding = {
      code: 'slot_missed',
      state: 'late',
      sentence: 'A slot of <b>x</b> was missed.',
    } as const;
    const more = { since: null, why: null, what_to_do: null };
    verdict = {
      ...{
        code: 'all_paused',
        state: 'stopped',
        sentence: 'All sending is paused.',
        since: '2026-11-24T10:06:40.000Z',
      },
      ...{
        why: 'Paused by anna: wrong campaign.',
        what_to_do: 'Resume it.',
        as_of: '2026-11-24T10:07:00.000Z',
      },
      also: [{ ...finding, ...more }],
    };
    // Its last run failed, long ago: that is for the jobs API to say.
    runs = [aRun({ status: 'failed', error: 'no key', finished_at: '2026-11-24T10:07:00.000Z' })];
    const html = await (await get('/', AS_OPS)).text();
    for (const text of [
      'All sending is paused.',
      '2026-11-24 10:06:40 UTC',
      'Paused by anna: wrong campaign.',
      'Resume it.',
      'A slot of &lt;b&gt;x&lt;/b&gt; was missed.',
    ]) {
      expect(html).toContain(text);
    }
    expect(html).not.toContain('No run was made');
    expect(html).not.toContain('All is well');
  });

  it('/ does not say that all is well where the jobs API cannot say', async () => {
    runs = [aRun()];
    const html = await (await get('/', AS_OPS)).text();
    expect(html).toContain('Whether all is well cannot be seen.');
    expect(html).not.toContain('All is well');
  });

  it('/runs/<id> shows one run in full, or that there is none', async () => {
    runs = [aRun({ error: '<b>why</b>', status: 'interrupted' })];
    const response = await get(`/runs/${aRun().id}`, AS_OPS);
    expect(response.status).toBe(200);
    const html = await response.text();
    for (const text of [
      'Interrupted',
      '&lt;b&gt;why&lt;/b&gt;',
      'jobs-api@host:1',
      '2026-11-24 10:06:40 UTC',
    ]) {
      expect(html).toContain(text);
    }
    for (const id of ['00000000-0000-4000-8000-00000000ffff', 'no-uuid', '..%2f..%2fjobs']) {
      const absent = await get(`/runs/${id}`, AS_OPS);
      expect(absent.status).toBe(404);
      expect(await absent.text()).toContain('There is nothing here');
    }
  });

  it('brings nothing from elsewhere', async () => {
    const html = await (await get('/', AS_OPS)).text();
    const sources = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(sources.length).toBeGreaterThan(3);
    expect(sources.filter((source) => !/^[/#](?!\/)/.test(source))).toEqual([]);
  });
});

describe('every answer', () => {
  /** What helmet sets, as strict as it can be set, and what it has no word for. */
  const SECURITY_HEADERS = {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'origin-agent-cluster': '?1',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    'referrer-policy': 'no-referrer',
    'strict-transport-security': 'max-age=63072000; includeSubDomains',
    'x-content-type-options': 'nosniff',
    'x-dns-prefetch-control': 'off',
    'x-download-options': 'noopen',
    'x-frame-options': 'DENY',
    'x-permitted-cross-domain-policies': 'none',
    'x-robots-tag': 'noindex, nofollow',
    'x-xss-protection': '0',
  };
  const POLICY = [
    "default-src 'none'",
    "script-src 'self' 'unsafe-inline'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "object-src 'none'",
  ];

  it.each([
    { at: '/', headers: AS_OPS, status: 200 },
    { at: '/', headers: {}, status: 401 },
    { at: '/no-such-page', headers: AS_OPS, status: 404 },
    { at: '/runs/no-uuid', headers: AS_OPS, status: 404 },
    { at: '/icon.svg', headers: {}, status: 200 },
    { at: '/_next/static/nothing.js', headers: {}, status: 404 },
    { at: '/api/cron/dm-queue', headers: {}, status: 401 },
    { at: '/api/cron/dm-queue', headers: AS_VERCEL, status: 202 },
    { at: '/api/cron/no-such-job', headers: AS_VERCEL, status: 404 },
  ])('$status of $at has the security headers', async ({ at, headers, status }) => {
    const response = await get(at, headers);
    expect(response.status).toBe(status);
    const answered = Object.fromEntries(response.headers);
    expect(answered).toMatchObject(SECURITY_HEADERS);
    expect(answered['content-security-policy']?.split('; ')).toEqual(POLICY);
    for (const name of ['x-powered-by', 'server', 'access-control-allow-origin']) {
      expect(answered[name]).toBeUndefined();
    }
  });

  it('its icon and its code need no password', async () => {
    expect((await get('/icon.svg')).headers.get('content-type')).toBe('image/svg+xml');
    const html = await (await get('/', AS_OPS)).text();
    const [, script = ''] = /src="(\/_next\/static\/[^"]+\.js)"/.exec(html) ?? [];
    expect((await get(script)).status).toBe(200);
  });
});

describe('without its environment', () => {
  it('is closed, and says what is missing', async () => {
    const bare = await startApp({});
    const cron = await get('/api/cron/dm-queue', { authorization: 'Bearer undefined' }, bare.url);
    expect(cron.status).toBe(500);
    expect(await cron.json()).toMatchObject({
      variables: ['CRON_SECRET'],
    });
    expect(bare.output()).toContain('trigger or run failed');

    const page = await get(
      '/',
      { authorization: `Basic ${Buffer.from('a:undefined').toString('base64')}` },
      bare.url,
    );
    expect(page.status).toBe(503);
    expect(await page.text()).toContain('OPS_TOKEN is not set');
  }, 60_000);

  it('says that the jobs API is away, and what to look at', async () => {
    const away = await startApp({ OPS_TOKEN: 'the-ops-token-of-tests', JOBS_API_URL: 'http://127.0.0.1:9' });
    const page = await get('/', AS_OPS, away.url);
    const html = await page.text();
    expect(html).toContain('does not answer');
    expect(html).toContain('Is JOBS_API_URL right?');
    expect(html).not.toContain('the-ops-token-of-tests');
  }, 60_000);
});

describe('what Sentry is told', () => {
  const TEXT = 'Hi "Ada" – canary of a message 4b1d, with <tags> & more';
  /** Stands in Sentry's code, however it was made smaller. */
  const IN_SENTRY = 'x-sentry-rate-limits';
  const IN_OPENTELEMETRY = 'OTel-OTLP-Exporter-JavaScript';
  /** What a page and a route call, out of order: each quotes a text, a secret or a row. */
  const FAULTS = `import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
const text = ${JSON.stringify(TEXT)};
const { json } = Response;
Response.json = (body, init) => {
  if (body.outcome === undefined) return json.call(Response, body, init);
  throw Object.assign(new Error(text), { code: '23514', detail: text, parameters: [text] });
};
Number.prototype.toLocaleString = () => { throw new TypeError('quoted: ' + process.env.OPS_TOKEN); };
registerHooks({ load(url, context, next) {
  if (url.startsWith('file:') && readFileSync(new URL(url)).includes('${IN_SENTRY}')) process.stderr.write('loaded Sentry');
  return next(url, context);
} });`;
  let sentry: SentryStandIn;
  let folder: string;
  let faulty: Readonly<Record<string, string>>;

  beforeAll(async () => {
    sentry = await startSentry();
    folder = await mkdtemp(path.join(tmpdir(), 'revos-web-'));
    const module = path.join(folder, 'faults.mjs');
    await writeFile(module, FAULTS);
    faulty = {
      CRON_SECRET: 'the-cron-secret-of-tests',
      JOBS_API_URL: jobsApi.url,
      JOB_SECRET: 'the-job-secret-of-tests',
      JOBS_SIGNING_SECRETS: SIGNING_SECRET,
      OPS_TOKEN: 'the-ops-token-of-tests',
      NODE_OPTIONS: `--import=${pathToFileURL(module)}`,
    };
  });
  afterAll(async () => {
    await sentry.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is each error of a route and a page, once, without what it quoted', async () => {
    runs = [aRun({ stats: { sent: 1_234 } })];
    const told = await startApp({
      ...faulty,
      SENTRY_DSN: sentry.dsn,
      SENTRY_ENVIRONMENT: 'staging',
      VERCEL_GIT_COMMIT_SHA: 'abc1234',
    });
    expect((await get('/api/cron/no-such-job', AS_VERCEL, told.url)).status).toBe(404);
    expect((await get('/no-such-page', AS_OPS, told.url)).status).toBe(404);
    expect(sentry.requests).toEqual([]);
    expect(told.output()).not.toContain('loaded Sentry');
    const asked = await get(`/api/cron/dm-queue?text=${encodeURIComponent(TEXT)}`, AS_VERCEL, told.url);
    expect(asked.status).toBe(500);
    await (
      await get(`/runs/${aRun().id}`, { ...AS_OPS, cookie: `a=${encodeURIComponent(TEXT)}` }, told.url)
    ).text();
    await expect.poll(() => sentry.items().length).toBe(2);
    expect(told.output()).toContain('loaded Sentry');

    const same = {
      event_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      timestamp: expect.any(Number),
      platform: 'node',
      level: 'error',
      release: expect.stringMatching(/^\d+\.\d+\.\d+\+abc1234$/),
      environment: 'staging',
    };
    const exception = (type: string, value: string) => ({
      values: [
        {
          ...{ type, value },
          stacktrace: { frames: expect.any(Array) },
          mechanism: { type: 'generic', handled: true },
        },
      ],
    });
    expect(sentry.items()).toEqual([
      {
        type: 'event',
        payload: {
          ...same,
          exception: exception('Error', 'the database refused with 23514'),
          tags: { process: 'web', route: '/api/cron/[job]', code: '23514' },
        },
      },
      {
        type: 'event',
        payload: {
          ...same,
          exception: exception('TypeError', 'quoted: [redacted]'),
          tags: { process: 'web', route: '/runs/[id]' },
        },
      },
    ]);
    const text = sentry.requests.map(({ url, headers, body }) => url + JSON.stringify(headers) + body).join();
    const canaries = [TEXT, ...SECRETS].map((value) => ({ name: value.slice(0, 20), value }));
    expect(leaksIn([{ where: 'what was sent', text }], canaries)).toEqual([]);
  }, 60_000);

  it('without a DSN is nothing', async () => {
    sentry.forget();
    const bare = await startApp(faulty);
    expect((await get('/api/cron/dm-queue', AS_VERCEL, bare.url)).status).toBe(500);
    expect(sentry.requests).toEqual([]);
    expect(bare.output()).not.toContain('loaded Sentry');
  }, 60_000);

  it('with a DSN that is none is refused, by name', async () => {
    const refused = await startApp({ ...faulty, SENTRY_DSN: TEXT });
    const cron = await get('/api/cron/dm-queue', AS_VERCEL, refused.url);
    expect(cron.status).toBe(500);
    expect(await cron.json()).toMatchObject({ title: 'Not configured', variables: ['SENTRY_DSN'] });
    const html = await (await get('/', AS_OPS, refused.url)).text();
    expect(html).toContain('The dashboard is not set up: SENTRY_DSN is missing or wrong.');
    expect(html).not.toContain(TEXT);
    expect(refused.output()).not.toContain(TEXT);
  }, 60_000);

  it('stands in no code of a browser, nor in what the cron route loads as it starts', () => {
    const inBrowser = globSync('.next/static/**/*.js', { cwd: WEB });
    expect(inBrowser.length).toBeGreaterThan(3);
    const named = (files: readonly string[]) =>
      files.filter((file) => /sentry|OTel-OTLP/i.test(readFileSync(path.join(WEB, file), 'utf8')));
    expect(named(inBrowser)).toEqual([]);
    const route = '.next/server/app/api/cron/[job]/route.js';
    const holders = (files: readonly string[], part: string) =>
      files.filter((file) => readFileSync(path.join(WEB, file), 'utf8').includes(part));
    // What works on slots here can load it, if it is asked to: as a chunk of its own.
    const loader = readFileSync(path.join(WEB, route), 'utf8');
    const atStart = [...loader.matchAll(/\bc\("(server\/chunks\/[^"]+)"\)/g)].map(
      ([, file]) => `.next/${file}`,
    );
    expect(atStart.length).toBeGreaterThan(1);
    const everything = globSync('.next/server/**/*.js', { cwd: WEB });
    for (const part of [IN_SENTRY, IN_OPENTELEMETRY]) {
      expect(holders(atStart, part)).toEqual([]);
      expect(holders(everything, part)).not.toEqual([]);
    }
  });
});
