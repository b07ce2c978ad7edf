/** What Next.js calls when a page or a route throws. */
import type { Instrumentation } from 'next';

/** Next waits for it, and the platform may end the process once it has returned. */
export const onRequestError: Instrumentation.onRequestError = async (error, _request, { routePath }) => {
  // This file is compiled for the edge runtime as well, where nothing of ours runs: what is below
  // is left out there.
  if (process.env.NEXT_RUNTIME !== 'nodejs') return;
  const { reportError } = await import('./report-error.ts');
  await reportError(error, routePath);
};
