/**
 * What Vercel Cron calls, once for each slot of a job. It sends GET; POST answers alike, since
 * Vercel's Schedules, which replace cron jobs, send POST.
 */
import { realEffects } from '@revos/core/effects';
import { createLogger } from '@revos/core/telemetry';
import { answerCron } from '../../../../cron/answer-cron.ts';
import { readCronEnv } from '../../../../env.ts';

/** In seconds: the trigger's own budget is 50. */
export const maxDuration = 60;

const logger = createLogger('web', 'info');

async function answer(request: Request, { params }: { params: Promise<{ job: string }> }): Promise<Response> {
  const { job } = await params;
  return answerCron(
    { job, authorization: request.headers.get('authorization') },
    {
      readEnv: readCronEnv,
      effects: realEffects,
      fetch,
      onFailure: (failure) => logger.error(failure, 'the trigger made no run'),
    },
  );
}

export const GET = answer;
export const POST = answer;
