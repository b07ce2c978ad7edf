/** The channels that are configured, and the sign of life. */
import type { Reports } from '../telemetry/index.ts';
import type { Channel } from './channel.ts';
import { type Http, send } from './send.ts';
import { sentryChannel } from './sentry.ts';
import { slackChannel } from './slack.ts';
import type { ChannelsConfig } from './variables.ts';
import { webhookChannel } from './webhook.ts';

export interface AlertsConfig extends ChannelsConfig {
  /** Asked for after each look that succeeded: whoever waits for it notices when it stops. */
  readonly heartbeatUrl: string | null;
}

/** @param reports null where nobody is told of errors */
export function channelsOf(
  { webhook, slackUrl }: ChannelsConfig,
  reports: Pick<Reports, 'alert'> | null,
  http: Http,
): readonly Channel[] {
  return [
    ...(webhook === null ? [] : [webhookChannel(webhook, http)]),
    ...(slackUrl === null ? [] : [slackChannel(slackUrl, http)]),
    ...(reports === null ? [] : [sentryChannel(reports)]),
  ];
}

/** Says that this system watches; why it could not, or null. */
export async function beat(url: string, http: Http): Promise<string | null> {
  const delivery = await send(url, { method: 'GET' }, http);
  return delivery.kind === 'failed' ? delivery.error : null;
}
