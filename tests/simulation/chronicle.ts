/** The chronicle: everything that happened, counted by its kind; the last of it in words, and a hash of all. */
import { createHash } from 'node:crypto';

/** @param what a kind of event, which is counted; @param detail whom it happened to, and how it went */
export type Tell = (what: string, detail?: string) => void;

export interface Chronicle {
  readonly tell: Tell;
  readonly counts: Readonly<Record<string, number>>;
  /** The last things that happened, in order. */
  lastLines(): readonly string[];
  /** Two stories with the same hash are the same, to the millisecond. */
  hash(): string;
}

const LINES_KEPT = 120;

export function createChronicle(now: () => Date): Chronicle {
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  const lines: string[] = [];
  return {
    counts,
    tell(what, detail = '') {
      counts[what] = (counts[what] ?? 0) + 1;
      const line = `${now().toISOString()} ${what} ${detail}`;
      hash.update(line);
      if (lines.push(line) > LINES_KEPT * 2) lines.splice(0, LINES_KEPT);
    },
    lastLines: () => lines.slice(-LINES_KEPT),
    hash: () => hash.copy().digest('hex').slice(0, 16),
  };
}
