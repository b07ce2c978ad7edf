/**
 * A worker: takes slices out of Redis and works on them, several at once, each of another run.
 *
 * A job in Redis is no more than the offer of a slice. Postgres says whether it may be taken, and a
 * slice goes on while Redis is away. Nothing of BullMQ ends the process: what goes wrong there is
 * logged, and the slice is offered again.
 */
import { DelayedError, type Job, Worker } from 'bullmq';
import { type Effects, within } from '../../../effects/index.ts';
import type { Logger, Reports } from '../../../telemetry/index.ts';
import type { JobDefinition } from '../../definition.ts';
import { isOutage } from '../../engine.ts';
import type { SliceExit } from '../../execute-run.ts';
import type { RunStore } from '../../run-store.ts';
import type { SliceRunner } from '../../slice-runner.ts';
import type { RedisConnection } from './redis.ts';
import { QUEUE_NAME, type SliceIds } from './slice-queue.ts';

/**
 * How long a process may be silent before Redis gives its slices to others, in milliseconds, and
 * how often that is looked at.
 */
const LOCK_MS = 20_000;
const STALLED_LOOK_MS = 10_000;

/**
 * A slice whose worker died is offered again, however often: whether it may be taken is not Redis's
 * to say.
 */
const STALLED_MAX = 1_000_000;

/**
 * Before a slice is offered again whose run is worked on here already, in milliseconds. Drawn anew
 * each time: BullMQ wakes the worker that put it off and one that waits at the same instant, and an
 * idle one shall not lose that race for long.
 */
const BUSY_MS_MIN = 500;
const BUSY_MS_MAX = 2_500;

/** Before a slice is offered again that could not be begun or ended, in milliseconds. */
const RETRY_MS = 15_000;

/**
 * In how many milliseconds a slice is offered again, by how it and its worker parted; null for
 * never. One that was refused because it is somebody's whom Redis lost sight of, the resubmitter
 * offers again once it is nobody's.
 */
const AGAIN_MS: Readonly<Record<SliceExit, number | null>> = {
  refused: null,
  ended: null,
  'given-back': 0,
  unrecorded: RETRY_MS,
};

/** How long BullMQ may take to let go once the slices have ended, in milliseconds. */
export const LET_GO_MS_MAX = 2_000;

export interface BullmqWorkerOptions {
  readonly jobs: readonly JobDefinition[];
  readonly store: Pick<RunStore, 'get'>;
  readonly runner: SliceRunner;
  readonly redis: RedisConnection;
  readonly effects: Effects;
  readonly logger: Logger;
  readonly reports?: Reports | undefined;
  /** Slices at once, 1 to 64. */
  readonly concurrency: number;
}

export interface BullmqWorker {
  /**
   * Takes no more slices, asks those under way to stop, and gives them back for other workers.
   *
   * @param graceMs how long to wait, in milliseconds
   * @returns whether every slice ended in time
   */
  close(graceMs: number): Promise<boolean>;
}

export function startBullmqWorker(options: BullmqWorkerOptions): BullmqWorker {
  const { jobs, store, runner, redis, effects, logger, reports, concurrency } = options;
  let isClosing = false;

  const busyMs = (): number => BUSY_MS_MIN + effects.random() * (BUSY_MS_MAX - BUSY_MS_MIN);

  /** Works on what is offered; answers in how many milliseconds it is to be offered again, null for never. */
  const work = async ({ run_id, slice, traceparent }: SliceIds): Promise<number | null> => {
    if (isClosing) return 0;
    // It is offered every second or two: the database need not be asked each time.
    if (runner.snapshot(run_id) !== null) return busyMs();
    const run = await store.get(run_id);
    if (run === null) return null;
    // A newer version may know the job.
    if (!jobs.some(({ name }) => name === run.job)) return RETRY_MS;
    const working = runner.take(run, slice, traceparent);
    if (working === null) return busyMs();
    return AGAIN_MS[await working];
  };

  const processor = async (job: Job<SliceIds, void>, token?: string): Promise<void> => {
    let againMs: number | null;
    try {
      againMs = await work(job.data);
    } catch (error) {
      const { run_id, slice } = job.data;
      logger.warn({ err: error, run_id, slice }, 'slice could not be started, will retry');
      if (!isOutage(error)) reports?.error(error, { run_id, slice });
      againMs = RETRY_MS;
    }
    if (againMs === null) return;
    await job.moveToDelayed(effects.now().getTime() + againMs, token);
    throw new DelayedError();
  };

  const worker = new Worker<SliceIds, void>(QUEUE_NAME, processor, {
    connection: redis.client,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_LOOK_MS,
    maxStalledCount: STALLED_MAX,
  });
  // Without a listener an error would end the process.
  worker.on('error', (error) => redis.report(error));
  worker.on('failed', (job, error) => logger.warn({ err: error, job: job?.name }, 'queue job failed'));
  worker.on('stalled', (id) => logger.warn({ job_id: id }, 'queue job stalled, another worker takes it'));

  /**
   * Lets BullMQ go. While Redis is away it never ends, nor does any way to cut it off: it ends with
   * the process.
   */
  const letGo = async (): Promise<void> => {
    await within(effects, LET_GO_MS_MAX, worker.close(), () =>
      logger.warn('queue did not close in time; its jobs will be offered again'),
    );
  };

  return {
    async close(graceMs) {
      isClosing = true;
      await worker.pause(true);
      const ended = await runner.close(graceMs);
      await letGo();
      return ended;
    },
  };
}
