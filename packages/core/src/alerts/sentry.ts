/** Alerts to Sentry, by their names alone. It is told as of errors: what it does not take is dropped. */
import type { Reports } from '../telemetry/index.ts';
import type { Channel } from './channel.ts';

export function sentryChannel(reports: Pick<Reports, 'alert'>): Channel {
  return {
    name: 'sentry',
    async tell({ event, alert: { code } }) {
      reports.alert({ code, event });
      return { kind: 'delivered' };
    },
  };
}
