/**
 * Why a request got no answer: `fetch failed` says nothing; its cause, or the cause's first one,
 * has the code.
 */
export function socketCodeOf(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; depth += 1) {
    if (at.name === 'TimeoutError') return 'TIMEOUT';
    if ('code' in at && typeof at.code === 'string') return at.code;
    at = at instanceof AggregateError ? (at.errors[0] as unknown) : at.cause;
  }
  return 'NO_ANSWER';
}
