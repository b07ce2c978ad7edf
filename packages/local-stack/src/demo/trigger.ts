/** Triggers a job as Vercel does, and follows its run as an operator would. */
import { isEnded, type Run } from '@revos/core/jobs';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { Stack } from './stack.ts';

export interface Triggered {
  readonly outcome: 'created' | 'exists' | 'coalesced';
  readonly run: Run;
}

/** `GET /api/cron/<job>` with the cron secret. @throws with what the route answered, if it is no success */
export async function triggerCron(stack: Stack, job: string): Promise<Triggered> {
  const response = await fetch(`${stack.web.url}/api/cron/${job}`, {
    headers: { authorization: `Bearer ${stack.cronSecret}`, 'user-agent': 'vercel-cron/1.0' },
    redirect: 'manual',
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`The cron route answered ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text) as Triggered;
}

/** Follows a run by its server-sent events until it ends, and returns it. */
export async function followRun(stack: Stack, id: string, onProgress: (run: Run) => void): Promise<Run> {
  const response = await fetch(`${stack.jobsApi.url}/api/runs/${id}/events`, {
    headers: { authorization: `Bearer ${stack.opsToken}`, accept: 'text/event-stream' },
    redirect: 'manual',
  });
  if (!response.ok || response.body === null) throw new Error(`The run's events answered ${response.status}`);
  const events = response.body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream());
  let latest: Run | null = null;
  for await (const event of events) {
    latest = JSON.parse(event.data) as Run;
    onProgress(latest);
  }
  if (latest === null || !isEnded(latest)) throw new Error('The run’s events broke off before its end');
  return latest;
}
