/**
 * A read that many scrapes share: one at a time, its answer told again for a while, and none waited
 * for too long.
 */
import { type Effects, within } from '@revos/core/effects';

/** How long an answer is told again, in milliseconds: a burst of scrapes costs one read. */
export const READ_FRESH_MS = 5_000;

/** How long a scrape waits for a read, in milliseconds; Prometheus gives one 10 s. */
export const READ_MS_MAX = 2_000;

/** @param read answers whether it could; what it saw, it has kept. It does not throw. */
export function shareRead(effects: Effects, read: () => Promise<boolean>): () => Promise<boolean> {
  let underWay: Promise<boolean> | null = null;
  let latest: { readonly answer: boolean; readonly atMs: number } | null = null;

  const ask = (): Promise<boolean> => {
    underWay ??= read()
      .then((answer) => {
        latest = { answer, atMs: effects.monotonicMs() };
        return answer;
      })
      .finally(() => {
        underWay = null;
      });
    return underWay;
  };

  return async () => {
    if (latest !== null && effects.monotonicMs() < latest.atMs + READ_FRESH_MS) return latest.answer;
    return within(effects, READ_MS_MAX, ask(), () => false);
  };
}
