/** `Retry-After`, as RFC 9110 has it: seconds, or a date. */

/** The three forms of an HTTP date begin with the day's name: `Date.parse` alone would take `1.5` for one. */
const DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /;

/** How long it asks to wait, in milliseconds; null if it says nothing. Of several the longest. */
export function retryAfterMsOf(header: string | string[] | undefined, now: Date): number | null {
  let longestMs: number | null = null;
  for (const value of typeof header === 'string' ? [header] : (header ?? [])) {
    const ms = msOf(value.trim(), now);
    if (ms !== null && ms > (longestMs ?? -1)) longestMs = ms;
  }
  return longestMs;
}

function msOf(value: string, now: Date): number | null {
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1_000, Number.MAX_SAFE_INTEGER);
  if (!DATE.test(value)) return null;
  // The oldest of the three names no zone, and is in UTC like the others.
  const at = Date.parse(/GMT$/.test(value) ? value : `${value} GMT`);
  return Number.isNaN(at) ? null : Math.max(at - now.getTime(), 0);
}
