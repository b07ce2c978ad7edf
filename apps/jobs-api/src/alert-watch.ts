/** The watch over what people are to be told of, as the environment has it. */
import { type AlertWatch, beat, channelsOf, createAlertStore, createAlertWatch } from '@revos/core/alerts';
import type { PartsConfig } from './env.ts';
import type { Readiness } from './readiness.ts';
import type { Parts } from './services.ts';

export function openAlertWatch(
  { jobs, rpc, effects, logger, reports }: Pick<Parts, 'jobs' | 'rpc' | 'effects' | 'logger' | 'reports'>,
  { alerts, sentry, settings }: Pick<PartsConfig, 'alerts' | 'sentry' | 'settings'>,
  readiness: Readiness,
  notReadyLooks: 1 | 2 = 2,
): AlertWatch {
  const http = { effects, fetch };
  const { heartbeatUrl } = alerts;
  return createAlertWatch({
    ...{ rpc, jobs, notReadyLooks, effects, logger, reports },
    store: createAlertStore(rpc),
    channels: channelsOf(alerts, sentry === null ? null : reports, http),
    beat: heartbeatUrl === null ? null : () => beat(heartbeatUrl, http),
    postLateLimitMinutes: settings.postLateLimitMinutes,
    findReadinessFailure: async () => (await readiness()).failure,
  });
}
