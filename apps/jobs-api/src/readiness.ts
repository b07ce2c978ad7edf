/** Whether the service can do its work: what `/ready` and the verdict ask. */
import { type Check, failedChecks, type SystemProbe } from './system-probe.ts';

/** Never throws. `failure`: what keeps it from its work; null if nothing does. */
export type Readiness = () => Promise<{ readonly checks: readonly Check[]; readonly failure: string | null }>;

export interface ReadinessOptions {
  readonly probe: SystemProbe;
  /** Undefined where runs need no Redis. */
  readonly checkRedis: (() => Promise<Check>) | undefined;
  /** Whether nothing can be worked on without Redis. */
  readonly isRedisNeeded: boolean;
}

export function createReadiness({ probe, checkRedis, isRedisNeeded }: ReadinessOptions): Readiness {
  return async () => {
    const [ofDatabase, redis] = await Promise.all([probe.check(), checkRedis?.()]);
    const checks = redis === undefined ? ofDatabase : [...ofDatabase, redis];
    const failed = failedChecks(checks).filter(({ name }) => name !== 'redis' || isRedisNeeded);
    const failure = failed.length === 0 ? null : `Failing: ${failed.map(({ name }) => name).join(', ')}.`;
    return { checks, failure };
  };
}
