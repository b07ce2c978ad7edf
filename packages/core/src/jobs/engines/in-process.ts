/**
 * The in-process engine: runs are worked on where they were triggered, a few at a time, each as one
 * slice.
 */
import type { JobDefinition, JobServices } from '../definition.ts';
import type { Engine } from '../engine.ts';
import type { RunStore } from '../run-store.ts';
import { createSliceRunner, type SliceRunner, type SliceRunnerOptions } from '../slice-runner.ts';

/** Runs at once. Each job has at most one active run, so this only bounds what cannot happen. */
const RUNS_MAX = 16;

export type InProcessEngine = Engine & Pick<SliceRunner, 'idle'>;

export function createInProcessEngine(
  jobs: readonly JobDefinition[],
  store: RunStore,
  services: JobServices,
  options: Pick<SliceRunnerOptions, 'untilEnd'> = {},
): InProcessEngine {
  const runner = createSliceRunner({
    ...{ jobs, store, services, ...options },
    slicesMax: RUNS_MAX,
    afterShutdown: 'interrupted',
  });
  return {
    ...runner,
    async submit(run, traceparent) {
      void runner.take(run, 0, traceparent);
    },
  };
}
