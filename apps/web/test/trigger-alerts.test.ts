/**
 * Alerts of the cron route itself: one for an outage, whichever jobs it hits, and one for its end.
 * What an incident becomes is in trigger-incidents.test.ts; this is what people are sent, and what
 * the cache may do to it.
 */
import { NO_TRACES } from '@revos/core/telemetry';
import { type Receiver, startReceiver } from '@revos/local-stack/receiver';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answerCron } from '../src/cron/answer-cron.ts';
import { createTriggerAlerts, type IncidentCache } from '../src/cron/trigger-alerts.ts';
import { readCronEnv } from '../src/env.ts';
import { aRun } from './a-run.ts';
import { type ScriptedEffects, scriptedEffects } from './scripted-effects.ts';
import { answerJson, type ScriptedServer, scriptedServer } from './scripted-server.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let receiver: Receiver;
let refusing: ScriptedServer;
let working: ScriptedServer;
let kept: Map<string, unknown>;
let failures: unknown[];

beforeAll(async () => {
  receiver = await startReceiver();
  refusing = await scriptedServer((_asked, response) => answerJson(response, 401, { title: 'Unauthorized' }));
  working = await scriptedServer((_asked, response) =>
    answerJson(response, 202, { run: aRun(), outcome: 'created' }),
  );
});
afterAll(async () => {
  await receiver?.close();
  await refusing?.[Symbol.asyncDispose]();
  await working?.[Symbol.asyncDispose]();
});
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
};
const away = () => Promise.reject(new Error('the cache is away'));

interface Call {
  readonly job?: string;
  /** `HH:MM` of one day. */
  readonly at?: string;
  readonly jobsApi: ScriptedServer;
  readonly authorization?: string;
  readonly cache?: IncidentCache;
  readonly effects?: ScriptedEffects;
  readonly fetch?: typeof fetch;
  /** What the function does where it works on a slot itself that the jobs API gave no answer for. */
  readonly standsIn?: () => Promise<void>;
}

async function call({
  job = 'dm-queue',
  at = '10:07',
  jobsApi,
  authorization = 'Bearer cron-secret-of-tests',
  effects = scriptedEffects(new Date(`2026-11-24T${at}:30.000Z`)),
  ...more
}: Call) {
  const env = {
    CRON_SECRET: 'cron-secret-of-tests',
    JOBS_API_URL: jobsApi.url,
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
        await more.standsIn();
        return { run: aRun({ status: 'succeeded' }), outcome: 'created' };
      },
      openAlerts: async (options) =>
        createTriggerAlerts({
          ...options,
          ...{ http: { effects, fetch: more.fetch ?? fetch }, cache: more.cache ?? cache },
          onCacheFailed: (error) => failures.push(error),
        }),
      onAlertsFailed: (error) => failures.push(error),
      openTraces: async () => NO_TRACES,
      onFailure: () => {},
      onFallback: () => {},
    },
  );
}

/** What came, oldest first, however it was answered. */
const told = (path: '/webhook' | '/slack' = '/webhook'): string[] =>
  receiver.received
    .filter(({ url }) => url === path)
    .map(({ body }) => {
      const { type, text } = JSON.parse(body) as { type?: string; text?: string };
      return type ?? (text?.includes('*Over:*') ? 'alert.ended' : 'alert.opened');
    });
const ids = (): unknown[] =>
  receiver.received.filter(({ url }) => url === '/webhook').map(({ headers }) => headers['webhook-id']);

/** A fetch that shows what else is so when a webhook is sent. */
const onWebhook =
  (look: () => void): typeof fetch =>
  (url, init) => {
    if (String(url).endsWith('/webhook')) look();
    return fetch(url, init);
  };

describe('the cron route', () => {
  it('tells once of an outage, whichever jobs it hits, and once of its end', async () => {
    for (const job of ['dm-queue', 'post-scheduler', 'dm-queue']) {
      expect((await call({ job, jobsApi: refusing })).status).toBe(502);
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
    for (const job of ['dm-queue', 'post-scheduler', 'dm-queue']) {
      expect((await call({ job, jobsApi: working })).status).toBe(202);
    }
    expect(told()).toEqual(['alert.opened', 'alert.ended']);
    expect(told('/slack')).toEqual(['alert.opened', 'alert.ended']);
    expect(failures).toEqual([]);
  });

  it('does not begin and end while one job fails and another works', async () => {
    for (const at of ['10:00', '10:15', '10:30', '10:45']) {
      await call({ at, jobsApi: refusing });
      await call({ at, jobsApi: working, job: 'reconcile' });
    }
    expect(told()).toEqual(['alert.opened']);
    await call({ at: '11:00', jobsApi: working });
    expect(told()).toEqual(['alert.opened', 'alert.ended']);
  });

  it('begins nothing within ten minutes of an end, and then what still fails', async () => {
    await call({ at: '10:00', jobsApi: refusing });
    await call({ at: '10:05', jobsApi: working });
    await call({ at: '10:10', jobsApi: refusing, job: 'reconcile' });
    expect(told()).toEqual(['alert.opened', 'alert.ended']);
    await call({ at: '10:15', jobsApi: refusing, job: 'reconcile' });
    expect(told()).toEqual(['alert.opened', 'alert.ended', 'alert.opened']);
    expect(new Set(ids()).size).toBe(3);
  });

  it('tells of a jobs API that it stands in for', async () => {
    await using gone = await scriptedServer((_asked, response) => answerJson(response, 503, {}));
    for (const _ of [1, 2]) {
      expect((await call({ jobsApi: gone, standsIn: async () => {} })).status).toBe(200);
    }
    expect(told()).toEqual(['alert.opened']);
    expect(receiver.received[0]?.body).toContain('The jobs API was not reached in time.');
  });

  it('tells of it while it stands in, which may last until the function is cut off', async () => {
    await using gone = await scriptedServer((_asked, response) => answerJson(response, 503, {}));
    const webhook = Promise.withResolvers<void>();
    const answer = await call({
      jobsApi: gone,
      standsIn: () => webhook.promise,
      fetch: onWebhook(webhook.resolve),
    });
    expect(answer.status).toBe(200);
    expect(told()).toEqual(['alert.opened']);
  });

  it('tells nobody while slots get their runs', async () => {
    await call({ jobsApi: working });
    expect(receiver.received).toEqual([]);
  });

  it('tells nobody of a call without the secret', async () => {
    expect((await call({ jobsApi: refusing, authorization: 'Bearer another' })).status).toBe(401);
    expect(receiver.received).toEqual([]);
  });

  it('tells again whom it could not tell, and only them', async () => {
    receiver.answerWith(500);
    await call({ jobsApi: refusing });
    expect(failures.map(String).toSorted()).toEqual([
      'Error: slack did not take opened of trigger-failed:2026-11-24T10:00:00Z: HTTP 500',
      'Error: webhook did not take opened of trigger-failed:2026-11-24T10:00:00Z: HTTP 500',
    ]);
    receiver.forget();
    receiver.answerWith(200);
    await call({ jobsApi: refusing });
    await call({ jobsApi: refusing });
    expect(receiver.received.map(({ url }) => url).toSorted()).toEqual(['/slack', '/webhook']);
  });

  it('tells of an end again whom it could not tell', async () => {
    await call({ at: '10:00', jobsApi: refusing });
    receiver.answerWith(500);
    await call({ at: '10:15', jobsApi: working });
    receiver.forget();
    receiver.answerWith(200);
    for (const at of ['10:30', '10:45']) await call({ at, jobsApi: working });
    expect(told()).toEqual(['alert.ended']);
    expect(told('/slack')).toEqual(['alert.ended']);
  });

  it('tells of an outage afterwards whom it could not tell during it', async () => {
    receiver.answerWith(500);
    await call({ at: '10:00', jobsApi: refusing });
    await call({ at: '10:15', jobsApi: working });
    receiver.forget();
    receiver.answerWith(200);
    await call({ at: '10:30', jobsApi: working });
    expect(told()).toEqual(['alert.opened', 'alert.ended']);
    expect(told('/slack')).toEqual(['alert.opened', 'alert.ended']);
  });

  it('asks a channel that never answers for a day, once a slot', async () => {
    receiver.answerWith(500);
    const day = '2026-11-25T09:';
    await call({ at: '10:00', jobsApi: refusing });
    await call({ at: '10:15', jobsApi: working });
    receiver.forget();
    const later = (minute: string) => scriptedEffects(new Date(`${day}${minute}:00.000Z`));
    await call({ jobsApi: working, effects: later('55') });
    expect(told()).toEqual(['alert.opened']);
    receiver.forget();
    await call({ jobsApi: working, effects: scriptedEffects(new Date('2026-11-25T10:16:00.000Z')) });
    expect(receiver.received).toEqual([]);
  });

  it.each<{ what: string; broken: Partial<IncidentCache> }>([
    { what: 'looked up', broken: { get: away } },
    { what: 'kept', broken: { set: away } },
    { what: 'looked up or kept', broken: { get: away, set: away } },
  ])('tells all the same where what was told cannot be $what', async ({ broken }) => {
    expect((await call({ jobsApi: refusing, cache: { ...cache, ...broken } })).status).toBe(502);
    expect(told()).toEqual(['alert.opened']);
    expect(told('/slack')).toEqual(['alert.opened']);
    expect(new Set(failures.map(String))).toEqual(new Set(['Error: the cache is away']));
  });

  it('answers as it would where what was told cannot be looked up', async () => {
    expect((await call({ jobsApi: working, cache: { ...cache, get: away } })).status).toBe(202);
    expect(failures).toHaveLength(1);
  });

  it('does not wait for a cache that never answers', async () => {
    const effects = scriptedEffects(new Date('2026-11-24T10:07:30.000Z'));
    const get = () => {
      setImmediate(() => effects.expireTimeouts());
      return new Promise<never>(() => {});
    };
    expect((await call({ jobsApi: working, effects, cache: { ...cache, get } })).status).toBe(202);
    expect(String(failures[0])).toContain('the runtime cache did not answer within 2000 ms');
  });

  it('keeps an incident before it tells of it, so that another function finds it', async () => {
    const keptAtWebhook: number[] = [];
    await call({ jobsApi: refusing, fetch: onWebhook(() => keptAtWebhook.push(kept.size)) });
    expect(keptAtWebhook).toEqual([1]);
  });

  it('tells with one id of one slot, where two functions look before either has written', async () => {
    const looked = Promise.withResolvers<void>();
    let looks = 0;
    const get = async (key: string) => {
      const found = kept.get(key);
      if (++looks === 2) looked.resolve();
      await looked.promise;
      return found;
    };
    const jobs = ['dm-queue', 'reconcile'];
    await Promise.all(
      jobs.map((job) => call({ at: '10:00', job, jobsApi: refusing, cache: { ...cache, get } })),
    );
    expect(ids()).toEqual(Array(2).fill('trigger-failed:2026-11-24T10:00:00Z:opened'));
  });

  it('loses nothing that another function writes while it tells', async () => {
    let isFirst = true;
    const meanwhile: typeof fetch = async (url, init) => {
      if (isFirst) {
        isFirst = false;
        await call({ at: '10:00', job: 'reconcile', jobsApi: refusing });
      }
      return fetch(url, init);
    };
    await call({ at: '10:00', jobsApi: refusing, fetch: meanwhile });
    expect(new Set(ids()).size).toBe(1);
    await call({ at: '10:15', jobsApi: working });
    expect(told()).not.toContain('alert.ended');
    await call({ at: '10:15', job: 'reconcile', jobsApi: working });
    expect(told().at(-1)).toBe('alert.ended');
  });

  it('wants a secret to sign with', () => {
    const env = { CRON_SECRET: 'cron-secret-of-tests', ALERT_WEBHOOK_URL: 'https://hooks.example.com' };
    expect(() => readCronEnv(env)).toThrow('missing: ALERT_WEBHOOK_SECRET');
  });
});
