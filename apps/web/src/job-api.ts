/**
 * The job API, served by this app where it has no other: for people and their tools.
 *
 * Loaded with its first request. Who may ask is the job API's to say; without `OPS_TOKENS` that is nobody.
 */
import { EnvironmentError } from '@revos/core/config';
import type { JobApi } from '@revos/jobs-api/direct/job-api';
import { servesJobApi } from './env.ts';
import { problemResponse } from './http/problem.ts';

/** How long a run that is asked for here may take, in milliseconds: less than `maxDuration` of its route. */
const RUN_MS_MAX = 285_000;

let opened: Promise<JobApi> | undefined;

/** Answers, and gives what to wait for besides: runs that were asked for are worked on in this function. */
export async function answerJobApi(
  request: Request,
): Promise<{ readonly response: Response; readonly worked: () => Promise<void> }> {
  if (!servesJobApi()) return { response: problemResponse(ELSEWHERE), worked: async () => {} };
  try {
    const api = await open();
    return { response: await api.answer(request), worked: () => api.idle() };
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    const { message: detail, variables } = error;
    const problem = { status: 500, title: 'Not configured', detail, variables };
    return { response: problemResponse(problem), worked: async () => {} };
  }
}

/** What failed is tried again with the next request: its cause may have been of a moment. */
function open(): Promise<JobApi> {
  opened ??= import('@revos/jobs-api/direct/job-api')
    .then(({ openJobApi }) => openJobApi(RUN_MS_MAX))
    .catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
  return opened;
}

const ELSEWHERE = {
  status: 404,
  title: 'Not found',
  detail: 'The job API is at JOBS_API_URL. This app serves it only where that is not set.',
};
