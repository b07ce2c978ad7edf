/**
 * The trigger of one slot: asks the jobs API for its run until there is an answer, or time is up.
 *
 * A service that sleeps takes up to a minute to wake, and a lost answer looks like a lost request.
 * Both are met by asking again: the slot makes one run, however often it is asked for. Each try
 * carries the same id with a fresh timestamp and signature.
 */
import { commaSeparated } from '@revos/core/config';
import { signTrigger } from '@revos/core/signing';
import { inSpan, type Span } from '@revos/core/telemetry';
import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import type { TriggerEnv } from '../env.ts';
import { type Exchange, exchange, type HttpDependencies } from '../http/exchange.ts';
import { jobsApiUrl } from '../jobs-api/url.ts';
import { isRetryable, retryAfterMs, retryWaitMs } from './retry.ts';

/** How long is asked for an answer: a service that sleeps is awake by then. */
const BUDGET_MS = 50_000;
/** One try: a service that wakes holds the request, and some never give it back. */
const TRY_MS_MAX = 20_000;
/** A try that has less than this is not begun. */
const TRY_MS_MIN = 1_000;
/** More than fit the budget: a bound on the loop, not a rule. */
const ATTEMPTS_MAX = 50;

export interface Slot {
  readonly job: string;
  readonly scheduledFor: Date;
}

/** What is relied on here; the rest of the run is passed on as it came. */
const StartedRun = Type.Object({ run: Type.Object({ id: Type.String() }), outcome: Type.String() });

export type TriggerResult = { readonly attempts: number } & (
  | { readonly kind: 'started'; readonly status: number; readonly started: Static<typeof StartedRun> }
  /** An answer that would be the same again. */
  | { readonly kind: 'refused'; readonly status: number; readonly detail: string }
  /** Time is up. */
  | { readonly kind: 'gave_up'; readonly detail: string }
);

/** @param span of the slot: each try is a child of it */
export async function triggerRun(
  slot: Slot,
  env: TriggerEnv,
  http: HttpDependencies,
  span: Span,
): Promise<TriggerResult> {
  const { effects } = http;
  const deadline = effects.now().getTime() + BUDGET_MS;
  const remainingMs = () => deadline - effects.now().getTime();
  const traced = (attempt: number, ask: (traceparent?: string) => Promise<Exchange>): Promise<Exchange> => {
    const facts = { job: slot.job, slot: slot.scheduledFor.toISOString(), attempt };
    const trying = span.child('trigger', facts);
    return inSpan(trying, async () => {
      const answer = await ask(trying.traceparent);
      if (answer.kind === 'answer') trying.set({ http_status: answer.status });
      else trying.fail(answer);
      return answer;
    });
  };

  for (let attempts = 1; attempts <= ATTEMPTS_MAX; attempts += 1) {
    const answer = await traced(attempts, (traceparent) =>
      ask(slot, env, Math.min(TRY_MS_MAX, remainingMs()), http, traceparent),
    );
    if (answer.kind === 'answer' && !isRetryable(answer.status)) return { attempts, ...conclude(answer) };

    const askedMs =
      answer.kind === 'answer' ? retryAfterMs(answer.headers.get('retry-after'), effects.now()) : null;
    const waitMs = retryWaitMs(attempts, askedMs, effects.random());
    if (waitMs + TRY_MS_MIN > remainingMs()) return { attempts, kind: 'gave_up', detail: describe(answer) };
    await effects.sleep(waitMs);
  }
  return { attempts: ATTEMPTS_MAX, kind: 'gave_up', detail: 'too many tries' };
}

function ask(
  slot: Slot,
  env: TriggerEnv,
  timeoutMs: number,
  http: HttpDependencies,
  traceparent: string | undefined,
): Promise<Exchange> {
  const signed = signTrigger(
    { job: slot.job, scheduled_for: slot.scheduledFor.toISOString(), trigger: 'vercel-cron' },
    commaSeparated(env.JOBS_SIGNING_SECRETS),
    http.effects.now(),
  );
  const [token = ''] = commaSeparated(env.JOB_SECRET);
  const headers = {
    ...signed.headers,
    authorization: `Bearer ${token}`,
    ...(traceparent === undefined ? {} : { traceparent }),
  };
  return exchange(
    jobsApiUrl(env.JOBS_API_URL, `api/jobs/${slot.job}`),
    { method: 'POST', headers, body: signed.body },
    timeoutMs,
    http,
  );
}

type Answer = Extract<Exchange, { kind: 'answer' }>;

function conclude(answer: Answer) {
  if (answer.status !== 200 && answer.status !== 202) {
    return { kind: 'refused', status: answer.status, detail: describe(answer) } as const;
  }
  const started = parseJson(answer.text);
  if (!Value.Check(StartedRun, started)) {
    const detail = `It answered ${answer.status}, but not with a run: is JOBS_API_URL the jobs API?`;
    return { kind: 'refused', status: answer.status, detail } as const;
  }
  return { kind: 'started', status: answer.status, started } as const;
}

/** What happened, in words: a status with the problem's title, or a socket's code. */
function describe(answer: Exchange): string {
  if (answer.kind === 'no_answer') return `It did not answer: ${answer.code}.`;
  const problem = parseJson(answer.text);
  const title = Value.Check(Type.Object({ title: Type.String() }), problem)
    ? problem.title.slice(0, 200)
    : '';
  return `It answered ${answer.status}${title === '' ? '' : ` (${title})`}.`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
