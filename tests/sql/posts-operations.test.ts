/** What operators do with posts: options, lists, and actions on many at once. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { accountId, after, at, HOUR_MS, MINUTE_MS, refusal } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import {
  actOnPosts,
  claimPost,
  claimPosts,
  FAIL,
  insertPost,
  look,
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

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
  account = await postingAccount(session, 1);
});

const post = (over: Partial<Parameters<typeof insertPost>[1]> = {}) =>
  insertPost(session, { linkedin_account_id: account, ...over });

/** A post of this account in that state, claimed and recorded as it takes. */
async function postIn(state: string): Promise<string> {
  const scheduled_for = state === 'missed' ? after(NOW, -7 * HOUR_MS) : NOW;
  const status = state === 'draft' ? 'draft' : 'scheduled';
  const id = await post({ status, scheduled_for, content: state === 'held' ? '{{name}}' : state });
  if (state === 'held' || state === 'missed') await look(session);
  if (['publishing', 'published', 'unknown', 'failed'].includes(state)) {
    const claimed = await claimPost(session, { accountIds: [account] });
    if (state === 'published') await recordPost(session, claimed, SENT);
    if (state === 'unknown') await recordPost(session, claimed, UNKNOWN);
    if (state === 'failed') await recordPost(session, claimed, FAIL);
  }
  await look(session);
  return id;
}
const STATES = [
  'draft',
  'waiting',
  'held',
  'missed',
  'publishing',
  'published',
  'unknown',
  'failed',
] as const;

describe('the options of a post', () => {
  const set = (id: string, patch: unknown, actor: string | null = null) =>
    session.rpc.call<Record<string, unknown>>('post_options_set', { post_id: id, patch, actor });

  it('are kept, one by one, and taken away by null', async () => {
    const id = await post();
    await set(id, {
      media: [{ url: 'https://a.test/1.png', name: 'one.png' }],
      external_link: 'https://a.test',
    });
    const mentions = [{ name: 'Ann', profile_id: 'ACoAA1' }];
    expect(await set(id, { mentions, as_organization: '7' }, 'ada')).toEqual({
      media: [{ url: 'https://a.test/1.png', name: 'one.png' }],
      mentions: [{ ...mentions[0], is_company: false }],
      external_link: 'https://a.test',
      as_organization: '7',
      is_literal: false,
      media_checked_at: null,
      media_problem: null,
    });
    expect(
      await set(id, { media: null, mentions: null, external_link: null, as_organization: null }),
    ).toMatchObject({
      media: [],
      mentions: [],
      external_link: null,
      as_organization: null,
    });
    const audit = await session.query('select actor, action, subject, params from audit_log', []);
    expect(audit).toEqual([
      {
        actor: 'ada',
        action: 'post.options',
        subject: id,
        params: { options: ['mentions', 'as_organization'] },
      },
    ]);
  });

  it('let a post through whose placeholders are meant, and the audit trail shows it', async () => {
    const id = await post({ content: 'Hi {first_name}' });
    expect(await claimPosts(session)).toEqual([]);
    await set(id, { is_literal: true }, 'ada');
    expect((await claimPosts(session)).map(({ post_id }) => post_id)).toEqual([id]);
    expect(await session.query('select params from audit_log', [])).toEqual([
      { params: { options: ['is_literal'], is_literal: true } },
    ]);
  });

  const url = 'https://a.test/1.png';
  const person = { name: 'Ann', profile_id: 'ACoAA1', is_company: false };
  it.each([
    ['PO002', 'patch', []],
    ['PO002', 'text', { text: 'x' }],
    ['PO003', 'media', { media: 'x' }],
    ['PO003', 'media', { media: Array(21).fill({ url }) }],
    ['PO003', 'media[1]', { media: [{ url }, { url: 'ftp://a.test' }] }],
    ['PO003', 'media[0]', { media: [{}] }],
    ['PO003', 'media[0]', { media: [{ url: `https://a.test/${'x'.repeat(2_048)}` }] }],
    ['PO003', 'media[0]', { media: [{ url, name: '../etc/passwd' }] }],
    ['PO003', 'media[0]', { media: [{ url, size: 1 }] }],
    ['PO004', 'mentions', { mentions: {} }],
    ['PO004', 'mentions[0]', { mentions: [{ ...person, name: '' }] }],
    ['PO004', 'mentions[0]', { mentions: [{ ...person, name: '{{1}}' }] }],
    ['PO004', 'mentions[0]', { mentions: [{ ...person, profile_id: 'ann' }] }],
    ['PO004', 'mentions[0]', { mentions: [{ ...person, is_company: true }] }],
    ['PO004', 'mentions[1]', { mentions: [person, { ...person, is_company: 'no' }] }],
    ['PO005', 'external_link', { external_link: 'revos.test' }],
    ['PO005', 'external_link', { external_link: `https://a.test/${'x'.repeat(2_048)}` }],
    ['PO005', 'external_link', { external_link: 5 }],
    ['PO006', 'as_organization', { as_organization: 'acme' }],
    ['PO008', 'is_literal', { is_literal: 'yes' }],
    ['PO004', 'mentions[0]', { mentions: [{ ...person, profile_id: 'AEMAA1' }] }],
  ])('are refused with %s, naming %s', async (code, field, patch) => {
    const id = await post();
    expect(await refusal(set(id, patch))).toEqual({ code, field });
    expect(await session.query('select from post_publications', [])).toEqual([]);
  });

  it('of no post are refused, and so are those of a post that may be out', async () => {
    expect(await refusal(set(crypto.randomUUID(), {}))).toEqual({ code: 'PO001', field: 'post_id' });
    for (const state of ['publishing', 'published', 'unknown']) {
      await session.reset();
      account = await postingAccount(session, 1);
      expect((await refusal(set(await postIn(state), { as_organization: '7' }))).code).toBe('PO007');
    }
  });
});

describe('lists', () => {
  const list = (args: object = {}) =>
    session.rpc.call<{ items: Record<string, unknown>[]; next_cursor: string | null }>('post_list', {
      ...args,
    });

  it('show every state, and no text', async () => {
    const ids: Record<string, string> = {};
    for (const [n, state] of STATES.entries()) {
      account = await postingAccount(session, n + 10);
      ids[state] = await postIn(state);
    }
    const { items } = await list();
    expect(Object.fromEntries(items.map((item) => [item.state, item.id]))).toEqual(ids);
    for (const state of STATES) {
      const filtered = await list({ filter: { state } });
      expect(filtered.items.map((item) => item.id)).toEqual([ids[state]]);
      expect(await postsOf(session).explain(ids[state] ?? '')).toMatchObject({ state });
    }
    expect(Object.keys(items[0] ?? {}).sort()).toEqual(
      [
        ...[
          'id',
          'linkedin_account_id',
          'account_name',
          'campaign_id',
          'post_status',
          'state',
          'reason',
          'error',
        ],
        ...[
          'scheduled_for',
          'not_before',
          'published_at',
          'attempts',
          'post_url',
          'unipile_post_id',
          'has_media',
        ],
        'created_at',
      ].sort(),
    );
  });

  it('a scheduled post that was never looked at waits, and so does one that RevOS moved since it was missed', async () => {
    const id = await post({ scheduled_for: after(NOW, 30 * HOUR_MS) });
    const moved = await postIn('missed');
    await revosSets(session, moved, { scheduled_for: after(NOW, HOUR_MS).toISOString() });
    const { items } = await list({ filter: { state: ['waiting'] } });
    expect(items.map((item) => item.id)).toEqual([id, moved]);
    expect(items.map((item) => item.reason)).toEqual([null, null]);
  });

  it('page by page, each once, those scheduled last first', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1)
      ids.unshift(await post({ scheduled_for: after(NOW, Math.floor(n / 2) * MINUTE_MS) }));
    const seen: unknown[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof list>> = await list({ limit: 2, after: cursor });
      seen.push(...page.items.map((item) => item.id));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect([...seen].sort()).toEqual([...ids].sort());
    expect(seen[0]).toBe(ids[0]);
  });

  it('by account, campaign, status and time; an unknown field is refused by name', async () => {
    const other = await postingAccount(session, 2);
    const id = await post({ linkedin_account_id: other, scheduled_for: after(NOW, HOUR_MS) });
    await post();
    for (const filter of [
      { account_id: other },
      { ids: [id] },
      { scheduled_from: after(NOW, 1).toISOString() },
      { post_status: 'scheduled', account_id: [other, accountId(9)] },
    ]) {
      expect((await list({ filter })).items.map((item) => item.id)).toEqual([id]);
    }
    expect(await refusal(list({ filter: { text: 'x' } }))).toEqual({ code: 'SE001', field: 'text' });
  });

  it('one post: with its text, options, attempts and explanation', async () => {
    const id = await postIn('unknown');
    expect(await session.rpc.call('post_get', { id })).toMatchObject({
      id,
      content: 'unknown',
      options: { media: [], mentions: [] },
      attempts: [{ outcome: 'unknown', read_backs: 0, worker: 'worker-1', next_read_at: expect.any(String) }],
      explanation: { state: 'unknown', reason: 'answer_lost', can_go_at: null },
    });
    expect(await session.rpc.call('post_get', { id: crypto.randomUUID() })).toBeNull();
  });
});

describe('actions', () => {
  const allowed: Readonly<Record<string, readonly string[]>> = {
    cancel: ['waiting', 'held', 'missed'],
    retry: ['waiting', 'held', 'failed'],
    reschedule: ['waiting', 'held', 'missed', 'failed'],
    publish_now: ['waiting', 'held', 'missed', 'failed'],
    settle: ['unknown'],
  };
  const ARGS: Readonly<Record<string, object>> = {
    reschedule: { scheduled_for: '2026-03-02T12:00:00Z' },
    settle: { decision: 'drop' },
  };

  it.each(Object.keys(allowed))('%s: what it can be done to, and what not', async (action) => {
    for (const state of STATES) {
      await session.reset();
      account = await postingAccount(session, 1);
      const id = await postIn(state);
      const before = await revosReads(session, id);
      const answer = await actOnPosts(session, action, [id], { ...ARGS[action] });
      const isAllowed = allowed[action]?.includes(state) === true;
      expect([state, answer.changed]).toEqual([state, isAllowed ? 1 : 0]);
      if (!isAllowed) {
        expect(answer.refused).toMatchObject([{ id, status: state, problem: expect.any(String) }]);
        expect(await revosReads(session, id)).toEqual(before);
      }
    }
  });

  it('cancel: a draft again; scheduled by RevOS once more, it goes', async () => {
    const id = await postIn('waiting');
    await actOnPosts(session, 'cancel', [id], { reason: 'not now' });
    expect(await revosReads(session, id)).toMatchObject({ status: 'draft' });
    expect(await postsOf(session).explain(id)).toMatchObject({
      state: 'draft',
      reason: 'cancelled',
      error: 'not now',
    });
    expect(await claimPosts(session)).toEqual([]);
    await revosSets(session, id, { status: 'scheduled' });
    expect(await postsOf(session).explain(id)).toMatchObject({
      state: 'waiting',
      reason: 'ready',
      error: null,
    });
    expect(await claimPosts(session)).toHaveLength(1);
  });

  it('publish_now and reschedule bring a missed post back, at RevOS’s own time', async () => {
    const id = await postIn('missed');
    await actOnPosts(session, 'reschedule', [id], { scheduled_for: after(NOW, HOUR_MS).toISOString() });
    expect(await revosReads(session, id)).toMatchObject({
      status: 'scheduled',
      scheduled_for: after(NOW, HOUR_MS),
    });
    expect(await claimPosts(session)).toEqual([]);
    await actOnPosts(session, 'publish_now', [id]);
    expect(await revosReads(session, id)).toMatchObject({ scheduled_for: NOW });
    expect((await claimPost(session)).post_id).toBe(id);
  });

  it('publish_now keeps the gap', async () => {
    await session.query('update account_policies set post_gap_s = 3600', []);
    await postIn('published');
    const id = await post({ scheduled_for: after(NOW, 20 * HOUR_MS) });
    await actOnPosts(session, 'publish_now', [id]);
    expect(await claimPosts(session)).toEqual([]);
    expect(await postsOf(session).explain(id)).toMatchObject({
      reason: 'post_gap',
      can_go_at: '2026-03-02T11:00:00+00:00',
    });
  });

  it('retry: a post that failed long ago goes now', async () => {
    const id = await postIn('failed');
    session.clock.now = after(NOW, 48 * HOUR_MS);
    await actOnPosts(session, 'retry', [id]);
    expect(await publicationOf(session, id)).toMatchObject({ state: 'waiting', reason: null, attempts: 0 });
    expect((await claimPost(session)).post_id).toBe(id);
  });

  it('a dry run says what it would do, and changes nothing', async () => {
    const [failed, id] = [await postIn('failed'), await postIn('waiting')];
    const selection = { filter: { account_id: account } };
    const args = { action: 'cancel', selection, args: {} };
    const before = await session.query('select * from posts order by id', []);
    const answer = await session.rpc.call('post_act', { ...args, dry_run: true, actor: 'ada' });
    expect(answer).toMatchObject({
      dry_run: true,
      matched: 2,
      changed: 1,
      refused: [{ id: failed }],
      sample: [id],
    });
    expect(await session.query('select * from posts order by id', [])).toEqual(before);
    const act = (expected_count: number | null) =>
      session.rpc.call('post_act', { ...args, dry_run: false, expected_count, actor: 'ada' });
    expect((await refusal(act(null))).code).toBe('PO065');
    expect((await refusal(act(3))).code).toBe('PO062');
    expect(await act(2)).toMatchObject({ dry_run: false, changed: 1 });
    const audit = await session.query('select actor, action, subject from audit_log', []);
    expect(audit).toEqual([{ actor: 'ada', action: 'post.cancel', subject: id }]);
  });

  it.each([
    ['PO060', 'action', 'explode', { ids: [] }, {}],
    ['PO061', 'selection', 'cancel', {}, {}],
    ['PO064', 'scheduled_for', 'reschedule', { ids: [] }, { scheduled_for: 'tomorrow' }],
    ['PO064', 'decision', 'settle', { ids: [] }, {}],
    ['PO064', 'looked_at', 'settle', { ids: [] }, { decision: 'resend', looked_at: '2026-03-02' }],
    ['PO064', 'when', 'publish_now', { ids: [] }, { when: 'now' }],
  ])('are refused with %s, naming %s', async (code, field, action, selection, args) => {
    const call = session.rpc.call('post_act', { action, selection, args, dry_run: false });
    expect(await refusal(call)).toEqual({ code, field });
  });

  it('an id that is no post is said so', async () => {
    expect(await actOnPosts(session, 'cancel', [crypto.randomUUID()])).toMatchObject({
      changed: 0,
      refused: [{ status: null, problem: 'there is no such post' }],
    });
  });
});

describe('what waits', () => {
  it('is counted by reason, those for a person too, and a preview says what would go', async () => {
    await postIn('held');
    await postIn('missed');
    await post({ scheduled_for: after(NOW, 48 * HOUR_MS) });
    const [first, second] = [await post({ scheduled_for: after(NOW, -MINUTE_MS) }), await post()];
    const other = await postingAccount(session, 2);
    const theirs = await post({ linkedin_account_id: other });
    const before = await session.query('select * from post_publications order by post_id', []);
    const preview = await postsOf(session).preview(null);
    expect(preview).toEqual({
      due: 5,
      scheduled: 1,
      by_reason: { post_placeholder: 1, too_late: 1, scheduled: 1, ready: 2, queued_behind: 1 },
      next_at: '2026-03-02T10:00:00+00:00',
      is_complete: true,
      would_send: [first, theirs],
    });
    expect(await postsOf(session).preview([other])).toMatchObject({ due: 1, would_send: [theirs] });
    expect(await postsOf(session).explain(second)).toMatchObject({ reason: 'queued_behind', ahead: 1 });
    expect(await session.query('select * from post_publications order by post_id', [])).toEqual(before);
    expect((await claimPosts(session)).map((one) => one.post_id).sort()).toEqual(
      [...preview.would_send].sort(),
    );
  });

  it('nothing at all', async () => {
    expect(await postsOf(session).backlog(null)).toEqual({
      due: 0,
      scheduled: 0,
      by_reason: {},
      next_at: null,
      is_complete: true,
    });
  });
});
