/** The BullMQ engine on a real Redis, with its workers in this process: the suite of every engine. */
import { createBullmq } from '@revos/core/jobs/engines/bullmq';
import { afterAll, beforeAll } from 'vitest';
import { describeEngine } from '../../packages/core/test/jobs/engines/engine-suite.ts';
import { databaseForFile } from '../../packages/core/test/support/database.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.kill());

describeEngine({
  name: 'bullmq',
  database: databaseForFile(),
  afterClose: { status: 'running', error: null },
  async open(...parts) {
    const bullmq = createBullmq(...parts, {
      redisUrl: redis.url,
      slicesPerRun: 3,
      fallback: 'none',
      concurrency: 4,
    });
    const worker = bullmq.startWorker();
    let closing: Promise<boolean> | undefined;
    return {
      engine: bullmq.engine,
      close(graceMs) {
        closing ??= worker.close(graceMs).finally(() => bullmq.disconnect());
        return closing;
      },
    };
  },
});
