/** The in-process engine: runs are worked on where they were triggered, a few at a time, each as one slice. */
import type { JobDefinition, JobServices } from '../definition.ts';
import type { Engine } from '../engine.ts';
import type { RunStore } from '../run-store.ts';
import { createSliceRunner } from '../slice-runner.ts';

/** Runs at once. Each job has at most one active run, so this only bounds what cannot happen. */
const RUNS_MAX = 16;

export function createInProcessEngine(
  jobs: readonly JobDefinition[],
  store: RunStore,
  services: JobServices,
): Engine {
  const runner = createSliceRunner({
    ...{ jobs, store, services },
    slicesMax: RUNS_MAX,
    afterShutdown: 'interrupted',
  });
  return {
    ...runner,
    async submit(run) {
      void runner.take(run, 0);
    },
  };
}
