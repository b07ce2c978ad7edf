/** One request that tells somebody something: whether it arrived, and nothing of what was answered. */
import { type Effects, withTimeout } from '../effects/index.ts';
import { socketCodeOf } from '../telemetry/index.ts';
import type { Delivery } from './channel.ts';

export interface Http {
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  readonly fetch: typeof fetch;
}

/** In milliseconds. A claim of a delivery lasts a minute. */
const REQUEST_MS_MAX = 10_000;

/** Never throws, and follows no redirect: what is told is for the one who was named. */
export async function send(
  url: string,
  init: Pick<RequestInit, 'method' | 'headers' | 'body'>,
  { effects, fetch }: Http,
): Promise<Delivery> {
  try {
    return await withTimeout(effects, REQUEST_MS_MAX, async (signal) => {
      const response = await fetch(url, { ...init, redirect: 'manual', cache: 'no-store', signal });
      await response.body?.cancel();
      if (response.ok) return { kind: 'delivered' };
      const retryAfter = /^\d{1,6}$/.exec(response.headers.get('retry-after')?.trim() ?? '');
      return {
        kind: 'failed',
        error: `HTTP ${response.status}`,
        retryAfterS: retryAfter === null ? null : Number(retryAfter[0]),
      };
    });
  } catch (error) {
    return { kind: 'failed', error: socketCodeOf(error), retryAfterS: null };
  }
}
