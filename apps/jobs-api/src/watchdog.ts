/**
 * The watchdog: notices a slot that never ran, whoever should have asked for it, and can start it.
 *
 * It also goes on with a slot whose run was interrupted (a deploy, a crash), so that this does not
 * cost the time until the next slot. Every instance may have one: a slot makes one run.
 */
import type { Effects } from '@revos/core/effects';
import {
  currentSlot,
  isOutage,
  type JobDefinition,
  type Run,
  type RunStore,
  type Runs,
  runFacts,
} from '@revos/core/jobs';
import type { Logger, Reports } from '@revos/core/telemetry';

/** Between two looks, in milliseconds. */
export const LOOK_MS = 30_000;

/** How late a slot may be, in milliseconds; a sleeping service takes a minute to wake. */
export const GRACE_MS = 3 * 60_000;

/** More runs than there can be since the latest slot. */
const RUNS_LOOKED_AT_MAX = 200;

export interface WatchdogOptions {
  readonly jobs: readonly JobDefinition[];
  readonly runs: Pick<Runs, 'start'>;
  readonly store: Pick<RunStore, 'slot' | 'list' | 'recover'>;
  readonly effects: Effects;
  readonly logger: Logger;
  readonly reports?: Reports;
  /** `latest`: starts a missed slot, and goes on with an interrupted one. */
  readonly catchUp: 'off' | 'latest';
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** What it has done already about the latest slot of one job. */
interface Memory {
  /** The slot, in milliseconds, that was reported as missed. */
  missed: number | null;
  /** The interrupted run that was resumed. */
  resumed: string | null;
}

/** Watches until `signal` aborts; resolves then, and never rejects. */
export async function runWatchdog(options: WatchdogOptions): Promise<void> {
  const { jobs, store, effects, logger, reports, signal } = options;
  const startedAt = effects.now();
  const memories = new Map<string, Memory>(jobs.map(({ name }) => [name, { missed: null, resumed: null }]));

  while (!signal.aborted) {
    try {
      // Without this, a run whose process died would look active until its next slot.
      await store.recover();
      for (const job of jobs) {
        const memory = memories.get(job.name);
        if (memory && !signal.aborted) await look(job, memory, startedAt, options);
      }
    } catch (error) {
      logger.warn({ err: error }, 'watchdog check failed');
      if (!isOutage(error)) reports?.error(error);
    }
    await effects.sleep(LOOK_MS, signal);
  }
}

async function look(
  job: JobDefinition,
  memory: Memory,
  startedAt: Date,
  options: WatchdogOptions,
): Promise<void> {
  const { store, effects, catchUp } = options;
  const newest = (await store.list({ job: job.name, scoped: false, limit: 1 })).items[0];
  if (newest?.status === 'interrupted' && catchUp === 'latest') await resume(job, newest, memory, options);

  const slot = currentSlot(job.schedule, new Date(effects.now().getTime() - GRACE_MS));
  if (slot === null || (await store.slot(job.name, slot)) !== null) return;
  // Before the service existed a slot was nobody's to run: a new installation raises no alarm.
  if (slot < startedAt && !(await hasRunBefore(job, slot, options))) return;
  await alarm(job, slot, memory, options);
}

async function hasRunBefore(job: JobDefinition, slot: Date, { store }: WatchdogOptions): Promise<boolean> {
  const { items: runs } = await store.list({ job: job.name, limit: RUNS_LOOKED_AT_MAX });
  return runs.some((run) => new Date(run.requested_at) < slot);
}

async function alarm(
  job: JobDefinition,
  slot: Date,
  memory: Memory,
  options: WatchdogOptions,
): Promise<void> {
  const { runs, effects, logger, catchUp } = options;
  if (memory.missed !== slot.getTime()) {
    const lateMs = effects.now().getTime() - slot.getTime();
    logger.error({ job: job.name, slot, late_ms: lateMs, catch_up: catchUp }, 'slot missed');
    memory.missed = slot.getTime();
  }
  if (catchUp === 'off') return;
  await runs.start({ job, trigger: 'catch-up', scheduledFor: slot, requestedBy: 'watchdog' });
}

/** Goes on with the work of the newest run, which was interrupted, if a slot counts on it. */
async function resume(job: JobDefinition, run: Run, memory: Memory, options: WatchdogOptions): Promise<void> {
  const { runs, logger } = options;
  if (memory.resumed === run.id || !(await standsForSlot(job, run, options))) return;
  await runs.start({ job, trigger: 'catch-up', scheduledFor: null, requestedBy: 'watchdog' });
  memory.resumed = run.id;
  logger.warn(runFacts(run), 'resuming interrupted run');
}

/** What a person asked for, a person asks for again, unless a slot was answered with it meanwhile. */
async function standsForSlot(job: JobDefinition, run: Run, options: WatchdogOptions): Promise<boolean> {
  if (run.trigger !== 'ops') return true;
  const slot = currentSlot(job.schedule, options.effects.now());
  return slot !== null && (await options.store.slot(job.name, slot))?.id === run.id;
}
