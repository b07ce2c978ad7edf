/** A run of this project's `dm-queue` as the jobs API makes it, without the HTTP in front of it. */
import { realEffects } from '@revos/core/effects';
import { createInProcessEngine, createRunStore, createRuns } from '@revos/core/jobs';
import { createMediaFetcher } from '@revos/core/media';
import { jobsWithSchedules } from '@revos/core/registry';
import type { Rpc } from '@revos/core/rpc';
import { createLogger } from '@revos/core/telemetry';
import { createUnipileV1 } from '@revos/core/unipile';
import type { Order, Race } from './contestant.ts';

const RUN_MS_MAX = 30 * 60_000;

export async function enterWith(rpc: Rpc, order: Order): Promise<Race> {
  const effects = realEffects;
  const unipile = createUnipileV1({ dsn: order.unipileUrl, apiKey: 'bench' });
  const media = createMediaFetcher({ allowedOrigins: [] });
  // The next slot is far off, so that the run does not end for it.
  const jobs = jobsWithSchedules('dm-queue=0 0 1 1 *');
  const store = createRunStore(rpc);
  const engine = createInProcessEngine(jobs, store, {
    effects,
    rpc,
    unipile,
    media,
    settings: { unknownPolicy: 'resend-when-absent', postLateLimitMinutes: 360 },
    logger: createLogger('bench', 'warn', { destination: process.stderr }),
    worker: `bench:${process.pid}`,
    sendConcurrency: order.concurrency,
  });
  const runs = createRuns(store, engine, effects);
  const job = jobs.find(({ name }) => name === 'dm-queue');
  if (job === undefined) throw new Error('there is no job dm-queue');
  // The first call of each function looks its signature up.
  await rpc.call('system_probe');
  return async () => {
    const { run } = await runs.start({ job, trigger: 'ops', scheduledFor: null, requestedBy: 'bench' });
    const ended = await runs.waitForEnd(run, RUN_MS_MAX, new AbortController().signal);
    if (ended.status !== 'succeeded' || ended.stats.sent !== order.messageCount) {
      throw new Error(`the run ended as ${ended.status}: ${ended.error} ${JSON.stringify(ended.stats)}`);
    }
  };
}
