/**
 * Whether to ask again, and when. Pure: the draw and the clock are arguments.
 *
 * A trigger may be repeated after any failure, since its slot makes one run. What is not worth
 * repeating is an answer that would be the same again.
 */

/** The service is asleep, restarting or busy. Every other status is an answer. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const BACKOFF_MS_MIN = 1_000;
const BACKOFF_MS_MAX = 8_000;

export function isRetryable(status: number): boolean {
  return RETRYABLE_STATUSES.has(status);
}

/**
 * The wait before the next try, in milliseconds: between half and the whole of a step that doubles,
 * and never less than what the service asked for.
 *
 * @param attempt the number of tries so far, from 1
 * @param askedMs what `Retry-After` asks for, or null
 * @param draw uniform in [0, 1)
 */
export function retryWaitMs(attempt: number, askedMs: number | null, draw: number): number {
  const step = Math.min(BACKOFF_MS_MIN * 2 ** (attempt - 1), BACKOFF_MS_MAX);
  return Math.max(Math.round(step / 2 + (step / 2) * draw), askedMs ?? 0);
}

/** What `Retry-After` asks for, in milliseconds: it is in seconds, or a date. Null if it says nothing. */
export function retryAfterMs(header: string | null, now: Date): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(at - now.getTime(), 0);
}
