/** The trigger: `POST /api/jobs/:job` starts a run, or answers with the one that exists. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Effects } from '@revos/core/effects';
import {
  isSlot,
  type JobDefinition,
  RUN_DAYS_MAX,
  type Run,
  type RunParams,
  type Runs,
  runFacts,
} from '@revos/core/jobs';
import { TRIGGER_CHECK, TriggerBody } from '@revos/core/signing';
import { inSpan, NO_TRACES, type Traces } from '@revos/core/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { Value } from 'typebox/value';
import { nameOf } from '../plugins/auth.ts';
import { rawBodyOf, signature } from '../plugins/signature.ts';
import { preferredWaitSeconds } from '../prefer.ts';
import { HttpProblem } from '../problems.ts';
import { bodyErrors, commonErrors, notFound } from '../schemas/problem.ts';
import { JobPath, StartedRun, StartRunBody, startRunBodyFor, TriggerAccepted } from '../schemas/runs.ts';
import { fieldProblems } from '../to-problem.ts';
import { bodyJudgedBy } from '../validation.ts';

/** How old a slot may be, and how far ahead, in milliseconds. */
const SLOT_AGE_MS_MAX = 24 * 60 * 60_000;
const SLOT_AHEAD_MS_MAX = 5 * 60_000;

const DAY_MS = 24 * 60 * 60_000;

/** Requests that wait for the end of a run at the same time; a further one is answered at once. */
const WAITS_MAX = 200;

export interface TriggerOptions {
  readonly jobs: readonly JobDefinition[];
  readonly runs: Runs;
  readonly effects: Effects;
  readonly signingSecrets: readonly string[];
  readonly traces?: Traces | undefined;
}

export const triggerRoutes: FastifyPluginAsyncTypebox<TriggerOptions> = async (app, options) => {
  const { jobs, runs, effects, signingSecrets, traces = NO_TRACES } = options;
  let waitCount = 0;

  await app.register(signature, { signingSecrets, effects });

  /** The run when it has ended, or as it stands once the wait is over or nobody waits any more. */
  const waitForEnd = async (run: Run, seconds: number, reply: FastifyReply): Promise<Run> => {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    waitCount += 1;
    try {
      return await runs.waitForEnd(run, seconds * 1_000, AbortSignal.any([app.drain.signal, gone.signal]));
    } catch (error) {
      // The run has started all the same, and that is what was asked for.
      reply.log.warn({ err: error, ...runFacts(run) }, 'waiting for the run failed');
      return run;
    } finally {
      waitCount -= 1;
    }
  };

  app.post(
    '/trigger-check',
    {
      config: { allowsCron: true },
      validatorCompiler: bodyJudgedBy(Type.Unknown()),
      schema: {
        operationId: 'checkTrigger',
        description:
          'Says whether a signed cron request would be accepted, and starts nothing. Its body is that of a trigger, for the job `trigger-check`. Ops credentials sign nothing, and are refused.',
        tags: ['runs'],
        security: [{ cron: [] }],
        body: TriggerBody,
        response: { 200: TriggerAccepted, ...commonErrors, ...bodyErrors },
      },
    },
    async (request) => {
      const trigger = request.signedTrigger;
      if (trigger === null) throw new HttpProblem('credential-not-allowed');
      if (trigger.job !== TRIGGER_CHECK) throw new HttpProblem('job-mismatch');
      return { accepted: true as const };
    },
  );

  app.post(
    '/jobs/:job',
    {
      config: { allowsCron: true },
      // The bytes, which a signature is over; the handler reads them.
      validatorCompiler: bodyJudgedBy(Type.Unknown()),
      schema: {
        operationId: 'startRun',
        description:
          'Starts a run. A signed cron request names a slot, and gets the slot’s run however often it asks; an ops request starts a run that consumes no slot. `Prefer: wait=N` waits up to N seconds, 300 at most, for the end of the run.',
        tags: ['runs'],
        security: [{ ops: [] }, { cron: [] }],
        params: JobPath,
        body: StartRunBody,
        response: { 200: StartedRun, 202: StartedRun, ...commonErrors, ...bodyErrors, ...notFound },
      },
    },
    async (request, reply) => {
      const trigger = request.signedTrigger;
      if (trigger !== null && trigger.job !== request.params.job) throw new HttpProblem('job-mismatch');
      const job = jobs.find(({ name }) => name === request.params.job);
      if (!job) throw new HttpProblem('job-not-found');
      const told = trigger === null ? parseRunParams(request, job) : {};
      const asked = {
        job,
        trigger: trigger?.trigger ?? 'ops',
        scheduledFor: trigger === null ? null : slotOf(trigger, job, effects.now()),
        requestedBy: nameOf(request),
        ...told,
      } as const;

      const facts = { request_id: request.id, job: job.name, trigger: asked.trigger };
      const span = traces.start('request', facts, request.traceparent);
      const started = await inSpan(span, async () => {
        const { traceparent } = span;
        const started = await app.drain.track(runs.start({ ...asked, traceparent }));
        const { outcome, run } = started;
        const http_status = outcome === 'created' ? 202 : 200;
        span.set({ run_id: run.id, slot: asked.scheduledFor?.toISOString() ?? null, outcome, http_status });
        return started;
      });
      const { run, outcome } = started;
      request.log.info({ ...runFacts(run), trigger: run.trigger, outcome }, 'run requested');
      reply.header('location', `/api/runs/${started.run.id}`);
      reply.code(outcome === 'created' ? 202 : 200);

      const seconds = preferredWaitSeconds(request.headers.prefer);
      if (seconds === null || waitCount >= WAITS_MAX) return started;
      reply.header('preference-applied', `wait=${seconds}`);
      return { ...started, run: await waitForEnd(started.run, seconds, reply) };
    },
  );
};

function slotOf(trigger: TriggerBody, job: JobDefinition, now: Date): Date {
  const slot = new Date(trigger.scheduled_for);
  // A date that no calendar knows becomes another one, or none.
  const isDate = !Number.isNaN(slot.getTime()) && slot.toISOString() === trigger.scheduled_for;
  if (!isDate || !isSlot(job.schedule, slot)) throw new HttpProblem('not-a-slot');
  const ageMs = now.getTime() - slot.getTime();
  if (ageMs > SLOT_AGE_MS_MAX) throw new HttpProblem('slot-too-old');
  if (ageMs < -SLOT_AHEAD_MS_MAX) throw new HttpProblem('slot-too-early');
  return slot;
}

/** What an ops request tells the run. An absent body tells it nothing. */
function parseRunParams(
  request: FastifyRequest,
  job: JobDefinition,
): { params?: RunParams; priority?: number } {
  const raw = rawBodyOf(request);
  if (raw.length === 0) return {};
  let body: unknown;
  try {
    body = JSON.parse(raw.toString('utf8'));
  } catch {
    throw new HttpProblem('malformed-body');
  }
  const schema = startRunBodyFor(job.params);
  if (!Value.Check(schema, body)) {
    throw new HttpProblem('invalid-request', { errors: fieldProblems(Value.Errors(schema, body), 'body') });
  }
  const { priority, ...params } = body as RunParams & { priority?: number };
  assertDays(params);
  return { params, ...(priority === undefined ? {} : { priority }) };
}

/** Days are either counted back from today, or named. */
function assertDays({ days, from, to }: RunParams): void {
  const refuse = (field: string, message: string): never => {
    throw new HttpProblem('invalid-request', { errors: [{ field: `body/${field}`, message }] });
  };
  if (days !== undefined && (from !== undefined || to !== undefined)) {
    refuse('days', 'must not stand beside from and to');
  }
  if ((from === undefined) !== (to === undefined)) refuse(from === undefined ? 'from' : 'to', 'is missing');
  if (from === undefined || to === undefined) return;
  if (from > to) refuse('to', 'must not be before from');
  const count = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
  if (count > RUN_DAYS_MAX) refuse('to', `ends a range of more than ${RUN_DAYS_MAX} days`);
}
