/**
 * The resubmitter: what Redis lost, or was never told, it is told again. Every process may have one: a slice is in the
 * queue once, however often it is added.
 */
import type { Effects } from '../../../effects/index.ts';
import type { Logger } from '../../../telemetry/index.ts';
import { EngineUnavailable } from '../../engine.ts';
import type { BullmqEngine } from './engine.ts';

/** Between two looks, in milliseconds. */
const LOOK_MS = 10_000;

export interface ResubmitterOptions {
  readonly engine: Pick<BullmqEngine, 'resubmit'>;
  readonly effects: Effects;
  readonly logger: Logger;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Looks until `signal` aborts; resolves then, and never rejects. */
export async function runResubmitter({ engine, effects, logger, signal }: ResubmitterOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      await engine.resubmit();
    } catch (error) {
      // That Redis is away was said already.
      if (!(error instanceof EngineUnavailable)) logger.warn({ err: error }, 'runs could not be resubmitted');
    }
    await effects.sleep(LOOK_MS, signal);
  }
}
