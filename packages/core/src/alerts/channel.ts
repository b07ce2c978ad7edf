/** A channel: a way to tell people of an alert. A seam; what is configured has one. */
import type { Alert, AlertEvent, ChannelName } from './alert.ts';

export interface Notice {
  readonly event: AlertEvent;
  readonly alert: Omit<Alert, 'id' | 'code' | 'deliveries' | 'open_subjects'> & {
    readonly id: string;
    /** Of a finding, or `trigger_failed`. */
    readonly code: string;
  };
}

export type Delivery =
  | { readonly kind: 'delivered' }
  | {
      readonly kind: 'failed';
      /** A status, or the code of a socket; never what was answered. */
      readonly error: string;
      /** What the receiver asks for. */
      readonly retryAfterS: number | null;
    };

export interface Channel {
  readonly name: ChannelName;
  /** Takes ten seconds at most, and never throws. */
  tell(notice: Notice): Promise<Delivery>;
}
