/** The alerts in the database: SQL functions, typed. Nothing here decides anything. */

// Not the index: a function that only tells needs no client of the database.
import type { Rpc } from '../rpc/rpc.ts';
import { LIMIT_DEFAULT, type PageOf, type Paging } from '../shapes/index.ts';
import type { Alert, AlertEvent, AlertFilter, ChannelName } from './alert.ts';
import type { Delivery } from './channel.ts';
import type { Observation } from './conditions.ts';

/** Something that is this process's to tell, for a minute. */
export interface ClaimedDelivery {
  readonly event: AlertEvent;
  readonly channel: ChannelName;
  /** From 1. */
  readonly attempt: number;
  /** It was claimed twelve times, and nobody said what became of it: it is told no more. */
  readonly is_given_up: boolean;
  readonly alert: Alert;
}

export interface AlertStore {
  /** Keeps what was found, and answers what begins or ends with it. */
  observe(
    observation: Observation,
  ): Promise<{ readonly opened: readonly Alert[]; readonly ended: readonly Alert[] }>;
  /** What is to be told now through `channels`, up to 20, whoever has observed it. */
  claim(channels: readonly ChannelName[]): Promise<readonly ClaimedDelivery[]>;
  record(
    claimed: ClaimedDelivery,
    delivery: Delivery,
  ): Promise<{ readonly status: 'delivered' | 'waiting' | 'given_up' }>;
  /** The latest first. */
  list(request: AlertFilter & Paging): Promise<PageOf<Alert>>;
}

export function createAlertStore(rpc: Rpc): AlertStore {
  return {
    observe: (observation) => rpc.call('alerts_observe', { ...observation }),
    claim: (channels) => rpc.call('alerts_claim', { channels }),
    record: ({ alert, event, channel, attempt }, delivery) =>
      rpc.call('alerts_record', {
        ...{ incident_id: alert.id, event, channel, attempt },
        ...(delivery.kind === 'failed'
          ? { error: delivery.error, retry_after_s: delivery.retryAfterS }
          : { error: null }),
      }),
    list: ({ limit = LIMIT_DEFAULT, cursor, ...filter }) =>
      rpc.call('alert_list', { filter, limit, after: cursor ?? null }),
  };
}
