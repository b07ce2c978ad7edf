/** What the pages read of the jobs API, and what they say when they cannot. */
import { describe, expect, it } from 'vitest';
import { readDashboardEnv } from '../src/env.ts';
import { readOverview, readRun } from '../src/jobs-api/read.ts';
import { aRun } from './a-run.ts';
import { scriptedEffects } from './scripted-effects.ts';
import { answerJson, type Script, scriptedServer } from './scripted-server.ts';

const NOW = new Date('2026-11-24T10:07:30.000Z');
const job = {
  name: 'dm-queue',
  summary: 'Sends.',
  schedule: '*/15 * * * *',
  next_slot: null,
  last_run: aRun(),
};

const VERDICT = {
  code: 'all_paused',
  state: 'stopped',
  sentence: 'All sending is paused.',
  since: '2026-11-24T10:00:00.000Z',
  why: 'maintenance.',
  what_to_do: 'Resume it.',
  also: [],
  as_of: NOW.toISOString(),
};

const answerAll: Script = ({ path }, response) => {
  if (path === '/api/jobs') answerJson(response, 200, { jobs: [job] });
  else if (path === '/api/verdict') answerJson(response, 200, VERDICT);
  else if (path === '/api/runs?limit=50') answerJson(response, 200, { items: [aRun()], next_cursor: null });
  else if (path === `/api/runs/${aRun().id}`) answerJson(response, 200, aRun());
  else answerJson(response, 404, { title: 'Not found' });
};

function dependencies(url: string | undefined, effects = scriptedEffects(NOW)) {
  const env = { JOBS_API_URL: url, OPS_TOKEN: 'ops-token-of-tests' };
  return { readEnv: () => readDashboardEnv(env), effects, fetch };
}

describe('readOverview', () => {
  it('reads jobs and runs with the ops token', async () => {
    await using server = await scriptedServer(answerAll);
    const reading = await readOverview(dependencies(server.url));
    expect(reading).toEqual({ kind: 'read', value: { jobs: [job], runs: [aRun()], verdict: VERDICT } });
    expect(server.asked.map(({ method, headers }) => `${method} ${headers.authorization}`)).toEqual([
      'GET Bearer ops-token-of-tests',
      'GET Bearer ops-token-of-tests',
      'GET Bearer ops-token-of-tests',
    ]);
  });

  it.each([
    { status: 404, body: {}, why: 'has no verdict (404)' },
    { status: 503, body: {}, why: 'answered 503' },
    { status: 200, body: { ...VERDICT, state: 'fine' }, why: 'something else than jobs and runs' },
  ])('whose verdict is a $status shows the rest, and that it is not known', async ({ status, body, why }) => {
    await using server = await scriptedServer((asked, response, index) =>
      asked.path === '/api/verdict' ? answerJson(response, status, body) : answerAll(asked, response, index),
    );
    expect(await readOverview(dependencies(server.url))).toMatchObject({
      kind: 'read',
      value: { jobs: [job], verdict: { state: 'unknown', why: expect.stringContaining(why) } },
    });
  });

  it.each([
    { script: refuse(401), says: 'refused this dashboard (401)', check: 'OPS_TOKENS' },
    { script: refuse(403), says: 'refused this dashboard (403)', check: 'OPS_TOKENS' },
    { script: refuse(503), says: 'answered 503', check: 'starting or stopping' },
    { script: refuse(302), says: 'answered 302', check: 'starting or stopping' },
    { script: refuse(200), says: 'something else than jobs and runs', check: 'JOBS_API_URL' },
    {
      script: ((_asked, response) => response.socket?.resetAndDestroy()) as Script,
      says: 'does not answer (ECONNRESET)',
      check: 'a minute',
    },
  ])('$says', async ({ script, says, check }) => {
    await using server = await scriptedServer(script);
    const reading = await readOverview(dependencies(server.url));
    if (reading.kind !== 'failure') throw new Error(reading.kind);
    expect(reading.failure.what).toContain(says);
    expect(reading.failure.check.join(' ')).toContain(check);
    expect(JSON.stringify(reading)).not.toContain('ops-token-of-tests');
  });

  it('says so when the answer takes too long', async () => {
    const effects = scriptedEffects(NOW);
    await using server = await scriptedServer(() => effects.expireTimeouts());
    const reading = await readOverview(dependencies(server.url, effects));
    expect(reading).toMatchObject({ kind: 'failure', failure: { what: expect.stringContaining('TIMEOUT') } });
  });

  it('says what is not set', async () => {
    const env = { JOBS_API_URL: 'http://jobs.example.com' };
    const reading = await readOverview({
      ...dependencies(undefined),
      readEnv: () => readDashboardEnv(env),
    });
    expect(reading).toMatchObject({
      kind: 'failure',
      failure: { what: 'The dashboard is not set up: JOBS_API_URL and OPS_TOKEN are missing or wrong.' },
    });
  });
});

describe('readRun', () => {
  it.each([
    { id: aRun().id, kind: 'read' },
    { id: '00000000-0000-4000-8000-00000000ffff', kind: 'absent' },
    { id: '../jobs', kind: 'absent' }, // a path cannot be climbed
  ])('$id is $kind', async ({ id, kind }) => {
    await using server = await scriptedServer(answerAll);
    expect((await readRun(id, dependencies(server.url))).kind).toBe(kind);
  });
});

function refuse(status: number): Script {
  return (_asked, response) => answerJson(response, status, { title: 'No' }, { location: '/elsewhere' });
}
