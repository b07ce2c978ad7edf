/**
 * What Vercel Cron calls, once for each slot of a job. It sends GET; POST answers alike, since
 * Vercel's Schedules, which replace cron jobs, send POST.
 */
import { realEffects } from '@revos/core/effects';
import { createLogger, NO_TRACES } from '@revos/core/telemetry';
import { after } from 'next/server';
import { answerCron } from '../../../../cron/answer-cron.ts';
import { runDirectly } from '../../../../cron/run-directly.ts';
import { readCronEnv } from '../../../../env.ts';
import { openTraces } from '../../../../open-traces.ts';

/** In seconds: a trigger takes 50 at most, a slot that is worked on here takes all of them. */
export const maxDuration = 300;

/** How long the function may live on for the last spans, in milliseconds. */
const TRACES_MS_MAX = 2_000;

const logger = createLogger('web', 'info');

async function answer(request: Request, { params }: { params: Promise<{ job: string }> }): Promise<Response> {
  const { job } = await params;
  return answerCron(
    { job, authorization: request.headers.get('authorization') },
    {
      readEnv: readCronEnv,
      effects: realEffects,
      fetch,
      runDirectly,
      openTraces: async () => {
        const traces = await openTraces(logger);
        if (traces !== NO_TRACES) after(() => traces.flush(TRACES_MS_MAX));
        return traces;
      },
      onFailure: (failure) => logger.error(failure, 'trigger or run failed'),
      // Loaded only where there is somebody to tell.
      openAlerts: async (options) => {
        const { createTriggerAlerts } = await import('../../../../cron/trigger-alerts.ts');
        const onCacheFailed = (err: unknown) => logger.warn({ err }, 'alerts told are not known');
        return createTriggerAlerts({ ...options, http: { effects: realEffects, fetch }, onCacheFailed });
      },
      onAlertsFailed: (err) => logger.error({ err }, 'alert not delivered'),
      onFallback: (cause) => logger.warn(cause, 'no answer from the jobs API, running the slot here'),
    },
  );
}

export const GET = answer;
export const POST = answer;
