/** What may have been sent is looked for in the chats, whichever way its answer was lost. */
import type { Action } from '@revos/unipile-sandbox';
import { describe, expect, it } from 'vitest';
import { createDmOutbox } from '../../src/dm/dm-outbox.ts';
import { dmQueue } from '../../src/dm/index.ts';
import type { JobSettings } from '../../src/jobs/index.ts';
import { RpcError } from '../../src/rpc/index.ts';
import { createReconcileJob } from '../../src/sending/index.ts';
import { NO_SPAN } from '../../src/telemetry/index.ts';
import { type Campaign, campaignOf } from '../support/campaign.ts';
import { databaseForFile, unavailable } from '../support/database.ts';
import { patienceFor, requestsOf } from '../support/sandbox.ts';
import { unipileSaying } from '../unipile/v1/support.ts';

const db = databaseForFile();
const MINUTE_MS = 60_000;

const statusesOf = async (campaign: Campaign) => (await campaign.messages()).map(({ status }) => status);

/** One message, struck by a fault. */
const struckBy = (action: Action, settings: Partial<JobSettings> = {}, more: object = {}) =>
  campaignOf(db, {
    messages: { ada: 1 },
    timeoutMs: patienceFor(action),
    settings,
    sandbox: { faults: [{ match: { operation: 'send' }, action, ...more }] },
  });

/** Runs, a quarter of an hour apart. */
async function runFor(campaign: Campaign, minutes: number): Promise<void> {
  for (let passed = 0; passed < minutes; passed += 15) {
    await campaign.run();
    await campaign.driver.pass(15 * MINUTE_MS, MINUTE_MS);
  }
}

const writesOf = async (campaign: Campaign): Promise<number> =>
  (await requestsOf(campaign.sandbox)).requests.filter(({ method }) => method === 'POST').length;

const error = (status: number, type: string, effect: boolean): Action => ({
  kind: 'status',
  status,
  type: `errors/${type}`,
  effect,
});

const DELIVERED: ReadonlyArray<readonly [string, Action]> = [
  ['the connection closes', { kind: 'drop_answer' }],
  ['the answer breaks off', { kind: 'reset_mid_answer' }],
  ['no answer comes', { kind: 'hang', effect: true }],
  ['500', error(500, 'unexpected_error', true)],
  ['502', error(502, 'proxy_error', true)],
  ['503', error(503, 'network_down', true)],
  ['504', error(504, 'request_timeout', true)],
  ['408', error(408, 'request_timeout', true)],
  ['success without ids', { kind: 'null_ids' }],
  ['success that cannot be read', { kind: 'malformed_body' }],
  ['a page of HTML', { kind: 'html_body', effect: true }],
];

const NOT_DELIVERED: ReadonlyArray<readonly [string, Action]> = [
  ['the connection is reset', { kind: 'reset_before' }],
  ['the answer breaks off', { kind: 'reset_mid_answer', effect: false }],
  ['no answer comes', { kind: 'hang', effect: false }],
  ['500', error(500, 'unexpected_error', false)],
  ['504', error(504, 'request_timeout', false)],
  ['a page of HTML', { kind: 'html_body', effect: false }],
];

describe('it was delivered, but its answer was lost', () => {
  it.each(DELIVERED)(
    '%s: confirmed with its ids in the same run, and never sent again',
    async (_name, action) => {
      const campaign = await struckBy(action);
      const { stats, status } = await campaign.run();
      expect(status).toBe('succeeded');
      expect(stats).toMatchObject({ sent: 0, unknown: 1, confirmed: 1, resent: 0 });
      const [effect] = campaign.sandbox.world.effects();
      const [row] = await db.query('select * from public.dm_queue', []);
      expect(row).toMatchObject({
        status: 'sent',
        reason: null,
        unipile_message_id: effect?.id,
        chat_id: effect?.chat_id,
        sent_at: new Date(effect?.at ?? 0),
      });
      await runFor(campaign, 60);
      expect(campaign.delivered()).toEqual(['ada 0']);
      expect(await writesOf(campaign)).toBe(1);
    },
  );

  it('shown late: it stays unknown until LinkedIn shows it', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 1 },
      sandbox: {
        visibilityDelayMs: 20 * MINUTE_MS,
        faults: [{ match: { operation: 'send' }, action: { kind: 'drop_answer' } }],
      },
    });
    await campaign.run();
    expect(await statusesOf(campaign)).toEqual(['unknown']);
    await runFor(campaign, 60);
    expect(await statusesOf(campaign)).toEqual(['sent']);
    expect(campaign.delivered()).toHaveLength(1);
  });

  it('shown only after an absence was believed: found right before it would have been sent again', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 1 },
      sandbox: {
        visibilityDelayMs: 50 * MINUTE_MS,
        faults: [{ match: { operation: 'send' }, action: { kind: 'drop_answer' } }],
      },
    });
    await campaign.run();
    await campaign.rpc.call('account_pause', { account_id: campaign.accountId('ada'), reason: 'lunch' });
    await runFor(campaign, 45);
    expect(await campaign.messages()).toMatchObject([{ status: 'pending', reason: 'absent_on_linkedin' }]);
    await campaign.driver.pass(15 * MINUTE_MS, MINUTE_MS);
    await campaign.rpc.call('account_resume', { account_id: campaign.accountId('ada') });
    await campaign.run();
    expect(await statusesOf(campaign)).toEqual(['sent']);
    expect(campaign.delivered()).toEqual(['ada 0']);
    expect(await writesOf(campaign)).toBe(1);
  });

  it('the account goes out of order: it stays unknown, and is confirmed once the account is back', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 1 },
      sandbox: {
        visibilityDelayMs: 5_000,
        faults: [
          { match: { operation: 'send' }, action: { kind: 'drop_answer' } },
          {
            match: { operation: 'send' },
            action: { kind: 'account_status', status: 'CREDENTIALS', when: 'after' },
          },
        ],
      },
    });
    await runFor(campaign, 120);
    expect(await statusesOf(campaign)).toEqual(['unknown']);
    campaign.sandbox.world.declareAccount({ id: 'ada', status: 'OK' });
    await runFor(campaign, 130);
    expect(await statusesOf(campaign)).toEqual(['sent']);
    expect(campaign.delivered()).toHaveLength(1);
  });
});

describe('it was not delivered', () => {
  it.each(NOT_DELIVERED)('%s: sent once more after half an hour', async (_name, action) => {
    const campaign = await struckBy(action);
    await campaign.run();
    expect(await statusesOf(campaign)).toEqual(['unknown']);
    expect(campaign.delivered()).toEqual([]);
    await runFor(campaign, 60);
    expect(await statusesOf(campaign)).toEqual(['sent']);
    expect(campaign.delivered()).toEqual(['ada 0']);
    expect((await campaign.attempts()).map(({ outcome, error_type }) => [outcome, error_type])).toEqual([
      ['not_sent', 'absent'],
      ['sent', null],
    ]);
  });

  it('a look before the second try that takes too long: the message waits before the next look', async () => {
    const campaign = await struckBy({ kind: 'reset_before' });
    await campaign.run();
    await campaign.rpc.call('account_pause', { account_id: campaign.accountId('ada'), reason: 'lunch' });
    await runFor(campaign, 45);
    expect(await campaign.messages()).toMatchObject([{ status: 'pending', reason: 'absent_on_linkedin' }]);

    const { unipile } = campaign.system.services;
    const { findMessage } = unipile;
    const lookedAt: number[] = [];
    unipile.findMessage = async (sought) => {
      lookedAt.push(campaign.effects.now().getTime());
      await campaign.effects.sleep(30_000);
      return findMessage(sought);
    };
    await campaign.rpc.call('account_resume', { account_id: campaign.accountId('ada') });
    await campaign.run();
    expect(await campaign.messages()).toMatchObject([{ status: 'pending', reason: 'not_read_back' }]);
    expect(lookedAt.length).toBeGreaterThan(1);
    const waitsMs = lookedAt.slice(1).map((at, index) => at - (lookedAt[index] ?? 0));
    expect(Math.min(...waitsMs)).toBeGreaterThanOrEqual(30_000 + 5 * MINUTE_MS);

    unipile.findMessage = findMessage;
    await runFor(campaign, 30);
    expect(await statusesOf(campaign)).toEqual(['sent']);
    expect(campaign.delivered()).toHaveLength(1);
  });

  it('with UNKNOWN_POLICY=hold it waits for a person', async () => {
    const campaign = await struckBy({ kind: 'reset_before' }, { unknownPolicy: 'hold' });
    await runFor(campaign, 60);
    expect(await campaign.messages()).toMatchObject([{ status: 'unknown', reason: 'unknown_held' }]);
    const [{ id = '' } = {}] = await campaign.messages();
    const settle = {
      action: 'settle',
      selection: { ids: [id] },
      args: { decision: 'resend' },
      dry_run: false,
    };
    await campaign.rpc.call('dm_act', settle);
    await campaign.run();
    expect(campaign.delivered()).toEqual(['ada 0']);
  });

  it('lost twice: the second absence is for a person', async () => {
    const campaign = await struckBy({ kind: 'reset_before' }, {}, { times: null });
    await runFor(campaign, 180);
    expect(await campaign.messages()).toMatchObject([{ status: 'unknown', reason: 'unknown_held' }]);
    expect(await writesOf(campaign)).toBe(2);
  });
});

describe('the same text to the same person, twice in the queue', () => {
  it('one lost, one sent: both are accounted for, and the person has two', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 0 },
      sandbox: { faults: [{ match: { operation: 'send' }, action: { kind: 'reset_before' } }] },
    });
    const twin = {
      linkedin_account_id: campaign.accountId('ada'),
      recipient_id: 'ACoAAtwin',
      message: 'Hello',
    };
    await campaign.rpc.call('dm_enqueue', { rows: [twin, twin] });
    await runFor(campaign, 60);
    expect(await statusesOf(campaign)).toEqual(['sent', 'sent']);
    expect(campaign.delivered()).toEqual(['Hello', 'Hello']);
    const ids = await db.query('select distinct unipile_message_id from public.dm_queue', []);
    expect(ids).toHaveLength(2);
  });
});

describe('one account that cannot be read leaves the others alone', () => {
  const lost = () =>
    campaignOf(db, {
      messages: { ada: 1, ben: 3 },
      sandbox: {
        faults: [{ match: { operation: 'send', account_id: 'ada' }, action: { kind: 'drop_answer' } }],
      },
    });

  it('a look that throws: it is made again, and everything else goes on', async () => {
    const campaign = await lost();
    const { unipile } = campaign.system.services;
    const { findMessage } = unipile;
    unipile.findMessage = async () => {
      throw new RangeError('Maximum call stack size exceeded');
    };
    expect(await campaign.run()).toMatchObject({ status: 'succeeded', stats: { sent: 3, unknown: 1 } });
    expect(await statusesOf(campaign)).toEqual(['unknown', 'sent', 'sent', 'sent']);
    unipile.findMessage = findMessage;
    await runFor(campaign, 45);
    expect(await statusesOf(campaign)).toEqual(['sent', 'sent', 'sent', 'sent']);
    expect(campaign.delivered()).toHaveLength(4);
  });

  it('a finding that the database cannot keep: it is looked for again, and everything else goes on', async () => {
    const campaign = await lost();
    const { unipile } = campaign.system.services;
    const { findMessage } = unipile;
    unipile.findMessage = async (request) => {
      const found = await findMessage(request);
      return found.ok && found.kind === 'found' ? { ...found, messageId: 'm\0' } : found;
    };
    expect(await campaign.run()).toMatchObject({ status: 'succeeded', stats: { sent: 3, unknown: 1 } });
    unipile.findMessage = findMessage;
    await runFor(campaign, 45);
    expect(await statusesOf(campaign)).toEqual(['sent', 'sent', 'sent', 'sent']);
  });

  it('a send that throws may have been made: its message is unknown, and everything else goes on', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 1, ben: 3 } });
    const { unipile } = campaign.system.services;
    const { sendMessage } = unipile;
    unipile.sendMessage = async (request) => {
      const answer = await sendMessage(request);
      if (request.accountId === 'ada') throw new RangeError('Invalid string length');
      return answer;
    };
    expect(await campaign.run()).toMatchObject({ status: 'succeeded', stats: { sent: 3, unknown: 1 } });
    await runFor(campaign, 45);
    expect(await statusesOf(campaign)).toEqual(['sent', 'sent', 'sent', 'sent']);
    expect(campaign.delivered()).toHaveLength(4);
  });

  it('lists without end, of an account: a long one stops nobody', async () => {
    const campaign = await lost();
    const { unipile } = campaign.system.services;
    const { client } = await unipileSaying(() => ({
      body: `{"items":[${'{},'.repeat(130_000)}{}],"cursor":"more"}`,
    }));
    unipile.findMessage = (request) => campaign.driver.unipile(client).findMessage(request);
    expect(await campaign.run()).toMatchObject({ status: 'succeeded', stats: { sent: 3, unknown: 1 } });
    expect(await statusesOf(campaign)).toEqual(['unknown', 'sent', 'sent', 'sent']);
  });
});

describe('a run', () => {
  it('does not wait at its end for a look that hangs: it is made again', async () => {
    const campaign = await struckBy({ kind: 'drop_answer' });
    const { unipile } = campaign.system.services;
    const { findMessage } = unipile;
    let looks = 0;
    unipile.findMessage = () => {
      looks += 1;
      return new Promise(() => {});
    };
    const { id } = await campaign.system.start(dmQueue);
    await campaign.driver.pass(20_000);
    expect(looks).toBe(1);
    await campaign.system.runs.cancel(id, 'ada');
    expect(await campaign.driver.untilEnd(campaign.system.ended(id))).toMatchObject({ status: 'cancelled' });
    unipile.findMessage = findMessage;
    await runFor(campaign, 15);
    expect(await statusesOf(campaign)).toEqual(['sent']);
    expect(campaign.delivered()).toHaveLength(1);
  });

  it('ends, and says so, when unknowns cannot be settled at all', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 1 },
      sandbox: { faults: [{ match: { operation: 'send' }, action: { kind: 'drop_answer' } }] },
      async intercept(name, next) {
        if (name === 'dm_resolve') throw new RpcError('bug', name, '42883', 'does not exist');
        return next();
      },
    });
    const began = campaign.effects.now().getTime();
    expect(await campaign.run()).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('dm_resolve'),
    });
    expect(campaign.effects.now().getTime() - began).toBeLessThan(MINUTE_MS);
  });

  it('with a limit makes no more calls, though the answer to a claim was lost', async () => {
    let lost = 0;
    const campaign = await campaignOf(db, {
      messages: { ada: 3, ben: 3, cleo: 3 },
      async intercept(name, next) {
        const answer = await next();
        if (name === 'dm_claim' && lost++ === 0) throw unavailable(name);
        return answer;
      },
    });
    expect((await campaign.run({ limit: 4 })).stats).toMatchObject({ sent: 4 });
    expect(campaign.delivered()).toHaveLength(4);
  });
});

describe('the reconciler', () => {
  it('reads back without a run of the queue, until nothing is due before its horizon', async () => {
    const campaign = await struckBy({ kind: 'drop_answer' });
    // The queue's run is stopped before the first look.
    const { id } = await campaign.system.start(dmQueue);
    await campaign.driver.pass(5_000);
    await campaign.system.runs.cancel(id, 'ada');
    await campaign.driver.untilEnd(campaign.system.ended(id));
    expect(await statusesOf(campaign)).toEqual(['unknown']);

    const job = createReconcileJob([async () => createDmOutbox]);
    const handler = await job.loadHandler();
    const stats: unknown[] = [];
    const run = handler(
      {
        // An earlier call for the same run saw two, and confirmed one.
        run: { params: {}, stats: { seen: 2, confirmed: 1 } } as never,
        slice: 0,
        isFirst: true,
        span: NO_SPAN,
        signal: new AbortController().signal,
        horizonAt: () => new Date(campaign.effects.now().getTime() + 5 * MINUTE_MS),
        remainingMs: () => Number.POSITIVE_INFINITY,
        report: (shown) => stats.push(shown),
      },
      campaign.system.services,
    );
    expect(await campaign.driver.untilEnd(run)).toEqual({
      seen: 3,
      confirmed: 2,
      resent: 0,
      held: 0,
      unknown: 0,
    });
    expect(await statusesOf(campaign)).toEqual(['sent']);
  });
});
