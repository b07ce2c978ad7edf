/**
 * The scheduler: a clock of its own, for a service that no cron calls.
 *
 * It asks for each slot as its time comes, as a cron would. A slot makes one run, so several
 * instances may all run one; what it cannot start, the watchdog notices.
 */
import type { Effects } from '@revos/core/effects';
import { isOutage, type JobDefinition, nextSlot, type Runs } from '@revos/core/jobs';
import type { Logger, Reports } from '@revos/core/telemetry';

/** How often a slot is asked for, and after how many milliseconds again, while the database is away. */
const ATTEMPTS_MAX = 5;
const RETRY_MS = 5_000;

export interface SchedulerOptions {
  readonly jobs: readonly JobDefinition[];
  readonly runs: Pick<Runs, 'start'>;
  readonly effects: Effects;
  readonly logger: Logger;
  readonly reports?: Reports;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Starts every job's slots until `signal` aborts; resolves then, and never rejects. */
export async function runScheduler(options: SchedulerOptions): Promise<void> {
  await Promise.all(options.jobs.map((job) => runClock(job, options)));
}

async function runClock(job: JobDefinition, options: SchedulerOptions): Promise<void> {
  const { effects, signal } = options;
  let last = effects.now();
  while (!signal.aborted) {
    const slot = nextSlot(job.schedule, last);
    if (slot === null) return;
    while (!signal.aborted && effects.now() < slot) {
      await effects.sleep(slot.getTime() - effects.now().getTime(), signal);
    }
    if (signal.aborted) return;
    await startSlot(job, slot, options);
    // After a long sleep of the machine the slots between are not made up for.
    last = new Date(Math.max(effects.now().getTime(), slot.getTime()));
  }
}

async function startSlot(job: JobDefinition, slot: Date, options: SchedulerOptions): Promise<void> {
  const { runs, effects, logger, reports, signal } = options;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX && !signal.aborted; attempt += 1) {
    try {
      await runs.start({ job, trigger: 'worker', scheduledFor: slot, requestedBy: 'scheduler' });
      return;
    } catch (error) {
      logger.warn({ err: error, job: job.name, slot, attempt }, 'slot could not be started');
      if (attempt === 1 && !isOutage(error)) {
        reports?.error(error, { job: job.name, slot: slot.toISOString() });
      }
      await effects.sleep(RETRY_MS, signal);
    }
  }
}
