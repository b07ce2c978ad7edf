/** The jobs API as the web app reaches it: alive, ready, and with a token that it knows. */
import Type from 'typebox';
import { Value } from 'typebox/value';
import { Checks, Health } from '../../schemas/health.ts';
import { ask } from '../ask.ts';
import type { Context } from '../context.ts';
import { isSet, readJobsApiUrl } from '../env.ts';
import { type Finding, ok, skipped, wrong } from '../finding.ts';

const Answer = Type.Object({ checks: Checks });

export async function checkJobsApi({ way, env, effects }: Context): Promise<Finding[]> {
  if (way !== 'hybrid') return [];
  const url = readJobsApiUrl(env);
  if (url === null) return [skipped('jobs API', 'JOBS_API_URL is missing or malformed')];
  const health = await ask(`${url}/health`, {}, effects);
  if (health.kind === 'no_answer') {
    const remedy =
      'Render → revos-jobs-api: is it deployed and paid for, and its address this one? A free one sleeps';
    return [wrong('JOBS_API_URL', `does not answer: ${health.code}`, remedy)];
  }
  if (health.status !== 200 || !Value.Check(Health, health.body)) {
    const remedy = 'Render → revos-jobs-api: take its address, not that of the web app';
    return [wrong('JOBS_API_URL', `answers ${health.status}, and not as the jobs API`, remedy)];
  }
  const [ready, token] = await Promise.all([readiness(url, effects), tokenIsKnown(url, env, effects)]);
  return [ok('jobs API', `is alive, version ${health.body.version}`), ...ready, token];
}

async function readiness(url: string, effects: Context['effects']): Promise<Finding[]> {
  const ready = await ask(`${url}/ready`, {}, effects);
  if (ready.kind === 'answer' && ready.status === 200) return [ok('jobs API', 'is ready')];
  const remedy = 'on Render, correct what it names, and look at the log of the service';
  const checks = ready.kind === 'answer' && Value.Check(Answer, ready.body) ? ready.body.checks : [];
  const failed = checks.filter(({ status }) => status === 'failed');
  if (failed.length === 0) return [wrong('jobs API', 'is not ready, and does not say why', remedy)];
  return failed.map(({ name, detail = '' }) => wrong('jobs API', `is not ready: ${name}: ${detail}`, remedy));
}

async function tokenIsKnown(url: string, env: Context['env'], effects: Context['effects']): Promise<Finding> {
  if (!isSet(env, 'OPS_TOKEN')) return skipped('OPS_TOKEN at the jobs API', 'OPS_TOKEN is missing');
  const authorization = `Bearer ${env.OPS_TOKEN?.trim()}`;
  const asked = await ask(`${url}/api/sending`, { headers: { authorization } }, effects);
  if (asked.kind === 'answer' && asked.status === 200) return ok('OPS_TOKEN at the jobs API', 'is accepted');
  if (asked.kind === 'answer' && (asked.status === 401 || asked.status === 403)) {
    const remedy = 'on Render, have name:token of it in OPS_TOKENS';
    return wrong('OPS_TOKEN', `is refused by the jobs API (${asked.status})`, remedy);
  }
  return skipped('OPS_TOKEN at the jobs API', 'the jobs API cannot serve it now');
}
