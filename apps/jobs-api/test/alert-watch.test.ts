/** What keeps the service from its work, caused in a real database: people are told once it has lasted. */
import { realEffects } from '@revos/core/effects';
import { NO_REPORTS } from '@revos/core/telemetry';
import { type Receiver, startReceiver } from '@revos/local-stack/receiver';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openAlertWatch } from '../src/alert-watch.ts';
import { createReadiness } from '../src/readiness.ts';
import { createSystemProbe, PROBE_FRESH_MS } from '../src/system-probe.ts';
import { createTestApp, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

let database: TestDatabase;
let receiver: Receiver;
let test: TestApp;
let aheadMs = 0;
const effects = { ...realEffects, monotonicMs: () => performance.now() + aheadMs };

beforeAll(async () => {
  [database, receiver] = await Promise.all([openTestDatabase(), startReceiver()]);
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')], effects });
});
afterAll(async () => {
  await test?.app.close();
  await Promise.all([database?.close(), receiver?.close()]);
});
beforeEach(async () => {
  receiver.forget();
  await database.asOwner('truncate public.alert_incidents cascade');
});

const watchOf = (looks?: 1) =>
  openAlertWatch(
    { jobs: [], rpc: database.rpc, effects, logger: test.logger, reports: NO_REPORTS },
    {
      alerts: {
        webhook: null,
        slackUrl: `${receiver.address}/slack`,
        heartbeatUrl: `${receiver.address}/ping`,
      },
      sentry: null,
      settings: { unknownPolicy: 'hold', postLateLimitMinutes: 360 },
    },
    createReadiness({
      probe: createSystemProbe(database.rpc, effects),
      checkRedis: undefined,
      isRedisNeeded: false,
    }),
    looks,
  );
const told = () => receiver.received.filter(({ url }) => url === '/slack').map(({ body }) => body);

describe('the watch of the jobs API', () => {
  it.each([
    {
      what: 'a schema that does not fit',
      begin: 'alter function public.system_probe(timestamptz) rename to system_probe_of_before',
      end: 'alter function public.system_probe_of_before(timestamptz) rename to system_probe',
      why: 'Failing: schema.',
    },
    {
      what: 'a role that may not see',
      begin: 'revoke select on public.audit_log from service_role',
      end: 'grant select on public.audit_log to service_role',
      why: 'Failing: permissions.',
    },
  ])('tells of $what', async ({ begin, end, why }) => {
    const watch = watchOf();
    const look = (): Promise<void> => {
      aheadMs += PROBE_FRESH_MS;
      return watch.look();
    };
    await database.asOwner(begin);
    try {
      await look();
      expect(told()).toEqual([]);
      await look();
      expect(told()).toEqual([expect.stringContaining('The service is not ready.')]);
      expect(told()[0]).toContain(why);
      expect(told()[0]).toContain('not_ready');
    } finally {
      await database.asOwner(end);
    }
    // As it will be seen two minutes later.
    await database.asOwner(`update public.alert_incidents set seen_at = seen_at - interval '2 minutes'`);
    await look();
    expect(told()[1]).toContain('Over:');
  });

  it('of a function, which looks once, tells at its first look', async () => {
    await database.asOwner('revoke select on public.audit_log from service_role');
    try {
      aheadMs += PROBE_FRESH_MS;
      await watchOf(1).look();
      expect(told()).toEqual([expect.stringContaining('Failing: permissions.')]);
    } finally {
      await database.asOwner('grant select on public.audit_log to service_role');
    }
  });

  it('gives its sign of life', async () => {
    await watchOf().look();
    expect(receiver.received.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /ping']);
  });
});
