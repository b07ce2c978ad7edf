/**
 * Events waiting to be told to webhooks.
 *
 * The world has no timers: it only says which events are due and when the next one will be. An
 * account's message is due once the store shows it, so nothing is told while the account is not
 * OK, and what piled up comes in a burst when it is back.
 */
import type { Message } from './model.ts';

/** `message` of an `AccountStatus` event. */
export type StatusMessage =
  | 'OK'
  | 'CREDENTIALS'
  | 'STOPPED'
  | 'ERROR'
  | 'PERMISSIONS'
  | 'CONNECTING'
  | 'CREATION_SUCCESS'
  | 'RECONNECTED'
  | 'DELETED';

export type WorldEvent =
  | { readonly kind: 'account_status'; readonly accountId: string; readonly message: StatusMessage }
  | { readonly kind: 'message_received'; readonly accountId: string; readonly message: Message };

export interface EventQueue {
  push(event: WorldEvent): void;
  /** Says that something changed which may have made events due. */
  wake(): void;
  /** Removes and returns what is due: status changes first, then messages in their order. */
  takeDue(isVisible: (message: Message) => boolean): WorldEvent[];
  pendingMessages(): readonly Message[];
  /** Calls `listener` after every push and wake. Returns its own undoing. */
  subscribe(listener: () => void): () => void;
  /** Events dropped because nobody took them. */
  readonly droppedCount: number;
  clear(): void;
}

/** @param pendingMax beyond it the oldest event is dropped and counted */
export function createEventQueue(pendingMax: number): EventQueue {
  let pending: WorldEvent[] = [];
  let droppedCount = 0;
  const listeners = new Set<() => void>();
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  return {
    push(event) {
      pending.push(event);
      if (pending.length > pendingMax) {
        pending.shift();
        droppedCount += 1;
      }
      wake();
    },
    wake,
    takeDue(isVisible) {
      const statuses: WorldEvent[] = [];
      const messages: WorldEvent[] = [];
      const rest: WorldEvent[] = [];
      for (const event of pending) {
        if (event.kind === 'account_status') statuses.push(event);
        else if (isVisible(event.message)) messages.push(event);
        else rest.push(event);
      }
      pending = rest;
      return [...statuses, ...messages];
    },
    pendingMessages: () =>
      pending.flatMap((event) => (event.kind === 'message_received' ? [event.message] : [])),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get droppedCount() {
      return droppedCount;
    },
    clear() {
      pending = [];
      droppedCount = 0;
    },
  };
}
