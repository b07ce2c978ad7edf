/**
 * Calls that Postgres ended so that others could go on: of two that waited for each other, or that
 * could not both be true, one is ended whole. Nothing of it was applied, so it is made again,
 * whatever it was.
 */
import { type Rpc, RpcError } from './rpc.ts';

/** A serialization failure, and a deadlock. */
const UNDONE = new Set(['40001', '40P01']);

/** What stood in its way has gone on by then; so often in a row is none of those. */
const TRIES_MAX = 5;

/** @param onRepeated told before each repeat */
export function withUndoneRepeated(rpc: Rpc, onRepeated: () => void = () => {}): Rpc {
  return {
    async call<Result>(name: string, args?: Readonly<Record<string, unknown>>): Promise<Result> {
      for (let tries = 1; ; tries += 1) {
        try {
          return await rpc.call<Result>(name, args);
        } catch (error) {
          if (tries === TRIES_MAX || !(error instanceof RpcError && UNDONE.has(error.code))) throw error;
          onRepeated();
        }
      }
    },
    close: () => rpc.close(),
  };
}
