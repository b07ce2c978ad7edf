import { setImmediate as turn } from 'node:timers/promises';
import type { Action } from '@revos/unipile-sandbox';
import { describe, expect, it } from 'vitest';
import { dmQueue } from '../../src/dm/index.ts';
import { type Campaign, campaignOf, START } from '../support/campaign.ts';
import { databaseForFile, type Intercept, unavailable } from '../support/database.ts';
import { createGate } from '../support/gate.ts';
import { requestsOf } from '../support/sandbox.ts';

const db = databaseForFile();

const textsOf = (account: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${account} ${index}`);

const statusesOf = async (campaign: Campaign): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { status } of await campaign.messages()) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

const policyOf = async (campaign: Campaign, name: string) => {
  const [policy] = await db.query(
    `select to_jsonb(policy) as policy from public.account_policies as policy where account_id = $1`,
    [campaign.accountId(name)],
  );
  return policy?.policy as Record<string, unknown>;
};

/** Each message at most once, whatever else happened. */
const expectOnce = (campaign: Campaign): void => {
  const delivered = campaign.delivered();
  expect(delivered).toHaveLength(new Set(delivered).size);
};

/** Strikes the first `times` calls of one function. */
function strike(
  name: string,
  times: number,
  how: (next: () => Promise<unknown>) => Promise<unknown>,
): Intercept {
  let struck = 0;
  return async (called, next) => (called === name && struck++ < times ? how(next) : next());
}

const loseAnswer = (name: string) => async (next: () => Promise<unknown>) => {
  await next();
  throw unavailable(name);
};

describe('a run', () => {
  it('sends everything that may go out, each account’s in its order, one at a time', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 12, ben: 7, cleo: 1 }, sendConcurrency: 2 });
    const run = await campaign.run();
    expect(run).toMatchObject({
      status: 'succeeded',
      error: null,
      stats: {
        due: 20,
        seen: 20,
        eligible: 20,
        sent: 20,
        failed: 0,
        unknown: 0,
        retried: 0,
        skipped: {},
        next_at: null,
      },
    });
    for (const [name, count] of Object.entries({ ada: 12, ben: 7, cleo: 1 })) {
      expect(campaign.delivered().filter((text) => text.startsWith(name))).toEqual(textsOf(name, count));
    }
    const { requests, writes_in_flight } = await requestsOf(campaign.sandbox);
    expect(requests).toHaveLength(20);
    expect(writes_in_flight.map(({ max }) => max)).toEqual([1, 1, 1]);
    expect(
      (await campaign.messages()).every(({ status, reason }) => status === 'sent' && reason === null),
    ).toBe(true);
    expect((await campaign.attempts()).map(({ outcome }) => outcome)).toEqual(Array(20).fill('sent'));
  });

  it('with nothing to do ends at once, and says so', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 0 } });
    const run = await campaign.run();
    expect(run).toMatchObject({
      status: 'succeeded',
      stats: { due: 0, seen: 0, eligible: 0, sent: 0, skipped: {}, next_at: null },
    });
    expect(campaign.effects.now().getTime() - Date.parse(run.requested_at)).toBeLessThan(2_000);
  });

  it('goes on in the chat that a message started', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 1 } });
    await campaign.run();
    const [first] = campaign.sandbox.world.effects();
    await campaign.rpc.call('dm_enqueue', {
      rows: [
        {
          linkedin_account_id: campaign.accountId('ada'),
          recipient_id: first?.recipient_id,
          chat_id: first?.chat_id,
          message: 'ada again',
        },
      ],
    });
    await campaign.run();
    expect(campaign.sandbox.world.effects()).toMatchObject([
      { chat_id: first?.chat_id },
      { chat_id: first?.chat_id },
    ]);
    const { requests } = await requestsOf(campaign.sandbox);
    expect(requests.at(-1)?.path).toBe(`/api/v1/chats/${first?.chat_id}/messages`);
  });

  it.each([
    { limit: { dms_per_day: 3 }, reason: 'day_limit', nextAt: '2026-03-03T00:00:00.000Z' },
    { limit: { dms_per_24h: 3 }, reason: 'rolling_24h_limit', nextAt: '2026-03-03T10:00:01.000Z' },
    { limit: { dms_per_7d: 3 }, reason: 'rolling_7d_limit', nextAt: '2026-03-09T10:00:01.000Z' },
  ])(
    'leaves what is over a limit, and says why and until when: $reason',
    async ({ limit, reason, nextAt }) => {
      const campaign = await campaignOf(db, { messages: { ada: 5 }, policy: limit });
      const { stats } = await campaign.run();
      expect(stats).toMatchObject({ due: 5, seen: 5, sent: 3, skipped: { [reason]: 2 } });
      expect(Math.abs(Date.parse(stats.next_at ?? '') - Date.parse(nextAt))).toBeLessThan(30_000);
      expect(campaign.delivered()).toEqual(textsOf('ada', 3));
      // And again: the limit is still used up.
      expect((await campaign.run()).stats).toMatchObject({ sent: 0, skipped: { [reason]: 2 } });
    },
  );

  it('leaves what is outside an account’s hours, and sends nothing', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 2 }, policy: { window_start: '11:00' } });
    expect((await campaign.run()).stats).toMatchObject({
      seen: 2,
      sent: 0,
      skipped: { outside_hours: 2 },
      next_at: '2026-03-02T11:00:00+00:00',
    });
    expect(campaign.delivered()).toEqual([]);
  });

  it('keeps to the gap between two messages, and ends at its horizon with the rest waiting', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 40 },
      policy: { gap_min_s: 60, gap_max_s: 60 },
    });
    const run = await campaign.run();
    expect(run.status).toBe('succeeded');
    // 10:00:01 to 10:15:00, one a minute.
    expect(run.stats).toMatchObject({ sent: 15, skipped: { gap: 25 } });
    expect(Date.parse(run.finished_at ?? '')).toBeLessThanOrEqual(Date.parse('2026-03-02T10:15:00Z'));
    const at = campaign.sandbox.world.effects().map((effect) => Date.parse(effect.at));
    for (const [index, instant] of at.entries()) {
      if (index > 0) expect(instant - (at[index - 1] ?? 0)).toBeGreaterThanOrEqual(60_000);
    }
  });

  it('ends at its horizon also where more could go out at once: the rest is the next run’s', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 30 } });
    const { unipile } = campaign.system.services;
    const { sendMessage } = unipile;
    unipile.sendMessage = (request) =>
      campaign.driver.during(async () => {
        const answer = await sendMessage(request);
        // A slow minute: within the lease, and so for every message.
        await campaign.effects.advance(60_000);
        return answer;
      });
    const run = await campaign.run();
    expect(run).toMatchObject({
      status: 'succeeded',
      stats: { sent: 15, unknown: 0, skipped: { ready: 15 } },
    });
    // The last one began before the slot, and was finished after it.
    expect(campaign.sandbox.world.effects().at(-1)?.at).toBe('2026-03-02T10:14:01.000Z');
  });

  it('ends as soon as nothing can go out before its horizon', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 2 },
      policy: { gap_min_s: 3_600, gap_max_s: 3_600 },
    });
    const run = await campaign.run();
    expect(run.stats).toMatchObject({ sent: 1, skipped: { gap: 1 } });
    expect(campaign.effects.now().getTime() - Date.parse(run.requested_at)).toBeLessThan(10_000);
  });

  it('sends what is queued while it waits', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 2 }, policy: { gap_min_s: 60, gap_max_s: 60 } });
    const started = await campaign.system.start(dmQueue);
    await campaign.driver.pass(10_000);
    await campaign.rpc.call('dm_enqueue', {
      rows: [
        {
          linkedin_account_id: campaign.accountId('ada'),
          recipient_id: 'ACoAAlate',
          message: 'ada late',
          priority: 9,
        },
      ],
    });
    const run = await campaign.driver.untilEnd(campaign.system.ended(started.id));
    expect(run.stats).toMatchObject({ due: 2, sent: 3 });
    // With the higher priority it went before the one that waited.
    expect(campaign.delivered()).toEqual(['ada 0', 'ada late', 'ada 1']);
  });

  it('reports its progress while it runs', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 3 }, policy: { gap_min_s: 60, gap_max_s: 60 } });
    const { id } = await campaign.system.start(dmQueue);
    await campaign.driver.pass(70_000);
    expect((await campaign.system.runs.get(id))?.stats).toMatchObject({ due: 3, eligible: 2, sent: 2 });
    await campaign.driver.untilEnd(campaign.system.ended(id));
  });

  it('one account’s trouble costs the others nothing', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 20, ben: 5, cleo: 5 },
      sendConcurrency: 2,
      sandbox: {
        accounts: [{ id: 'ada', status: 'CREDENTIALS' }, { id: 'ben' }, { id: 'cleo' }],
      },
    });
    const { stats } = await campaign.run();
    expect(stats).toMatchObject({ sent: 10, skipped: { paused: 20 } });
    expect((await requestsOf(campaign.sandbox)).requests).toHaveLength(11);
  });
});

/** Every way an answer can be: what becomes of the message, of its account and of the run's counts. */
const OUTCOMES: ReadonlyArray<{
  name: string;
  action: Action;
  message: { status: string; reason: string | null; attempts?: number };
  pause?: string;
  delivered: 0 | 1;
  stats: Record<string, number>;
}> = [
  {
    name: 'the answer is lost',
    action: { kind: 'drop_answer' },
    message: { status: 'unknown', reason: 'answer_lost' },
    delivered: 1,
    stats: { unknown: 1 },
  },
  {
    name: 'no answer comes',
    action: { kind: 'hang', effect: false },
    message: { status: 'unknown', reason: 'answer_lost' },
    delivered: 0,
    stats: { unknown: 1 },
  },
  {
    name: '504, delivered all the same',
    action: { kind: 'status', status: 504, type: 'errors/request_timeout', effect: true },
    message: { status: 'unknown', reason: 'answer_lost' },
    delivered: 1,
    stats: { unknown: 1 },
  },
  {
    name: 'success without ids',
    action: { kind: 'null_ids' },
    message: { status: 'unknown', reason: 'answer_lost' },
    delivered: 1,
    stats: { unknown: 1 },
  },
  {
    name: 'a page of HTML',
    action: { kind: 'html_body', effect: true },
    message: { status: 'unknown', reason: 'answer_lost' },
    delivered: 1,
    stats: { unknown: 1 },
  },
  ...(['nul', 'half_surrogate', 'too_long'] as const).map((how) => ({
    name: `success with ids that cannot be stored: ${how}`,
    action: { kind: 'bad_ids', how } as const,
    message: { status: 'sent', reason: null },
    delivered: 1 as const,
    stats: { sent: 3, unknown: 0 },
  })),
  {
    name: 'a redirect, delivered all the same',
    action: { kind: 'redirect', status: 307, location: '/api/v1/chats', effect: true },
    message: { status: 'unknown', reason: 'answer_lost' },
    delivered: 1,
    stats: { unknown: 1 },
  },
  {
    name: '422 not connected',
    action: { kind: 'status', status: 422, type: 'errors/no_connection_with_recipient', effect: false },
    message: { status: 'failed', reason: 'not_connected' },
    delivered: 0,
    stats: { failed: 1 },
  },
  {
    name: '422 invalid recipient',
    action: { kind: 'status', status: 422, type: 'errors/invalid_recipient', effect: false },
    message: { status: 'failed', reason: 'recipient_unreachable' },
    delivered: 0,
    stats: { failed: 1 },
  },
  {
    name: '400',
    action: { kind: 'status', status: 400, type: 'errors/invalid_parameters', effect: false },
    message: { status: 'failed', reason: 'rejected' },
    delivered: 0,
    stats: { failed: 1 },
  },
  {
    name: '429',
    action: { kind: 'status', status: 429, type: 'errors/too_many_requests', effect: false },
    message: { status: 'pending', reason: 'rate_limited', attempts: 0 },
    pause: 'rate_limited',
    delivered: 0,
    stats: { retried: 1 },
  },
  {
    name: '422 cannot_resend_yet',
    action: { kind: 'status', status: 422, type: 'errors/cannot_resend_yet', effect: false },
    message: { status: 'pending', reason: 'rate_limited', attempts: 0 },
    pause: 'rate_limited',
    delivered: 0,
    stats: { retried: 1 },
  },
  {
    name: '401 of the account',
    action: { kind: 'status', status: 401, type: 'errors/disconnected_account', effect: false },
    message: { status: 'pending', reason: 'account_disconnected', attempts: 0 },
    pause: 'account_disconnected',
    delivered: 0,
    stats: { retried: 1 },
  },
  {
    name: '403 restricted',
    action: { kind: 'status', status: 403, type: 'errors/account_restricted', effect: false },
    message: { status: 'pending', reason: 'account_restricted', attempts: 0 },
    pause: 'account_restricted',
    delivered: 0,
    stats: { retried: 1 },
  },
  {
    name: '404 of the account',
    action: { kind: 'status', status: 404, type: 'errors/resource_not_found', effect: false },
    message: { status: 'pending', reason: 'account_missing', attempts: 0 },
    pause: 'account_missing',
    delivered: 0,
    stats: { retried: 1 },
  },
  {
    name: '422 too soon for this recipient',
    action: { kind: 'status', status: 422, type: 'errors/cannot_resend_within_24hrs', effect: false },
    message: { status: 'pending', reason: 'recipient_later', attempts: 0 },
    delivered: 0,
    stats: { retried: 1 },
  },
];

/** Nothing is looked for on LinkedIn, so that what an answer alone means stands. */
const withoutReconciling: Intercept = async (name, next) =>
  name === 'dm_unknowns' ? { now: START.toISOString(), next_read_at: null, items: [] } : next();

describe('what an answer means', () => {
  it.each(OUTCOMES)('$name', async ({ action, message, pause, delivered, stats }) => {
    const campaign = await campaignOf(db, {
      messages: { ada: 1, ben: 2 },
      timeoutMs: action.kind === 'hang' ? 250 : 5_000,
      intercept: withoutReconciling,
      sandbox: { faults: [{ match: { operation: 'send', account_id: 'ada' }, action, times: null }] },
    });
    const run = await campaign.run();
    expect(run).toMatchObject({ status: 'succeeded', stats: { eligible: 3, sent: 2, ...stats } });
    const [ada] = await campaign.messages();
    expect(ada).toMatchObject(message);
    expect((await policyOf(campaign, 'ada')).pause_reason ?? null).toBe(pause ?? null);
    expect(campaign.delivered().filter((text) => text === 'ada 0')).toHaveLength(delivered);
    // Whatever the answer was, it is one call: nothing was tried again within the run.
    const { requests } = await requestsOf(campaign.sandbox);
    expect(requests).toHaveLength(3);
  });

  it('a stored chat that is gone: once more without it, in the same run', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 0 } });
    await campaign.rpc.call('dm_enqueue', {
      rows: [
        {
          linkedin_account_id: campaign.accountId('ada'),
          recipient_id: 'ACoAAada',
          chat_id: 'gone',
          message: 'ada 0',
        },
      ],
    });
    expect((await campaign.run()).stats).toMatchObject({ eligible: 2, sent: 1, retried: 1 });
    expect(campaign.delivered()).toEqual(['ada 0']);
  });

  it.each([
    { status: 403, type: 'account_mismatch' },
    { status: 403, type: 'feature_not_subscribed' },
    { status: 422, type: 'cant_send_message' },
  ])(
    'a stored chat that the account cannot use ($type): written by the recipient, no strike',
    async ({ status, type }) => {
      const campaign = await campaignOf(db, {
        messages: { ada: 0 },
        sandbox: {
          faults: [
            {
              match: { operation: 'send_message' },
              action: { kind: 'status', status, type: `errors/${type}`, effect: false },
              times: null,
            },
          ],
        },
      });
      const rows = Array.from({ length: 4 }, (_, index) => ({
        linkedin_account_id: campaign.accountId('ada'),
        recipient_id: `ACoAAada${index}`,
        chat_id: `chat-${index}`,
        message: `ada ${index}`,
      }));
      await campaign.rpc.call('dm_enqueue', { rows });
      // Four refusals in a row: with strikes the account would be paused after three.
      expect((await campaign.run()).stats).toMatchObject({ eligible: 8, sent: 4, retried: 4 });
      expect([...campaign.delivered()].sort()).toEqual(textsOf('ada', 4));
      expect((await policyOf(campaign, 'ada')).pause_reason).toBeNull();
      expect(await statusesOf(campaign)).toEqual({ sent: 4 });
    },
  );

  it.each([400, 401, 403, 404, 407, 422])(
    'a proxy’s %s: the message waits five minutes, and nothing is paused or burned',
    async (status) => {
      const campaign = await campaignOf(db, {
        messages: { ada: 1 },
        sandbox: {
          faults: [
            {
              match: { operation: 'send' },
              action: { kind: 'html_body', status, effect: false },
              times: null,
            },
          ],
        },
      });
      const run = await campaign.run({ limit: 1 });
      expect(run).toMatchObject({ status: 'succeeded', stats: { retried: 1, failed: 0, unknown: 0 } });
      expect(await campaign.messages()).toMatchObject([
        { status: 'pending', reason: 'gateway_refused', attempts: 0 },
      ]);
      expect((await policyOf(campaign, 'ada')).pause_reason).toBeNull();
      const [row] = await db.query('select not_before, updated_at from public.dm_queue', []);
      const waitsMs = Number(row?.not_before) - campaign.effects.now().getTime();
      expect(waitsMs).toBeGreaterThan(4 * 60_000);
      expect(waitsMs).toBeLessThanOrEqual(5 * 60_000);
      const [attempt] = await db.query('select outcome, strike, http_status from public.dm_attempts', []);
      expect(attempt).toEqual({ outcome: 'not_sent', strike: true, http_status: status });
    },
  );

  it('a minute of a proxy’s “404 page not found” costs no account and no message', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 2, ben: 5 },
      sandbox: {
        faults: [
          {
            match: { operation: 'send' },
            action: { kind: 'html_body', status: 404, effect: false },
            times: 4,
          },
        ],
      },
    });
    expect((await campaign.run()).stats).toMatchObject({ failed: 0, unknown: 0 });
    for (let runs = 0; runs < 8; runs += 1) {
      await campaign.driver.pass(900_000, 900_000);
      await campaign.run();
    }
    expect([...campaign.delivered()].sort()).toEqual([...textsOf('ada', 2), ...textsOf('ben', 5)]);
    expect(await statusesOf(campaign)).toEqual({ sent: 7 });
    expectOnce(campaign);
  });

  it.each([
    { name: 'Retry-After: 0', retry_after: '0', gapMinutes: [1, 2, 4, 8] },
    { name: 'a date that is past', retry_after: 'Mon, 02 Mar 2020 10:00:00 GMT', gapMinutes: [1, 2, 4, 8] },
    { name: 'Retry-After: 3600', retry_after: '3600', gapMinutes: [60, 120, 240, 480] },
    { name: 'three years', retry_after: '99999999', gapMinutes: [1_440, 1_440, 1_440] },
    { name: 'nothing', retry_after: undefined, gapMinutes: [300, 600, 1_200, 1_440] },
  ])(
    '429 again and again, asking for $name: the account rests for longer each time',
    async ({ retry_after, gapMinutes }) => {
      const campaign = await campaignOf(db, {
        messages: { ada: 1 },
        sandbox: {
          faults: [
            {
              match: { operation: 'send' },
              action: {
                kind: 'status',
                status: 429,
                type: 'errors/too_many_requests',
                effect: false,
                ...(retry_after === undefined ? {} : { retry_after }),
              },
              times: null,
            },
          ],
        },
      });
      const gaps: number[] = [];
      for (const _gap of gapMinutes) {
        await campaign.run({ limit: 1 });
        const { paused_until, paused_at, pause_reason } = await policyOf(campaign, 'ada');
        expect(pause_reason).toBe('rate_limited');
        const restsMs = Date.parse(String(paused_until)) - Date.parse(String(paused_at));
        gaps.push(restsMs / 60_000);
        await campaign.driver.pass(restsMs, 60_000);
      }
      expect(gaps).toEqual(gapMinutes);
      expect(await campaign.messages()).toMatchObject([{ status: 'pending', attempts: 0 }]);
    },
  );

  it('Unipile out of reach: tried again later, with a burned attempt, and sent in the end', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 1 } });
    let refusals = 2;
    const { unipile } = campaign.system.services;
    const { sendMessage } = unipile;
    unipile.sendMessage = async (request) => {
      if (refusals-- <= 0) return sendMessage(request);
      return {
        ok: false,
        kind: 'unreachable',
        httpStatus: null,
        type: 'ECONNREFUSED',
        detail: null,
        retryAfterMs: null,
      };
    };
    const { stats } = await campaign.run();
    expect(stats).toMatchObject({ eligible: 3, retried: 2, sent: 1 });
    expect(await campaign.messages()).toMatchObject([{ status: 'sent', attempts: 2 }]);
    expect((await campaign.attempts()).map(({ outcome }) => outcome)).toEqual([
      'not_sent',
      'not_sent',
      'sent',
    ]);
  });

  it('Unipile out of reach for good: given up after five retries, each recorded', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 1 } });
    campaign.system.services.unipile.sendMessage = async () => ({
      ok: false,
      kind: 'unreachable',
      httpStatus: null,
      type: 'ECONNREFUSED',
      detail: null,
      retryAfterMs: null,
    });
    for (let runs = 0; runs < 20; runs += 1) {
      await campaign.run();
      if ((await campaign.messages())[0]?.status === 'failed') break;
      await campaign.driver.pass(3_600_000, 900_000);
    }
    expect(await campaign.messages()).toMatchObject([
      { status: 'failed', reason: 'retries_exhausted', error: 'ECONNREFUSED', attempts: 6 },
    ]);
    expect(await campaign.attempts()).toHaveLength(6);
  });

  it('a lost answer is never sent again, by no later run', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 4 },
      sandbox: {
        faults: [{ match: { operation: 'send', text_contains: 'ada 1' }, action: { kind: 'drop_answer' } }],
      },
    });
    const { id: run_id, job, scheduled_for: slot, stats } = await campaign.run();
    expect(stats).toMatchObject({ sent: 3, unknown: 1, confirmed: 1 });
    // What became of a message leads to its run.
    const lost = campaign.system.log.lines.filter((line) => line.includes('outcome unknown'));
    expect(lost.map((line) => JSON.parse(line))).toMatchObject([{ job, run_id, slot, slice: 0 }]);
    for (let count = 0; count < 3; count += 1) {
      await campaign.driver.pass(86_400_000, 3_600_000);
      expect((await campaign.run()).stats).toMatchObject({ seen: 0, eligible: 0, sent: 0 });
    }
    expect([...campaign.delivered()].sort()).toEqual(textsOf('ada', 4));
    expect(await statusesOf(campaign)).toEqual({ sent: 4 });
  });

  it('the platform’s key is refused: the run stops and says so, and every message waits', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 3, ben: 3 },
      apiKey: 'wrong',
      sendConcurrency: 1,
    });
    const run = await campaign.run();
    expect(run.status).toBe('failed');
    expect(run.error).toBe('Unipile refuses our API key (401 missing_credentials): no account can send');
    expect(run.stats).toMatchObject({ sent: 0 });
    expect(await statusesOf(campaign)).toEqual({ pending: 6 });
    expect((await campaign.messages()).every(({ attempts }) => attempts === 0)).toBe(true);
    // One call was enough to know: the other accounts are not tried.
    expect((await requestsOf(campaign.sandbox)).requests).toHaveLength(1);
    expect((await policyOf(campaign, 'ada')).pause_reason).toBeNull();
  });
});

describe('the breaker', () => {
  it('three recipients in a row that fail pause the account; after half an hour one is tried, then all', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 8, ben: 4 },
      policy: { gap_min_s: 1, gap_max_s: 1 },
      sandbox: {
        faults: [
          {
            match: { operation: 'send', account_id: 'ada' },
            action: { kind: 'status', status: 400, type: 'errors/invalid_parameters', effect: false },
            times: 4,
          },
        ],
      },
    });
    expect((await campaign.run()).stats).toMatchObject({ sent: 4, failed: 3, skipped: { paused: 5 } });
    expect(await policyOf(campaign, 'ada')).toMatchObject({ pause_reason: 'breaker' });
    // Half open: one more fails, and it closes again at once.
    await campaign.driver.pass(31 * 60_000, 60_000);
    expect((await campaign.run()).stats).toMatchObject({ sent: 0, failed: 1, skipped: { paused: 4 } });
    await campaign.driver.pass(31 * 60_000, 60_000);
    expect((await campaign.run()).stats).toMatchObject({ sent: 4, failed: 0, skipped: {} });
    expect(await statusesOf(campaign)).toEqual({ sent: 8, failed: 4 });
  });

  it('a success between two failures closes it', async () => {
    const fails = (text: string) => ({
      match: { operation: 'send' as const, text_contains: text },
      action: { kind: 'status' as const, status: 400, type: 'errors/invalid_parameters', effect: false },
    });
    const campaign = await campaignOf(db, {
      messages: { ada: 6 },
      // Each attempt has an instant of its own.
      policy: { gap_min_s: 1, gap_max_s: 1 },
      sandbox: { faults: ['ada 0', 'ada 1', 'ada 3', 'ada 4'].map(fails) },
    });
    expect((await campaign.run()).stats).toMatchObject({ sent: 2, failed: 4, skipped: {} });
  });
});

describe('what is claimed', () => {
  it('by a run of few slots is dispatched at once, and never more than there are slots', async () => {
    const slots = 3;
    let claimed = 0;
    let dispatched = 0;
    let inFlight = 0;
    let inFlightMax = 0;
    const openAtClaim: number[] = [];
    const campaign = await campaignOf(db, {
      messages: Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`a${index}`, 4])),
      sendConcurrency: slots,
      sandbox: {
        accounts: Array.from({ length: 9 }, (_, index) => ({ id: `a${index}` })),
        latencyMs: { min: 1, max: 10 },
      },
      async intercept(name, next, args) {
        if (name !== 'dm_claim') return next();
        const { limit } = args as { limit: number };
        // Everything that an earlier claim gave is on its way, and only free permits are claimed for.
        expect(claimed).toBe(dispatched);
        expect(limit + inFlight).toBeLessThanOrEqual(slots);
        const answer = (await next()) as { items: unknown[] };
        claimed += answer.items.length;
        const [open] = await db.query(
          'select count(*)::int as count from public.dm_attempts where finished_at is null',
          [],
        );
        openAtClaim.push(Number(open?.count));
        return answer;
      },
    });
    const { unipile } = campaign.system.services;
    const { sendMessage } = unipile;
    unipile.sendMessage = async (request) => {
      dispatched += 1;
      inFlight += 1;
      inFlightMax = Math.max(inFlightMax, inFlight);
      try {
        return await sendMessage(request);
      } finally {
        inFlight -= 1;
      }
    };
    expect((await campaign.run()).stats).toMatchObject({ sent: 36, released: 0 });
    expect({ claimed, dispatched, inFlightMax }).toEqual({ claimed: 36, dispatched: 36, inFlightMax: slots });
    // In the ledger: what is in flight, and what came back and is being recorded.
    expect(Math.max(...openAtClaim)).toBeLessThanOrEqual(2 * slots);
  });

  it('while no result can be written, leaves two attempts a slot open, and no more', async () => {
    const slots = 2;
    let refused = 0;
    const openAtClaim: number[] = [];
    const campaign = await campaignOf(db, {
      messages: Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`a${index}`, 1])),
      sendConcurrency: slots,
      sandbox: { accounts: Array.from({ length: 9 }, (_, index) => ({ id: `a${index}` })) },
      async intercept(name, next) {
        if (name === 'dm_record' && refused < 10) {
          refused += 1;
          throw unavailable(name);
        }
        const answer = await next();
        if (name !== 'dm_claim') return answer;
        const [open] = await db.query(
          'select count(*)::int as count from public.dm_attempts where finished_at is null',
          [],
        );
        openAtClaim.push(Number(open?.count));
        return answer;
      },
    });
    expect((await campaign.run()).stats).toMatchObject({ sent: 9 });
    expect(Math.max(...openAtClaim)).toBe(2 * slots);
  });

  it.each([
    {
      name: 'cancelled',
      stop: (campaign: Campaign, id: string) => campaign.system.runs.cancel(id, 'ada'),
      status: 'cancelled',
    },
    {
      name: 'shut down',
      stop: (campaign: Campaign) => void campaign.system.engine.close(60_000),
      status: 'interrupted',
    },
  ])(
    'a run that is $name during a claim gives back what it claimed, undispatched',
    async ({ stop, status }) => {
      let isFirst = true;
      let runId = '';
      const campaign: Campaign = await campaignOf(db, {
        messages: { ada: 2, ben: 2 },
        async intercept(name, next) {
          const answer = await next();
          if (name === 'dm_claim' && isFirst) {
            isFirst = false;
            await stop(campaign, runId);
          }
          return answer;
        },
      });
      runId = (await campaign.system.start(dmQueue)).id;
      const run = await campaign.driver.untilEnd(campaign.system.ended(runId));
      expect(run).toMatchObject({ status, stats: { eligible: 2, sent: 0, released: 2 } });
      expect((await requestsOf(campaign.sandbox)).requests).toEqual([]);
      expect(await statusesOf(campaign)).toEqual({ pending: 4 });
      expect((await campaign.attempts()).map(({ outcome }) => outcome)).toEqual(['not_sent', 'not_sent']);
      expect((await campaign.messages()).every(({ attempts }) => attempts === 0)).toBe(true);
    },
  );

  it('a run that is stopped finishes what is in flight', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 3 },
      sandbox: { latencyMs: { min: 20, max: 40 } },
    });
    const { unipile } = campaign.system.services;
    const { sendMessage } = unipile;
    const started = await campaign.system.start(dmQueue);
    unipile.sendMessage = async (request) => {
      campaign.system.engine.cancel(started.id);
      return sendMessage(request);
    };
    const run = await campaign.driver.untilEnd(campaign.system.ended(started.id));
    expect(run).toMatchObject({ status: 'cancelled', stats: { sent: 1 } });
    expect(campaign.delivered()).toEqual(['ada 0']);
    expect(await statusesOf(campaign)).toEqual({ sent: 1, pending: 2 });
  });

  it.each([
    { stalledMs: 29_999, released: 0 },
    { stalledMs: 30_000, released: 2 }, // a call of 60 s would leave no 30 s of the lease
    { stalledMs: 110_000, released: 2 },
  ])(
    'a process that stood still for $stalledMs ms after a claim gives back $released',
    async ({ stalledMs, released }) => {
      const campaign: Campaign = await campaignOf(db, {
        messages: { ada: 1, ben: 1 },
        intercept: strike('dm_claim', 1, async (next) => {
          const answer = await next();
          await campaign.effects.advance(stalledMs);
          return answer;
        }),
      });
      expect((await campaign.run()).stats).toMatchObject({ sent: 2, released, retried: 0 });
      expect([...campaign.delivered()].sort()).toEqual(['ada 0', 'ben 0']);
      expect(await campaign.attempts()).toHaveLength(2 + released);
    },
  );

  it('a process whose clock was set back meanwhile gives back what it claimed too long ago', async () => {
    const campaign: Campaign = await campaignOf(db, {
      messages: { ada: 1 },
      intercept: strike('dm_claim', 1, async (next) => {
        const answer = await next();
        await campaign.effects.advance(40_000);
        const { now } = campaign.effects;
        campaign.effects.now = () => new Date(now().getTime() - 3_600_000);
        return answer;
      }),
    });
    expect((await campaign.run()).stats).toMatchObject({ sent: 1, released: 1 });
    expect(campaign.delivered()).toEqual(['ada 0']);
  });

  it('a process that stood still beyond its lease overwrites nothing: what it held is unknown, and never sent', async () => {
    const campaign: Campaign = await campaignOf(db, {
      messages: { ada: 1 },
      intercept: strike('dm_claim', 1, async (next) => {
        const answer = await next();
        await campaign.effects.advance(121_000);
        await campaign.rpc.call('dm_recover');
        return answer;
      }),
    });
    await campaign.run();
    expect(await statusesOf(campaign)).toEqual({ unknown: 1 });
    expect(campaign.delivered()).toEqual([]);
  });
});

describe('the database goes away', () => {
  it('a claim’s answer is lost: what it took is given back, and all goes out once', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 3, ben: 3, cleo: 3 },
      intercept: strike('dm_claim', 1, loseAnswer('dm_claim')),
    });
    expect((await campaign.run()).stats).toMatchObject({ sent: 9, released: 3, unknown: 0 });
    expectOnce(campaign);
    expect(campaign.delivered()).toHaveLength(9);
    expect(await statusesOf(campaign)).toEqual({ sent: 9 });
  });

  it('a row that somebody else holds is asked for again after a pause, not without end', async () => {
    const askedAtMs: number[] = [];
    const held = strike('dm_claim', 4, async () => {
      const now = campaign.effects.now();
      askedAtMs.push(now.getTime());
      return { now: now.toISOString(), next_claim_at: now.toISOString(), items: [] };
    });
    const campaign: Campaign = await campaignOf(db, { messages: { ada: 1 }, intercept: held });
    expect((await campaign.run()).stats).toMatchObject({ sent: 1 });
    const waitsMs = askedAtMs.slice(1).map((at, index) => at - (askedAtMs[index] ?? 0));
    expect(waitsMs).toEqual([250, 250, 250]);
  });

  it('and stays away when it is given back: it is tried again, until it is', async () => {
    const lost = strike('dm_claim', 1, loseAnswer('dm_claim'));
    const away = strike('dm_release', 2, async () => {
      throw unavailable('dm_release');
    });
    const campaign = await campaignOf(db, {
      messages: { ada: 2, ben: 2 },
      intercept: (name, next, args) => lost(name, () => away(name, next, args), args),
    });
    expect((await campaign.run()).stats).toMatchObject({ sent: 4, released: 2, unknown: 0 });
    expectOnce(campaign);
    expect(await statusesOf(campaign)).toEqual({ sent: 4 });
  });

  it('and the run is stopped meanwhile: it is given back at the end', async () => {
    const lost = strike('dm_claim', 1, loseAnswer('dm_claim'));
    const away = strike('dm_release', 1, async () => {
      campaign.system.engine.cancel(runId);
      throw unavailable('dm_release');
    });
    let runId = '';
    const campaign: Campaign = await campaignOf(db, {
      messages: { ada: 2, ben: 2 },
      intercept: (name, next, args) => lost(name, () => away(name, next, args), args),
    });
    runId = (await campaign.system.start(dmQueue)).id;
    const run = await campaign.driver.untilEnd(campaign.system.ended(runId));
    expect(run).toMatchObject({ status: 'cancelled', stats: { sent: 0, released: 2 } });
    expect(await statusesOf(campaign)).toEqual({ pending: 4 });
  });

  it.each([
    { failures: 11, status: 'succeeded', sent: 2 },
    { failures: 12, status: 'failed', sent: 0 },
  ])('$failures claims in a row fail: the run has $status', async ({ failures, status, sent }) => {
    const campaign = await campaignOf(db, {
      messages: { ada: 1, ben: 1 },
      intercept: strike('dm_claim', failures, async () => {
        throw unavailable('dm_claim');
      }),
    });
    expect(await campaign.run()).toMatchObject({ status, stats: { sent } });
    // The next one goes on where it ended.
    await campaign.run();
    expect([...campaign.delivered()].sort()).toEqual(['ada 0', 'ben 0']);
  });

  it('a record’s answer is lost: recorded twice is recorded once, and counted', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 3, ben: 3 },
      intercept: strike('dm_record', 1, loseAnswer('dm_record')),
    });
    expect((await campaign.run()).stats).toMatchObject({ sent: 6, failed: 0, unknown: 0, retried: 0 });
    expectOnce(campaign);
    expect(await statusesOf(campaign)).toEqual({ sent: 6 });
    expect(await campaign.attempts()).toHaveLength(6);
  });

  it('results wait for it: nothing is sent twice meanwhile, and nothing is lost', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 3, ben: 3 },
      intercept: strike('dm_record', 5, async () => {
        throw unavailable('dm_record');
      }),
    });
    expect((await campaign.run()).stats).toMatchObject({ sent: 6, unknown: 0 });
    expectOnce(campaign);
  });

  it('results that never reach it become unknown with their lease, and are not sent again', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 2 },
      intercept: async (name, next, args) => {
        if (name === 'dm_record') throw unavailable('dm_record');
        return withoutReconciling(name, next, args);
      },
    });
    await campaign.run();
    await campaign.rpc.call('dm_recover');
    expect(campaign.delivered().filter((text) => text === 'ada 0')).toHaveLength(1);
    expectOnce(campaign);
    const [first] = await campaign.messages();
    expect(first).toMatchObject({ status: 'unknown', reason: 'answer_lost' });
  });

  it('what waits could not be counted: the run ends well all the same', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 1 },
      intercept: strike('dm_backlog', 2, async () => {
        throw unavailable('dm_backlog');
      }),
    });
    expect(await campaign.run()).toMatchObject({ status: 'succeeded', stats: { due: 0, sent: 1 } });
  });

  it('a claim that is refused as wrong fails the run at once: no retry helps', async () => {
    let claims = 0;
    const campaign = await campaignOf(db, {
      messages: { ada: 1 },
      sendConcurrency: 1_001,
      async intercept(name, next) {
        if (name === 'dm_claim') claims += 1;
        return next();
      },
    });
    expect(await campaign.run()).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('dm_claim'),
    });
    expect(claims).toBe(1);
  });
});

it('a result written during a claim is not missed: the account goes on before the horizon', async () => {
  const [claimed, recorded] = [createGate(), createGate()];
  let claims = 0;
  const campaign = await campaignOf(db, {
    messages: { ada: 2 },
    async intercept(name, next) {
      if (name === 'dm_record') {
        await claimed.passed;
        const answer = await next();
        recorded.open();
        return answer;
      }
      const answer = await next();
      if (name === 'dm_claim' && ++claims === 2) {
        // It looked before the result was written, so it sees the lease; it answers after.
        claimed.open();
        await recorded.passed;
        await turn();
      }
      return answer;
    },
  });
  // 100 s before the slot: a lease of 120 s reaches beyond it.
  await campaign.effects.advance(Date.parse('2026-03-02T10:13:20Z') - campaign.effects.now().getTime());
  expect((await campaign.run()).stats).toMatchObject({ sent: 2 });
});
