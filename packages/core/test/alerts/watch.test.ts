/** Alerts: each told from its cause, once when it begins and once when it ends, to who is configured. */

import { type Receiver, startReceiver } from '@revos/local-stack/receiver';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountId,
  act,
  after,
  at,
  claim,
  claimOne,
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  openAccount,
  queue,
} from '../../../../tests/support/builders.ts';
import { openSession, type Session } from '../../../../tests/support/database.ts';
import { insertPost, LATE_LIMIT_MINUTES, postingAccount } from '../../../../tests/support/posts.ts';
import {
  ALERT_CODES,
  type AlertsConfig,
  beat,
  channelsOf,
  createAlertStore,
  createAlertWatch,
} from '../../src/alerts/index.ts';
import { realEffects } from '../../src/effects/index.ts';
import { RpcError } from '../../src/rpc/index.ts';
import type { AlertReport } from '../../src/telemetry/index.ts';
import { captureLog } from '../support/log.ts';

/** A Monday. */
const NOW = at('2026-03-02T10:00:00Z');
const SECRETS = [1, 2].map((byte) => `whsec_${Buffer.alloc(32, byte).toString('base64')}`);
const JOBS = [
  { name: 'dm-queue', schedule: '*/15 * * * *' },
  { name: 'post-scheduler', schedule: '*/15 * * * *' },
];

let session: Session;
let receiver: Receiver;
let log: ReturnType<typeof captureLog>;
let reported: AlertReport[];
let reportedErrors: unknown[];

beforeAll(async () => {
  [session, receiver] = await Promise.all([openSession(NOW), startReceiver()]);
});
afterAll(() => Promise.all([session?.close(), receiver?.close()]));
beforeEach(async () => {
  session.clock.now = NOW;
  receiver.answerWith(200);
  receiver.forget();
  log = captureLog();
  [reported, reportedErrors] = [[], []];
  await session.reset();
});

interface Process {
  readonly config?: Partial<AlertsConfig>;
  /** What keeps the service from its work. */
  readonly failure?: () => string | null;
  readonly rpc?: Session['rpc'];
  readonly jobs?: typeof JOBS;
  readonly notReadyLooks?: 1 | 2;
}

/** One process that watches. */
function watchOf(process: Process = {}) {
  const { config = {}, failure = () => null, rpc = session.rpc, jobs = JOBS, notReadyLooks = 2 } = process;
  const effects = { ...realEffects, now: () => session.clock.now };
  const http = { effects, fetch };
  const reports = { alert: (alert: AlertReport) => void reported.push(alert) };
  const { heartbeatUrl = null } = config;
  return createAlertWatch({
    ...{ rpc, effects, jobs, notReadyLooks, logger: log.logger },
    store: createAlertStore(rpc),
    channels: channelsOf(
      {
        webhook: { url: `${receiver.address}/webhook`, secrets: SECRETS },
        slackUrl: `${receiver.address}/slack`,
        ...config,
      },
      reports,
      http,
    ),
    beat: heartbeatUrl === null ? null : () => beat(heartbeatUrl, http),
    reports: { error: (error: unknown) => void reportedErrors.push(error) },
    postLateLimitMinutes: LATE_LIMIT_MINUTES,
    findReadinessFailure: async () => failure(),
  });
}

const advance = (ms: number): void => {
  session.clock.now = after(session.clock.now, ms);
};
const sentTo = (path: string) => receiver.received.filter(({ url }) => url === path);
/** What the webhook was told: `opened slot_missed`. */
const told = (): string[] =>
  sentTo('/webhook').map(({ body }) => {
    const { type, data } = JSON.parse(body) as { type: string; data: { code: string } };
    return `${type.replace('alert.', '')} ${data.code}`;
  });
/** What the webhook was told first of a code. */
const dataOf = (code: string): Record<string, unknown> => {
  const bodies = sentTo('/webhook').map(({ body }) => JSON.parse(body) as { data: Record<string, unknown> });
  return bodies.find(({ data }) => data.code === code)?.data ?? {};
};
const startRun = (job = 'dm-queue', scheduled_for: Date | null = session.clock.now) =>
  session.rpc.call<{ run: { id: string } }>('run_start', {
    ...{ job, trigger: 'vercel-cron', requested_by: 'cron', params: {} },
    scheduled_for: scheduled_for?.toISOString() ?? null,
    horizon_at: after(session.clock.now, HOUR_MS),
  });
const beginRun = async (job?: string): Promise<string> => {
  const { id } = (await startRun(job)).run;
  await session.rpc.call('run_begin', { id, worker: 'w' });
  return id;
};
const finishRun = (id: string, status: string, stats: object = {}, error: string | null = null) =>
  session.rpc.call('run_finish', {
    ...{ id, worker: 'w', status, stats, error },
    horizon_seen: after(session.clock.now, DAY_MS),
  });
const aRun = async (status = 'succeeded', stats: object = {}, job?: string): Promise<void> => {
  await finishRun(await beginRun(job), status, stats, status === 'failed' ? 'It broke.' : null);
};
const recordRefusedKey = async (): Promise<void> => {
  const { attempt_id } = await claimOne(session);
  const ending = { outcome: 'not_sent', next_step: 'wait', reason: 'platform_key_refused' } as const;
  await session.dm.record([{ attempt_id, ...ending }]);
};

interface Cause {
  readonly code: string;
  /** Makes it so. */
  readonly begin: () => Promise<unknown>;
  /** Makes it so no longer. */
  readonly end: () => Promise<unknown>;
  readonly about?: () => readonly string[];
  /** What else is found as long as it lasts. */
  readonly also?: string;
}

/** Nothing else is found while a cause lasts: the jobs that run are those that it is about. */
const DM = { jobs: JOBS.slice(0, 1) };
const NONE = { jobs: [] };
let lost = '';
let missed = '';

const CAUSES: readonly (Cause & Process)[] = [
  {
    ...{ code: 'slot_missed', ...DM, about: () => ['dm-queue'] },
    begin: async () => {
      await aRun();
      advance(19 * MINUTE_MS);
    },
    end: () => aRun(),
  },
  {
    ...{ code: 'run_failed', ...DM, about: () => ['dm-queue'] },
    begin: () => aRun('failed'),
    end: async () => {
      advance(MINUTE_MS);
      await aRun();
    },
  },
  {
    ...{ code: 'run_silent', ...DM, about: () => ['dm-queue'] },
    begin: async () => {
      lost = await beginRun();
      advance(3 * MINUTE_MS);
    },
    end: () => finishRun(lost, 'succeeded'),
  },
  {
    ...{ code: 'run_not_begun', ...DM, about: () => ['dm-queue'] },
    begin: async () => {
      lost = (await startRun()).run.id;
      advance(10 * MINUTE_MS);
    },
    end: async () => {
      await session.rpc.call('run_begin', { id: lost, worker: 'w' });
      await finishRun(lost, 'succeeded');
    },
  },
  {
    ...{ code: 'sends_nothing', ...DM, about: () => ['dm-queue'], also: 'messages_late' },
    begin: async () => {
      await openAccount(session, 1);
      await claim(session);
      await queue(session, accountId(1), 1);
      await session.query('update dm_queue set created_at = $1', [NOW.toISOString()]);
      advance(15 * MINUTE_MS);
      await aRun('succeeded', { sent: 0 });
    },
    end: () => claimOne(session),
  },
  {
    ...{ code: 'messages_late', ...NONE },
    begin: async () => {
      await openAccount(session, 1);
      await claim(session);
      await queue(session, accountId(1), 1);
      await session.query('update dm_queue set created_at = $1', [NOW.toISOString()]);
      advance(15 * MINUTE_MS);
    },
    end: () => claimOne(session),
  },
  {
    ...{ code: 'posts_late', ...NONE },
    begin: async () => {
      lost = await insertPost(session, {
        ...{ linkedin_account_id: await postingAccount(session, 1), content: 'Late' },
        scheduled_for: after(NOW, -20 * MINUTE_MS),
      });
    },
    end: () => session.query(`update posts set status = 'draft'`, []),
  },
  {
    ...{ code: 'posts_missed', ...NONE, about: () => [missed] },
    begin: async () => {
      missed = await insertPost(session, {
        ...{ linkedin_account_id: await postingAccount(session, 1), content: 'Missed' },
        scheduled_for: after(NOW, -(LATE_LIMIT_MINUTES + 1) * MINUTE_MS),
      });
    },
    end: () => session.query(`update posts set status = 'draft'`, []),
  },
  {
    ...{ code: 'posts_held', ...NONE, about: () => [missed] },
    begin: async () => {
      missed = await insertPost(session, {
        ...{ linkedin_account_id: await postingAccount(session, 1), content: ' ' },
        scheduled_for: after(NOW, HOUR_MS),
      });
    },
    end: () => session.query(`update posts set content = 'Mended'`, []),
  },
  {
    ...{ code: 'messages_held', ...NONE, about: () => [missed] },
    begin: async () => {
      [missed = ''] = await queue(session, await openAccount(session, 1));
      const { attempt_id } = await claimOne(session);
      await session.dm.record([{ attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
      for (const ms of [DAY_MS, HOUR_MS]) {
        advance(ms);
        await session.dm.resolve([{ attempt_id, found: 'absent' }], 'hold');
      }
    },
    end: () => act(session, 'settle', [missed], { decision: 'sent' }),
  },
  {
    ...{ code: 'posts_unknown', ...NONE, about: () => [missed] },
    begin: async () => {
      missed = await insertPost(session, { linkedin_account_id: await postingAccount(session, 1) });
      await session.query(
        `insert into post_publications (post_id, state, reason, updated_at) values ($1, 'unknown', 'unknown_held', $2)`,
        [missed, NOW.toISOString()],
      );
    },
    end: () => session.query(`delete from post_publications`, []),
  },
  {
    ...{ code: 'accounts_waiting', ...NONE, about: () => [accountId(1)] },
    begin: async () => {
      await queue(session, await openAccount(session, 1));
      await session.rpc.call('account_pause', { account_id: accountId(1), reason: 'ill', actor: 'ada' });
    },
    end: () => session.rpc.call('account_resume', { account_id: accountId(1), actor: 'ada' }),
  },
  {
    ...{ code: 'key_refused', ...NONE },
    begin: async () => {
      await queue(session, await openAccount(session, 1));
      await recordRefusedKey();
    },
    end: () => claimOne(session),
  },
];

describe('an alert', () => {
  it.each(CAUSES)('$code is told when its cause begins, and when that is gone', async (cause) => {
    const watch = watchOf(cause);
    await cause.begin();
    await watch.look();
    const codes = [cause.code, cause.also ?? []].flat();
    expect(told().toSorted()).toEqual(codes.map((code) => `opened ${code}`).toSorted());
    const data = dataOf(cause.code);
    expect(data.subjects).toEqual(cause.about?.() ?? ['system']);
    expect(data.what_to_do).toEqual(expect.any(String));
    await watch.look();
    expect(told()).toHaveLength(codes.length);
    await cause.end();
    advance(2 * MINUTE_MS);
    await watch.look();
    expect(told().slice(codes.length).toSorted()).toEqual(codes.map((code) => `ended ${code}`).toSorted());
    await watch.look();
    expect(told()).toHaveLength(2 * codes.length);
  });

  it('of a run that failed is not over as the next one begins', async () => {
    const watch = watchOf(DM);
    await aRun('failed');
    await watch.look();
    advance(5 * MINUTE_MS);
    const next = await beginRun();
    await watch.look();
    advance(2 * MINUTE_MS);
    await session.rpc.call('run_heartbeat', { id: next, worker: 'w', stats: {} });
    await watch.look();
    expect(told()).toEqual(['opened run_failed']);
    await finishRun(next, 'succeeded');
    advance(2 * MINUTE_MS);
    await watch.look();
    expect(told()).toEqual(['opened run_failed', 'ended run_failed']);
  });

  it.each([
    { code: 'run_silent', begins: true, ms: 61_000 },
    { code: 'run_not_begun', begins: false, ms: 10 * MINUTE_MS + 1 },
  ])('$code is told of runs that another process has given up, one after the other', async (given) => {
    const watch = watchOf(DM);
    for (let slot = 1; slot <= 3; slot += 1) {
      if (given.begins) await beginRun();
      else await startRun();
      advance(given.ms);
      await session.rpc.call('run_recover');
      await watch.look();
      expect(told()).toEqual([`opened ${given.code}`]);
    }
    await aRun();
    advance(2 * MINUTE_MS);
    await watch.look();
    expect(told()).toEqual([`opened ${given.code}`, `ended ${given.code}`]);
  });

  it('not_ready is told at once by who does not look again', async () => {
    const failure = () => 'Failing: schema.';
    await watchOf({ ...NONE, failure, notReadyLooks: 1 }).look();
    expect(told()).toEqual(['opened not_ready']);
  });

  it('not_ready is told once it has lasted from one look to the next', async () => {
    let failure: string | null = 'Failing: schema.';
    const watch = watchOf({ ...NONE, failure: () => failure });
    await watch.look();
    expect(told()).toEqual([]);
    await watch.look();
    expect(told()).toEqual(['opened not_ready']);
    failure = null;
    advance(2 * MINUTE_MS);
    await watch.look();
    expect(told()).toEqual(['opened not_ready', 'ended not_ready']);
  });

  it('of a run that failed is not over for one that a deploy has stopped', async () => {
    const watch = watchOf(DM);
    await aRun('failed');
    await watch.look();
    advance(MINUTE_MS);
    await finishRun(await beginRun(), 'interrupted', {}, 'stopped: shutdown');
    advance(2 * MINUTE_MS);
    await watch.look();
    expect(told()).toEqual(['opened run_failed']);
  });

  it('not_ready is told beside a schema that says less', async () => {
    const rpc: Session['rpc'] = {
      call: async (name, args) => {
        const answer = await session.rpc.call<Record<string, unknown>>(name, args);
        if (name === 'system_facts') delete answer.last_ended_runs;
        return answer as never;
      },
      close: async () => {},
    };
    await watchOf({ ...DM, rpc, failure: () => 'Failing: schema.', notReadyLooks: 1 }).look();
    expect(told()).toEqual(['opened not_ready']);
    expect(reportedErrors).toEqual([]);
  });

  it('of held posts is not over where not all were looked at', async () => {
    const account = await postingAccount(session, 1);
    const post = { linkedin_account_id: account, content: ' ', scheduled_for: after(NOW, HOUR_MS) };
    const held = await insertPost(session, post);
    const watch = watchOf(NONE);
    await watch.look();
    await session.query(`update posts set scheduled_for = $2 where id = $1`, [
      held,
      after(NOW, 23 * HOUR_MS),
    ]);
    await session.query(
      `insert into posts (linkedin_account_id, content, status, scheduled_for)
      select $1, 'Ahead', 'scheduled', $2 from generate_series(1, 1001)`,
      [account, after(NOW, HOUR_MS).toISOString()],
    );
    advance(2 * MINUTE_MS);
    await watch.look();
    expect(told()).toEqual(['opened posts_held']);
  });

  it('that was kept before is told where nothing more can be kept', async () => {
    await aRun('failed');
    await watchOf({ ...DM, config: { webhook: null, slackUrl: null } }).look();
    const rpc: Session['rpc'] = {
      call: (name, args) =>
        name === 'alerts_observe'
          ? Promise.reject(new RpcError('bug', name, '42883', 'there is no such function'))
          : session.rpc.call(name, args),
      close: async () => {},
    };
    await watchOf({ ...DM, rpc }).look();
    expect(told()).toEqual(['opened run_failed']);
    expect(reportedErrors).toHaveLength(1);
  });

  it('has a cause here for each of its codes', () => {
    expect([...CAUSES.map(({ code }) => code), 'not_ready'].toSorted()).toEqual([...ALERT_CODES].toSorted());
  });

  it('about two jobs is one', async () => {
    await aRun('failed', {}, 'dm-queue');
    await aRun('failed', {}, 'post-scheduler');
    await watchOf().look();
    expect(told()).toEqual(['opened run_failed']);
    expect(dataOf('run_failed')).toMatchObject({
      subjects: ['dm-queue', 'post-scheduler'],
      sentence: 'The last run of dm-queue failed. The last run of post-scheduler failed.',
    });
  });
});

describe('telling', () => {
  const fail = () => aRun('failed');

  it('is one of several processes’, and no process that starts again repeats it', async () => {
    await fail();
    await Promise.all([watchOf(DM), watchOf(DM), watchOf(DM)].map((watch) => watch.look()));
    await watchOf(DM).look();
    expect(told()).toEqual(['opened run_failed']);
    expect(sentTo('/slack')).toHaveLength(1);
    expect(reported).toEqual([{ code: 'run_failed', event: 'opened' }]);
  });

  it('is signed by each secret, with the same id at every try', async () => {
    await fail();
    receiver.answerWith(500);
    const watch = watchOf(DM);
    await watch.look();
    receiver.answerWith(200);
    advance(10_000);
    await watch.look();
    const [first, second] = sentTo('/webhook');
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    for (const secret of SECRETS) {
      const expected = new Webhook(secret).sign(
        String(second?.headers['webhook-id']),
        session.clock.now,
        second?.body ?? '',
      );
      expect(String(second?.headers['webhook-signature']).split(' ')).toContain(expected);
    }
    expect(told()).toEqual(['opened run_failed', 'opened run_failed']);
    await watch.look();
    expect(told()).toHaveLength(2);
    expect(log.messages()).toContain('alert not delivered, retrying later');
  });

  it('waits for nobody who does not take it: the others are told', async () => {
    await fail();
    const gone = await startReceiver();
    await gone.close();
    await watchOf({ ...DM, config: { webhook: { url: gone.address, secrets: SECRETS } } }).look();
    expect(sentTo('/slack')).toHaveLength(1);
    expect(log.lines.join()).toContain('ECONNREFUSED');
  });

  it('follows no redirect', async () => {
    await fail();
    receiver.answerWith(307, { location: `${receiver.address}/elsewhere` });
    await watchOf(DM).look();
    expect(sentTo('/elsewhere')).toEqual([]);
    expect(log.lines.join()).toContain('HTTP 307');
  });

  it('to Slack mentions nobody, whatever a name has in it', async () => {
    await queue(session, await openAccount(session, 1));
    await session.query(`update linkedin_accounts set account_name = '<!channel> & <@U1>'`, []);
    await session.rpc.call('account_pause', { account_id: accountId(1), reason: 'ill', actor: 'ada' });
    await watchOf(NONE).look();
    const { text } = JSON.parse(sentTo('/slack')[0]?.body ?? '') as { text: string };
    expect(text).toContain('&lt;!channel&gt; &amp; &lt;@U1&gt;: ill');
    expect(text).toContain(`(accounts_waiting): \`${accountId(1)}\``);
    expect(text).not.toContain('<');
  });

  it('is for whoever has a channel, whoever has seen it first', async () => {
    const silent = { ...DM, config: { webhook: null, slackUrl: null } };
    await fail();
    await watchOf(silent).look();
    expect(told()).toEqual([]);
    await watchOf(DM).look();
    expect(told()).toEqual(['opened run_failed']);
    advance(MINUTE_MS);
    await aRun();
    advance(2 * MINUTE_MS);
    await watchOf(silent).look();
    await watchOf(DM).look();
    expect(told()).toEqual(['opened run_failed', 'ended run_failed']);
  });

  it('is kept for later where nobody is configured', async () => {
    await fail();
    const config = { webhook: null, slackUrl: null };
    await watchOf({ ...DM, config }).look();
    expect(receiver.received).toEqual([]);
    expect(log.messages()).toContain('alert opened');
    expect((await createAlertStore(session.rpc).list({ open: true })).items).toMatchObject([
      { code: 'run_failed', subjects: ['dm-queue'], ended_at: null },
    ]);
  });
});

describe('a sign of life', () => {
  const beating = (process: Process = {}) =>
    watchOf({ ...NONE, ...process, config: { heartbeatUrl: `${receiver.address}/ping` } });

  it('is given at each look', async () => {
    const watch = beating();
    await watch.look();
    await watch.look();
    expect(sentTo('/ping').map(({ method }) => method)).toEqual(['GET', 'GET']);
  });

  it('is not given where the database does not answer, and the watch goes on', async () => {
    let isAway = true;
    const rpc: Session['rpc'] = {
      call: (name, args) =>
        isAway
          ? Promise.reject(new RpcError('unavailable', name, '', 'the connection was lost'))
          : session.rpc.call(name, args),
      close: async () => {},
    };
    const watch = beating({ rpc });
    await watch.look();
    expect(sentTo('/ping')).toEqual([]);
    isAway = false;
    await watch.look();
    expect(sentTo('/ping')).toHaveLength(1);
  });

  it('is not given where the database refuses to say how things are, which is reported', async () => {
    const rpc: Session['rpc'] = {
      call: (name, args) =>
        name === 'system_facts'
          ? Promise.reject(new RpcError('bug', name, '42501', 'permission denied'))
          : session.rpc.call(name, args),
      close: async () => {},
    };
    await beating({ rpc }).look();
    expect(sentTo('/ping')).toEqual([]);
    expect(reportedErrors).toEqual([expect.objectContaining({ code: '42501' })]);
  });

  it('that is not taken is said in the log', async () => {
    receiver.answerWith(404);
    await beating().look();
    expect(log.lines.join()).toContain('"code":"HTTP 404"');
    expect(log.messages()).toContain('heartbeat not delivered');
  });

  it('ends with the watch, which looks every minute', async () => {
    const ending = new AbortController();
    const slept: number[] = [];
    const watch = createAlertWatch({
      ...{ rpc: session.rpc, jobs: [], logger: log.logger, reports: { error: () => {} }, channels: [] },
      store: createAlertStore(session.rpc),
      notReadyLooks: 2,
      beat: null,
      effects: {
        ...realEffects,
        now: () => session.clock.now,
        sleep: async (ms) => {
          if (slept.push(ms) === 2) ending.abort();
        },
      },
      postLateLimitMinutes: LATE_LIMIT_MINUTES,
      findReadinessFailure: async () => null,
    });
    await watch.run(ending.signal);
    expect(slept).toEqual([60_000, 60_000]);
  });
});
