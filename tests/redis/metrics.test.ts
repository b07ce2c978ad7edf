/** What waits in a real Redis, as the metrics tell it. */
import { realEffects } from '@revos/core/effects';
import { createRunStore, createRuns, type JobServices } from '@revos/core/jobs';
import { type Bullmq, createBullmq } from '@revos/core/jobs/engines/bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createMetrics, type Metrics } from '../../apps/jobs-api/src/metrics/index.ts';
import { READ_FRESH_MS } from '../../apps/jobs-api/src/metrics/shared-read.ts';
import { databaseForFile } from '../../packages/core/test/support/database.ts';
import { DEFAULT_SETTINGS, jobOf, noMedia, noUnipile } from '../../packages/core/test/support/jobs.ts';
import { captureLog } from '../../packages/core/test/support/log.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

const db = databaseForFile();
const job = { ...jobOf(async () => ({})), isSliced: true };
let redis: RedisServer;
let bullmq: Bullmq;
let metrics: Metrics;
let start: () => Promise<unknown>;
let nowMs = 0;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.kill());
beforeEach(() => {
  const { logger } = captureLog();
  const effects = { ...realEffects, monotonicMs: () => nowMs };
  const services: JobServices = {
    ...{ effects: realEffects, rpc: db.rpc, unipile: noUnipile, media: noMedia, settings: DEFAULT_SETTINGS },
    ...{ logger, worker: 'jobs-api@test', sendConcurrency: 1 },
  };
  const store = createRunStore(db.rpc);
  bullmq = createBullmq([job], store, services, {
    ...{ redisUrl: redis.url, slicesPerRun: 3, concurrency: 1, fallback: 'none' },
  });
  metrics = createMetrics({ jobs: [job], effects, logger, commit: undefined, port: undefined });
  metrics.measure({ rpc: db.rpc, engine: bullmq.engine, bullmq });
  const runs = createRuns(store, bullmq.engine, realEffects);
  start = () => runs.start({ job, trigger: 'ops', scheduledFor: null, requestedBy: 'ada' });
});
afterEach(() => bullmq.disconnect());

/** The lines of a new look at Redis. */
async function told(): Promise<string[]> {
  nowMs += READ_FRESH_MS;
  return (await metrics.scrape()).split('\n').filter((line) => /^revos_queue/.test(line));
}

const NONE = ['waiting', 'prioritized', 'delayed', 'active', 'failed'].map(
  (state) => `revos_queue_slices{state="${state}"} 0`,
);

it('each slice is counted by its state, and none of a Redis that is away', async () => {
  expect(await told()).toEqual([...NONE, 'revos_queue_up{queue="redis"} 1']);
  await start();
  expect(await told()).toContain('revos_queue_slices{state="prioritized"} 3');
  await redis.kill();
  expect(await told()).toEqual(['revos_queue_up{queue="redis"} 0']);
  await redis.restart();
  await expect.poll(told).toEqual([...NONE, 'revos_queue_up{queue="redis"} 1']);
});
