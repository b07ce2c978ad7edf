/**
 * How far ahead of its permits a run claims: as much as ends while a claim is under way, and no more.
 *
 * A permit that becomes free during a claim would stay unused until the claim's answer. So as many
 * rows as that are claimed before their permits are free, and wait in memory. Each of them is one
 * more that a crash leaves unknown.
 */

/** Of the permits, what may wait at most. */
const SHARE_MAX = 1 / 5;

/** Of what was measured before, what the last claim changes. */
const WEIGHT = 1 / 4;

/**
 * Calls under way when a claim began, what it was asked for, what it gave, and how many calls ended
 * meanwhile.
 */
export interface ClaimSeen {
  readonly inFlight: number;
  readonly asked: number;
  readonly given: number;
  readonly ended: number;
}

export interface LookAhead {
  /**
   * How many rows to claim now; 0 if enough wait.
   *
   * @param inHand calls under way, and rows that wait
   */
  demand(inHand: number): number;
  /** Learns from a claim. */
  learn(claim: ClaimSeen): void;
}

/** @param permits calls at the same time, 1 or more; nothing is claimed ahead for fewer than five */
export function createLookAhead(permits: number): LookAhead {
  const aheadMax = Math.floor(permits * SHARE_MAX);
  /** Calls that end while a claim is under way: its latency times their rate. Null until it was measured. */
  let endedMean: number | null = null;
  /** The last claim gave less than it was asked for: what there is to claim, is claimed. */
  let isScarce = true;

  return {
    demand(inHand) {
      const free = permits - inHand;
      if (isScarce || endedMean === null) return Math.max(free, 0);
      // Twice as much, so that a claim is of several rows: it is made when half of them are left.
      const ahead = Math.min(Math.ceil(2 * endedMean), aheadMax);
      return -free > ahead / 2 ? 0 : free + ahead;
    },
    learn({ inFlight, asked, given, ended }) {
      isScarce = given < asked;
      // Where no call was under way, none could end.
      if (inFlight === 0) return;
      endedMean = endedMean === null ? ended : endedMean + WEIGHT * (ended - endedMean);
    },
  };
}
