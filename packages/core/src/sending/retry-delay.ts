/**
 * When to try again. Pure: the random draw is an argument.
 *
 * The pace of messages is not decided here but in `dm_claim`, where two workers can race.
 */

/** The first retry waits up to a minute, each further one up to twice as long, none over an hour. */
const BASE_MS = 60_000;
const MAX_MS = 3_600_000;

/**
 * The wait before the next try in milliseconds: exponential with full jitter.
 *
 * @param burned attempts burned before this one, 0 for the first
 * @param draw uniform in [0, 1)
 */
export function retryDelayMs(burned: number, draw: number): number {
  if (!(draw >= 0 && draw < 1)) throw new RangeError(`draw must be in [0, 1), got ${draw}`);
  if (!Number.isInteger(burned) || burned < 0)
    throw new RangeError(`burned must be 0 or more, got ${burned}`);
  return Math.floor(Math.min(BASE_MS * 2 ** burned, MAX_MS) * draw);
}
