/** The way of the pages to the jobs API: over HTTP, or within this app where it serves the job API itself. */
import { servesJobApi } from '../env.ts';
import { answerJobApi } from '../job-api.ts';

/** Stands in for the address that the job API of this app does not need. */
export const OWN_JOB_API = 'http://this-app.invalid';

export const fetchJobsApi: typeof fetch = async (input, init) => {
  if (!servesJobApi()) return fetch(input, init);
  const { response } = await answerJobApi(new Request(input, init));
  return response;
};
