/** Unipile v1: the port's calls, over one exchange. */
import { type Effects, realEffects, withTimeout } from '../../effects/index.ts';
import type { Unipile } from '../unipile.ts';
import { createExchange, openSockets, type Transport } from './exchange.ts';
import { findMessage, sendMessage } from './messages.ts';
import { createPost, findPost, readPost } from './posts.ts';

export interface UnipileV1Options {
  /** Host and port as Unipile shows them, with or without a scheme: `api1.unipile.com:13211`. */
  readonly dsn: string;
  readonly apiKey: string;
  /** How long sending a message may take, in milliseconds. Default 60 s, half of an attempt's lease. */
  readonly timeoutMs?: number;
  /** How long publishing a post may take, in milliseconds. Default 120 s: its files are uploaded. */
  readonly postTimeoutMs?: number;
  /** How long one read may take, in milliseconds. Default 20 s. */
  readonly readTimeoutMs?: number;
  /** How long all reads of one search may take, in milliseconds. Default 50 s, within the lease of a look. */
  readonly searchTimeoutMs?: number;
  /**
   * Whose timers end a call, and whose clock a `Retry-After` with a date is measured by. Default:
   * the process's own.
   */
  readonly effects?: Pick<Effects, 'now' | 'sleep'>;
  /** Told before each read that is asked once more. */
  readonly onReadRepeated?: (() => void) | undefined;
  /** Default: sockets of its own. */
  readonly transport?: Transport;
}

/** @throws {TypeError} if the DSN is none */
export function createUnipileV1(options: UnipileV1Options): Unipile {
  const {
    timeoutMs = 60_000,
    postTimeoutMs = 120_000,
    readTimeoutMs = 20_000,
    searchTimeoutMs = 50_000,
    effects = realEffects,
    transport = openSockets(),
  } = options;
  const { dsn, apiKey, onReadRepeated } = options;
  const exchange = createExchange({ dsn, apiKey, readTimeoutMs, effects, transport, onReadRepeated });
  const search = <Found>(look: (searchSignal: AbortSignal) => Promise<Found>): Promise<Found> =>
    withTimeout(effects, searchTimeoutMs, look);
  return {
    sendMessage: (message) => sendMessage(exchange, message, timeoutMs),
    createPost: (post) => createPost(exchange, post, postTimeoutMs),
    findMessage: (sought) => search((searchSignal) => findMessage(exchange, sought, searchSignal)),
    findPost: (sought) => search((searchSignal) => findPost(exchange, sought, searchSignal)),
    readPost: (sought) => search((searchSignal) => readPost(exchange, sought, searchSignal)),
    close: () => exchange.close(),
  };
}
