/**
 * Which post may go out, and when: RevOS's rows as they are at that moment, the time, the gap, the
 * account.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountId,
  after,
  at,
  claim,
  claimOne,
  DAY_MS,
  HOUR_MS,
  LEASE_MS,
  MINUTE_MS,
  queue,
  refusal,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import {
  actOnPosts,
  attemptsOf,
  claimAnswer,
  claimPost,
  claimPosts,
  insertPost,
  LATE_LIMIT_MINUTES,
  look,
  POST_LEASE_MS,
  postingAccount,
  postsOf,
  publicationOf,
  RETRY,
  recordPost,
  revosReads,
  revosSets,
  SENT,
  UNKNOWN,
} from '../support/posts.ts';

const NOW = at('2026-03-02T10:00:00Z');
let session: Session;
let account: string;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
  account = await postingAccount(session, 1);
});

const advance = (ms: number): void => {
  session.clock.now = after(session.clock.now, ms);
};
const post = (over: Partial<Parameters<typeof insertPost>[1]> = {}) =>
  insertPost(session, { linkedin_account_id: account, ...over });
const options = (id: string, patch: object) =>
  session.rpc.call('post_options_set', { post_id: id, patch, actor: null });

describe('a claim', () => {
  it('writes the attempt with what is sent, before the call, and leaves RevOS’s row alone', async () => {
    const id = await post({ content: 'Hi {{0}}' });
    const mentions = [{ name: 'Ann', profile_id: 'ACoAA1', is_company: false }];
    await options(id, { mentions, external_link: 'https://revos.test/a', as_organization: '42' });
    const before = await revosReads(session, id);
    const claimed = await claimPost(session);
    expect(claimed).toEqual({
      attempt_id: expect.any(String),
      post_id: id,
      account_id: account,
      unipile_account_id: 'unipile-1',
      text: 'Hi {{0}}',
      media: [],
      mentions,
      external_link: 'https://revos.test/a',
      as_organization: '42',
      attempts: 0,
      was_unknown: [],
      lease_until: '2026-03-02T10:05:00+00:00',
    });
    expect(await attemptsOf(session, id)).toMatchObject([
      { id: claimed.attempt_id, text: 'Hi {{0}}', mentions, as_organization: '42', outcome: null },
    ]);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'publishing', reason: null });
    expect(await revosReads(session, id)).toEqual(before);
  });

  it('gives at most one post an account, the one that is due longest, and never one twice', async () => {
    const other = await postingAccount(session, 2);
    const later = await post({ scheduled_for: after(NOW, -MINUTE_MS) });
    const first = await post({ scheduled_for: after(NOW, -2 * MINUTE_MS) });
    const theirs = await post({ linkedin_account_id: other });
    const claimed = await claimPosts(session);
    expect(claimed.map((one) => one.post_id).sort()).toEqual([first, theirs].sort());
    expect(await claimPosts(session)).toEqual([]);
    await recordPost(session, claimed.find((one) => one.post_id === first) ?? { attempt_id: '' }, SENT);
    expect((await claimPost(session)).post_id).toBe(later);
  });

  it('makes a policy for an account that has none', async () => {
    await session.query('delete from account_policies', []);
    await post();
    await claimPost(session);
    const policies = await session.query('select account_id, post_gap_s from account_policies', []);
    expect(policies).toEqual([{ account_id: account, post_gap_s: 3_600 }]);
  });

  it('keeps to the accounts it was asked for, and to its limit', async () => {
    const ids = [account];
    for (const n of [2, 3]) ids.push(await postingAccount(session, n));
    for (const id of ids) await post({ linkedin_account_id: id });
    const scoped = await claimPosts(session, { accountIds: [accountId(2)] });
    expect(scoped.map((one) => one.account_id)).toEqual([accountId(2)]);
    expect(await claimPosts(session, { limit: 1 })).toHaveLength(1);
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('refuses arguments out of range', async () => {
    for (const wrong of [{ limit: 0 }, { leaseMs: 10 }, { worker: '' }, { lateLimitMinutes: -1 }]) {
      expect((await refusal(claimPosts(session, wrong))).code).toBe('PO030');
    }
  });
});

describe('the time of a post', () => {
  it.each([
    // 02:30 on the day of Berlin's spring change does not exist; the instant is what counts.
    ['the same instant, in another zone', '2026-03-29T03:30:00+02:00', '2026-03-29T01:30:00Z'],
    ['an hour that comes twice, the first time', '2026-10-25T02:30:00+02:00', '2026-10-25T00:30:00Z'],
    ['an hour that comes twice, the second time', '2026-10-25T02:30:00+01:00', '2026-10-25T01:30:00Z'],
  ])('is an instant: %s', async (_name, written, instant) => {
    for (const zone of ['UTC', 'Europe/Berlin', 'Pacific/Chatham']) {
      await session.reset();
      account = await postingAccount(session, 1, 0, { time_zone: zone });
      const id = await post();
      await revosSets(session, id, { scheduled_for: written });
      await session.query(`set time zone '${zone}'`, []);
      session.clock.now = after(at(instant), -1);
      expect(await claimPosts(session)).toEqual([]);
      session.clock.now = at(instant);
      expect(await claimPosts(session)).toHaveLength(1);
    }
    await session.query('reset time zone', []);
  });

  it('is not held to the hours, days and limits of messages', async () => {
    await session.rpc.call('account_policy_set', {
      account_id: account,
      patch: { window_start: '11:00', work_days: [7], dms_per_day: 1, holidays: ['2026-03-02'] },
    });
    await post();
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('late by exactly the limit is in time; a moment later it is missed, and stays so', async () => {
    const id = await post();
    session.clock.now = after(NOW, LATE_LIMIT_MINUTES * MINUTE_MS);
    expect(await claimPosts(session, { accountIds: [accountId(9)] })).toEqual([]);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'waiting' });
    advance(1);
    expect(await claimPosts(session)).toEqual([]);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'missed', reason: 'too_late' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'scheduled' });
    // A larger limit does not set loose what a person has been told was missed.
    expect(await claimPosts(session, { lateLimitMinutes: 10_000 })).toEqual([]);
  });

  it('missed, then put on another time by RevOS: it goes then', async () => {
    const id = await post({ scheduled_for: after(NOW, -7 * HOUR_MS) });
    await look(session);
    await claimPosts(session);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'missed' });
    await revosSets(session, id, { scheduled_for: after(NOW, HOUR_MS).toISOString() });
    expect(await postsOf(session).explain(id)).toMatchObject({ state: 'waiting', reason: 'scheduled' });
    advance(HOUR_MS);
    expect((await claimPost(session)).post_id).toBe(id);
  });

  it('after an outage nothing floods: what is late is missed, the rest keeps its gap', async () => {
    await session.query('update account_policies set post_gap_s = 3600', []);
    const hours = [-30, -20, -10, -5, -4, -3];
    for (const hour of hours) await post({ scheduled_for: after(NOW, hour * HOUR_MS) });
    let sent = 0;
    for (let minute = 0; minute < 180; minute += 15) {
      for (const claimed of await claimPosts(session)) {
        await recordPost(session, claimed, { ...SENT, unipile_post_id: `p${sent}` });
        sent += 1;
      }
      advance(15 * MINUTE_MS);
    }
    expect(sent).toBe(3);
    const states = await session.query('select state from post_publications order by state', []);
    expect(states.map((row) => row.state)).toEqual([
      'missed',
      'missed',
      'missed',
      'published',
      'published',
      'published',
    ]);
  });
});

describe('the gap between two posts of an account', () => {
  it('counts from the last one that may have been seen, to the second', async () => {
    await session.query('update account_policies set post_gap_s = 600', []);
    await post();
    const second = await post();
    await recordPost(session, await claimPost(session), SENT);
    expect((await claimAnswer(session)).next_claim_at).toBe('2026-03-02T10:10:00+00:00');
    session.clock.now = after(NOW, 600_000 - 1);
    expect(await claimPosts(session)).toEqual([]);
    const [left] = await session.query(`select post_id from post_publications where state = 'waiting'`, []);
    expect(await postsOf(session).explain(String(left?.post_id))).toMatchObject({ reason: 'post_gap' });
    session.clock.now = after(NOW, 600_000);
    expect([second, String(left?.post_id)]).toContain((await claimPost(session)).post_id);
  });

  it('does not count what was provably not sent', async () => {
    await session.query('update account_policies set post_gap_s = 86400', []);
    await post();
    const claimed = await claimPost(session);
    await recordPost(session, claimed, { ...RETRY, retry_after_ms: 0 });
    expect((await claimPost(session)).post_id).toBe(claimed.post_id);
  });

  it('an unknown one counts from when its effect can have come at the latest', async () => {
    await session.query('update account_policies set post_gap_s = 600', []);
    await post();
    await post();
    await claimPost(session);
    session.clock.now = after(NOW, POST_LEASE_MS + 600_000 - 1);
    expect(await claimPosts(session)).toEqual([]);
    // Its lease ended unseen; that was noticed just now.
    session.clock.now = after(session.clock.now, 600_000);
    expect(await claimPosts(session)).toHaveLength(1);
  });
});

describe('what blocks the account', () => {
  const waits = async (reason: string, canGoAt: string | null): Promise<void> => {
    const id = await post();
    expect(await claimPosts(session)).toEqual([]);
    expect(await postsOf(session).explain(id)).toMatchObject({
      state: 'waiting',
      reason,
      can_go_at: canGoAt,
    });
    const backlog = await postsOf(session).backlog(null);
    expect(backlog).toEqual({
      due: 1,
      scheduled: 0,
      by_reason: { [reason]: 1 },
      next_at: canGoAt,
      is_complete: true,
    });
  };

  it('the pause of all sending, and only as long', async () => {
    await session.rpc.call('sending_pause_set', {
      reason: 'fire drill',
      until: after(NOW, HOUR_MS),
      actor: 'ada',
    });
    await waits('all_paused', '2026-03-02T11:00:00+00:00');
    advance(HOUR_MS);
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('its own pause; without an end no instant is told', async () => {
    await session.rpc.call('account_pause', { account_id: account, reason: 'holiday' });
    await waits('paused', null);
    await session.rpc.call('account_resume', { account_id: account });
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('a pause that outlasts the late limit: no instant is promised at which it would be missed', async () => {
    await session.rpc.call('account_pause', {
      account_id: account,
      reason: 'later',
      until: after(NOW, 7 * HOUR_MS),
    });
    await waits('paused', null);
  });

  it('a message of the account that is on its way, and a post blocks messages', async () => {
    await queue(session, account);
    await claimOne(session);
    await waits('in_flight', after(NOW, LEASE_MS).toISOString().replace('.000Z', '+00:00'));
    session.clock.now = after(NOW, LEASE_MS);
    await claimPost(session);
    await queue(session, account, 1, { recipient_id: 'ACoAA7' });
    expect(
      (await session.dm.claim({ ...CLAIM, claimId: crypto.randomUUID(), worker: 'w', accountIds: null }))
        .items,
    ).toEqual([]);
  });
  const CLAIM = { limit: 5, leaseMs: LEASE_MS, draw: 0 };
});

describe('an answer that was lost', () => {
  const soon = after(NOW, 15_000);

  async function loseMessage(): Promise<{ id: string; attempt: string }> {
    const [id = ''] = await queue(session, account);
    const { attempt_id: attempt } = await claimOne(session);
    session.clock.now = soon;
    await session.dm.record([{ attempt_id: attempt, outcome: 'unknown' }]);
    return { id, attempt };
  }

  async function losePost(): Promise<{ id: string; attempt: string }> {
    const id = await post();
    const claimed = await claimPost(session);
    session.clock.now = soon;
    await recordPost(session, claimed, UNKNOWN);
    return { id, attempt: claimed.attempt_id };
  }

  const found = async (attempt: string): Promise<void> => {
    session.clock.now = after(NOW, 30_000);
    expect((await postsOf(session).unknowns(1)).items).toHaveLength(1);
    const ids = { unipile_post_id: 'p1', social_id: 'urn:p1', share_url: 'https://www.linkedin.com/p1' };
    await postsOf(session).resolve([{ attempt_id: attempt, found: 'sent', ...ids }], 'hold');
  };
  const settled = async (id: string, decision: string): Promise<void> => {
    expect(await actOnPosts(session, 'settle', [id], { decision })).toMatchObject({ changed: 1 });
  };

  /** Nothing is claimed until that instant, and the explanation says so; then this is. */
  async function expectPostAt(id: string, opens: Date): Promise<void> {
    const explained = await postsOf(session).explain(id);
    expect(explained).toMatchObject({ state: 'waiting', reason: 'in_flight' });
    expect(at(explained?.can_go_at ?? '')).toEqual(opens);
    expect(at((await claimAnswer(session)).next_claim_at ?? '')).toEqual(opens);
    session.clock.now = after(opens, -1);
    expect(await claimPosts(session)).toEqual([]);
    session.clock.now = opens;
    expect((await claimPost(session)).post_id).toBe(id);
  }

  it('of a message leaves it in flight until its lease ends: no post goes', async () => {
    await loseMessage();
    await expectPostAt(await post(), after(NOW, LEASE_MS));
  });

  it('of a message is in flight no longer once the answer comes late', async () => {
    const { attempt } = await loseMessage();
    const id = await post();
    expect(await claimPosts(session)).toEqual([]);
    await session.dm.record([{ attempt_id: attempt, outcome: 'sent', unipile_message_id: 'm1' }]);
    expect((await claimPost(session)).post_id).toBe(id);
  });

  it('of a post leaves it in flight until its lease ends: no other post goes, though no gap is asked for', async () => {
    await losePost();
    await expectPostAt(await post(), after(NOW, POST_LEASE_MS));
  });

  it('of a post leaves it in flight until its lease ends: no message goes', async () => {
    await losePost();
    const [id = ''] = await queue(session, account);
    const explained = await session.dm.explain(id);
    expect(explained).toMatchObject({ status: 'pending', reason: 'in_flight' });
    expect(at(explained?.can_go_at ?? '')).toEqual(after(NOW, POST_LEASE_MS));
    expect(await claim(session)).toEqual([]);
    session.clock.now = after(NOW, POST_LEASE_MS - 1);
    expect(await claim(session)).toEqual([]);
    session.clock.now = after(NOW, POST_LEASE_MS);
    expect((await claimOne(session)).message_id).toBe(id);
  });

  it.each<readonly [string, (lost: { id: string; attempt: string }) => Promise<unknown>]>([
    ['it is found on LinkedIn', ({ attempt }) => found(attempt)],
    ['the answer comes late', ({ attempt }) => recordPost(session, { attempt_id: attempt }, SENT)],
    ['a person says it was sent', ({ id }) => settled(id, 'sent')],
  ])('of a post wakes the messages of its account once %s', async (_end, end) => {
    const lost = await losePost();
    const [id = ''] = await queue(session, account);
    expect(await claim(session)).toEqual([]);
    await end(lost);
    expect((await claimOne(session)).message_id).toBe(id);
  });

  it('of a post that a person gave up leaves it in flight all the same', async () => {
    const { id } = await losePost();
    await settled(id, 'drop');
    await expectPostAt(await post(), after(NOW, POST_LEASE_MS));
  });
});

describe('a post that cannot go out is held, and goes on by itself once the cause is gone', () => {
  const long = (units: number): string => 'x'.repeat(units);
  const MENTIONS = [{ name: 'Ann Example', profile_id: 'ACoAA1', is_company: false }];
  it.each([
    ['no text', { content: ' \n ' }, {}, 'post_empty', { content: 'Hello' }],
    ['a placeholder', { content: 'Hi {{name}}' }, {}, 'post_placeholder', { content: 'Hi Ann' }],
    ['half a placeholder', { content: 'Hi {{name' }, {}, 'post_placeholder', { content: 'Hi Ann' }],
    [
      'a mention that is missing',
      { content: '{{0}} and {{1}}' },
      { mentions: MENTIONS },
      'post_placeholder',
      { content: '{{0}}' },
    ],
    ['3,001 units', { content: long(3_001) }, {}, 'post_too_long', { content: long(3_000) }],
    [
      'an emoji over the limit, which is two units',
      { content: `${long(2_999)}😀` },
      {},
      'post_too_long',
      { content: `${long(2_998)}😀` },
    ],
    [
      'too long with the name of a mention',
      { content: `${long(2_990)}{{0}}` },
      { mentions: MENTIONS },
      'post_too_long',
      { content: `${long(2_989)}{{0}}` },
    ],
    [
      'too long with its link behind it',
      { content: long(2_980) },
      { external_link: 'https://revos.test/abc' },
      'post_too_long',
      { content: long(2_977) },
    ],
    ['a LinkedIn id already', { unipile_post_id: '77' }, {}, 'post_has_id', { unipile_post_id: null }],
    [
      'no account',
      { linkedin_account_id: null },
      {},
      'post_without_account',
      { linkedin_account_id: accountId(1) },
    ],
    ['no time', { scheduled_for: null }, {}, 'post_without_time', { scheduled_for: NOW.toISOString() }],
  ])('%s', async (_name, fields, patch, reason, mended) => {
    const id = await post(fields);
    if (Object.keys(patch).length > 0) await options(id, patch);
    expect(await claimPosts(session)).toEqual([]);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'held', reason });
    expect(await postsOf(session).explain(id)).toMatchObject({ state: 'held', reason, can_go_at: null });
    expect((await postsOf(session).backlog(null)).by_reason).toEqual({ [reason]: 1 });
    expect(await revosReads(session, id)).toMatchObject({ status: 'scheduled' });
    await revosSets(session, id, mended);
    expect((await claimPost(session)).post_id).toBe(id);
  });

  it('a link that is in the text is not counted twice', async () => {
    const link = 'https://revos.test/abc';
    const id = await post({ content: `${long(3_000 - link.length)}${link}` });
    await options(id, { external_link: link });
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it.each([
    ['account_inactive', `status = 'expired'`, `status = 'active'`],
    ['account_not_connected', 'unipile_account_id = null', `unipile_account_id = 'unipile-1'`],
  ])('%s', async (reason, broken, mended) => {
    const id = await post();
    await session.query(`update linkedin_accounts set ${broken}`, []);
    expect(await claimPosts(session)).toEqual([]);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'held', reason });
    await session.query(`update linkedin_accounts set ${mended}`, []);
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('is seen a day ahead, and not before', async () => {
    const soon = await post({ content: '{{name}}', scheduled_for: after(NOW, DAY_MS) });
    const far = await post({ content: '{{name}}', scheduled_for: after(NOW, DAY_MS + 1) });
    await claimPosts(session);
    expect(await publicationOf(session, soon)).toMatchObject({ state: 'held', reason: 'post_placeholder' });
    const rows = await session.query('select from post_publications where post_id = $1', [far]);
    expect(rows).toEqual([]);
  });

  it('does not hold up the account’s other posts', async () => {
    await post({ content: '{{name}}', scheduled_for: after(NOW, -HOUR_MS) });
    const good = await post();
    expect((await claimPost(session)).post_id).toBe(good);
  });
});

describe('what RevOS changes in the meantime', () => {
  it('text, account and time of a post that waits are those of the next look', async () => {
    const other = await postingAccount(session, 2);
    const id = await post({ scheduled_for: after(NOW, MINUTE_MS) });
    expect((await claimAnswer(session)).next_claim_at).toBe('2026-03-02T10:01:00+00:00');
    await revosSets(session, id, {
      content: 'Better',
      linkedin_account_id: other,
      scheduled_for: NOW.toISOString(),
    });
    expect(await claimPost(session)).toMatchObject({ text: 'Better', account_id: other });
  });

  it('a draft does not go, and one that comes back does', async () => {
    const id = await post();
    await look(session);
    await revosSets(session, id, { status: 'draft' });
    expect(await claimPosts(session)).toEqual([]);
    expect(await postsOf(session).explain(id)).toMatchObject({ state: 'draft', reason: 'post_draft' });
    await revosSets(session, id, { status: 'scheduled' });
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('an edit during the call changes nothing of what was sent', async () => {
    const id = await post();
    const claimed = await claimPost(session);
    await revosSets(session, id, { content: 'Other', status: 'draft', scheduled_for: null });
    expect(await claimPosts(session)).toEqual([]);
    await recordPost(session, claimed, SENT);
    expect(await revosReads(session, id)).toMatchObject({ status: 'published', content: 'Other' });
    expect(await attemptsOf(session, id)).toMatchObject([{ text: 'Hello', outcome: 'sent' }]);
  });

  it('a deleted post: its attempt ends as it ends', async () => {
    const id = await post();
    const claimed = await claimPost(session);
    await session.query('delete from posts', []);
    expect(await recordPost(session, claimed, SENT)).toMatchObject({ applied: 'recorded', status: 'sent' });
    expect(await postsOf(session).explain(id)).toBeNull();
    expect(await claimPosts(session)).toEqual([]);
  });

  it.each(['sent', 'unknown', 'in flight'])(
    'a post whose attempt is %s never goes out again, whatever is written into it',
    async (outcome) => {
      const id = await post();
      const claimed = await claimPost(session);
      if (outcome !== 'in flight') {
        await recordPost(session, claimed, outcome === 'sent' ? SENT : { outcome: 'unknown' });
      }
      for (const status of ['draft', 'failed', 'scheduled']) {
        await revosSets(session, id, { status, unipile_post_id: null, published_at: null, content: 'Again' });
        expect(await claimPosts(session)).toEqual([]);
      }
      // Even if what we know beside it is lost, or wrong: the ledger stands. No lease and no gap is
      // in the way by now.
      advance(HOUR_MS);
      const again = { status: 'scheduled', unipile_post_id: null };
      for (const state of [null, 'waiting', 'held', 'missed']) {
        await session.query('delete from post_publications', []);
        if (state !== null) {
          await session.query('insert into post_publications (post_id, state) values ($1, $2)', [id, state]);
        }
        await revosSets(session, id, again);
        expect(await claimPosts(session)).toEqual([]);
      }
      expect(await attemptsOf(session, id)).toHaveLength(1);
      if (outcome === 'sent') expect(await revosReads(session, id)).toMatchObject({ status: 'published' });
    },
  );
});
