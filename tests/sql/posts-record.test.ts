/** What became of a post: for RevOS's row, for the account, and for whoever reports too late. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { after, at, claimOne, MINUTE_MS, policyOf, refusal } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import {
  actOnPosts,
  attemptsOf,
  claimPost,
  claimPosts,
  FAIL,
  insertPost,
  LATE_LIMIT_MINUTES,
  POST_LEASE_MS,
  type PostEnding,
  postingAccount,
  postsOf,
  publicationOf,
  RELEASE,
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
let id: string;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
  account = await postingAccount(session, 1);
  id = await insertPost(session, { linkedin_account_id: account });
});

const advance = (ms: number): void => {
  session.clock.now = after(session.clock.now, ms);
};
const ended = async (ending: PostEnding) => {
  const claimed = await claimPost(session);
  return { claimed, answer: await recordPost(session, claimed, ending) };
};

describe('an ending', () => {
  it('sent: RevOS reads that it is published, when, and where', async () => {
    advance(MINUTE_MS);
    const { answer } = await ended(SENT);
    expect(answer).toMatchObject({ applied: 'recorded', status: 'sent' });
    expect(await revosReads(session, id)).toMatchObject({
      status: 'published',
      published_at: after(NOW, MINUTE_MS),
      unipile_post_id: 'p1',
      post_url: SENT.share_url,
      updated_at: after(NOW, MINUTE_MS),
    });
    expect(await publicationOf(session, id)).toMatchObject({ state: 'published', social_id: SENT.social_id });
  });

  it('sent under an id that another row of RevOS’s has: it is published all the same', async () => {
    await insertPost(session, { linkedin_account_id: account, status: 'published', unipile_post_id: 'p1' });
    expect((await ended(SENT)).answer).toMatchObject({ applied: 'recorded', status: 'sent' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'published', unipile_post_id: null });
    expect(await publicationOf(session, id)).toMatchObject({ unipile_post_id: 'p1' });
  });

  it.each([
    {
      name: 'too long',
      unipile_post_id: 'p'.repeat(201),
      social_id: 's'.repeat(201),
      share_url: `https://x/${'y'.repeat(2_048)}`,
    },
    { name: 'empty', unipile_post_id: '', social_id: '', share_url: '' },
    { name: 'none', unipile_post_id: null, social_id: null, share_url: null },
  ])(
    'sent with ids that are $name: published all the same, and not asked for by them',
    async ({ name: _, ...ids }) => {
      const { answer } = await ended({ ...SENT, ...ids });
      expect(answer).toMatchObject({ applied: 'recorded', status: 'sent' });
      expect(await revosReads(session, id)).toMatchObject({ status: 'published', unipile_post_id: null });
      expect(await publicationOf(session, id)).toMatchObject({
        unipile_post_id: null,
        social_id: null,
        share_url: null,
      });
      expect(await attemptsOf(session, id)).toMatchObject([{ outcome: 'sent', next_read_at: null }]);
    },
  );

  it('refused: failed, with the reason; RevOS puts it back, and it goes again with all its tries', async () => {
    await recordPost(session, await claimPost(session), { ...RETRY, retry_after_ms: 0 });
    expect((await ended(FAIL)).answer).toMatchObject({ status: 'failed' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'failed', unipile_post_id: null });
    expect(await publicationOf(session, id)).toMatchObject({
      state: 'failed',
      reason: 'rejected',
      error: 'Refused',
      attempts: 1,
    });
    expect(await claimPosts(session)).toEqual([]);
    await revosSets(session, id, { status: 'scheduled', content: 'Milder' });
    expect(await claimPost(session)).toMatchObject({ text: 'Milder', attempts: 0 });
  });

  it('not reached: again after its wait, five times, then failed', async () => {
    for (let burned = 1; burned <= 5; burned += 1) {
      expect((await ended(RETRY)).answer).toMatchObject({ status: 'pending' });
      expect(await publicationOf(session, id)).toMatchObject({ state: 'waiting', attempts: burned });
      advance(MINUTE_MS - 1);
      expect(await claimPosts(session)).toEqual([]);
      expect(await postsOf(session).explain(id)).toMatchObject({ reason: 'unreachable' });
      advance(1);
    }
    expect((await ended(RETRY)).answer).toMatchObject({ status: 'failed' });
    expect(await publicationOf(session, id)).toMatchObject({ state: 'failed', reason: 'retries_exhausted' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'failed' });
  });

  it('given back: as if it had not been claimed', async () => {
    await ended(RELEASE);
    expect(await publicationOf(session, id)).toMatchObject({
      state: 'waiting',
      attempts: 0,
      not_before: null,
    });
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('given back by the claim, by whoever claimed it and nobody else', async () => {
    const claimId = crypto.randomUUID();
    await claimPost(session, { claimId });
    expect(await postsOf(session).release(claimId, 'worker-2')).toBe(0);
    expect(await postsOf(session).release(claimId, 'worker-1')).toBe(1);
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it.each([
    ['a time', 60_000, 'rate_limited', after(NOW, 60_000)],
    ['no end', -1, 'account_disconnected', Number.POSITIVE_INFINITY],
  ])('a wait that pauses the account, with %s', async (_name, pause_ms, reason, until) => {
    await ended({ outcome: 'not_sent', next_step: 'wait', reason, pause_ms, pause_reason: reason });
    expect(await policyOf(session, account)).toMatchObject({ pause_reason: reason, paused_until: until });
    expect(await publicationOf(session, id)).toMatchObject({ state: 'waiting', reason, attempts: 0 });
    expect(await claimPosts(session)).toEqual([]);
  });

  it('a limit that comes again is rested for twice as long, whether a message or a post meets it', async () => {
    const limited = {
      outcome: 'not_sent',
      next_step: 'wait',
      reason: 'rate_limited',
      pause_ms: 0,
      pause_reason: 'rate_limited',
    } as const;
    await ended(limited);
    expect(await policyOf(session, account)).toMatchObject({ paused_until: after(NOW, 60_000) });
    session.clock.now = after(NOW, 60_000);
    await ended(limited);
    expect(await policyOf(session, account)).toMatchObject({ paused_until: after(NOW, 180_000) });
    session.clock.now = after(NOW, 180_000);
    await session.dm.enqueue([{ linkedin_account_id: account, recipient_id: 'ACoAA1', message: 'Hi' }]);
    const message = await claimOne(session);
    await session.dm.record([{ attempt_id: message.attempt_id, ...limited }]);
    expect(await policyOf(session, account)).toMatchObject({ paused_until: after(NOW, 420_000) });
  });

  it('a longer pause of a person stands', async () => {
    await session.rpc.call('account_pause', { account_id: account, reason: 'holiday' });
    await session.rpc.call('account_resume', { account_id: account });
    const claimed = await claimPost(session);
    await session.rpc.call('account_pause', { account_id: account, reason: 'holiday' });
    await recordPost(session, claimed, { ...RETRY, pause_ms: 1_000, pause_reason: 'rate_limited' });
    expect(await policyOf(session, account)).toMatchObject({ pause_reason: 'holiday' });
  });

  it('an account that comes back is noticed by the claim', async () => {
    await ended({
      outcome: 'not_sent',
      next_step: 'wait',
      reason: 'account_disconnected',
      pause_ms: -1,
      pause_reason: 'account_disconnected',
    });
    await session.query(`update linkedin_accounts set status = 'expired'`, []);
    expect(await claimPosts(session)).toEqual([]);
    await session.query(`update linkedin_accounts set status = 'active'`, []);
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('its end lets the account’s messages go on', async () => {
    const claimed = await claimPost(session);
    await session.dm.enqueue([{ linkedin_account_id: account, recipient_id: 'ACoAA1', message: 'Hi' }]);
    const claimMessages = async () =>
      (
        await session.dm.claim({
          claimId: crypto.randomUUID(),
          worker: 'w',
          limit: 5,
          leaseMs: 120_000,
          draw: 0,
          accountIds: null,
        })
      ).items;
    expect(await claimMessages()).toEqual([]);
    await recordPost(session, claimed, SENT);
    expect(await claimMessages()).toHaveLength(1);
  });

  it('draft in RevOS by the time it is refused: it stays a draft', async () => {
    const claimed = await claimPost(session);
    await revosSets(session, id, { status: 'draft' });
    await recordPost(session, claimed, FAIL);
    expect(await revosReads(session, id)).toMatchObject({ status: 'draft' });
  });

  it('refuses results that are not of this form', async () => {
    const { attempt_id } = await claimPost(session);
    for (const results of [
      [{ attempt_id, outcome: 'maybe' }],
      [{ attempt_id, outcome: 'not_sent' }],
      [{ attempt_id, outcome: 'not_sent', next_step: 'restart' }],
      {},
    ]) {
      expect((await refusal(session.rpc.call('post_record', { results }))).code).toBe('PO040');
    }
  });
});

describe('the media of a post', () => {
  const media = [{ url: 'https://files.test/a.png' }];
  const set = (patch: object) => session.rpc.call('post_options_set', { post_id: id, patch });
  const problem = (retryable: boolean) => ({ problem: 'media_gone', detail: 'It is gone (404).', retryable });
  const check = (retryable: boolean | null, checked: object[] = media) =>
    postsOf(session).recordMedia([
      { post_id: id, media: checked as never, problem: retryable === null ? null : problem(retryable) },
    ]);

  it('that cannot be used hold it at publication, until they are changed', async () => {
    await set({ media });
    const media_problem = problem(false);
    await ended({ outcome: 'not_sent', next_step: 'wait', reason: 'media_invalid', media_problem });
    expect(await claimPosts(session)).toEqual([]);
    expect(await publicationOf(session, id)).toMatchObject({
      state: 'held',
      reason: 'media_invalid',
      error: 'It is gone (404).',
    });
    await set({ media: [{ url: 'https://files.test/b.png' }] });
    expect(await claimPost(session)).toMatchObject({ media: [{ url: 'https://files.test/b.png' }] });
  });

  it('are due to be looked at a day ahead, once', async () => {
    await set({ media });
    await revosSets(session, id, { scheduled_for: after(NOW, 24 * 3_600_000 + 1).toISOString() });
    const due = async () => (await postsOf(session).mediaDue(10)).items;
    expect(await due()).toEqual([]);
    advance(1);
    expect(await due()).toEqual([{ post_id: id, media }]);
    expect(await check(null)).toBe(1);
    expect(await due()).toEqual([]);
    await set({ media: [...media, ...media] });
    expect(await due()).toHaveLength(1);
    // What was looked at is not what it has now.
    expect(await check(false)).toBe(0);
    expect(await due()).toHaveLength(1);
  });

  it('with a problem that stays hold the post at once; retry has them looked at anew', async () => {
    await set({ media });
    await revosSets(session, id, { scheduled_for: after(NOW, MINUTE_MS).toISOString() });
    await check(false);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'held', reason: 'media_invalid' });
    advance(MINUTE_MS);
    expect(await claimPosts(session)).toEqual([]);
    await actOnPosts(session, 'retry', [id]);
    expect((await postsOf(session).mediaDue(10)).items).toHaveLength(1);
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('with a problem that may go away do not hold it, and are looked at again after 15 minutes', async () => {
    await set({ media });
    await revosSets(session, id, { scheduled_for: after(NOW, 60 * MINUTE_MS).toISOString() });
    await check(true);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'waiting' });
    advance(15 * MINUTE_MS - 1);
    expect((await postsOf(session).mediaDue(10)).items).toEqual([]);
    advance(1);
    expect((await postsOf(session).mediaDue(10)).items).toHaveLength(1);
  });

  it.each([
    ['may go away', true],
    ['is not expected to', false],
  ])(
    'with a problem that %s are looked at every 15 minutes, and once more when it is due',
    async (_, retryable) => {
      const due = async () => {
        const { items, next_at } = await postsOf(session).mediaDue(10);
        return { looks: items.length, nextAt: next_at === null ? null : at(next_at) };
      };
      const scheduled = after(NOW, 40 * MINUTE_MS);
      await set({ media });
      await revosSets(session, id, { scheduled_for: scheduled.toISOString() });
      for (const minutes of [0, 15, 30]) {
        session.clock.now = after(NOW, minutes * MINUTE_MS);
        expect(await due()).toEqual({ looks: 1, nextAt: null });
        await check(retryable);
        const next = minutes === 30 ? scheduled : after(session.clock.now, 15 * MINUTE_MS);
        expect(await due()).toEqual({ looks: 0, nextAt: next });
      }
      session.clock.now = after(scheduled, -1);
      expect((await due()).looks).toBe(0);
      session.clock.now = scheduled;
      expect((await due()).looks).toBe(1);
      await check(retryable);
      expect(await due()).toEqual({ looks: 0, nextAt: after(scheduled, 15 * MINUTE_MS) });
      session.clock.now = after(scheduled, 15 * MINUTE_MS);
      expect((await due()).looks).toBe(1);
      await check(null);
      expect(await due()).toEqual({ looks: 0, nextAt: null });
      expect(await publicationOf(session, id)).toMatchObject({ state: 'waiting' });
      expect(await claimPosts(session)).toHaveLength(1);
    },
  );

  it('are looked at no more once the post was missed: it needs another time', async () => {
    await set({ media });
    await check(false);
    session.clock.now = after(NOW, LATE_LIMIT_MINUTES * MINUTE_MS + 1);
    await claimPosts(session);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'missed' });
    expect(await postsOf(session).mediaDue(10)).toMatchObject({ items: [], next_at: null });
  });
});

describe('an answer that was lost', () => {
  it('is unknown: RevOS still has it as scheduled, and it is not sent again', async () => {
    const { answer } = await ended(UNKNOWN);
    expect(answer).toMatchObject({ status: 'unknown' });
    expect(await publicationOf(session, id)).toMatchObject({ state: 'unknown', reason: 'answer_lost' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'scheduled', published_at: null });
    advance(30 * MINUTE_MS);
    expect(await claimPosts(session)).toEqual([]);
  });

  it('a lease that ends without a result is recovered by the next claim', async () => {
    await claimPost(session);
    advance(POST_LEASE_MS - 1);
    await claimPosts(session);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'publishing' });
    advance(1);
    await claimPosts(session);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'unknown' });
    expect(await attemptsOf(session, id)).toMatchObject([
      { outcome: 'unknown', error_type: 'lease_expired' },
    ]);
  });

  it.each([
    ['sent', SENT, 'late', 'published'],
    ['refused', FAIL, 'ignored', 'unknown'],
    ['given back', RELEASE, 'ignored', 'unknown'],
    ['unknown', UNKNOWN, 'ignored', 'unknown'],
  ])('then the answer comes after all: %s', async (_name, ending, applied, state) => {
    const claimed = await claimPost(session);
    advance(POST_LEASE_MS);
    await claimPosts(session);
    expect(await recordPost(session, claimed, ending)).toMatchObject({ applied });
    expect(await publicationOf(session, id)).toMatchObject({ state });
    expect(await claimPosts(session)).toEqual([]);
  });

  it('a result recorded twice changes nothing', async () => {
    const { claimed } = await ended(SENT);
    const before = [await publicationOf(session, id), await revosReads(session, id)];
    advance(MINUTE_MS);
    for (const ending of [SENT, FAIL, UNKNOWN]) {
      expect(await recordPost(session, claimed, ending)).toMatchObject({
        applied: 'ignored',
        status: 'sent',
      });
    }
    expect([await publicationOf(session, id), await revosReads(session, id)]).toEqual(before);
  });

  it('a late `sent` of a post that a person gave up, or put back to draft, is the truth', async () => {
    const { claimed } = await ended(UNKNOWN);
    await actOnPosts(session, 'settle', [id], { decision: 'drop' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'failed' });
    await revosSets(session, id, { status: 'draft' });
    expect(await recordPost(session, claimed, SENT)).toMatchObject({ applied: 'late', status: 'sent' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'published', unipile_post_id: 'p1' });
  });

  it('a late `sent` while the post is on its way once more: it is published, and not tried again', async () => {
    const { claimed: first } = await ended({ ...RETRY, retry_after_ms: 0 });
    const second = await claimPost(session);
    expect(await recordPost(session, first, SENT)).toMatchObject({ applied: 'late', status: 'sending' });
    expect(await recordPost(session, second, RETRY)).toMatchObject({ status: 'sent' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'published', unipile_post_id: 'p1' });
  });

  it('one that is not there: missing', async () => {
    expect(await recordPost(session, { attempt_id: crypto.randomUUID() }, SENT)).toMatchObject({
      applied: 'missing',
      status: null,
    });
  });
});
