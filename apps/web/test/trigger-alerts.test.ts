/** Alerts of the cron route itself: one for an outage, whichever jobs it hits, and one for its end. */
import { NO_TRACES } from '@revos/core/telemetry';
import { type Receiver, startReceiver } from '@revos/local-stack/receiver';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answerCron } from '../src/cron/answer-cron.ts';
import { createTriggerAlerts, type IncidentCache } from '../src/cron/trigger-alerts.ts';
import { readCronEnv } from '../src/env.ts';
import { aRun } from './a-run.ts';
import { scriptedEffects } from './scripted-effects.ts';
import { answerJson, scriptedServer } from './scripted-server.ts';

const NOW = new Date('2026-11-24T10:07:30.000Z');
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let receiver: Receiver;
let kept: Map<string, unknown>;
let failures: unknown[];

beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver?.close());
beforeEach(() => {
  receiver.answerWith(200);
  receiver.forget();
  kept = new Map();
  failures = [];
});

/** What the functions of a region share. */
const cache: IncidentCache = {
  get: async (key) => kept.get(key),
  set: async (key, value) => void kept.set(key, structuredClone(value)),
  delete: async (key) => void kept.delete(key),
};

interface Call {
  readonly job?: string;
  readonly jobsApiUrl: string;
  readonly authorization?: string;
  readonly cache?: IncidentCache;
  /** Whether the function works on slots itself that the jobs API gave no answer for. */
  readonly standsIn?: boolean;
}

async function call({
  job = 'dm-queue',
  jobsApiUrl,
  authorization = 'Bearer cron-secret-of-tests',
  ...more
}: Call) {
  const effects = scriptedEffects(NOW);
  const env = {
    CRON_SECRET: 'cron-secret-of-tests',
    JOBS_API_URL: jobsApiUrl,
    JOB_SECRET: 'job-secret-of-tests',
    JOBS_SIGNING_SECRETS: SECRET,
    ALERT_WEBHOOK_URL: `${receiver.address}/webhook`,
    ALERT_WEBHOOK_SECRET: SECRET,
    SLACK_WEBHOOK_URL: `${receiver.address}/slack`,
    DIRECT_FALLBACK: more.standsIn ? 'on' : 'off',
  };
  return answerCron(
    { job, authorization },
    {
      ...{ readEnv: () => readCronEnv(env), effects, fetch },
      runDirectly: async () => {
        if (!more.standsIn) throw new Error('no slot is to be run here');
        return { run: aRun({ status: 'succeeded' }), outcome: 'created' };
      },
      openAlerts: async (alerts, place) =>
        createTriggerAlerts(alerts, place, { effects, fetch }, more.cache ?? cache),
      onAlertsFailed: (error) => failures.push(error),
      openTraces: async () => NO_TRACES,
      onFailure: () => {},
      onFallback: () => {},
    },
  );
}

const told = (): string[] =>
  receiver.received
    .filter(({ url }) => url === '/webhook')
    .map(({ body }) => (JSON.parse(body) as { type: string }).type);
const refusing = () =>
  scriptedServer((_asked, response) => answerJson(response, 401, { title: 'Unauthorized' }));
const working = () =>
  scriptedServer((_asked, response) => answerJson(response, 202, { run: aRun(), outcome: 'created' }));

describe('the cron route', () => {
  it('tells once of an outage, whichever jobs it hits, and once of its end', async () => {
    await using refused = await refusing();
    for (const job of ['dm-queue', 'post-scheduler', 'dm-queue']) {
      expect((await call({ job, jobsApiUrl: refused.url })).status).toBe(502);
    }
    expect(told()).toEqual(['alert.opened']);
    const { data } = JSON.parse(receiver.received[0]?.body ?? '') as { data: Record<string, unknown> };
    expect(data).toMatchObject({
      ...{
        code: 'trigger_failed',
        subjects: ['system'],
        sentence: 'The jobs API refused.',
      },
      why: 'It answered 401 (Unauthorized).',
    });
    await using works = await working();
    for (const _ of [1, 2]) expect((await call({ jobsApiUrl: works.url })).status).toBe(202);
    expect(told()).toEqual(['alert.opened', 'alert.ended']);
    expect(receiver.received.filter(({ url }) => url === '/slack')).toHaveLength(2);
    expect(failures).toEqual([]);
  });

  it('tells of a jobs API that it stands in for', async () => {
    await using gone = await scriptedServer((_asked, response) => answerJson(response, 503, {}));
    for (const _ of [1, 2]) {
      expect((await call({ jobsApiUrl: gone.url, standsIn: true })).status).toBe(200);
    }
    expect(told()).toEqual(['alert.opened']);
    expect(receiver.received[0]?.body).toContain('The jobs API was not reached in time.');
  });

  it('tells nobody while slots get their runs', async () => {
    await using works = await working();
    await call({ jobsApiUrl: works.url });
    expect(receiver.received).toEqual([]);
  });

  it('tells nobody of a call without the secret', async () => {
    await using refused = await refusing();
    expect((await call({ jobsApiUrl: refused.url, authorization: 'Bearer another' })).status).toBe(401);
    expect(receiver.received).toEqual([]);
  });

  it('tells again whom it could not tell, and only them', async () => {
    receiver.answerWith(500);
    await using refused = await refusing();
    await call({ jobsApiUrl: refused.url });
    receiver.forget();
    receiver.answerWith(200);
    await call({ jobsApiUrl: refused.url });
    await call({ jobsApiUrl: refused.url });
    expect(receiver.received.map(({ url }) => url).toSorted()).toEqual(['/slack', '/webhook']);
  });

  it('answers as it would where what was told cannot be looked up', async () => {
    const broken: IncidentCache = { ...cache, get: () => Promise.reject(new Error('the cache is away')) };
    await using works = await working();
    expect((await call({ jobsApiUrl: works.url, cache: broken })).status).toBe(202);
    expect(failures).toHaveLength(1);
  });

  it('wants a secret to sign with', () => {
    const env = { CRON_SECRET: 'cron-secret-of-tests', ALERT_WEBHOOK_URL: 'https://hooks.example.com' };
    expect(() => readCronEnv(env)).toThrow('missing: ALERT_WEBHOOK_SECRET');
  });
});
