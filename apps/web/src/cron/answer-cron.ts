/**
 * A cron request, from the call to its answer: who may ask, for which slot, and what came of it.
 *
 * It never runs open: without a secret of its own it refuses, whoever asks.
 */
import { EnvironmentError } from '@revos/core/config';
import { countdown } from '@revos/core/effects';
import { currentSlot, type JobDefinition } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { bearerTokenOf, isSameSecret } from '@revos/core/signing';
import { inSpan, messageOf, type Span, type Traces } from '@revos/core/telemetry';
import type { CronEnv } from '../env.ts';
import type { HttpDependencies } from '../http/exchange.ts';
import { type Problem, problemResponse } from '../http/problem.ts';
import type { runDirectly } from './run-directly.ts';
import type { TriggerAlerts, TriggerAlertsOptions } from './trigger-alerts.ts';
import { type TriggerResult, triggerRun } from './trigger-run.ts';

/**
 * How long this function has, in milliseconds, less what its own end takes. `maxDuration` of the
 * route is above it.
 */
const FUNCTION_MS = 295_000;

export interface CronRequest {
  readonly job: string;
  readonly authorization: string | null;
}

export interface CronDependencies extends HttpDependencies {
  /** @throws {EnvironmentError} */
  readonly readEnv: () => CronEnv;
  readonly runDirectly: typeof runDirectly;
  /** Asked for once it is known who calls. @throws {EnvironmentError} */
  readonly openTraces: () => Promise<Traces>;
  /** Told about each trigger that made no run, and each run that failed here. */
  readonly onFailure: (failure: Problem) => void;
  /** Who tells people that slots get no run, and that they do again. */
  readonly openAlerts: (
    options: Pick<TriggerAlertsOptions, 'channels' | 'slot' | 'place' | 'onUndelivered'>,
  ) => Promise<TriggerAlerts>;
  /** Told why people could not be told. */
  readonly onAlertsFailed: (error: unknown) => void;
  /** Told why a slot is worked on here although there is a jobs API. */
  readonly onFallback: (cause: Problem) => void;
}

export async function answerCron(request: CronRequest, dependencies: CronDependencies): Promise<Response> {
  const { readEnv, onFailure, effects } = dependencies;
  const remainingMs = countdown(effects, FUNCTION_MS);
  const env = configured(readEnv);
  if (env instanceof EnvironmentError) {
    const failure = notConfigured(env);
    onFailure(failure);
    return problemResponse(failure);
  }
  if (!isSameSecret(bearerTokenOf(request.authorization ?? '') ?? '', env.CRON_SECRET)) {
    return problemResponse(UNAUTHORIZED, { 'www-authenticate': 'Bearer' });
  }
  const jobs = jobsWithSchedules(env.JOB_SCHEDULES);
  const job = jobs.find(({ name }) => name === request.job);
  if (job === undefined) return problemResponse(UNKNOWN_JOB);
  const scheduledFor = currentSlot(job.schedule, effects.now());
  if (scheduledFor === null) return problemResponse(NO_SLOT);

  const tell = (result: Started | Problem): Promise<void> =>
    tellPeople(result, { job, scheduledFor }, jobs.indexOf(job), env, dependencies);
  let telling: Promise<void> | null = null;
  const onFallback = (cause: Problem): void => {
    dependencies.onFallback(cause);
    // As the run begins: it may take all the time that this function has.
    telling = tell(cause);
  };
  const outcome = await inSlotSpan({ job, scheduledFor }, dependencies, (span) =>
    runOf({ job, scheduledFor }, env, remainingMs, { ...dependencies, onFallback }, span),
  );
  await (telling ?? tell(outcome));
  if ('title' in outcome) {
    onFailure(outcome);
    return problemResponse(outcome);
  }
  const { status, ...facts } = outcome;
  return Response.json(
    { ...facts, slot: scheduledFor.toISOString() },
    { status, headers: { 'cache-control': 'no-store' } },
  );
}

/** Never rejects. A run that failed is a run: whoever watches the database tells of it. */
async function tellPeople(
  outcome: Started | Problem,
  { job, scheduledFor }: Slot,
  place: number,
  { alerts: channels }: CronEnv,
  { openAlerts, onAlertsFailed }: CronDependencies,
): Promise<void> {
  if (channels === null) return;
  try {
    const slot = { job: job.name, scheduledFor };
    const alerts = await openAlerts({ channels, slot, place, onUndelivered: onAlertsFailed });
    if ('title' in outcome && !('run_id' in outcome)) await alerts.failed(outcome);
    else await alerts.worked();
  } catch (error) {
    onAlertsFailed(error);
  }
}

interface Slot {
  readonly job: JobDefinition;
  readonly scheduledFor: Date;
}

interface Started {
  readonly status: number;
  readonly run: { readonly id: string };
  readonly outcome: string;
  /** Who works on the run, or has. */
  readonly driver: 'jobs-api' | 'direct';
  /** How often the jobs API was asked. */
  readonly attempts: number;
}

async function inSlotSpan(
  slot: Slot,
  { openTraces }: CronDependencies,
  work: (span: Span) => Promise<Started | Problem>,
): Promise<Started | Problem> {
  const traces = await openTraces();
  const span = traces.start('slot', { ...factsOf(slot), trigger: 'vercel-cron' });
  return inSpan(span, async () => {
    const outcome = await work(span);
    if ('title' in outcome) span.set({ outcome: 'failed', http_status: outcome.status });
    else span.set({ run_id: outcome.run.id, outcome: outcome.outcome, http_status: outcome.status });
    return outcome;
  });
}

/**
 * Asks the jobs API for the run; works on it here where there is none, or where it gave no answer
 * and that is wanted.
 */
async function runOf(
  slot: Slot,
  env: CronEnv,
  remainingMs: () => number,
  dependencies: CronDependencies,
  span: Span,
): Promise<Started | Problem> {
  if (env.jobsApi === null) return runHere(slot, 0, remainingMs, dependencies, span);
  const { job, scheduledFor } = slot;
  const result = await triggerRun({ job: job.name, scheduledFor }, env.jobsApi, dependencies, span);
  const { attempts } = result;
  if (result.kind === 'started') {
    return { status: result.status, ...result.started, driver: 'jobs-api', attempts };
  }
  const failure = notStarted(slot, result);
  if (result.kind === 'refused' || env.DIRECT_FALLBACK === 'off') return failure;
  dependencies.onFallback(failure);
  return runHere(slot, attempts, remainingMs, dependencies, span);
}

async function runHere(
  slot: Slot,
  attempts: number,
  remainingMs: () => number,
  { runDirectly }: CronDependencies,
  span: Span,
): Promise<Started | Problem> {
  const { job, scheduledFor } = slot;
  try {
    const { run, outcome } = await runDirectly(job, scheduledFor, remainingMs, span.traceparent);
    if (run.status === 'failed') return failed(slot, run);
    return { status: 200, run, outcome, driver: 'direct', attempts };
  } catch (error) {
    if (error instanceof EnvironmentError) return notSelfContained(error);
    return {
      status: 503,
      title: 'The slot could not be run here',
      detail: messageOf(error),
      ...factsOf(slot),
      attempts,
    };
  }
}

function configured(readEnv: () => CronEnv): CronEnv | EnvironmentError {
  try {
    return readEnv();
  } catch (error) {
    if (error instanceof EnvironmentError) return error;
    throw error;
  }
}

const UNAUTHORIZED: Problem = {
  status: 401,
  title: 'Unauthorized',
  detail: 'The Authorization header must be "Bearer" and the value of CRON_SECRET.',
};

const UNKNOWN_JOB: Problem = { status: 404, title: 'Unknown job', detail: 'The registry has no such job.' };

const NO_SLOT: Problem = {
  status: 500,
  title: 'No slot',
  detail: 'The schedule of this job has no slot before now.',
};

function notConfigured(error: EnvironmentError): Problem {
  return { status: 500, title: 'Not configured', detail: error.message, variables: error.variables };
}

/** There is no jobs API, or it gave no answer, and this app cannot do its work. */
function notSelfContained(error: EnvironmentError): Problem {
  return {
    status: 500,
    title: 'Not configured',
    detail: `Without an answer of a jobs API (JOBS_API_URL) this app runs its slots itself. ${error.message}`,
    variables: ['JOBS_API_URL', ...error.variables],
  };
}

const factsOf = ({ job, scheduledFor }: Slot) => ({ job: job.name, slot: scheduledFor.toISOString() });

function failed(slot: Slot, { id, error }: { readonly id: string; readonly error: string | null }): Problem {
  const facts = { ...factsOf(slot), run_id: id };
  return { status: 500, title: 'The run failed', detail: error ?? 'It does not say why.', ...facts };
}

function notStarted(slot: Slot, result: Exclude<TriggerResult, { kind: 'started' }>): Problem {
  const facts = { ...factsOf(slot), attempts: result.attempts };
  return result.kind === 'refused'
    ? {
        status: 502,
        title: 'The jobs API refused',
        detail: result.detail,
        ...facts,
        upstream_status: result.status,
      }
    : { status: 504, title: 'The jobs API was not reached in time', detail: result.detail, ...facts };
}
