/**
 * The watch: looks at what the verdict finds, keeps it, and tells people of what began and ended.
 *
 * What is known stands in the database, so that a process that starts again repeats nothing, and of
 * several one tells. What cannot be told now is told later, by whoever looks then.
 */
import type { Effects } from '../effects/index.ts';
import { isOutage } from '../jobs/index.ts';
import type { Logger, Reports } from '../telemetry/index.ts';
import { readFacts, type VerdictOptions } from '../verdict/index.ts';
import type { Channel } from './channel.ts';
import { observe } from './conditions.ts';
import type { AlertStore, ClaimedDelivery } from './store.ts';

/** Between two looks, in milliseconds. */
const LOOK_MS = 60_000;

export interface AlertWatchOptions
  extends Pick<VerdictOptions, 'rpc' | 'jobs' | 'postLateLimitMinutes' | 'findReadinessFailure'> {
  readonly store: AlertStore;
  readonly channels: readonly Channel[];
  /** Says that this process watches; resolves to why that failed, or to null. Null: to nobody. */
  readonly beat: (() => Promise<string | null>) | null;
  /**
   * Looks in a row that must find the service not ready before people are told. Two where the same
   * process looks again; one where it does not.
   */
  readonly notReadyLooks: 1 | 2;
  readonly effects: Effects;
  readonly logger: Logger;
  readonly reports: Pick<Reports, 'error'>;
}

export interface AlertWatch {
  /** Looks once, and tells what is to be told by now. Never rejects. */
  look(): Promise<void>;
  /** Looks every minute until `signal` aborts; resolves then, and never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

export function createAlertWatch(options: AlertWatchOptions): AlertWatch {
  const { store, channels, effects, logger, reports } = options;
  const names = channels.map(({ name }) => name);
  /** What was wrong with the service at the look before. */
  let troubleBefore: string | null = null;

  async function keep(): Promise<void> {
    const facts = await readFacts(options);
    // One that is gone at the next look is no incident.
    const isLasting = facts.notReady === null || troubleBefore !== null || options.notReadyLooks === 1;
    troubleBefore = facts.notReady;
    const { opened, ended } = await store.observe(observe(facts, isLasting));
    for (const { id, code, subjects } of opened) {
      logger.error({ alert_id: id, code, subjects: subjects.length }, 'alert opened');
    }
    for (const { id, code } of ended) logger.info({ alert_id: id, code }, 'alert ended');
    if (facts.system === null) return;
    const failure = (await options.beat?.()) ?? null;
    if (failure !== null) logger.warn({ code: failure }, 'heartbeat not delivered');
  }

  async function tell(claimed: ClaimedDelivery): Promise<void> {
    const { event, channel: name, attempt } = claimed;
    const { deliveries: _deliveries, open_subjects: _open, ...alert } = claimed.alert;
    const channel = channels.find((each) => each.name === name);
    if (channel === undefined) return;
    if (claimed.is_given_up) {
      const code = 'no answer was recorded';
      logger.error(
        { alert_id: alert.id, event, channel: name, attempt, code },
        'alert not delivered, given up',
      );
      return;
    }
    const delivery = await channel.tell({ event, alert });
    const { status } = await store.record(claimed, delivery);
    if (delivery.kind === 'delivered') return;
    const facts = { alert_id: alert.id, event, channel: name, attempt, code: delivery.error };
    if (status === 'given_up') logger.error(facts, 'alert not delivered, given up');
    else logger.warn(facts, 'alert not delivered, retrying later');
  }

  async function tellAll(): Promise<void> {
    if (names.length === 0) return;
    for (let claimed = await store.claim(names); claimed.length > 0; claimed = await store.claim(names)) {
      // All of them to their end: whoever closes the database next would close it under those that are left.
      for (const told of await Promise.allSettled(claimed.map(tell))) {
        if (told.status === 'rejected') throw told.reason;
      }
    }
  }

  /** What was kept before is told, whether or not more could be kept. */
  async function look(): Promise<void> {
    for (const step of [keep, tellAll]) {
      try {
        await step();
      } catch (error) {
        logger.warn({ err: error }, 'alerts could not be looked at');
        if (!isOutage(error)) reports.error(error);
      }
    }
  }

  return {
    look,
    async run(signal) {
      while (!signal.aborted) {
        await look();
        await effects.sleep(LOOK_MS, signal);
      }
    },
  };
}
