/** Until when a handler begins something: a run has its horizon, and a process may have an end. */
import type { Effects } from '../effects/index.ts';
import type { RunContext } from './definition.ts';

/**
 * The last instant at which work may be begun that takes up to `neededMs` milliseconds: the run's horizon, or so long
 * before this process is ended. It may move during the run.
 */
export function workUntil(
  context: Pick<RunContext, 'horizonAt' | 'remainingMs'>,
  effects: Pick<Effects, 'now'>,
  neededMs: number,
): Date {
  const horizon = context.horizonAt();
  const remainingMs = context.remainingMs();
  if (remainingMs === Number.POSITIVE_INFINITY) return horizon;
  return new Date(Math.min(horizon.getTime(), effects.now().getTime() + remainingMs - neededMs));
}
