/**
 * Reads of the jobs API, for the pages. On the server only: they carry `OPS_TOKEN`.
 *
 * A read never throws. Whatever is wrong comes back in words: what happened, and what to look at.
 */
import { EnvironmentError } from '@revos/core/config';
import { Run } from '@revos/core/jobs';
import { unseen, Verdict } from '@revos/core/verdict';
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import type { DashboardEnv } from '../env.ts';
import { type Exchange, exchange, type HttpDependencies } from '../http/exchange.ts';
import { OWN_JOB_API } from './fetch.ts';
import { type Job, JobList, RunList } from './shapes.ts';
import { jobsApiUrl } from './url.ts';

/** One read: a page that waits longer says so instead. */
const READ_MS_MAX = 8_000;

export interface ReadDependencies extends HttpDependencies {
  /** @throws {EnvironmentError} */
  readonly readEnv: () => DashboardEnv;
}

export interface Failure {
  readonly what: string;
  readonly check: readonly string[];
}

export type Reading<Value> =
  | { readonly kind: 'read'; readonly value: Value }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failure'; readonly failure: Failure };

export interface Overview {
  readonly jobs: readonly Job[];
  /** Newest first, at most 50. */
  readonly runs: readonly Run[];
  /** Unknown where it could not be read: then the rest is shown all the same. */
  readonly verdict: Verdict;
}

export async function readOverview(dependencies: ReadDependencies): Promise<Reading<Overview>> {
  const [jobs, runs, verdict] = await Promise.all([
    read('api/jobs', JobList, dependencies),
    read('api/runs?limit=50', RunList, dependencies),
    read('api/verdict', Verdict, dependencies),
  ]);
  if (jobs.kind !== 'read') return jobs;
  if (runs.kind !== 'read') return runs;
  const value = {
    jobs: jobs.value.jobs,
    runs: runs.value.items,
    verdict: verdict.kind === 'read' ? verdict.value : unseen(whyUnread(verdict), dependencies.effects.now()),
  };
  return { kind: 'read', value };
}

function whyUnread(reading: Exclude<Reading<unknown>, { readonly kind: 'read' }>): string {
  return reading.kind === 'failure' ? reading.failure.what : 'The jobs API has no verdict (404)';
}

/** @param id a UUID */
export function readRun(id: string, dependencies: ReadDependencies): Promise<Reading<Run>> {
  return read(`api/runs/${encodeURIComponent(id)}`, Run, dependencies);
}

async function read<Schema extends TSchema>(
  path: string,
  schema: Schema,
  dependencies: ReadDependencies,
): Promise<Reading<Static<Schema>>> {
  const env = configured(dependencies.readEnv);
  if (env instanceof EnvironmentError) return failure(notConfigured(env));
  const url = jobsApiUrl(env.JOBS_API_URL ?? OWN_JOB_API, path);
  const headers = { accept: 'application/json', authorization: `Bearer ${env.OPS_TOKEN}` };
  const answer = await exchange(url, { method: 'GET', headers }, READ_MS_MAX, dependencies);
  if (answer.kind === 'answer' && answer.status === 200) {
    const value = parseJson(answer.text);
    return Value.Check(schema, value) ? { kind: 'read', value } : failure(notUnderstood(url));
  }
  if (answer.kind === 'answer' && answer.status === 404) return { kind: 'absent' };
  return failure(notRead(answer, url));
}

function failure(facts: Failure): { kind: 'failure'; failure: Failure } {
  return { kind: 'failure', failure: facts };
}

function configured(readEnv: () => DashboardEnv): DashboardEnv | EnvironmentError {
  try {
    return readEnv();
  } catch (error) {
    if (error instanceof EnvironmentError) return error;
    throw error;
  }
}

function notConfigured(error: EnvironmentError): Failure {
  const names = error.variables.join(' and ');
  return {
    what: `The dashboard is not set up: ${names} ${error.variables.length === 1 ? 'is' : 'are'} missing or wrong.`,
    check: ['Set it in the environment of the web app, then deploy again.'],
  };
}

function notUnderstood(url: URL): Failure {
  return {
    what: `${url.host} answered with something else than jobs and runs.`,
    check: [
      'Is JOBS_API_URL the address of the jobs API?',
      'Are the web app and the jobs API of the same version?',
    ],
  };
}

function notRead(answer: Exchange, url: URL): Failure {
  if (answer.kind === 'no_answer') {
    return {
      what: `The jobs API at ${url.host} does not answer (${answer.code}).`,
      check: [
        'If it was asleep, it is waking now: that takes up to a minute, and this page asks again by itself.',
        'Is the service up? Its host’s dashboard and logs say so.',
        'Is JOBS_API_URL right?',
      ],
    };
  }
  if (answer.status === 401 || answer.status === 403) {
    return {
      what: `The jobs API at ${url.host} refused this dashboard (${answer.status}).`,
      check: ['OPS_TOKEN of the web app must be one of the tokens in OPS_TOKENS of the jobs API.'],
    };
  }
  return {
    what: `The jobs API at ${url.host} answered ${answer.status}.`,
    check: [
      'It may be starting or stopping: this page asks again by itself.',
      'If it stays so, its logs say why: often the database cannot be reached.',
    ],
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
