/** How often a stranger is refused in words, and that nobody else is refused for it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { LIMITS } from '../src/limits.ts';
import {
  asOps,
  CRON_TOKEN,
  createTestApp,
  cronRequest,
  FOREIGN_SECRET,
  OPS_TOKEN,
  type ProblemAnswer,
  type TestApp,
} from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

const { refusalsPerAddressMax, refusalsMax, requestsPerCredentialMax } = LIMITS;
const limits = { refusalsPerAddressMax, refusalsMax, requestsPerCredentialMax };

const STRANGER = '198.51.100.7';
const asBen = { authorization: 'Bearer ops-token-of-ben-0123' };
const wrong = { authorization: 'Bearer not-a-token-0123456789' };

let database: TestDatabase;
let test: TestApp;

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  database = await openTestDatabase();
  test = await appBehind(0);
});
afterAll(async () => {
  await test.app.close();
  await database.close();
  vi.useRealTimers();
});
beforeEach(() => {
  test.logLines.length = 0;
});
afterEach(() => passSeconds(60));

const appBehind = (proxyHops: number) =>
  createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')], limits, proxyHops });

interface Asked {
  readonly method?: 'GET' | 'POST';
  readonly url?: string;
  readonly from?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: string;
}

const ask = ({ method = 'GET', url = '/api/openapi.json', from = STRANGER, ...rest }: Asked) =>
  test.app.inject({ method, url, remoteAddress: from, headers: {}, ...rest });

const statusOf = async (asked: Asked): Promise<number> => (await ask(asked)).statusCode;

/** Sends `asked` so often that the next one of its address is too many. */
async function exhaust(asked: Asked): Promise<void> {
  for (let count = 0; count < refusalsPerAddressMax; count += 1) {
    expect(await statusOf(asked)).not.toBe(429);
  }
}

const passSeconds = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1_000);

const { body, headers } = cronRequest({ secret: FOREIGN_SECRET });

/** What a stranger may try, and how it is refused. */
const FLOODS = [
  { what: 'a wrong token', status: 401, asked: { headers: wrong } },
  { what: 'no token', status: 401, asked: {} },
  { what: 'a wrong password for the reference page', status: 401, asked: { url: '/docs/' } },
  { what: 'a path that is not there', status: 404, asked: { url: '/wp-login.php' } },
  { what: 'a method that is not there', status: 405, asked: { method: 'POST', url: '/health' } },
  {
    what: 'the cron token without a signature',
    status: 401,
    asked: { method: 'POST', url: '/api/jobs/quick', headers: { authorization: `Bearer ${CRON_TOKEN}` } },
  },
  {
    what: 'the cron token with a foreign signature',
    status: 401,
    asked: { method: 'POST', url: '/api/jobs/quick', headers, payload: body },
  },
  {
    what: 'the cron token where it is not allowed',
    status: 403,
    asked: { headers: { authorization: `Bearer ${CRON_TOKEN}` } },
  },
  { what: 'a path that cannot be decoded', status: 400, asked: { url: '/%' } },
  {
    what: 'a path with a name that is too long',
    status: 414,
    asked: { url: `/api/runs/${'x'.repeat(101)}` },
  },
] as const;

/** The line of a request follows its answer: one more is made, and waited for. */
async function untilLogged(): Promise<void> {
  expect(await statusOf({ headers: asOps })).toBe(200);
  await expect.poll(() => test.logLines.some((line) => line.includes('"statusCode":200'))).toBe(true);
}

describe('a stranger', () => {
  it.each(FLOODS)('with $what is refused $status, and soon 429', async ({ status, asked }) => {
    for (let count = 0; count < refusalsPerAddressMax; count += 1) expect(await statusOf(asked)).toBe(status);
    passSeconds(20);
    const response = await ask(asked);
    expect(response.statusCode).toBe(429);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(response.headers['retry-after']).toBe('40');
    expect(response.json() as ProblemAnswer).toMatchObject({
      type: '/problems/too-many-requests',
      status: 429,
    });
    // A stranger learns no more of a credential than before.
    expect(response.headers['www-authenticate']).toBeUndefined();
    passSeconds(39);
    expect(await statusOf(asked)).toBe(429);
    passSeconds(1);
    expect(await statusOf(asked)).toBe(status);
  });

  it('costs no other address anything', async () => {
    await exhaust({ headers: wrong });
    expect(await statusOf({ headers: wrong })).toBe(429);
    expect(await statusOf({ headers: wrong, from: '198.51.100.8' })).toBe(401);
  });

  it.each([
    {
      what: 'the next address of its IPv6 network',
      first: '2001:db8:1:2::1',
      next: '2001:db8:1:2:ffff::9',
      status: 429,
    },
    { what: 'another IPv6 network', first: '2001:db8:1:2::1', next: '2001:db8:1:3::1', status: 401 },
    { what: 'its IPv4 address written as IPv6', first: STRANGER, next: `::ffff:${STRANGER}`, status: 429 },
  ])('from $what: $status', async ({ first, next, status }) => {
    await exhaust({ headers: wrong, from: first });
    expect(await statusOf({ headers: wrong, from: next })).toBe(status);
  });

  it('with many addresses is refused as one in the end', async () => {
    test.logLines.length = 0;
    const from = (count: number): string => `10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`;
    for (let count = 0; count < refusalsMax; count += 1) {
      expect(await statusOf({ headers: wrong, from: from(count) })).toBe(401);
    }
    expect(await statusOf({ headers: wrong, from: from(refusalsMax) })).toBe(429);
    expect(await statusOf({ headers: asOps, from: from(refusalsMax) })).toBe(200);
    for (let count = 0; count < 100; count += 1) await ask({ headers: wrong, from: `192.0.2.${count}` });
    // One warning for all of them, and not one for each address.
    expect(test.logLines.filter((line) => line.includes('unauthenticated rate limit exceeded'))).toHaveLength(
      1,
    );
  });

  it.each(FLOODS)('with $what fills no log: a flood is one line', async ({ asked }) => {
    await exhaust(asked);
    await untilLogged();
    test.logLines.length = 0;
    for (let count = 0; count < 100; count += 1) expect(await statusOf(asked)).toBe(429);
    await untilLogged();
    expect(test.logLines.map((line) => JSON.parse(line).msg)).toEqual([
      'unauthenticated rate limit exceeded',
      'request completed',
    ]);
    expect(test.logLines[0]).toContain(STRANGER);
    expect(test.logLines.join()).not.toContain(wrong.authorization.slice(7));
  });
});

describe('whoever shows a valid credential', () => {
  it('is served from the very address of a flood', async () => {
    await exhaust({ headers: wrong });
    expect(await statusOf({ headers: wrong })).toBe(429);
    expect(await statusOf({ headers: asOps })).toBe(200);
    const { body, headers } = cronRequest();
    expect([200, 202]).toContain(
      await statusOf({ method: 'POST', url: '/api/jobs/quick', headers, payload: body }),
    );
    const basic = { authorization: `Basic ${Buffer.from(`:${OPS_TOKEN}`).toString('base64')}` };
    expect(await statusOf({ url: '/docs/', headers: basic })).toBe(200);
  });

  it('is told what is wrong with a request of theirs, however often', async () => {
    for (let count = 0; count <= refusalsPerAddressMax; count += 1) {
      expect(await statusOf({ url: '/api/runs?limit=0', headers: asOps })).toBe(400);
    }
    expect(await statusOf({ headers: wrong })).toBe(401);
  });

  it('is served so often in ten seconds, and the others as before', async () => {
    const asked = { url: '/api/runs?limit=0', headers: asOps };
    for (let count = 0; count < requestsPerCredentialMax; count += 1) {
      expect(await statusOf({ ...asked, from: `192.0.2.${count % 200}` })).toBe(400);
    }
    passSeconds(4);
    const response = await ask({ ...asked, from: '192.0.2.250' });
    expect([response.statusCode, response.headers['retry-after']]).toEqual([429, '6']);
    expect(response.json() as ProblemAnswer).toMatchObject({ type: '/problems/too-many-requests' });
    expect(await statusOf({ headers: asBen })).toBe(200);
    const { body, headers } = cronRequest();
    expect([200, 202]).toContain(
      await statusOf({ method: 'POST', url: '/api/jobs/quick', headers, payload: body }),
    );
    passSeconds(6);
    expect(await statusOf({ headers: asOps })).toBe(200);
  });

  it('and a signature that holds is never too many', async () => {
    const { body, headers } = cronRequest({ job: 'gone' });
    const asked = { method: 'POST', url: '/api/jobs/gone', headers, payload: body } as const;
    for (let count = 0; count < 1_000; count += 1) expect(await statusOf(asked)).toBe(404);
    expect(await statusOf({ headers: wrong })).toBe(401);
  });
});

describe('health', () => {
  it('is told however often', async () => {
    await exhaust({ headers: wrong });
    for (let count = 0; count < refusalsMax; count += 1) expect(await statusOf({ url: '/health' })).toBe(200);
    expect(await statusOf({ url: '/ready' })).toBe(200);
  });
});

describe('x-forwarded-for', () => {
  const forwarded = (value: string) => ({ ...wrong, 'x-forwarded-for': value });
  const EDGE = '104.22.17.40';

  it('is not believed where no proxy is known: it makes nobody somebody else', async () => {
    for (let count = 0; count < refusalsPerAddressMax; count += 1) {
      expect(await statusOf({ headers: forwarded(`203.0.113.${count}`) })).toBe(401);
    }
    expect(await statusOf({ headers: forwarded('203.0.113.99') })).toBe(429);
    expect(await statusOf({ headers: wrong, from: '203.0.113.1' })).toBe(401);
  });

  describe('behind two proxies', () => {
    beforeAll(async () => {
      await test.app.close();
      test = await appBehind(2);
    });
    const viaProxies = (chain: string) => ({ headers: forwarded(chain), from: '10.21.157.68' });

    it('tells callers apart by what the proxies wrote', async () => {
      await exhaust(viaProxies(`${STRANGER}, ${EDGE}`));
      expect(await statusOf(viaProxies(`${STRANGER}, ${EDGE}`))).toBe(429);
      expect(await statusOf(viaProxies(`198.51.100.8, ${EDGE}`))).toBe(401);
    });

    it('gives a caller no other address for what the caller wrote in front', async () => {
      for (let count = 0; count < refusalsPerAddressMax; count += 1) {
        expect(await statusOf(viaProxies(`203.0.113.${count}, ${STRANGER}, ${EDGE}`))).toBe(401);
      }
      expect(await statusOf(viaProxies(`203.0.113.99, ${STRANGER}, ${EDGE}`))).toBe(429);
    });

    it('locks nobody out whose address a caller wrote there', async () => {
      await exhaust(viaProxies(`198.51.100.8, ${STRANGER}, ${EDGE}`));
      expect(await statusOf(viaProxies(`198.51.100.8, ${STRANGER}, ${EDGE}`))).toBe(429);
      expect(await statusOf(viaProxies(`198.51.100.8, ${EDGE}`))).toBe(401);
    });

    it('with anything else than an address in it is one caller, and in no log', async () => {
      const key = (count: number) => `canary-${count}-${'x'.repeat(1_000)}`;
      for (let count = 0; count < refusalsPerAddressMax; count += 1) {
        expect(await statusOf(viaProxies(`${key(count)}, ${EDGE}`))).toBe(401);
      }
      expect(await statusOf(viaProxies(`${key(99)}, ${EDGE}`))).toBe(429);
      expect(test.logLines.join()).not.toContain('canary');
    });
  });
});
