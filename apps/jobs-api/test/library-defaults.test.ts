/**
 * What a library does by default must never lie below what we promise: it would be the limit, and
 * nobody would know.
 */
import { getDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';
import { LET_GO_MS_MAX } from '@revos/core/jobs/engines/bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/env.ts';
import { LIMITS } from '../src/limits.ts';
import { WAIT_SECONDS_MAX } from '../src/prefer.ts';
import {
  ADDRESS_MS_MAX,
  CLIENTS_MS_MAX,
  CONNECTIONS_MS_MAX,
  LATE_RUN_MS_MAX,
  loadOrExit,
  SHUTDOWN_EXTRA_MS,
} from '../src/start.ts';
import { createTestApp, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { environmentFor } from './support/server.ts';

let database: TestDatabase;
let test: TestApp;

/** The longest grace that the environment may ask for. */
const { shutdownGraceMs } = loadConfig({
  ...environmentFor({ url: 'https://abc.supabase.co', secretKey: 'secret' }, 'api1.unipile.com:13211'),
  SHUTDOWN_GRACE_SECONDS: '280',
});

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [], shutdownGraceMs });
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});

describe('what Fastify and Node do of themselves', () => {
  it('does not end a shutdown before its grace', () => {
    expect(test.app.initialConfig.pluginTimeout).toBeGreaterThan(shutdownGraceMs);
  });

  it('does not end a wait for a run, whose socket is silent meanwhile', () => {
    expect(test.app.server.timeout).toBeGreaterThan(WAIT_SECONDS_MAX * 1_000);
  });

  it('gives a request the time of our limits, and looks after each of them in time', () => {
    expect(test.app.server.requestTimeout).toBe(LIMITS.requestMsMax);
    expect(test.app.server.headersTimeout).toBe(LIMITS.headersMsMax);
    expect(LIMITS.lateCheckMs).toBeLessThan(LIMITS.headersMsMax);
  });

  it('does not give up an address of several before it can have answered', async () => {
    await loadOrExit('test', async () => {});
    expect(getDefaultAutoSelectFamilyAttemptTimeout()).toBe(ADDRESS_MS_MAX);
  });
});

describe('the end of the process', () => {
  it.each([
    { name: 'the jobs API', phases: [CONNECTIONS_MS_MAX, CLIENTS_MS_MAX] },
    { name: 'a worker', phases: [LET_GO_MS_MAX, LATE_RUN_MS_MAX, CLIENTS_MS_MAX] },
  ])('$name has time to spare for all that comes after the grace', ({ phases }) => {
    const takesMs = phases.reduce((sum, ms) => sum + ms, 0);
    expect(SHUTDOWN_EXTRA_MS - takesMs).toBeGreaterThanOrEqual(2_000);
  });
});
