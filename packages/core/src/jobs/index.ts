export { withCheckIns } from './check-ins.ts';
export type { JobDefinition, JobHandler, JobServices, JobSettings, RunContext } from './definition.ts';
export { type Engine, EngineUnavailable, isOutage } from './engine.ts';
export { createInProcessEngine, type InProcessEngine } from './engines/in-process.ts';
export {
  isEnded,
  RUN_DAYS_MAX,
  Run,
  RunParams,
  RunPriority,
  RunStats,
  RunStatus,
  RunTrigger,
  runFacts,
  workedMs,
} from './run.ts';
export { GIVEN_UP, lastEnd, missedSlot, silentMs } from './run-health.ts';
export {
  createRunStore,
  type OpenRun,
  type RunFilter,
  type RunPage,
  type RunRequest,
  type RunStore,
  type SliceState,
  type SliceStatus,
  type StartedRun,
  type StartOutcome,
} from './run-store.ts';
export { createRuns, type Runs, type StartRun } from './runs.ts';
export { currentSlot, isSchedule, isSlot, nextSlot } from './schedule.ts';
export { workUntil } from './work-until.ts';
