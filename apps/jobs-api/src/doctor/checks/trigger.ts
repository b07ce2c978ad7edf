/** A trigger that starts nothing: whether token and signature of the web app are those of the jobs API. */
import { commaSeparated } from '@revos/core/config';
import { isSigningSecret, signTrigger, TRIGGER_CHECK } from '@revos/core/signing';
import Type from 'typebox';
import { Value } from 'typebox/value';
import { ask } from '../ask.ts';
import type { Context } from '../context.ts';
import { readJobsApiUrl } from '../env.ts';
import { type Finding, ok, skipped, wrong } from '../finding.ts';

const Problem = Type.Object({ type: Type.String() });

/** By the kind of the problem: whose values differ. */
const DIFFERENCES: Readonly<Record<string, { variable: string; found: string; remedy: string }>> = {
  '/problems/unauthenticated': {
    variable: 'JOB_SECRET',
    found: 'is refused by the jobs API',
    remedy: 'set JOB_SECRET on Render to the value of Vercel, or add that one to it after a comma',
  },
  '/problems/credential-not-allowed': {
    variable: 'JOB_SECRET',
    found: 'is one of the jobs API’s OPS_TOKENS',
    remedy: 'make JOB_SECRET a token of its own, on Vercel and on Render',
  },
  '/problems/signature-invalid': {
    variable: 'JOBS_SIGNING_SECRETS',
    found: 'is not that of the jobs API: the signature is refused',
    remedy: 'add the first value of Vercel’s JOBS_SIGNING_SECRETS to Render’s, after a comma',
  },
  '/problems/signature-stale': {
    variable: 'clock',
    found: 'the jobs API finds the signature too old, or too new',
    remedy: 'set the clock of this machine (NTP)',
  },
  '/problems/not-found': {
    variable: 'jobs API',
    found: 'has no /api/trigger-check: it is older than this doctor',
    remedy: 'deploy this version of the jobs API',
  },
};

export async function checkTrigger({ way, env, effects }: Context): Promise<Finding[]> {
  if (way !== 'hybrid') return [];
  const what = 'trigger';
  const url = readJobsApiUrl(env);
  if (url === null) return [skipped(what, 'JOBS_API_URL is missing or malformed')];
  const secrets = commaSeparated(env.JOBS_SIGNING_SECRETS ?? '');
  const [token] = commaSeparated(env.JOB_SECRET ?? '');
  if (token === undefined || !/^[!-~]+$/.test(token)) {
    return [skipped(what, 'JOB_SECRET is missing or malformed')];
  }
  if (secrets.length === 0 || !secrets.every(isSigningSecret)) {
    return [skipped(what, 'JOBS_SIGNING_SECRETS is missing or malformed')];
  }
  const now = effects.now();
  const trigger = { job: TRIGGER_CHECK, scheduled_for: now.toISOString(), trigger: 'vercel-cron' } as const;
  const { body, headers } = signTrigger(trigger, secrets, now);
  const authorization = `Bearer ${token}`;
  const asked = await ask(
    `${url}/api/trigger-check`,
    { method: 'POST', headers: { ...headers, authorization }, body },
    effects,
  );
  if (asked.kind === 'no_answer') return [skipped(what, `the jobs API does not answer: ${asked.code}`)];
  if (asked.status === 200) return [ok(what, 'token and signature are accepted')];
  const kind = Value.Check(Problem, asked.body) ? asked.body.type : '';
  const difference = DIFFERENCES[kind];
  if (difference !== undefined) {
    return [wrong(difference.variable, difference.found, difference.remedy)];
  }
  const remedy = 'is JOBS_API_URL the jobs API? Look at its log';
  return [wrong(what, `is answered with ${asked.status}`, remedy)];
}
