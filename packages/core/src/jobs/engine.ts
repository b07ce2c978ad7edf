/** The engine port: where a run's work is done. Implementations stand in `engines/`. */
import { RpcError } from '../rpc/index.ts';
import type { Run } from './run.ts';

export interface Engine {
  /**
   * Takes over a queued run. It returns once the run is taken, not when it ends. Taken over twice, here
   * or elsewhere, it is worked on once.
   *
   * @param traceparent of the span that its slices are children of
   * @throws {RangeError} if there is no such job
   * @throws {EngineUnavailable} if it cannot be taken now
   */
  submit(run: Run, traceparent?: string): Promise<void>;
  /** Asks a run that is being worked on here to stop; a no-op for any other. */
  cancel(id: string): void;
  /** The run as it stands here, fresher than the database; null if it is not worked on here. */
  snapshot(id: string): Run | null;
  /** Calls `listener` after each change of a run that is worked on here; returns the way to stop that. */
  onChange(listener: (run: Run) => void): () => void;
  /**
   * Takes no more runs, asks those under way to stop, and waits for their end: what is in flight is
   * finished, what was claimed and not sent is released, and the runs are marked `interrupted`.
   *
   * @param graceMs how long to wait, in milliseconds; what has not ended by then is marked, and its
   *   attempts are left to their leases
   * May be called again, for runs that were submitted meanwhile.
   *
   * @returns whether every run ended in time
   */
  close(graceMs: number): Promise<boolean>;
}

/** The engine cannot take a run now. It stays queued, and is taken up later by itself. */
export class EngineUnavailable extends Error {
  override readonly name = 'EngineUnavailable';
}

/**
 * Whether what was thrown only says that the database or the queue is away: it is tried again, and
 * no fault of ours.
 */
export function isOutage(thrown: unknown): boolean {
  return thrown instanceof EngineUnavailable || (thrown instanceof RpcError && thrown.kind === 'unavailable');
}
