/**
 * The resubmitter: what Redis lost, or was never told, it is told again. Every process may have
 * one: a slice is in the queue once, however often it is added.
 */
import type { Effects } from '../../../effects/index.ts';
import type { Logger, Reports } from '../../../telemetry/index.ts';
import { EngineUnavailable, isOutage } from '../../engine.ts';
import type { BullmqEngine } from './engine.ts';

/** Between two looks, in milliseconds. */
const LOOK_MS = 10_000;

export interface ResubmitterOptions {
  readonly engine: Pick<BullmqEngine, 'resubmit'>;
  readonly effects: Effects;
  readonly logger: Logger;
  readonly reports?: Reports | undefined;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Looks until `signal` aborts; resolves then, and never rejects. */
export async function runResubmitter(options: ResubmitterOptions): Promise<void> {
  const { engine, effects, logger, reports, signal } = options;
  while (!signal.aborted) {
    try {
      await engine.resubmit();
    } catch (error) {
      // That Redis is away was said already.
      if (!(error instanceof EngineUnavailable)) logger.warn({ err: error }, 'runs could not be resubmitted');
      if (!isOutage(error)) reports?.error(error);
    }
    await effects.sleep(LOOK_MS, signal);
  }
}
