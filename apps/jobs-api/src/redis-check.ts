/** Whether Redis answers, as `/ready` tells it. */
import type { Effects } from '@revos/core/effects';
import { type Check, PROBE_FRESH_MS } from './system-probe.ts';

export interface RedisCheckOptions {
  readonly isReachable: () => Promise<boolean>;
  /** What becomes of runs while it does not. */
  readonly fallback: 'in-process' | 'none';
}

const DETAILS = {
  'in-process': 'Redis does not answer: runs are worked on in the process that they are triggered in',
  none: 'Redis does not answer: runs wait for it',
} as const;

/**
 * Callers at the same time share one look, and an answer is told again for `PROBE_FRESH_MS`: anyone
 * may ask.
 */
export function createRedisCheck(options: RedisCheckOptions, effects: Effects): () => Promise<Check> {
  let latest: { readonly check: Promise<Check>; readonly atMs: number } | null = null;
  const look = async (): Promise<Check> =>
    (await options.isReachable())
      ? { name: 'redis', status: 'ok' }
      : { name: 'redis', status: 'failed', detail: DETAILS[options.fallback] };

  return () => {
    if (latest === null || effects.monotonicMs() >= latest.atMs + PROBE_FRESH_MS) {
      latest = { check: look(), atMs: effects.monotonicMs() };
    }
    return latest.check;
  };
}
