/**
 * Every API request seen, in a ring: the oldest go first, and the log says how many have gone.
 */

export interface RequestEntry {
  readonly seq: number;
  readonly method: string;
  /** With its query, cut at 500 characters. */
  readonly path: string;
  readonly at: string;
  account_id: string | null;
  /** The status answered; `reset` when the connection ended without a whole answer; null while under way. */
  status: number | 'reset' | null;
  /** Null while under way. */
  duration_ms: number | null;
}

const PATH_LENGTH_MAX = 500;

export interface RequestLog {
  /** Begins an entry; the result ends it. */
  begin(request: { method: string; path: string; at: Date }): {
    readonly entry: RequestEntry;
    end(status: number | 'reset'): void;
  };
  list(accountId?: string): readonly RequestEntry[];
  readonly truncatedCount: number;
  clear(): void;
}

/** @param entriesMax at least 1 */
export function createRequestLog(entriesMax: number): RequestLog {
  let entries: RequestEntry[] = [];
  let seq = 0;
  let truncatedCount = 0;
  return {
    begin({ method, path, at }) {
      const startedMs = performance.now();
      const entry: RequestEntry = {
        seq: ++seq,
        method,
        path: path.slice(0, PATH_LENGTH_MAX),
        at: at.toISOString(),
        account_id: null,
        status: null,
        duration_ms: null,
      };
      entries.push(entry);
      if (entries.length > entriesMax) {
        entries.shift();
        truncatedCount += 1;
      }
      return {
        entry,
        end(status) {
          if (entry.status !== null) return;
          entry.status = status;
          entry.duration_ms = Math.round((performance.now() - startedMs) * 10) / 10;
        },
      };
    },
    list: (accountId) =>
      accountId === undefined ? [...entries] : entries.filter((entry) => entry.account_id === accountId),
    get truncatedCount() {
      return truncatedCount;
    },
    clear() {
      entries = [];
      truncatedCount = 0;
    },
  };
}
