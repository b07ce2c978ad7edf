/**
 * The permits of a run: calls that are under way, and what is claimed and waits for one of them to end.
 *
 * What waits goes out in the order in which it came, each as soon as a permit is free. What may not
 * be sent any more needs no permit: it is handed on at once, and given back.
 */

/** A row, and whether it may be sent: once that is false, it stays false. */
export interface Dispatch<Item> {
  readonly item: Item;
  readonly maySend: () => boolean;
}

export interface Permits<Item> {
  /** Calls at the same time, at most. */
  readonly size: number;
  /** Calls under way. */
  readonly inFlight: number;
  /** Claimed, and waiting for a permit. */
  readonly waiting: number;
  /** Calls that have ended since the beginning. */
  readonly ended: number;
  add(dispatch: Dispatch<Item>): void;
  /** Hands on what has a permit, and what may not be sent any more. */
  dispatch(): void;
  /** Resolves once nothing waits and nothing is under way. */
  drain(): Promise<void>;
}

/**
 * @param size calls at the same time, 1 or more
 * @param send makes the call if it still may, and gives the row back otherwise; it does not throw
 * @param onEnded told after each
 */
export function createPermits<Item>(
  size: number,
  send: (dispatch: Dispatch<Item>) => Promise<void>,
  onEnded: () => void,
): Permits<Item> {
  const inFlight = new Set<Promise<void>>();
  const waiting: Dispatch<Item>[] = [];
  let ended = 0;

  const begin = (next: Dispatch<Item>): void => {
    const sending = send(next).finally(() => {
      inFlight.delete(sending);
      ended += 1;
      dispatch();
      onEnded();
    });
    inFlight.add(sending);
  };

  const dispatch = (): void => {
    for (let next = waiting[0]; next && (inFlight.size < size || !next.maySend()); next = waiting[0]) {
      waiting.shift();
      begin(next);
    }
  };

  return {
    size,
    get inFlight() {
      return inFlight.size;
    },
    get waiting() {
      return waiting.length;
    },
    get ended() {
      return ended;
    },
    add(next) {
      waiting.push(next);
      dispatch();
    },
    dispatch,
    async drain() {
      dispatch();
      while (inFlight.size > 0) await Promise.all(inFlight);
    },
  };
}
