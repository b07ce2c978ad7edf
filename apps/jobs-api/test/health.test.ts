import { realEffects, simulatedEffects } from '@revos/core/effects';
import { createSqlRpc, type Rpc, SCHEMA_VERSION } from '@revos/core/rpc';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openEmbeddedServiceDatabase } from '../../../tests/support/service-database.ts';
import { createSystemProbe, isMisconfigured, PROBE_FRESH_MS } from '../src/system-probe.ts';
import { createTestApp, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

let database: TestDatabase;
let test: TestApp;
let aheadMs = 0;
/** A clock that a test can set forward, past what is still fresh. */
const effects = { ...realEffects, monotonicMs: () => performance.now() + aheadMs };

beforeAll(async () => {
  // A role belongs to the whole server: it has one of its own.
  database = await openTestDatabase(await openEmbeddedServiceDatabase());
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')], effects });
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
afterEach(() => {
  database.reachable = true;
  aheadMs += PROBE_FRESH_MS;
});

const get = (url: string) => test.app.inject({ method: 'GET', url });

describe('GET /health', () => {
  it.each([true, false])('is 200 with the database reachable: %s', async (reachable) => {
    database.reachable = reachable;
    const response = await get('/health');
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      status: 'ok',
      version: '1.2.3',
      uptime_s: expect.any(Number),
      shutting_down: false,
    });
    expect(response.headers['strict-transport-security']).toBeDefined();
  });
});

describe('GET /ready', () => {
  const ok = (name: string) => ({ name, status: 'ok' });

  it('is 200 with every check', async () => {
    const response = await get('/ready');
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      status: 'ready',
      checks: [ok('database'), ok('schema'), ok('permissions')],
    });
  });

  it('is 503 when the database is away', async () => {
    database.reachable = false;
    const response = await get('/ready');
    expect(response.statusCode).toBe(503);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(response.json()).toMatchObject({
      type: '/problems/not-ready',
      detail: 'Failing: database.',
      checks: [
        { name: 'database', status: 'failed' },
        { name: 'schema', status: 'unknown' },
        { name: 'permissions', status: 'unknown' },
      ],
    });
  });

  it('is 503 when the role may not see a table', async () => {
    await database.asOwner('revoke select on public.dm_queue from service_role');
    const response = await get('/ready');
    await database.asOwner('grant select on public.dm_queue to service_role');
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({
      detail: 'Failing: permissions.',
      checks: [
        ok('database'),
        ok('schema'),
        { name: 'permissions', status: 'failed', detail: expect.stringContaining('dm_queue') },
      ],
    });
  });

  it('is 503 when row-level security hides the tables', async () => {
    await database.asOwner('alter role service_role nobypassrls');
    const response = await get('/ready');
    await database.asOwner('alter role service_role bypassrls');
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ detail: 'Failing: permissions.' });
  });
});

describe('a flood of questions', () => {
  it('about the database asks it once a second', async () => {
    let asked = 0;
    const rpc: Rpc = {
      call: (...call) => {
        asked += 1;
        return database.rpc.call(...call);
      },
      close: async () => {},
    };
    let nowMs = 0;
    const probe = createSystemProbe(rpc, { ...realEffects, monotonicMs: () => nowMs });
    const statuses = async () => (await probe.check()).map(({ status }) => status).join();
    await Promise.all(Array.from({ length: 100 }, statuses));
    for (let count = 0; count < 100; count += 1) await statuses();
    expect(asked).toBe(1);
    database.reachable = false;
    nowMs += PROBE_FRESH_MS - 1;
    expect([await statuses(), asked]).toEqual(['ok,ok,ok', 1]);
    nowMs += 1;
    expect([await statuses(), asked]).toEqual(['failed,unknown,unknown', 2]);
    // A failure is told no longer than an answer.
    database.reachable = true;
    nowMs += PROBE_FRESH_MS;
    expect([await statuses(), asked]).toEqual(['ok,ok,ok', 3]);
  });
});

describe('the system probe', () => {
  const checksOf = async (rpc: Rpc) => {
    const checks = await createSystemProbe(rpc, simulatedEffects(new Date())).check();
    return { status: checks.map(({ status }) => status).join(), refuses: isMisconfigured(checks) };
  };
  const failing = (code: string): Rpc =>
    createSqlRpc(async () => {
      throw Object.assign(new Error('refused'), { code });
    });
  const answering = (answer: unknown): Rpc =>
    createSqlRpc(async (text) => (text.includes('pg_proc') ? [] : [{ result: answer }]));
  const seen = {
    dm_queue: true,
    dm_attempts: true,
    account_policies: true,
    job_runs: true,
    linkedin_accounts: true,
  };

  it.each([
    {
      what: 'all is well',
      rpc: answering({ schema_version: SCHEMA_VERSION, can_see: seen }),
      status: 'ok,ok,ok',
      refuses: false,
    },
    {
      what: 'an older schema',
      rpc: answering({ schema_version: SCHEMA_VERSION - 1, can_see: seen }),
      status: 'ok,failed,ok',
      refuses: true,
    },
    {
      what: 'a newer schema',
      rpc: answering({ schema_version: SCHEMA_VERSION + 1, can_see: seen }),
      status: 'ok,failed,ok',
      refuses: true,
    },
    { what: 'no answer', rpc: answering(null), status: 'ok,failed,failed', refuses: true },
    {
      what: 'one table hidden',
      rpc: answering({ schema_version: SCHEMA_VERSION, can_see: { ...seen, dm_attempts: false } }),
      status: 'ok,ok,failed',
      refuses: true,
    },
    {
      what: 'one table not named',
      rpc: answering({ schema_version: SCHEMA_VERSION, can_see: { dm_queue: true } }),
      status: 'ok,ok,failed',
      refuses: true,
    },
    {
      what: 'a further table hidden',
      rpc: answering({ schema_version: SCHEMA_VERSION, can_see: { ...seen, posts: false } }),
      status: 'ok,ok,failed',
      refuses: true,
    },
    { what: 'no such function', rpc: failing('42883'), status: 'ok,failed,unknown', refuses: true },
    { what: 'no permission', rpc: failing('42501'), status: 'ok,unknown,failed', refuses: true },
    { what: 'no connection', rpc: failing('ECONNREFUSED'), status: 'failed,unknown,unknown', refuses: false },
    {
      what: 'a shutdown of the database',
      rpc: failing('57P01'),
      status: 'failed,unknown,unknown',
      refuses: false,
    },
  ])('$what: $status', async ({ rpc, status, refuses }) => {
    expect(await checksOf(rpc)).toEqual({ status, refuses });
  });

  it.each([
    { kind: 'rest', code: '42501', detail: 'SUPABASE_SECRET_KEY must be' },
    { kind: 'postgres', code: '42501', detail: 'DATABASE_URL must have' },
    { kind: 'postgres', code: '28P01', detail: 'DATABASE_URL must have' },
    { kind: 'postgres', code: 'SELF_SIGNED_CERT_IN_CHAIN', detail: 'not answer (SELF_SIGNED_CERT_IN_CHAIN)' },
  ] as const)('over $kind, $code is told as "$detail…"', async ({ kind, code, detail }) => {
    const checks = await createSystemProbe(failing(code), simulatedEffects(new Date()), kind).check();
    expect(checks.find(({ status }) => status === 'failed')?.detail).toContain(detail);
  });

  it('over postgres says who does not see a table', async () => {
    const rpc = answering({ schema_version: SCHEMA_VERSION, can_see: { ...seen, posts: false } });
    const checks = await createSystemProbe(rpc, simulatedEffects(new Date()), 'postgres').check();
    expect(checks[2]?.detail).toMatch(/^the login does not see posts: DATABASE_URL /);
  });

  it('gives up after three seconds, and asks a database that hangs only once', async () => {
    const effects = simulatedEffects(new Date());
    let asked = 0;
    const hanging: Rpc = {
      call: () => {
        asked += 1;
        return new Promise(() => {});
      },
      close: async () => {},
    };
    const probe = createSystemProbe(hanging, effects);
    for (const _ of [1, 2]) {
      const checking = probe.check();
      await effects.advance(3_000);
      expect((await checking).map(({ status }) => status)).toEqual(['failed', 'unknown', 'unknown']);
    }
    expect(asked).toBe(1);
    expect(effects.sleeperCount()).toBe(0);
  });
});
