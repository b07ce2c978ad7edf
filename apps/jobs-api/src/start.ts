/** How a process of ours starts, or says why it does not, and how it ends. */
import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';
import { EnvironmentError } from '@revos/core/config';
import { errorRecord, type Logger, type Reports, type Traces } from '@revos/core/telemetry';
import closeWithGrace from 'close-with-grace';
import { failedChecks, isMisconfigured, type SystemProbe } from './system-probe.ts';

/** What comes after the grace of a shutdown, in milliseconds: how long connections of callers have to end, */
export const CONNECTIONS_MS_MAX = 2_000;
/** how long a run may take to stop that was triggered as a worker was closing, */
export const LATE_RUN_MS_MAX = 1_000;
/** how long the clients of the database, Unipile and Redis may take to close, */
export const CLIENTS_MS_MAX = 1_000;
/** and how long it may take to tell what is to be reported, and the last spans. */
export const REPORTS_MS_MAX = 1_000;

/**
 * What the shutdown may take on top of its grace, in milliseconds, before the process is ended: all
 * of that, and time to spare.
 */
export const SHUTDOWN_EXTRA_MS = 6_000;

/**
 * How long one of several addresses of a host is tried before the next, in milliseconds. Node's own
 * 250 is less than the way to another continent takes, and its timer ends an attempt that would
 * have succeeded.
 */
export const ADDRESS_MS_MAX = 2_000;

/** Says why the process does not start, and ends it. */
export function refuse(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

/**
 * What a process does first. Before there is a logger: Node would print an error whole, with all
 * that it was given.
 *
 * @param name as people call it: `jobs API`
 */
export async function loadOrExit<Parts>(name: string, prepare: () => Promise<Parts>): Promise<Parts> {
  setDefaultAutoSelectFamilyAttemptTimeout(ADDRESS_MS_MAX);
  try {
    return await prepare();
  } catch (error) {
    if (error instanceof EnvironmentError) refuse(error.message);
    refuse(`The ${name} does not start. ${JSON.stringify(errorRecord(error))}`);
  }
}

/** Refuses on a deployment that is wrong; a database that is only away is waited for. */
export async function checkOrRefuse(name: string, probe: SystemProbe, logger: Logger): Promise<void> {
  const checks = await probe.check();
  const failures = failedChecks(checks).map(({ name: check, detail }) => `${check}: ${detail}`);
  if (isMisconfigured(checks)) refuse(`The ${name} does not start. ${failures.join('; ')}`);
  if (failures.length > 0) logger.error({ checks }, 'database unavailable, starting and waiting for it');
}

/** Who watches from outside. */
export interface Watchers {
  readonly reports: Reports;
  readonly traces: Traces;
}

/** Waits until they were told what there is to tell, or for `REPORTS_MS_MAX`. Never rejects. */
export async function flush({ reports, traces }: Watchers): Promise<void> {
  await Promise.all([reports.flush(REPORTS_MS_MAX), traces.flush(REPORTS_MS_MAX)]);
}

/**
 * From here on a signal ends the process in order, and whatever is uncaught ends it with one line
 * of the log, and with 1.
 *
 * @param watchers told of what is uncaught, and of what was traced
 * @param close what is to be done within `graceMs` milliseconds and a little more
 */
export function onShutdown(
  graceMs: number,
  logger: Logger,
  { reports, traces }: Watchers,
  close: () => Promise<void>,
): void {
  const shutdown = {
    delay: graceMs + SHUTDOWN_EXTRA_MS,
    logger,
    // Its own way to log one takes whatever was thrown for the fields of the line.
    onSecondError: (err: unknown) => logger.fatal({ err }, 'uncaught while shutting down; exiting'),
  };
  closeWithGrace(shutdown, async ({ signal, err }) => {
    if (err) {
      logger.fatal({ err }, 'uncaught; shutting down');
      reports.error(err, {}, 'fatal');
    } else logger.info({ signal }, 'shutting down');
    await close();
    await flush({ reports, traces });
    logger.info('shut down');
  });
}
