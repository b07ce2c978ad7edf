/**
 * Tells Sentry of an error of a page or route.
 *
 * Sentry's code is loaded by the first error, and nowhere else: a start with a DSN is as quick as
 * one without.
 */
import type { Reports } from '@revos/core/telemetry';
import { type ReportsConfig, readReportsEnv } from './env.ts';
import { release } from './release.ts';

/** How long an answer may wait for it, in milliseconds. */
const FLUSH_MS_MAX = 2_000;

/** One for the process: it knows what it has told, and when Sentry takes nothing more. */
let opened: Promise<Reports> | undefined;

/**
 * Resolves once it is told, or takes too long; at once where there is nobody to tell.
 *
 * @param route as its file names it: `/runs/[id]`
 */
export async function reportError(error: unknown, route: string): Promise<void> {
  const config = readReportsEnv();
  if (config === null) return;
  opened ??= open(config);
  const reports = await opened;
  reports.error(error, { route });
  await reports.flush(FLUSH_MS_MAX);
}

async function open({ dsn, environment, commit, secrets }: ReportsConfig): Promise<Reports> {
  const { createSentryReports } = await import('@revos/sentry');
  return createSentryReports({ dsn, environment, process: 'web', release: release(commit), secrets });
}
