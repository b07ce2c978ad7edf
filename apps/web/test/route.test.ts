/** The route itself: what it exports decides how Vercel may call it. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as route from '../src/app/api/cron/[job]/route.ts';
import { aRun } from './a-run.ts';
import { answerJson, scriptedServer } from './scripted-server.ts';

afterEach(() => vi.unstubAllEnvs());

describe('the cron route', () => {
  it('exports what Next is to know, and nothing that would change its runtime', () => {
    expect(Object.keys(route).sort()).toEqual(['GET', 'POST', 'maxDuration']);
    expect(route.maxDuration).toBe(300);
  });

  it.each([
    { method: 'GET', answer: route.GET },
    { method: 'POST', answer: route.POST },
  ])('answers $method', async ({ method, answer }) => {
    await using server = await scriptedServer((_asked, response) =>
      answerJson(response, 202, { run: aRun(), outcome: 'created' }),
    );
    vi.stubEnv('CRON_SECRET', 'cron-secret-of-tests');
    vi.stubEnv('JOBS_API_URL', server.url);
    vi.stubEnv('JOB_SECRET', 'job-secret-of-tests');
    vi.stubEnv('JOBS_SIGNING_SECRETS', `whsec_${Buffer.alloc(24, 1).toString('base64')}`);
    vi.stubEnv('JOB_SCHEDULES', '');
    const request = new Request('https://app.example.com/api/cron/dm-queue', {
      method,
      headers: { authorization: 'Bearer cron-secret-of-tests', 'user-agent': 'vercel-cron/1.0' },
    });
    const response = await answer(request, { params: Promise.resolve({ job: 'dm-queue' }) });
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ outcome: 'created', attempts: 1 });
    expect(server.asked).toMatchObject([{ method: 'POST', path: '/api/jobs/dm-queue' }]);
  });
});
