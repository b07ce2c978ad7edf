/** Jobs that behave as told: the handlers are real, and end when the test says so. */
import type { JobDefinition, RunContext, RunStats } from '@revos/core/jobs';

/** Every quarter of an hour, as most jobs are. */
export const QUARTER_HOURLY = '*/15 * * * *';

export interface GatedJob {
  readonly definition: JobDefinition;
  /** Resolves once the handler works on a run. */
  nextStart(): Promise<RunContext>;
  /** Lets the handler end. */
  open(): void;
}

/** A job whose handler works until the gate is opened or its run is asked to stop. */
export function gatedJob(name: string, schedule = QUARTER_HOURLY): GatedJob {
  const gate = Promise.withResolvers<void>();
  const starts: RunContext[] = [];
  let waiting: ((context: RunContext) => void)[] = [];

  const handler = async (context: RunContext): Promise<RunStats> => {
    const [first, ...rest] = waiting;
    waiting = rest;
    if (first) first(context);
    else starts.push(context);
    const stopped = Promise.withResolvers<void>();
    context.signal.addEventListener('abort', () => stopped.resolve());
    if (context.signal.aborted) stopped.resolve();
    context.report({ seen: 3, sent: 1 });
    await Promise.race([gate.promise, stopped.promise]);
    return { seen: 3, sent: context.signal.aborted ? 1 : 3 };
  };

  return {
    definition: { name, summary: 'Works until the gate opens.', schedule, loadHandler: async () => handler },
    nextStart: () => {
      const started = starts.shift();
      if (started) return Promise.resolve(started);
      return new Promise((resolve) => waiting.push(resolve));
    },
    open: () => gate.resolve(),
  };
}

/** A job that is done at once. */
export function quickJob(name: string, schedule = QUARTER_HOURLY): JobDefinition {
  return {
    name,
    summary: 'Is done at once.',
    schedule,
    loadHandler: async () => async () => ({ seen: 1, sent: 1 }),
  };
}

/** A job whose every run fails. */
export function failingJob(name: string): JobDefinition {
  return {
    name,
    summary: 'Fails.',
    schedule: QUARTER_HOURLY,
    loadHandler: async () => async () => {
      throw new Error('it fails');
    },
  };
}
