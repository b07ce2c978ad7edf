/** Tells Sentry of an error of a page or route. Loaded only where there is one to tell. */
import type { Reports } from '@revos/core/telemetry';
import { createSentryReports } from '@revos/sentry';
import manifest from '../package.json' with { type: 'json' };
import type { ReportsConfig } from './env.ts';

/** How long an answer may wait for it, in milliseconds. */
const FLUSH_MS_MAX = 2_000;

/** One for the process: it knows what it has told, and when Sentry takes nothing more. */
let reports: Reports | undefined;

/**
 * Resolves once it is told, or takes too long.
 *
 * @param route as its file names it: `/runs/[id]`
 */
export async function reportError(error: unknown, route: string, config: ReportsConfig): Promise<void> {
  const { dsn, environment, commit, secrets } = config;
  const release = commit === undefined ? manifest.version : `${manifest.version}+${commit}`;
  reports ??= createSentryReports({ dsn, environment, process: 'web', release, secrets });
  reports.error(error, { route });
  await reports.flush(FLUSH_MS_MAX);
}
