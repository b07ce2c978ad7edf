/**
 * The sandbox's world, with its writes counted more strictly than it does itself: a write is under
 * way until the sandbox has done with it, also after its caller has died and its connection is
 * closed.
 */
import type { Exchange, World } from '@revos/unipile-sandbox';

export interface InstrumentedSandbox {
  readonly world: World;
  /** Writes under way now, of all accounts. */
  underWay(): number;
  /** The most there ever were, of all accounts. */
  underWayMax(): number;
  /** The most that an account ever had at once, by account. */
  maxByAccount(): ReadonlyMap<string, number>;
  /**
   * When the last write of an account was begun, in milliseconds since 1970; minus infinity before
   * the first.
   */
  lastBegunMs(account: string): number;
}

export function instrument(world: World): InstrumentedSandbox {
  const current = new Map<string, number>();
  const most = new Map<string, number>();
  const begunMs = new Map<string, number>();
  let total = 0;
  let totalMax = 0;

  const watched = (exchange: Exchange): Exchange => {
    const id = exchange.accountId ?? '';
    const count = (current.get(id) ?? 0) + 1;
    current.set(id, count);
    begunMs.set(id, Date.now());
    most.set(id, Math.max(most.get(id) ?? 0, count));
    total += 1;
    totalMax = Math.max(totalMax, total);
    let isOver = false;
    return {
      ...exchange,
      finish() {
        if (!isOver) {
          isOver = true;
          total -= 1;
          current.set(id, (current.get(id) ?? 1) - 1);
        }
        return exchange.finish();
      },
    };
  };

  return {
    world: {
      ...world,
      startChat: (request) => watched(world.startChat(request)),
      sendMessage: (request) => watched(world.sendMessage(request)),
      createPost: (request) => watched(world.createPost(request)),
    },
    underWay: () => total,
    underWayMax: () => totalMax,
    maxByAccount: () => most,
    lastBegunMs: (account) => begunMs.get(account) ?? Number.NEGATIVE_INFINITY,
  };
}
