/** The queue of slices in Redis: ids and nothing else. What is true of a run stands in Postgres. */
import { type JobsOptions, Queue } from 'bullmq';
import type { Run } from '../../run.ts';
import type { RedisConnection } from './redis.ts';

/** One queue for all jobs, so that every worker takes whatever comes first. */
export const QUEUE_NAME = 'revos-jobs';

/** What a job of the queue carries; its name is the run's job. */
export interface SliceIds {
  readonly run_id: string;
  readonly slice: number;
  /** Of the span that the slice's is a child of. It says nothing, and is not asked for anything else. */
  readonly traceparent?: string;
}

export type SliceQueue = Queue<SliceIds, void>;

/** Steps of a run's own priority, 0 to 9. */
const PRIORITIES = 10;

/**
 * What BullMQ is told of a run's priority: 1 comes first, and 0, which is none, would come before
 * all. What people asked for comes before everything else.
 */
export function queuePriority(run: Pick<Run, 'trigger' | 'priority'>): number {
  const rank = PRIORITIES - run.priority;
  return run.trigger === 'ops' ? rank : PRIORITIES + rank;
}

export function openSliceQueue(redis: RedisConnection): SliceQueue {
  const queue: SliceQueue = new Queue(QUEUE_NAME, {
    connection: redis.client,
    // A job that is left behind would swallow the next one with its id.
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  queue.on('error', (error) => redis.report(error));
  return queue;
}

/** One of each slice, however often it is added. BullMQ allows no colon in an id. */
export function sliceJob(
  run: Run,
  slice: number,
  traceparent?: string,
): { name: string; data: SliceIds; opts: Pick<JobsOptions, 'jobId' | 'priority'> } {
  return {
    name: run.job,
    data: { run_id: run.id, slice, ...(traceparent === undefined ? {} : { traceparent }) },
    opts: { jobId: `${run.id}-${slice}`, priority: queuePriority(run) },
  };
}
