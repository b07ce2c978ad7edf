/**
 * Incidents of the cron route: what they become as slots get no run, or get one, and whom to tell of what.
 *
 * Pure: what is known, the slot and the instant are arguments. A change that is made twice makes no
 * difference, so it can be made again on what another function has written meanwhile.
 */
import type { Notice } from '@revos/core/alerts';
import type { Problem } from '../http/problem.ts';
import type { Slot } from './trigger-run.ts';

type Told = Readonly<Record<Notice['event'], readonly string[]>>;

export interface TriggerIncident {
  readonly alert: Notice['alert'];
  /**
   * Jobs that got no run, each with the instant at which it last got none. The incident ends with
   * the last of them.
   */
  readonly failing: Readonly<Record<string, string>>;
  /** Names of channels. */
  readonly told: Told;
}

/** Oldest first; at most the last one lasts. */
export type TriggerIncidents = readonly TriggerIncident[];

/** A notice that a channel took. */
export interface Delivered {
  readonly id: string;
  readonly event: Notice['event'];
  readonly channel: string;
}

/** Between an end and the next beginning, in milliseconds. */
const QUIET_MS = 10 * 60_000;

/**
 * How long a channel is asked to take a notice, in milliseconds from the beginning, and again from
 * the end.
 */
const TRIED_MS = 24 * 3_600_000;

/**
 * How long a job holds an incident open that is not seen again, in milliseconds: it has rarer
 * slots, or none any more.
 */
const HELD_MS = 2 * 3_600_000;

/** Incidents that are kept. What older ones have still to tell is given up. */
const INCIDENTS_MAX = 5;

/** @param known is given back where nothing changes */
export function afterFailure(
  known: TriggerIncidents,
  { job, scheduledFor }: Slot,
  failure: Problem,
  now: Date,
): TriggerIncidents {
  const last = known.at(-1);
  const failing = { [job]: now.toISOString() };
  if (last !== undefined && last.alert.ended_at === null) {
    return [...known.slice(0, -1), { ...last, failing: { ...last.failing, ...failing } }];
  }
  if (last !== undefined && msSince(last, now) < QUIET_MS) return known;
  const alert = alertOf(failure, scheduledFor, now);
  // Its id is taken: a slot that failed before is asked for by hand.
  if (known.some(({ alert: { id } }) => id === alert.id)) return known;
  return [...known, { alert, failing, told: { opened: [], ended: [] } }].slice(-INCIDENTS_MAX);
}

/** @param known is given back where nothing changes */
export function afterSuccess(known: TriggerIncidents, job: string, now: Date): TriggerIncidents {
  const last = known.at(-1);
  if (last === undefined || last.alert.ended_at !== null) return known;
  const before = Object.entries(last.failing);
  const left = before.filter(([name, at]) => name !== job && now.getTime() - Date.parse(at) < HELD_MS);
  if (left.length === before.length) return known;
  const ended_at = left.length === 0 ? now.toISOString() : null;
  return [
    ...known.slice(0, -1),
    { ...last, alert: { ...last.alert, ended_at }, failing: Object.fromEntries(left) },
  ];
}

/** What a channel is still to be told, in this order: of an end after its beginning. */
export function untold(known: TriggerIncidents, channel: string, now: Date): readonly Notice[] {
  return known
    .filter((incident) => msSince(incident, now) < TRIED_MS)
    .flatMap(({ alert, told }) => {
      const notices: Notice[] = [{ event: 'opened', alert: { ...alert, ended_at: null } }];
      if (alert.ended_at !== null) notices.push({ event: 'ended', alert });
      return notices.filter(({ event }) => !told[event].includes(channel));
    });
}

export function withDelivered(known: TriggerIncidents, delivered: readonly Delivered[]): TriggerIncidents {
  return known.map((incident) => {
    const { alert, told } = incident;
    const of = (event: Notice['event']): readonly string[] => {
      const took = delivered.filter((each) => each.id === alert.id && each.event === event);
      return [...new Set([...told[event], ...took.map(({ channel }) => channel)])];
    };
    return { ...incident, told: { opened: of('opened'), ended: of('ended') } };
  });
}

/** Milliseconds since the incident ended or, while it lasts, since it began. */
const msSince = ({ alert: { opened_at, ended_at } }: TriggerIncident, now: Date): number =>
  now.getTime() - Date.parse(ended_at ?? opened_at);

function alertOf({ title, detail }: Problem, scheduledFor: Date, now: Date): Notice['alert'] {
  // Of the slot, so that functions which begin it at once tell with one id; and a webhook's id has no dot.
  const id = `trigger-failed:${scheduledFor.toISOString().replace(/\.\d{3}Z$/, 'Z')}`;
  return {
    ...{ id, code: 'trigger_failed', state: 'stopped', subjects: ['system'] },
    ...{ sentence: `${title}.`, why: detail },
    what_to_do: 'See whether the jobs API is up and answers /ready, and what the log of the cron route says.',
    ...{ since: now.toISOString(), opened_at: now.toISOString(), ended_at: null },
  };
}
