/** Starts the jobs API, and shuts it down. */
import { EnvironmentError } from '@revos/core/config';
import { errorRecord } from '@revos/core/telemetry';
import closeWithGrace from 'close-with-grace';
import manifest from '../package.json' with { type: 'json' };
import { type App, buildApp } from './app.ts';
import { loadConfig } from './env.ts';
import { runScheduler } from './scheduler.ts';
import { buildServices, type Services } from './services.ts';
import { createSystemProbe, failedChecks, isMisconfigured } from './system-probe.ts';
import { runWatchdog } from './watchdog.ts';

/** What the shutdown may take on top of its grace, in milliseconds, before the process is ended. */
const SHUTDOWN_EXTRA_MS = 4_000;

/** How long the clients of the database and of Unipile may take to close, in milliseconds. */
const CLIENTS_MS_MAX = 1_000;

/** Says why the service does not start, and ends the process. */
function refuse(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

/** Before there is a logger: Node would print an error whole, with all that it was given. */
function prepareOrRefuse(): { config: ReturnType<typeof loadConfig>; services: Services } {
  try {
    const config = loadConfig();
    return { config, services: buildServices(config) };
  } catch (error) {
    if (error instanceof EnvironmentError) refuse(error.message);
    refuse(`The jobs API does not start. ${JSON.stringify(errorRecord(error))}`);
  }
}

const { config, services } = prepareOrRefuse();
const { jobs, runs, store, engine, rpc, unipile, media, analytics, effects, logger } = services;

let app: App | undefined;

// From here on whatever is uncaught ends the process with one line of the log, and with 1.
const shutdown = {
  delay: config.shutdownGraceMs + SHUTDOWN_EXTRA_MS,
  logger,
  // Its own way to log one takes whatever was thrown for the fields of the line.
  onSecondError: (err: unknown) => logger.fatal({ err }, 'uncaught while shutting down; exiting'),
};
closeWithGrace(shutdown, async ({ signal, err }) => {
  if (err) logger.fatal({ err }, 'uncaught; shutting down');
  else logger.info({ signal }, 'shutting down');
  await app?.close();
  // A call that is still out would hold this up, and it has its lease.
  await Promise.race([
    Promise.all([unipile.close(), media.close(), analytics.close(), rpc.close()]),
    effects.sleep(CLIENTS_MS_MAX),
  ]);
  logger.info('shut down');
});

const checks = await createSystemProbe(rpc, effects).check();
const failures = failedChecks(checks).map(({ name, detail }) => `${name}: ${detail}`);
if (isMisconfigured(checks)) refuse(`The jobs API does not start. ${failures.join('; ')}`);
if (failures.length > 0)
  logger.error({ checks }, 'the database is away; the service starts and waits for it');

app = await buildApp({
  jobs,
  runs,
  engine,
  rpc,
  analytics,
  effects,
  logger,
  credentials: {
    cronTokens: config.cronTokens,
    opsTokens: config.opsTokens,
    signingSecrets: config.signingSecrets,
  },
  postLateLimitMinutes: config.settings.postLateLimitMinutes,
  version: config.commit ? `${manifest.version}+${config.commit}` : manifest.version,
  shutdownGraceMs: config.shutdownGraceMs,
  proxyHops: config.proxyHops,
});

await app.listen({ host: config.host, port: config.port });

const { signal } = app.drain;
void app.drain.track(runWatchdog({ jobs, runs, store, effects, logger, catchUp: config.catchUp, signal }));
if (config.scheduler === 'internal') {
  void app.drain.track(runScheduler({ jobs, runs, effects, logger, signal }));
}
