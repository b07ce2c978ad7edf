/**
 * A slot without the jobs API: this function works on its run itself, as far as it gets.
 *
 * What that needs is loaded only then, so that a route which asks the jobs API stays small.
 */
import type { JobDefinition } from '@revos/core/jobs';
import type { DirectRun } from '@revos/jobs-api/direct/run-slot';

/**
 * @param traceparent of the span that the run is traced under
 * @param remainingMs milliseconds until this function is cut off
 * @throws {EnvironmentError} naming what is missing
 * @throws {RpcError} if the database does not answer
 */
export async function runDirectly(
  job: JobDefinition,
  scheduledFor: Date,
  remainingMs: () => number,
  traceparent?: string,
): Promise<DirectRun> {
  const { runSlot } = await import('@revos/jobs-api/direct/run-slot');
  return runSlot({ job, scheduledFor, traceparent }, remainingMs);
}
