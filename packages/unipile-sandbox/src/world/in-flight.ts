/**
 * How many writes of each account are under way at once, and how many ever were: the proof of one
 * at a time.
 */

export interface Concurrency {
  readonly account_id: string;
  readonly current: number;
  readonly max: number;
}

export interface InFlight {
  /** Counts a write of the account in. Call the result once it is over; more calls do nothing. */
  enter(accountId: string): () => void;
  list(): Concurrency[];
  /** Forgets everything, also what is under way. */
  clear(): void;
}

export function createInFlight(): InFlight {
  let counts = new Map<string, { current: number; max: number }>();
  return {
    enter(accountId) {
      const count = counts.get(accountId) ?? { current: 0, max: 0 };
      counts.set(accountId, count);
      count.current += 1;
      count.max = Math.max(count.max, count.current);
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        count.current -= 1;
      };
    },
    list: () => [...counts].map(([account_id, { current, max }]) => ({ account_id, current, max })),
    clear() {
      counts = new Map();
    },
  };
}
