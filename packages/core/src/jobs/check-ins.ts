/**
 * Check-ins: signs of life of each slot, drawn from what every process of the system writes into
 * the run store.
 *
 * A slot is open from the begin of its run, or from when it was coalesced with one under way, until
 * that run ends or answers the next slot. The database tells which process does what, so each is
 * told once: who began the run's first slice, who had the slot coalesced, who ended the last slice.
 * A run that answers no slot, as one asked for by a person, is silent.
 */
import type { Effects } from '../effects/index.ts';
import type { CheckIn, Logger, Reports } from '../telemetry/index.ts';
import type { JobDefinition } from './definition.ts';
import { isEnded, type Run } from './run.ts';
import type { RunStore, SliceStatus, StartedRun } from './run-store.ts';
import { EARLY_MS_MAX, nextSlot, previousSlot } from './schedule.ts';

/** What a run may take beyond its next slot, in minutes, to end what is in flight. */
const END_MINUTES_MAX = 5;

/** A run that ended so long after its last heartbeat, in milliseconds, was given up by others. */
const GIVEN_UP_MS_MIN = 30_000;

/** Slots that are looked at for the one that a run answers last. */
const SLOTS_LOOKED_AT_MAX = 4;

export interface CheckInOptions {
  readonly jobs: readonly JobDefinition[];
  readonly reports: Pick<Reports, 'checkIn'>;
  readonly effects: Effects;
  readonly logger: Logger;
}

/** The same store, and check-ins of what passes through it. They never fail a call. */
export function withCheckIns(store: RunStore, options: CheckInOptions): RunStore {
  const { jobs, reports, effects, logger } = options;

  const tell = (run: Run, slot: Date | null, status: CheckIn['status'], since?: Date): void => {
    const schedule = scheduleOf(run.job);
    if (slot === null || schedule === null) return;
    const end = run.finished_at === null ? effects.now() : new Date(run.finished_at);
    reports.checkIn({
      ...{ job: run.job, schedule, slot, status },
      runMinutesMax: runMinutesMax(schedule, slot),
      ...(since === undefined ? {} : { durationMs: Math.max(0, end.getTime() - since.getTime()) }),
    });
  };

  /** Null for a schedule with seconds, of development: nobody outside can expect its slots. */
  const scheduleOf = (job: string): string | null => {
    const schedule = jobs.find(({ name }) => name === job)?.schedule.trim() ?? '';
    return schedule.split(/\s+/).length === 5 ? schedule : null;
  };

  /** The last slot before an instant that a run answers: its own, or one that was coalesced with it. */
  const lastSlotOf = async (run: Run, before: Date): Promise<Date | null> => {
    const schedule = scheduleOf(run.job);
    const own = run.scheduled_for === null ? null : new Date(run.scheduled_for);
    if (schedule === null || Object.keys(run.params).length > 0) return own;
    const since = own ?? new Date(run.requested_at);
    let slot = previousSlot(schedule, before);
    for (let looks = 0; looks < SLOTS_LOOKED_AT_MAX && slot !== null && slot > since; looks += 1) {
      if ((await store.slot(run.job, slot))?.id === run.id) return slot;
      slot = previousSlot(schedule, slot);
    }
    return own;
  };

  const onStarted = async ({ outcome, run }: StartedRun, slot: Date | null): Promise<void> => {
    if (outcome !== 'coalesced' || slot === null) return;
    const last = await lastSlotOf(run, slot);
    if (last !== null && run.started_at !== null) tell(run, last, 'ok', openedAt(run, last));
    tell(run, slot, 'in_progress');
  };

  /**
   * The next run goes on with the work of one whose process went away, and closes the slot that it
   * left open.
   */
  const onTakenUp = async (successor: Run): Promise<void> => {
    const { items } = await store.list({ job: successor.job, scoped: false, limit: 2 });
    const left = items.find(({ id }) => id !== successor.id);
    if (left?.status !== 'interrupted' || !wasGivenUp(left)) return;
    tell(left, await lastSlotOf(left, new Date(left.finished_at ?? left.requested_at)), 'error');
  };

  const onBegun = ({ owned, run }: SliceStatus): void => {
    // Both are of the same transaction only in the first begin of all.
    if (!owned || run.started_at !== run.heartbeat_at || run.scheduled_for === null) return;
    tell(run, new Date(run.scheduled_for), 'in_progress');
  };

  const onFinished = async ({ owned, run }: SliceStatus): Promise<void> => {
    if (!owned || !isEnded(run)) return;
    const slot = await lastSlotOf(run, new Date(effects.now().getTime() + EARLY_MS_MAX));
    const status = run.status === 'failed' ? 'error' : 'ok';
    if (slot !== null) tell(run, slot, status, openedAt(run, slot));
  };

  const unharmed = async (job: string, telling: () => Promise<void> | void): Promise<void> => {
    try {
      await telling();
    } catch (error) {
      logger.warn({ err: error, job }, 'check-in failed');
    }
  };

  return {
    ...store,
    async start(request) {
      const started = await store.start(request);
      await unharmed(request.job, () => onStarted(started, request.scheduledFor));
      if (started.outcome === 'created' && Object.keys(started.run.params).length === 0) {
        await unharmed(request.job, () => onTakenUp(started.run));
      }
      return started;
    },
    async begin(id, worker, slice) {
      const told = await store.begin(id, worker, slice);
      if (told !== null) await unharmed(told.run.job, () => onBegun(told));
      return told;
    },
    async finish(id, worker, end, slice) {
      const told = await store.finish(id, worker, end, slice);
      await unharmed(told.run.job, () => onFinished(told));
      return told;
    },
  };
}

/** When a slot was opened: as its run began, or at its own time where that was later. */
function openedAt(run: Run, slot: Date): Date {
  const startedAt = new Date(run.started_at ?? run.requested_at);
  return startedAt > slot ? startedAt : slot;
}

/** A run works until its next slot, and ends what is in flight then. */
function runMinutesMax(schedule: string, slot: Date): number {
  const next = nextSlot(schedule, slot) ?? slot;
  return Math.ceil((next.getTime() - slot.getTime()) / 60_000) + END_MINUTES_MAX;
}

function wasGivenUp({ finished_at, heartbeat_at }: Run): boolean {
  return finished_at !== null && Date.parse(finished_at) - Date.parse(heartbeat_at) >= GIVEN_UP_MS_MIN;
}
