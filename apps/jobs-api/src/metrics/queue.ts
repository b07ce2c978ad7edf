/** What waits in Redis, as gauges. */
import type { Bullmq } from '@revos/core/jobs/engines/bullmq';
import type { Logger } from '@revos/core/telemetry';
import { type Meters, QUEUE_STATES } from './meters.ts';

export type MeasuredQueue = {
  readonly queue: Pick<Bullmq['queue'], 'getJobCounts' | 'name'>;
  readonly engine: Pick<Bullmq['engine'], 'isReachable'>;
};

/** Counts the slices and sets the gauges; answers whether it could. */
export async function readQueue(
  meters: Meters,
  { queue, engine }: MeasuredQueue,
  logger: Pick<Logger, 'warn'>,
): Promise<boolean> {
  try {
    // What is asked of a Redis that is away would wait for it.
    if (!(await engine.isReachable())) return false;
    const counts = await queue.getJobCounts(...QUEUE_STATES);
    for (const state of QUEUE_STATES) meters.queueSlices.set({ state }, counts[state] ?? 0);
    return true;
  } catch (error) {
    logger.warn({ err: error }, 'queue metrics unavailable');
    return false;
  }
}
