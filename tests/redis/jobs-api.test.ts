/**
 * The jobs API over a real Redis: the page of what waits, readiness, and a trigger that Redis
 * cannot take.
 */
import { createAnalytics } from '@revos/core/analytics';
import { realEffects } from '@revos/core/effects';
import { createRunStore, createRuns, type JobServices } from '@revos/core/jobs';
import { type Bullmq, createBullmq } from '@revos/core/jobs/engines/bullmq';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type App, buildApp } from '../../apps/jobs-api/src/app.ts';
import { pages } from '../../apps/jobs-api/src/pages.ts';
import { databaseForFile } from '../../packages/core/test/support/database.ts';
import { DEFAULT_SETTINGS, jobOf, noMedia, noUnipile } from '../../packages/core/test/support/jobs.ts';
import { type CapturedLog, captureLog } from '../../packages/core/test/support/log.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

const OPS_TOKEN = 'ops-token-0123456789';
const CRON_TOKEN = 'cron-token-0123456789';
const basic = (password: string) => ({
  authorization: `Basic ${Buffer.from(`ada:${password}`).toString('base64')}`,
});

const db = databaseForFile();
const job = { ...jobOf(async () => ({})), isSliced: true };
let redis: RedisServer;
let opened: Array<{ app: App; bullmq: Bullmq }> = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.kill());
afterEach(async () => {
  await redis.ensure();
  await Promise.all(
    opened.map(async ({ app, bullmq }) => {
      await app.close();
      await bullmq.disconnect();
    }),
  );
  opened = [];
  await redis.flush();
});

async function open(
  fallback: 'in-process' | 'none',
): Promise<{ app: App; bullmq: Bullmq; log: CapturedLog }> {
  const log = captureLog();
  const services: JobServices = {
    effects: realEffects,
    rpc: db.rpc,
    unipile: noUnipile,
    media: noMedia,
    settings: DEFAULT_SETTINGS,
    logger: log.logger,
    worker: 'jobs-api@test',
    sendConcurrency: 1,
  };
  const store = createRunStore(db.rpc);
  const bullmq = createBullmq([job], store, services, {
    ...{ redisUrl: redis.url, slicesPerRun: 3, concurrency: 1 },
    fallback,
  });
  const app = await buildApp({
    jobs: [job],
    runs: createRuns(store, bullmq.engine, realEffects),
    engine: bullmq.engine,
    bullmq,
    rpc: db.rpc,
    analytics: createAnalytics(db.rpc, { effects: realEffects, logger: log.logger }),
    effects: realEffects,
    logger: log.logger,
    credentials: { cronTokens: [CRON_TOKEN], opsTokens: [['ada', OPS_TOKEN]], signingSecrets: [] },
    pages: (scope) => pages(scope, { opsTokens: [['ada', OPS_TOKEN]], bullmq }),
    postLateLimitMinutes: 360,
    version: '1.2.3',
    shutdownGraceMs: 2_000,
  });
  opened.push({ app, bullmq });
  return { app, bullmq, log };
}

const trigger = (app: App) =>
  app.inject({
    method: 'POST',
    url: `/api/jobs/${job.name}`,
    headers: { authorization: `Bearer ${OPS_TOKEN}` },
  });

describe('the page of what waits', () => {
  it.each([
    { who: 'nobody', headers: {} },
    { who: 'the cron token', headers: basic(CRON_TOKEN) },
    { who: 'a wrong password', headers: basic(`${OPS_TOKEN}x`) },
    { who: 'a bearer token', headers: { authorization: `Bearer ${OPS_TOKEN}` } },
  ])('is closed to $who, with everything that belongs to it', async ({ headers }) => {
    const { app } = await open('none');
    const { body } = await app.inject({ url: '/queues', headers: basic(OPS_TOKEN) });
    const asset = /src="(static\/[^"]+)"/.exec(body)?.[1];
    expect(asset).toBeDefined();
    for (const url of ['/queues', '/queues/api/queues', `/queues/${asset}`]) {
      const refused = await app.inject({ url, headers });
      expect(refused.statusCode, url).toBe(401);
      expect(refused.headers['www-authenticate']).toMatch(/^Basic /);
    }
  });

  it('shows an operator what waits, by ids alone, in a page that runs nothing foreign', async () => {
    const { app } = await open('none');
    expect((await trigger(app)).statusCode).toBe(202);
    const page = await app.inject({ url: '/queues', headers: basic(OPS_TOKEN) });
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(page.headers).toMatchObject({ 'x-frame-options': 'DENY', 'cache-control': 'no-store' });
    // Every script of it is a file from here.
    expect([
      ...page.body.matchAll(/<script(?![^>]*(?:src="static\/|type="application\/json"))[^>]*>/g),
    ]).toEqual([]);
    for (const [, asset] of page.body.matchAll(/(?:src|href)="(static\/[^"]+)"/g)) {
      const file = await app.inject({ url: `/queues/${asset}`, headers: basic(OPS_TOKEN) });
      expect(file.statusCode, asset).toBe(200);
    }
    const shown = await app.inject({
      url: '/queues/api/queues?activeQueue=revos-jobs&status=prioritized',
      headers: basic(OPS_TOKEN),
    });
    expect(shown.statusCode).toBe(200);
    const [queue] = shown.json().queues;
    expect(queue).toMatchObject({ name: 'revos-jobs', readOnlyMode: true, counts: { prioritized: 3 } });
    for (const { data } of queue.jobs) expect(Object.keys(data).sort()).toEqual(['run_id', 'slice']);
  });

  it.each(['PUT', 'POST', 'PATCH', 'DELETE'] as const)('changes nothing: %s is refused', async (method) => {
    const { app, bullmq } = await open('none');
    await trigger(app);
    for (const action of ['empty', 'obliterate', 'pause', 'clean/wait']) {
      const url = `/queues/api/queues/revos-jobs/${action}`;
      expect(
        (await app.inject({ method, url, headers: basic(OPS_TOKEN) })).statusCode,
        url,
      ).toBeGreaterThanOrEqual(404);
    }
    expect(await bullmq.queue.isPaused()).toBe(false);
    expect(await bullmq.queue.getJobCounts('prioritized')).toEqual({ prioritized: 3 });
  });

  it('says so while Redis is away, instead of waiting for it', async () => {
    const { app } = await open('none');
    await redis.kill();
    const answer = await app.inject({ url: '/queues/api/queues', headers: basic(OPS_TOKEN) });
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ type: '/problems/queue-unavailable' });
    expect((await app.inject({ url: '/queues', headers: basic(OPS_TOKEN) })).statusCode).toBe(200);
  });

  it('stands not in the OpenAPI document', async () => {
    const { app } = await open('none');
    const document = await app.inject({
      url: '/api/openapi.json',
      headers: { authorization: `Bearer ${OPS_TOKEN}` },
    });
    expect(document.statusCode).toBe(200);
    expect(document.body).not.toContain('/queues');
  });
});

describe('Redis away', () => {
  it('without a fallback: the trigger is refused with when to come back, and the run is there', async () => {
    const { app } = await open('none');
    await redis.kill();
    const refused = await trigger(app);
    expect(refused.statusCode).toBe(503);
    expect(refused.headers['retry-after']).toMatch(/^\d+$/);
    expect(refused.json()).toMatchObject({
      type: '/problems/queue-unavailable',
      detail: 'The run is queued, and is taken up once the queue is back.',
    });
    expect(await db.query('select status from public.job_runs', [])).toEqual([{ status: 'queued' }]);
    // It is not ready for anything.
    const ready = await app.inject({ url: '/ready' });
    expect(ready.statusCode).toBe(503);
    expect(ready.json()).toMatchObject({ detail: 'Failing: redis.' });

    await redis.restart();
    await expect
      .poll(async () => (await app.inject({ url: '/ready' })).statusCode, { timeout: 20_000 })
      .toBe(200);
    expect((await trigger(app)).json()).toMatchObject({ outcome: 'coalesced', run: { status: 'queued' } });
  });

  it('with a fallback: it is told, and the service is ready all the same', async () => {
    const { app, log } = await open('in-process');
    expect((await app.inject({ url: '/ready' })).json()).toMatchObject({
      status: 'ready',
      checks: expect.arrayContaining([{ name: 'redis', status: 'ok' }]),
    });
    await redis.kill();
    await expect
      .poll(async () => (await app.inject({ url: '/ready' })).json(), { timeout: 20_000 })
      .toMatchObject({
        status: 'ready',
        checks: expect.arrayContaining([
          {
            name: 'redis',
            status: 'failed',
            detail: 'Redis does not answer: runs are worked on in the process that they are triggered in',
          },
        ]),
      });
    const started = await trigger(app);
    expect(started.statusCode).toBe(202);
    expect(log.messages()).toContain('queue unavailable, running in this process');
  });
});
