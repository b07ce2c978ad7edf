/**
 * A cron request, from the call to its answer: who may ask, for which slot, and what came of it.
 *
 * It never runs open: without a secret of its own it refuses, whoever asks.
 */
import { EnvironmentError } from '@revos/core/config';
import { currentSlot } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { bearerTokenOf, isSameSecret } from '@revos/core/signing';
import type { CronEnv } from '../env.ts';
import type { HttpDependencies } from '../http/exchange.ts';
import { type Problem, problemResponse } from '../http/problem.ts';
import { type Slot, type TriggerResult, triggerRun } from './trigger-run.ts';

export interface CronRequest {
  readonly job: string;
  readonly authorization: string | null;
}

export interface CronDependencies extends HttpDependencies {
  /** @throws {EnvironmentError} */
  readonly readEnv: () => CronEnv;
  /** Told about each trigger that made no run. */
  readonly onFailure: (failure: Problem) => void;
}

export async function answerCron(request: CronRequest, dependencies: CronDependencies): Promise<Response> {
  const { readEnv, onFailure, effects } = dependencies;
  const env = configured(readEnv);
  if (env instanceof EnvironmentError) {
    const failure = notConfigured(env);
    onFailure(failure);
    return problemResponse(failure);
  }
  if (!isSameSecret(bearerTokenOf(request.authorization ?? '') ?? '', env.CRON_SECRET)) {
    return problemResponse(UNAUTHORIZED, { 'www-authenticate': 'Bearer' });
  }
  const job = jobsWithSchedules(env.JOB_SCHEDULES).find(({ name }) => name === request.job);
  if (job === undefined) return problemResponse(UNKNOWN_JOB);
  const scheduledFor = currentSlot(job.schedule, effects.now());
  if (scheduledFor === null) return problemResponse(NO_SLOT);

  const slot = { job: job.name, scheduledFor };
  const result = await triggerRun(slot, env, dependencies);
  if (result.kind !== 'started') {
    const failure = notStarted(slot, result);
    onFailure(failure);
    return problemResponse(failure);
  }
  return Response.json(
    { ...result.started, slot: scheduledFor.toISOString(), attempts: result.attempts },
    { status: result.status, headers: { 'cache-control': 'no-store' } },
  );
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

function notStarted(slot: Slot, result: Exclude<TriggerResult, { kind: 'started' }>): Problem {
  const facts = { job: slot.job, slot: slot.scheduledFor.toISOString(), attempts: result.attempts };
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
