export type { JobDefinition, JobHandler, JobServices, RunContext } from './definition.ts';
export type { Engine } from './engine.ts';
export { createInProcessEngine } from './engines/in-process.ts';
export { isEnded, Run, RunStats, RunStatus, RunTrigger } from './run.ts';
export {
  createRunStore,
  type RunFilter,
  type RunStore,
  type StartedRun,
  type StartOutcome,
} from './run-store.ts';
export { createRuns, type Runs, type StartRun } from './runs.ts';
export { currentSlot, isSchedule, isSlot, nextSlot } from './schedule.ts';
