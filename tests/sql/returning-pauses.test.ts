/**
 * Pauses that Unipile's refusal makes: which end by themselves when the account is in order anew,
 * and which do not.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountId,
  after,
  at,
  claim,
  DAY_MS,
  HOUR_MS,
  openAccount,
  policyOf,
  queue,
  reasonOf,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { claimPosts, insertPost } from '../support/posts.ts';

/** A Monday. */
const NOW = at('2026-03-02T10:00:00Z');
let session: Session;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
});

async function first(): Promise<{ account: string; id: string }> {
  const account = await openAccount(session, 1);
  const [id = ''] = await queue(session, account, 1);
  return { account, id };
}

describe('a pause that Unipile’s refusal made', () => {
  const RETURNING = ['account_disconnected', 'account_missing'] as const;
  const set = (sql: string) =>
    session.query(`update linkedin_accounts set ${sql} where id = $1`, [accountId(1)]);
  const advance = (ms: number): void => {
    session.clock.now = after(session.clock.now, ms);
  };
  const recover = async () => (await session.rpc.call<{ returned: number }>('dm_recover')).returned;

  /** A call of the account is refused. */
  async function refused(reason: string, over: object = {}): Promise<string> {
    const [claimed] = await claim(session);
    if (claimed === undefined) throw new Error('nothing was claimed');
    await session.dm.record([
      {
        ...{ attempt_id: claimed.attempt_id, outcome: 'not_sent', next_step: 'wait', reason },
        ...{ pause_ms: -1, pause_reason: reason },
        ...over,
      },
    ]);
    return claimed.account_id;
  }

  it.each(RETURNING)('%s ends with another Unipile account, active all along', async (reason) => {
    const { account } = await first();
    await refused(reason);
    expect(await recover()).toBe(0);
    await set(`unipile_account_id = 'another'`);
    expect(await recover()).toBe(1);
    expect(await policyOf(session, account)).toMatchObject({
      paused_until: null,
      pause_reason: null,
      paused_at: null,
    });
    expect(await claim(session)).toMatchObject([{ unipile_account_id: 'another' }]);
  });

  it.each(RETURNING)('%s ends with a return that lay between two looks', async (reason) => {
    await first();
    await refused(reason);
    await claim(session);
    await set(`status = 'expired'`);
    await set(`status = 'active'`);
    expect(await claim(session)).toHaveLength(1);
  });

  it('ends with the return of an account that was out of order when it was refused', async () => {
    await first();
    const [claimed] = await claim(session);
    await set(`status = 'expired'`);
    const ending = { outcome: 'not_sent', next_step: 'wait', reason: 'account_missing' } as const;
    await session.dm.record([
      { attempt_id: claimed?.attempt_id ?? '', ...ending, pause_ms: -1, pause_reason: 'account_missing' },
    ]);
    await set(`status = 'active'`);
    expect(await claim(session)).toHaveLength(1);
  });

  it.each([
    `daily_dm_count = 5`,
    `last_sync_at = now(), daily_post_count = 1`,
    `account_name = 'Renamed'`,
    `rate_limit_reset_at = now()`,
  ])('does not end with mere upkeep: %s', async (write) => {
    await first();
    await refused('account_disconnected');
    await set(write);
    expect(await recover()).toBe(0);
    expect(await claim(session)).toEqual([]);
    // And a return after it is still seen.
    await set(`status = 'error'`);
    await set(`status = 'active'`);
    expect(await claim(session)).toHaveLength(1);
  });

  it('refused again within a day, it stays until a person ends it; after a day it returns again', async () => {
    const { account } = await first();
    await refused('account_missing');
    await set(`unipile_account_id = 'second'`);
    advance(HOUR_MS);
    const returnedAt = session.clock.now;
    await refused('account_missing');
    await set(`unipile_account_id = 'third'`);
    await set(`status = 'expired'`);
    expect(await recover()).toBe(0);
    await set(`status = 'active'`);
    advance(40 * DAY_MS);
    expect(await claim(session)).toEqual([]);
    expect(await policyOf(session, account)).toMatchObject({ returned_at: returnedAt, returns: false });
    await session.rpc.call('account_resume', { account_id: account, actor: 'ada' });
    await refused('account_missing');
    await set(`unipile_account_id = 'fourth'`);
    session.clock.now = after(session.clock.now, DAY_MS);
    const again = await claim(session);
    expect(again).toHaveLength(1);
  });

  it.each([
    { later: DAY_MS - 1, returned: 0 },
    { later: DAY_MS, returned: 1 },
  ])('refused $later ms after its return: $returned returns', async ({ later, returned }) => {
    await first();
    await refused('account_disconnected');
    await set(`unipile_account_id = 'second'`);
    expect(await recover()).toBe(1);
    advance(later);
    await refused('account_disconnected');
    await set(`unipile_account_id = 'third'`);
    expect(await recover()).toBe(returned);
  });

  it.each([
    ['account_restricted', -1],
    ['rate_limited', HOUR_MS],
    ['breaker', HOUR_MS],
  ])('%s does not end with a return', async (reason, pause_ms) => {
    const { id } = await first();
    await refused(reason, { pause_ms });
    await set(`unipile_account_id = 'another'`);
    await set(`status = 'expired'`);
    await recover();
    await set(`status = 'active'`);
    expect(await claim(session)).toEqual([]);
    expect(await reasonOf(session, id)).toBe('paused');
  });

  it.each(['account_disconnected', 'account_missing', 'holidays'])(
    'a person’s pause, called %s, ends by a person alone',
    async (reason) => {
      const { id, account } = await first();
      await session.rpc.call('account_pause', { account_id: account, reason, actor: 'ada' });
      await set(`status = 'expired'`);
      await recover();
      await set(`status = 'active', unipile_account_id = 'another'`);
      expect(await claim(session)).toEqual([]);
      expect(await reasonOf(session, id)).toBe('paused');
    },
  );

  it('puts back the pause of a person that it replaced, for as long as that lasts', async () => {
    const { account } = await first();
    const [claimed] = await claim(session);
    const until = after(NOW, 2 * HOUR_MS);
    await session.rpc.call('account_pause', {
      ...{ account_id: account, reason: 'holidays', until: until.toISOString(), actor: 'ada' },
    });
    const ending = { outcome: 'not_sent', next_step: 'wait', reason: 'account_missing' } as const;
    await session.dm.record([
      { attempt_id: claimed?.attempt_id ?? '', ...ending, pause_ms: -1, pause_reason: 'account_missing' },
    ]);
    await set(`unipile_account_id = 'another'`);
    expect(await recover()).toBe(1);
    expect(await policyOf(session, account)).toMatchObject({
      paused_until: until,
      pause_reason: 'holidays',
      paused_at: NOW,
    });
    expect(await claim(session)).toEqual([]);
    session.clock.now = until;
    expect(await claim(session)).toHaveLength(1);
  });

  it('is over for posts too', async () => {
    await first();
    const account = await refused('account_missing');
    const post = await insertPost(session, { linkedin_account_id: account });
    expect(await claimPosts(session)).toEqual([]);
    await set(`unipile_account_id = 'another'`);
    expect(await claimPosts(session)).toMatchObject([{ post_id: post, unipile_account_id: 'another' }]);
  });
});
