/**
 * Alerts of the cron route itself: that triggers come to nothing, and that they come to runs again.
 *
 * Whoever else would say so is the jobs API, which cannot be reached. There is no database here either: what was told stands
 * in Vercel's runtime cache, which the functions of a region share; elsewhere in the process. If it forgets, it is told again.
 */
import { type Channel, channelsOf, type Http, type Notice } from '@revos/core/alerts';
import type { ChannelsConfig } from '@revos/core/alerts/variables';
import { getCache } from '@vercel/functions';
import type { Problem } from '../http/problem.ts';

/** What is told, and kept until its end is told. */
interface Incident {
  readonly alert: Notice['alert'];
  /** Channels that were told of its beginning. */
  readonly told: readonly string[];
}

export interface IncidentCache {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown, options: { ttl: number }): Promise<void>;
  delete(key: string): Promise<void>;
}

const KEY = 'trigger_failed';

/** In seconds. An outage that lasts longer is told once more. */
const KEPT_S = 7 * 24 * 3_600;

/** Jobs with the same slot fail at the same time: each looks a moment after the one before, in milliseconds. */
const STAGGER_MS = 2_000;

export interface TriggerAlerts {
  /** A slot got no run, or had to be worked on by the function itself. */
  failed(failure: Problem): Promise<void>;
  /** A slot got its run. */
  worked(): Promise<void>;
}

/** @param place of the job among the jobs, from 0 */
export function createTriggerAlerts(
  { webhook, slackUrl }: ChannelsConfig,
  place: number,
  http: Http,
  cache: IncidentCache = getCache({ namespace: 'revos-jobs' }),
): TriggerAlerts {
  const channels = channelsOf({ webhook, slackUrl }, null, http);
  const read = async (): Promise<Incident | null> => ((await cache.get(KEY)) as Incident | undefined) ?? null;
  const staggered = async (): Promise<Incident | null> => {
    await http.effects.sleep(place * STAGGER_MS);
    return read();
  };

  return {
    async failed(failure) {
      const known = await staggered();
      const waiting = channels.filter(({ name }) => known?.told.includes(name) !== true);
      if (waiting.length === 0) return;
      const alert = known?.alert ?? alertOf(failure, http.effects.now());
      const told = await tell(waiting, { event: 'opened', alert });
      await cache.set(KEY, { alert, told: [...(known?.told ?? []), ...told] }, { ttl: KEPT_S });
    },
    async worked() {
      if ((await read()) === null) return;
      const known = await staggered();
      if (known === null) return;
      await cache.delete(KEY);
      const alert = { ...known.alert, ended_at: http.effects.now().toISOString() };
      await tell(
        channels.filter(({ name }) => known.told.includes(name)),
        { event: 'ended', alert },
      );
    },
  };
}

/** The names of those that took it. */
async function tell(channels: readonly Channel[], notice: Notice): Promise<readonly string[]> {
  const told = await Promise.all(
    channels.map(async (channel) =>
      (await channel.tell(notice)).kind === 'delivered' ? [channel.name] : [],
    ),
  );
  return told.flat();
}

function alertOf({ title, detail }: Problem, now: Date): Notice['alert'] {
  return {
    ...{ id: `trigger-failed:${now.toISOString()}`, code: 'trigger_failed', state: 'stopped' },
    ...{ subjects: ['system'], sentence: `${title}.`, why: detail },
    what_to_do: 'See whether the jobs API is up and answers /ready, and what the log of the cron route says.',
    ...{ since: now.toISOString(), opened_at: now.toISOString(), ended_at: null },
  };
}
