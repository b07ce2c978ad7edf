/** What every rule of the world works with. Made once by `createWorld`. */
import type { Ids } from '../ids.ts';
import type { EffectLog } from './effect-log.ts';
import type { EventQueue } from './events.ts';
import type { Store } from './model.ts';

export interface Context {
  readonly now: () => Date;
  readonly ids: Ids;
  readonly store: Store;
  readonly effects: EffectLog;
  readonly events: EventQueue;
  /** How long after it happened the store shows a message or a post, in ms. */
  readonly visibilityDelayMs: number;
  /** Whether posts show LinkedIn's short links where long ones were. */
  readonly isShorteningLinks: boolean;
  /** Chats, messages, posts and invitations the store holds before it refuses writes. */
  readonly storedMax: number;
}

/** What a write or a read gives when no fault touches it. */
export interface Outcome {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** How one write is carried out. */
export interface Circumstances {
  /** How long reads do not show this effect, in ms. */
  readonly visibilityDelayMs: number;
}
