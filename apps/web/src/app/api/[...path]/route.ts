/** The job API, where this app serves it. The cron routes stand before it. */
import { after } from 'next/server';
import { answerJobApi } from '../../../job-api.ts';

/** In seconds: a run that is asked for here is worked on in this function. */
export const maxDuration = 300;

async function answer(request: Request): Promise<Response> {
  const { response, worked } = await answerJobApi(request);
  after(worked);
  return response;
}

export { answer as DELETE, answer as GET, answer as PATCH, answer as POST, answer as PUT };
