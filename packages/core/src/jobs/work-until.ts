/** Until when a handler begins something: a run has its horizon, and a process may have an end. */
import type { Effects } from '../effects/index.ts';
import type { RunContext } from './definition.ts';

/**
 * The last instant at which work may be begun that takes up to `neededMs` milliseconds: the run's
 * horizon, or so long before this process is ended. It may move during the run.
 */
export function workUntil(
  context: Pick<RunContext, 'horizonAt' | 'remainingMs'>,
  effects: Pick<Effects, 'now'>,
  neededMs: number,
): Date {
  const endMs = effects.now().getTime() + context.remainingMs();
  return new Date(Math.min(context.horizonAt().getTime(), endMs - neededMs));
}
