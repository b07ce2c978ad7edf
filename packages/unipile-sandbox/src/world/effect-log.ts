/**
 * The log of effects: what LinkedIn's users would have seen, in order, whatever the API's client was told.
 *
 * A ring: beyond its size the oldest entries go, and the log says how many.
 */

/** A file of an effect, named as reads name it. */
export interface EffectFile {
  readonly file_name: string;
  readonly mimetype: string;
  /** Bytes. */
  readonly file_size: number;
}

export interface Effect {
  /** Starts at 1, without gaps, and goes on across resets. */
  readonly seq: number;
  readonly kind: 'message' | 'post' | 'invitation';
  readonly account_id: string;
  /** LinkedIn id of the one person reached; null for a post or a group. */
  readonly recipient_id: string | null;
  readonly chat_id: string | null;
  readonly id: string;
  readonly text: string;
  /** In the order they were sent. */
  readonly attachments: readonly EffectFile[];
  /** ISO 8601 with milliseconds. */
  readonly at: string;
}

export interface EffectFilter {
  readonly account_id?: string | undefined;
  readonly kind?: Effect['kind'] | undefined;
  /** Only entries after this sequence number. */
  readonly since?: number | undefined;
}

export interface EffectLog {
  append(effect: Omit<Effect, 'seq'>): Effect;
  list(filter?: EffectFilter): readonly Effect[];
  /** Entries that fell out of the ring since the last clear. */
  readonly truncatedCount: number;
  clear(): void;
}

/** @param entriesMax at least 1 */
export function createEffectLog(entriesMax: number): EffectLog {
  let entries: Effect[] = [];
  let seq = 0;
  let truncatedCount = 0;
  return {
    append(effect) {
      const entry: Effect = { seq: ++seq, ...effect };
      entries.push(entry);
      if (entries.length > entriesMax) {
        entries.shift();
        truncatedCount += 1;
      }
      return entry;
    },
    list: (filter = {}) =>
      entries.filter(
        (entry) =>
          (filter.account_id === undefined || entry.account_id === filter.account_id) &&
          (filter.kind === undefined || entry.kind === filter.kind) &&
          (filter.since === undefined || entry.seq > filter.since),
      ),
    get truncatedCount() {
      return truncatedCount;
    },
    clear() {
      entries = [];
      truncatedCount = 0;
    },
  };
}
