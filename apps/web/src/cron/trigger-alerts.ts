/**
 * Alerts of the cron route itself: that triggers come to nothing, and that they come to runs again.
 *
 * Whoever else would say so is the jobs API, which cannot be reached. There is no database here
 * either: what was told stands in Vercel's runtime cache, which the functions of a region share;
 * elsewhere in the process. If it forgets, it is told again.
 */
import { type Channel, channelsOf, type Http } from '@revos/core/alerts';
import type { ChannelsConfig } from '@revos/core/alerts/variables';
import { within } from '@revos/core/effects';
import { getCache } from '@vercel/functions';
import type { Problem } from '../http/problem.ts';
import {
  afterFailure,
  afterSuccess,
  type Delivered,
  type TriggerIncidents,
  untold,
  withDelivered,
} from './trigger-incidents.ts';
import type { Slot } from './trigger-run.ts';

export interface IncidentCache {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown, options: { ttl: number }): Promise<void>;
}

/** What stands there outlives a deployment: another shape wants another key. */
const KEY = 'trigger_incidents';

/** In seconds since the last change; nobody is left to be told by then. */
const KEPT_S = 7 * 24 * 3_600;

/** One look into the cache, or one change, in milliseconds. */
const CACHE_MS_MAX = 2_000;

/**
 * Jobs with the same slot fail at the same time: each looks a moment after the one before, in
 * milliseconds.
 */
const STAGGER_MS = 2_000;

/** Of one slot; none of it rejects. */
export interface TriggerAlerts {
  /** It got no run, or has to be worked on by the function itself. */
  failed(failure: Problem): Promise<void>;
  /** It got its run. */
  worked(): Promise<void>;
}

export interface TriggerAlertsOptions {
  readonly channels: ChannelsConfig;
  readonly slot: Slot;
  /** Of the job among the jobs, from 0. */
  readonly place: number;
  readonly http: Http;
  readonly cache?: IncidentCache;
  /** Told of each notice that a channel did not take. */
  readonly onUndelivered: (error: Error) => void;
  readonly onCacheFailed: (error: unknown) => void;
}

export function createTriggerAlerts(options: TriggerAlertsOptions): TriggerAlerts {
  const { slot, place, http, onUndelivered, onCacheFailed } = options;
  const { cache = getCache({ namespace: 'revos-jobs' }) } = options;
  const { effects } = http;
  const channels = channelsOf(options.channels, null, http);

  /** What the cache answers, or null: one that fails knows nothing, and people are told all the same. */
  async function fromCache(ask: () => Promise<unknown>): Promise<unknown> {
    try {
      return await within(effects, CACHE_MS_MAX, ask(), () => {
        throw new Error(`the runtime cache did not answer within ${CACHE_MS_MAX} ms`);
      });
    } catch (error) {
      onCacheFailed(error);
      return null;
    }
  }
  const read = async () => ((await fromCache(() => cache.get(KEY))) ?? null) as TriggerIncidents | null;
  const write = (incidents: TriggerIncidents) => fromCache(() => cache.set(KEY, incidents, { ttl: KEPT_S }));

  /** Up to the first notice that the channel does not take: one that is away costs ten seconds. */
  async function tell(channel: Channel, incidents: TriggerIncidents): Promise<readonly Delivered[]> {
    const delivered: Delivered[] = [];
    for (const { event, alert } of untold(incidents, channel.name, effects.now())) {
      const delivery = await channel.tell({ event, alert });
      if (delivery.kind === 'failed') {
        onUndelivered(new Error(`${channel.name} did not take ${event} of ${alert.id}: ${delivery.error}`));
        break;
      }
      delivered.push({ id: alert.id, event, channel: channel.name });
    }
    return delivered;
  }

  async function keepAndTell(change: (known: TriggerIncidents) => TriggerIncidents): Promise<void> {
    await effects.sleep(place * STAGGER_MS);
    const known = (await read()) ?? [];
    const kept = change(known);
    // Before anybody is told: another function finds it meanwhile, and the next one if this is cut off.
    if (kept !== known) await write(kept);
    const delivered = (await Promise.all(channels.map((channel) => tell(channel, kept)))).flat();
    if (delivered.length === 0) return;
    // Telling took its time: the change is made again, on what others have written.
    await write(withDelivered(change((await read()) ?? kept), delivered));
  }

  return {
    failed(failure) {
      const now = effects.now();
      return keepAndTell((known) => afterFailure(known, slot, failure, now));
    },
    async worked() {
      const now = effects.now();
      const change = (known: TriggerIncidents) => afterSuccess(known, slot.job, now);
      const known = (await read()) ?? [];
      const isQuiet = channels.every(({ name }) => untold(known, name, now).length === 0);
      if (change(known) !== known || !isQuiet) await keepAndTell(change);
    },
  };
}
