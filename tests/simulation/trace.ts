/** The trace of a simulation: its events, counted by kind; the last of them; and a hash of all. */
import { createHash } from 'node:crypto';

/**
 * @param event a kind of event, which is counted
 * @param detail whom it concerned, and how it went
 */
export type RecordEvent = (event: string, detail?: string) => void;

export interface Trace {
  readonly record: RecordEvent;
  readonly counts: Readonly<Record<string, number>>;
  /** The last events, in order. */
  lastLines(): readonly string[];
  /** Two simulations with the same hash are the same, to the millisecond. */
  hash(): string;
}

const LINES_KEPT = 120;

export function createTrace(now: () => Date): Trace {
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  const lines: string[] = [];
  return {
    counts,
    record(event, detail = '') {
      counts[event] = (counts[event] ?? 0) + 1;
      const line = `${now().toISOString()} ${event} ${detail}`;
      hash.update(line);
      if (lines.push(line) > LINES_KEPT * 2) lines.splice(0, LINES_KEPT);
    },
    lastLines: () => lines.slice(-LINES_KEPT),
    hash: () => hash.copy().digest('hex').slice(0, 16),
  };
}
