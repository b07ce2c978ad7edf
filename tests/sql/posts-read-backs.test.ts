/** Posts that may have been published: when they are looked for, and what is made of what was seen. */
import type { PostReconcileResult, UnknownPost } from '@revos/core/posts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { after, at, DAY_MS, HOUR_MS, MINUTE_MS, refusal } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import {
  actOnPosts,
  attemptsOf,
  claimPost,
  claimPosts,
  insertPost,
  POST_LEASE_MS,
  postingAccount,
  postsOf,
  publicationOf,
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
/** When its effect can have come at the latest. */
const EFFECT_BY = after(NOW, POST_LEASE_MS);

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
const due = async (): Promise<readonly UnknownPost[]> => (await postsOf(session).unknowns(10)).items;

async function lose(): Promise<string> {
  const claimed = await claimPost(session);
  await recordPost(session, claimed, UNKNOWN);
  return claimed.attempt_id;
}

async function see(
  found: PostReconcileResult['found'],
  more: Partial<PostReconcileResult> = {},
  policy: 'resend-when-absent' | 'hold' = 'resend-when-absent',
): Promise<string | undefined> {
  const [item] = await due();
  if (!item) throw new Error('nothing is to be read');
  const ids = found === 'sent' ? { unipile_post_id: 'p9', social_id: 'urn:li:activity:p9' } : {};
  const [answer] = await postsOf(session).resolve(
    [{ attempt_id: item.attempt_id, found, ...ids, ...more }],
    policy,
  );
  return answer?.resolution;
}

/** Moves the clock to the next look. */
async function untilDue(): Promise<void> {
  const { next_read_at } = await postsOf(session).unknowns(10);
  if (next_read_at === null) throw new Error('nothing is to be read');
  session.clock.now = at(next_read_at);
}

describe('a look', () => {
  it('is due 15 s after, given to one asker a minute, and knows what was sent and what is others’', async () => {
    await insertPost(session, { linkedin_account_id: account, scheduled_for: after(NOW, -MINUTE_MS) });
    await recordPost(session, await claimPost(session), SENT);
    const attemptId = await lose();
    await revosSets(session, id, { content: 'Changed since' });
    advance(15_000 - 1);
    expect(await due()).toEqual([]);
    advance(1);
    expect(await due()).toEqual([
      {
        attempt_id: attemptId,
        post_id: id,
        account_id: account,
        unipile_account_id: 'unipile-1',
        text: 'Hello',
        mentions: [],
        external_link: null,
        as_organization: null,
        started_at: '2026-03-02T10:00:00+00:00',
        unipile_post_id: null,
        known_post_ids: ['p1', 'urn:li:activity:p1'],
      },
    ]);
    expect(await due()).toEqual([]);
    advance(MINUTE_MS);
    expect(await due()).toHaveLength(1);
  });

  it('that finds it: published, at the time that LinkedIn shows', async () => {
    await lose();
    advance(MINUTE_MS);
    const sent_at = after(NOW, 2_000).toISOString();
    expect(await see('sent', { sent_at, share_url: 'https://l.test/p9' })).toBe('sent');
    expect(await revosReads(session, id)).toMatchObject({
      status: 'published',
      published_at: after(NOW, 2_000),
      unipile_post_id: 'p9',
      post_url: 'https://l.test/p9',
    });
    expect(await attemptsOf(session, id)).toMatchObject([{ outcome: 'sent', next_read_at: null }]);
  });

  it('that finds another post’s id: that one is not taken', async () => {
    await lose();
    const other = await insertPost(session, { linkedin_account_id: account });
    advance(POST_LEASE_MS);
    const [item] = await due();
    await recordPost(session, await claimPost(session), { ...SENT, unipile_post_id: 'p9' });
    const [answer] = await postsOf(session).resolve(
      [{ attempt_id: item?.attempt_id ?? '', found: 'sent', unipile_post_id: 'p9' }],
      'resend-when-absent',
    );
    expect(answer?.resolution).toBe('unknown');
    expect(await revosReads(session, other)).toMatchObject({ unipile_post_id: 'p9' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'scheduled' });
  });

  it.each([
    { twin: 'Hello', resolution: 'held' },
    { twin: 'Another', resolution: 'sent' },
  ])(
    'that may be a twin’s, whose id could not be stored: $resolution, where that says $twin',
    async ({ twin, resolution }) => {
      await lose();
      const other = await insertPost(session, { linkedin_account_id: account, content: twin });
      advance(POST_LEASE_MS);
      const [item] = await due();
      const lost = { unipile_post_id: null, social_id: null, share_url: null };
      await recordPost(session, await claimPost(session), { ...SENT, ...lost });
      expect(await revosReads(session, other)).toMatchObject({ status: 'published' });
      const [answer] = await postsOf(session).resolve(
        [{ attempt_id: item?.attempt_id ?? '', found: 'sent', unipile_post_id: 'p9' }],
        'resend-when-absent',
      );
      expect(answer?.resolution).toBe(resolution);
    },
  );

  it.each([
    { unipile_post_id: 'p'.repeat(201), share_url: 'https://l.test/p9' },
    { unipile_post_id: 'p9', social_id: 's'.repeat(201), share_url: `https://l.test/${'p'.repeat(2_048)}` },
  ])('that finds ids which cannot be stored: published without them', async (ids) => {
    await lose();
    advance(MINUTE_MS);
    expect(await see('sent', ids)).toBe('sent');
    expect(await revosReads(session, id)).toMatchObject({ status: 'published' });
  });

  it('while another post of the account is on its way: whose it is, the answer says', async () => {
    await lose();
    const other = await insertPost(session, { linkedin_account_id: account });
    advance(POST_LEASE_MS);
    const [item] = await due();
    const underWay = await claimPost(session);
    const [answer] = await postsOf(session).resolve(
      [{ attempt_id: item?.attempt_id ?? '', found: 'sent', unipile_post_id: 'p9' }],
      'resend-when-absent',
    );
    expect(answer?.resolution).toBe('unknown');
    await recordPost(session, underWay, { ...SENT, unipile_post_id: 'p9' });
    expect(await revosReads(session, other)).toMatchObject({ unipile_post_id: 'p9' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'scheduled' });
  });

  it('after it was settled otherwise is ignored', async () => {
    const attempt_id = await lose();
    advance(15_000);
    await due();
    await recordPost(session, { attempt_id }, SENT);
    const answers = await postsOf(session).resolve([{ attempt_id, found: 'absent' }], 'hold');
    expect(answers).toEqual([{ attempt_id, resolution: 'ignored' }]);
  });

  it('of the wrong form is refused', async () => {
    const attempt_id = await lose();
    for (const [results, policy] of [
      [[{ attempt_id, found: 'sent' }], 'hold'],
      [[{ attempt_id, found: 'maybe' }], 'hold'],
      [[], 'guess'],
    ]) {
      expect((await refusal(session.rpc.call('post_resolve', { results, policy }))).code).toBe('PO071');
    }
    expect((await refusal(postsOf(session).unknowns(0))).code).toBe('PO070');
  });
});

describe('an absence', () => {
  /** Looks whenever it is due, until that instant. */
  async function absentUntil(instant: Date, found: PostReconcileResult['found'] = 'absent'): Promise<void> {
    for (;;) {
      const { next_read_at } = await postsOf(session).unknowns(10);
      if (next_read_at === null || at(next_read_at) >= instant) break;
      session.clock.now = at(next_read_at);
      expect(await see(found)).toBe('unknown');
    }
    session.clock.now = instant;
  }

  it('is believed after 30 minutes from when its effect can have come at the latest, and not before', async () => {
    await lose();
    await absentUntil(after(EFFECT_BY, 30 * MINUTE_MS));
    expect(await publicationOf(session, id)).toMatchObject({ state: 'unknown' });
    expect(await see('absent')).toBe('waiting');
    expect(await publicationOf(session, id)).toMatchObject({
      state: 'waiting',
      reason: 'absent_on_linkedin',
    });
    expect(await attemptsOf(session, id)).toMatchObject([{ outcome: 'not_sent', error_type: 'absent' }]);
    // What is looked for once more is what was sent, not what RevOS has by now.
    await revosSets(session, id, { content: 'Changed' });
    expect(await claimPost(session)).toMatchObject({ text: 'Changed', was_unknown: [{ text: 'Hello' }] });
  });

  it('of an account that was out of order in between begins anew', async () => {
    await lose();
    await absentUntil(after(EFFECT_BY, 20 * MINUTE_MS));
    await untilDue();
    expect(await see('account_out_of_order')).toBe('unknown');
    const again = after(session.clock.now, MINUTE_MS);
    session.clock.now = again;
    await session.query('update post_attempts set next_read_at = $1', [again]);
    expect(await see('absent')).toBe('unknown');
    await absentUntil(after(again, 30 * MINUTE_MS));
    expect(await see('absent')).toBe('waiting');
  });

  it('with the policy hold: a person decides, and it is read no more', async () => {
    await lose();
    await absentUntil(after(EFFECT_BY, 30 * MINUTE_MS));
    expect(await see('absent', {}, 'hold')).toBe('held');
    expect(await publicationOf(session, id)).toMatchObject({ state: 'unknown', reason: 'unknown_held' });
    expect((await postsOf(session).unknowns(10)).next_read_at).toBeNull();
    expect(await claimPosts(session)).toEqual([]);
  });

  it('is a reason to send it again only once', async () => {
    await lose();
    await absentUntil(after(EFFECT_BY, 30 * MINUTE_MS));
    await see('absent');
    const second = await claimPost(session);
    await recordPost(session, second, UNKNOWN);
    await absentUntil(after(session.clock.now, POST_LEASE_MS + 30 * MINUTE_MS));
    expect(await see('absent')).toBe('held');
    expect(await claimPosts(session)).toEqual([]);
  });

  it('believed hours later: it is missed, for a person', async () => {
    await lose();
    await absentUntil(after(NOW, 7 * HOUR_MS), 'unreadable');
    await untilDue();
    const since = session.clock.now;
    expect(await see('absent')).toBe('unknown');
    await absentUntil(after(since, 30 * MINUTE_MS));
    expect(await see('absent')).toBe('waiting');
    await claimPosts(session);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'missed' });
  });

  it('that nobody can see for a week is held', async () => {
    await lose();
    await absentUntil(after(NOW, 7 * DAY_MS), 'unreadable');
    await session.query('update post_attempts set next_read_at = $1', [session.clock.now]);
    expect(await see('unreadable')).toBe('held');
    expect(await publicationOf(session, id)).toMatchObject({ reason: 'unknown_held' });
  });

  it.each([
    ['sent', 'published', 'published'],
    ['resend', 'waiting', 'scheduled'],
    ['drop', 'failed', 'failed'],
  ])('a person settles it as %s', async (decision, state, status) => {
    await lose();
    advance(12 * HOUR_MS);
    expect(await actOnPosts(session, 'settle', [id], { decision })).toMatchObject({ changed: 1 });
    expect(await publicationOf(session, id)).toMatchObject({ state });
    expect(await revosReads(session, id)).toMatchObject({ status });
    expect(await due()).toEqual([]);
    const claimed = await claimPosts(session);
    expect(claimed).toHaveLength(decision === 'resend' ? 1 : 0);
    if (decision === 'resend') expect(claimed[0]?.was_unknown).toHaveLength(1);
    // Dropped stands, whatever RevOS writes.
    if (decision === 'drop') {
      await revosSets(session, id, { status: 'scheduled', scheduled_for: session.clock.now.toISOString() });
      expect(await claimPosts(session)).toEqual([]);
      expect(await revosReads(session, id)).toMatchObject({ status: 'failed' });
      expect(await postsOf(session).explain(id)).toMatchObject({ state: 'failed', reason: 'dropped' });
    }
  });
});

describe('a twin', () => {
  it.each([
    { name: 'that a reader takes for the same', content: 'A.\n\n\nB.', resolution: 'held', state: 'unknown' },
    { name: 'in name only', content: 'A.B.', resolution: 'sent', state: 'published' },
  ])(
    'of a post of which a person said that it is there, $name, is $state',
    async ({ content, resolution, state }) => {
      await revosSets(session, id, { content: 'A.\n\nB.' });
      await lose();
      advance(POST_LEASE_MS);
      const twin = await insertPost(session, { linkedin_account_id: account, content });
      await lose();
      await actOnPosts(session, 'settle', [id], { decision: 'sent' });
      await untilDue();
      expect(await see('sent')).toBe(resolution);
      expect(await publicationOf(session, twin)).toMatchObject({ state });
    },
  );
});

describe('a person who looked', () => {
  const resend = async (looked_at?: Date) =>
    actOnPosts(session, 'settle', [id], {
      decision: 'resend',
      ...(looked_at === undefined ? {} : { looked_at }),
    });

  it.each([
    ['before the end of its call', (): Date | undefined => undefined, after(EFFECT_BY, -1)],
    ['before the end of its call, and says so later', () => after(EFFECT_BY, -1), after(EFFECT_BY, DAY_MS)],
  ])('%s cannot have it published again', async (_when, lookedAt, now) => {
    await lose();
    session.clock.now = now;
    expect(await resend(lookedAt())).toMatchObject({
      changed: 0,
      refused: [{ id, status: 'unknown', problem: expect.stringContaining('look again') }],
    });
    expect(await publicationOf(session, id)).toMatchObject({ state: 'unknown' });
  });

  it('at the end of its call can', async () => {
    await lose();
    session.clock.now = after(EFFECT_BY, HOUR_MS);
    expect(await resend(EFFECT_BY)).toMatchObject({ changed: 1 });
    expect(await publicationOf(session, id)).toMatchObject({ state: 'waiting' });
  });
});

describe('the address of a published post', () => {
  it('is looked for again, and filled in', async () => {
    await recordPost(session, await claimPost(session), { ...SENT, social_id: null, share_url: null });
    expect(await revosReads(session, id)).toMatchObject({ status: 'published', post_url: null });
    advance(15_000);
    expect(await due()).toMatchObject([{ unipile_post_id: 'p1' }]);
    advance(MINUTE_MS);
    const more = { unipile_post_id: 'p1', share_url: 'https://l.test/p1' };
    expect(await see('sent', more)).toBe('ignored');
    expect(await revosReads(session, id)).toMatchObject({
      status: 'published',
      published_at: NOW,
      post_url: 'https://l.test/p1',
      unipile_post_id: 'p1',
    });
    expect((await postsOf(session).unknowns(10)).next_read_at).toBeNull();
  });

  it('is given up after five looks; the post is published all the same', async () => {
    await recordPost(session, await claimPost(session), { ...SENT, share_url: null });
    let looks = 0;
    for (;;) {
      const { next_read_at } = await postsOf(session).unknowns(10);
      if (next_read_at === null) break;
      session.clock.now = at(next_read_at);
      expect(await see('unreadable')).toBe('ignored');
      looks += 1;
    }
    expect(looks).toBe(5);
    expect(await revosReads(session, id)).toMatchObject({ status: 'published', published_at: NOW });
  });
});
