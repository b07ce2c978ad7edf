/**
 * What Next.js calls when a page or a route throws.
 *
 * Sentry's code is loaded by the first error, and nowhere else: a start with a DSN is as quick as one without.
 */
import type { Instrumentation } from 'next';
import { readReportsEnv } from './env.ts';

/** Next waits for it, and the platform may end the process once it has returned. */
export const onRequestError: Instrumentation.onRequestError = async (error, _request, { routePath }) => {
  const env = readReportsEnv();
  if (env === null) return;
  const { reportError } = await import('./report-error.ts');
  await reportError(error, routePath, env);
};
