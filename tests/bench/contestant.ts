/**
 * What takes part in a comparison: all send the same messages to the same stand-in, each in a
 * process of its own.
 */

export interface Order {
  /** Of the stand-in for Unipile. */
  readonly unipileUrl: string;
  /** Of a database with the messages in it; a plain queue, or this project's. */
  readonly databaseUrl: string;
  /** The REST API over that database, where it is asked for. */
  readonly rest: { readonly url: string; readonly secretKey: string } | null;
  readonly redisUrl: string | null;
  readonly messageCount: number;
  /** Calls to the stand-in at the same time. */
  readonly concurrency: number;
}

/** Sends every message, and resolves once each stands as sent in Postgres. This is what is timed. */
export type Race = () => Promise<void>;

/**
 * Connects, and enqueues where the queue is not the database's own table: none of that is timed.
 * Nothing is closed afterwards: the process is ended.
 */
export type Enter = (order: Order) => Promise<Race>;

export interface Message {
  readonly id: string;
  readonly account: string;
  readonly recipient: string;
  readonly text: string;
}

/** What the process of a contestant says of its run. */
export interface Result {
  readonly ms: number;
  /** Of the process itself, while it ran. */
  readonly cpuMs: number;
}
