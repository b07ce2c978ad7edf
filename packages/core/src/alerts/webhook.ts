/** Alerts to any program, signed as Standard Webhooks has it. */
import { signedHeaders } from '../signing/index.ts';
import type { Channel } from './channel.ts';
import { type Http, send } from './send.ts';
import type { ChannelsConfig } from './variables.ts';

type WebhookConfig = NonNullable<ChannelsConfig['webhook']>;

export function webhookChannel({ url, secrets }: WebhookConfig, http: Http): Channel {
  return {
    name: 'webhook',
    tell({ event, alert }) {
      const now = http.effects.now();
      const body = JSON.stringify({ type: `alert.${event}`, timestamp: now.toISOString(), data: alert });
      // The same for every try: a receiver that has it already says so and does nothing.
      const headers = { ...signedHeaders(`${alert.id}:${event}`, body, secrets, now) };
      return send(url, { method: 'POST', headers, body }, http);
    },
  };
}
