/** Unipile v1: the port's calls, over one exchange. */
import type { Unipile } from '../unipile.ts';
import { createExchange } from './exchange.ts';
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
  /** How long all reads of one search may take, in milliseconds. Default 50 s, within a read-back's lease. */
  readonly searchTimeoutMs?: number;
}

/** @throws {TypeError} if the DSN is none */
export function createUnipileV1(options: UnipileV1Options): Unipile {
  const {
    timeoutMs = 60_000,
    postTimeoutMs = 120_000,
    readTimeoutMs = 20_000,
    searchTimeoutMs = 50_000,
  } = options;
  const exchange = createExchange(options.dsn, options.apiKey, readTimeoutMs);
  const search = () => AbortSignal.timeout(searchTimeoutMs);
  return {
    sendMessage: (message) => sendMessage(exchange, message, timeoutMs),
    createPost: (post) => createPost(exchange, post, postTimeoutMs),
    findMessage: (sought) => findMessage(exchange, sought, search()),
    findPost: (sought) => findPost(exchange, sought, search()),
    readPost: (sought) => readPost(exchange, sought, search()),
    close: () => exchange.close(),
  };
}
