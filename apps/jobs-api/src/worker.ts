/**
 * Starts a worker, and shuts it down: a process that takes no requests. With a port it says how it
 * is, and nothing else.
 *
 * With BullMQ it takes what anybody triggered, and any number of them may run. With a clock of its own
 * (`SCHEDULER=internal`) it triggers as well: one of them alone does everything.
 */
import { within } from '@revos/core/effects';
import { openAlertWatch } from './alert-watch.ts';
import { loadWorkerConfig } from './env.ts';
import { createReadiness } from './readiness.ts';
import { createRedisCheck } from './redis-check.ts';
import { runScheduler } from './scheduler.ts';
import { buildServices } from './services.ts';
import { checkOrRefuse, LATE_RUN_MS_MAX, loadOrExit, onShutdown, refuse } from './start.ts';
import { createSystemProbe } from './system-probe.ts';
import { versionOf } from './version.ts';
import { runWatchdog } from './watchdog.ts';

const { config, services } = await loadOrExit('worker', async () => {
  const config = loadWorkerConfig();
  return { config, services: await buildServices(config, 'worker') };
});
const { jobs, runs, store, engine, bullmq, rpc, metrics, effects, logger, reports } = services;
const hasClock = config.scheduler === 'internal';

if (bullmq === null && !hasClock) {
  refuse(
    'The worker does not start. With JOB_ENGINE=in-process nobody can give it work: set SCHEDULER=internal.',
  );
}

const probe = createSystemProbe(rpc, effects, config.database.kind);
const checkRedis = bullmq
  ? createRedisCheck({ isReachable: bullmq.engine.isReachable, fallback: bullmq.fallback }, effects)
  : undefined;
// It takes its work out of Redis alone, unless it has a clock of its own.
const readiness = createReadiness({ probe, checkRedis, isRedisNeeded: bullmq !== null && !hasClock });
const ending = new AbortController();
const { signal } = ending;
const health = config.port === null ? null : await openHealth(config.port);
const underWay: Promise<void>[] = [];
let worker: ReturnType<NonNullable<typeof bullmq>['startWorker']> | undefined;

onShutdown(config.shutdownGraceMs, logger, services, async () => {
  ending.abort();
  const stopped = (worker ?? engine).close(config.shutdownGraceMs);
  await within(effects, config.shutdownGraceMs, Promise.all(underWay), () => {});
  // A trigger that was under way may have handed over one more run.
  const ended = (await stopped) && (await engine.close(LATE_RUN_MS_MAX));
  if (ended) logger.info('every run has ended or waits for another worker');
  else logger.error('runs still active after the shutdown grace period; their leases will expire');
  await health?.close();
  await services.close();
});

await checkOrRefuse('worker', probe, logger);

if (!signal.aborted) {
  await metrics?.listen();
  worker = bullmq?.startWorker();
  if (bullmq !== null) underWay.push(bullmq.keepSubmitted(signal));
  if (hasClock) {
    const parts = { jobs, runs, store, effects, logger, reports, signal };
    underWay.push(runWatchdog({ ...parts, catchUp: config.catchUp }));
    underWay.push(runScheduler(parts));
  }
  underWay.push(openAlertWatch(services, config, readiness).run(signal));
  logger.info({ engine: config.engine.kind, scheduler: config.scheduler }, 'the worker has started');
}

/** Listens before anything else: a platform that waits for the port sees why nothing is ready. */
async function openHealth(port: number): Promise<{ close(): Promise<unknown> }> {
  const { buildHealthApp } = await import('./health-app.ts');
  const app = await buildHealthApp({ readiness, version: versionOf(config), logger, signal });
  await app.listen({ host: config.host, port });
  return app;
}
