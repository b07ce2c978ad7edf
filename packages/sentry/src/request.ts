/** One request to Sentry, which may take its time and no more. */
import type { TransportMakeRequestResponse, TransportRequest } from '@sentry/core';

/** In milliseconds. A further one waits for nothing: there may be several under way. */
const REQUEST_MS_MAX = 5_000;

export function requestTo(url: string): (request: TransportRequest) => Promise<TransportMakeRequestResponse> {
  return async ({ body }) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-sentry-envelope' },
      body: typeof body === 'string' ? body : Buffer.from(body),
      redirect: 'error',
      cache: 'no-store',
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    });
    await response.body?.cancel();
    const limits = {
      'x-sentry-rate-limits': response.headers.get('x-sentry-rate-limits'),
      'retry-after': response.headers.get('retry-after'),
    };
    return { statusCode: response.status, headers: limits };
  };
}
