/** Starts the jobs API, and shuts it down. */
import { openAlertWatch } from './alert-watch.ts';
import { type App, buildApp } from './app.ts';
import { loadConfig } from './env.ts';
import { pages } from './pages.ts';
import { runScheduler } from './scheduler.ts';
import { buildServices } from './services.ts';
import { checkOrRefuse, loadOrExit, onShutdown } from './start.ts';
import { createSystemProbe } from './system-probe.ts';
import { versionOf } from './version.ts';
import { runWatchdog } from './watchdog.ts';

const { config, services } = await loadOrExit('jobs API', async () => {
  const config = loadConfig();
  return { config, services: await buildServices(config, 'jobs-api') };
});
const { jobs, runs, store, engine, bullmq, rpc, analytics, metrics, effects, logger, reports, traces } =
  services;

let app: App | undefined;

onShutdown(config.shutdownGraceMs, logger, services, async () => {
  await app?.close();
  await services.close();
});

const probe = createSystemProbe(rpc, effects, config.database.kind);
await checkOrRefuse('jobs API', probe, logger);

const tokens = config.metrics?.tokens ?? [];
const metricsPage = metrics !== null && tokens.length > 0 ? { metrics, tokens } : null;

app = await buildApp({
  jobs,
  runs,
  engine,
  bullmq,
  rpc,
  probe,
  analytics,
  effects,
  logger,
  reports,
  traces,
  credentials: {
    cronTokens: config.cronTokens,
    opsTokens: config.opsTokens,
    signingSecrets: config.signingSecrets,
  },
  pages: (scope) => pages(scope, { opsTokens: config.opsTokens, bullmq, metrics: metricsPage }),
  postLateLimitMinutes: config.settings.postLateLimitMinutes,
  version: versionOf(config),
  shutdownGraceMs: config.shutdownGraceMs,
  proxyHops: config.proxyHops,
});

await metrics?.listen();
await app.listen({ host: config.host, port: config.port });

const { signal } = app.drain;
if (bullmq !== null) void app.drain.track(bullmq.keepSubmitted(signal));
void app.drain.track(
  runWatchdog({ jobs, runs, store, effects, logger, reports, catchUp: config.catchUp, signal }),
);
void app.drain.track(openAlertWatch(services, config, app.readiness).run(signal));
if (config.scheduler === 'internal') {
  void app.drain.track(runScheduler({ jobs, runs, effects, logger, reports, signal }));
}
