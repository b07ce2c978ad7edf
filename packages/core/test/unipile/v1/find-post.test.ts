import type { Action, Sandbox, SandboxOptions } from '@revos/unipile-sandbox';
import { describe, expect, it } from 'vitest';
import type { CreatePostRequest, FindPostRequest, Unipile } from '../../../src/unipile/index.ts';
import { clientForTest, patienceFor, requestsOf, sandboxForTest } from '../../support/sandbox.ts';
import {
  ADA,
  ALICE,
  accountSaying,
  accounts,
  clockOf,
  PAGE,
  post,
  soughtPost,
  struck,
  unipileSaying,
} from './support.ts';

const LINK = 'https://example.com/a/rather/long/link?to=jobs';

async function world(options: SandboxOptions = {}, postTimeoutMs = 5_000) {
  const clock = clockOf();
  const sandbox: Sandbox = await sandboxForTest({ accounts, now: clock.now, ...options });
  return { clock, sandbox, client: clientForTest(sandbox, { postTimeoutMs }) };
}

/** Every way an answer can be lost, and whether the post was published. */
const LOST: ReadonlyArray<{ name: string; action: Action; isPublished: boolean }> = [
  { name: 'the answer is lost', action: { kind: 'drop_answer' }, isPublished: true },
  { name: 'a reset before the effect', action: { kind: 'reset_before' }, isPublished: false },
  { name: 'the answer breaks off', action: { kind: 'reset_mid_answer' }, isPublished: true },
  { name: 'a failure breaks off', action: { kind: 'reset_mid_answer', effect: false }, isPublished: false },
  { name: 'no answer, with an effect', action: { kind: 'hang', effect: true }, isPublished: true },
  { name: 'no answer, without an effect', action: { kind: 'hang', effect: false }, isPublished: false },
  ...([500, 504] as const).flatMap((status) =>
    [true, false].map((effect) => ({
      name: `${status}, ${effect ? 'with' : 'without'} an effect`,
      action: { kind: 'status' as const, status, type: 'errors/request_timeout', effect },
      isPublished: effect,
    })),
  ),
  { name: 'success without its id', action: { kind: 'null_ids' }, isPublished: true },
  { name: 'a success that is cut JSON', action: { kind: 'malformed_body' }, isPublished: true },
  { name: 'a page of HTML, with an effect', action: { kind: 'html_body', effect: true }, isPublished: true },
  { name: 'a page of HTML, without one', action: { kind: 'html_body', effect: false }, isPublished: false },
];

describe('a post whose answer was lost', () => {
  it.each(LOST)('$name: published $isPublished', async ({ action, isPublished }) => {
    const faults = [struck('create_post', action)];
    const { clock, sandbox, client } = await world({ faults }, patienceFor(action));
    expect(await client.createPost(post())).toMatchObject({ ok: false, kind: 'ambiguous' });
    const [effect] = sandbox.world.effects();
    expect(effect !== undefined).toBe(isPublished);
    expect(await client.findPost(soughtPost())).toEqual(
      isPublished
        ? {
            ok: true,
            kind: 'found',
            postId: effect?.id,
            socialId: `urn:li:activity:${effect?.id}`,
            shareUrl: expect.stringContaining('https://www.linkedin.com/posts/'),
            sentAt: clock.now(),
          }
        : { ok: true, kind: 'absent' },
    );
  });

  it.each<{ name: string; more: Partial<CreatePostRequest>; options?: SandboxOptions }>([
    { name: 'lines', more: { text: 'One\n\ntwo\n' } },
    { name: 'a link put at its end', more: { externalLink: LINK } },
    { name: 'a link it has already', more: { text: `See ${LINK} now`, externalLink: LINK } },
    {
      name: 'short links',
      more: { text: `See ${LINK}.`, externalLink: `${LINK}&more` },
      options: { shortLinks: true },
    },
    {
      name: 'mentions',
      more: {
        text: 'Thanks {{0}} and {{1}}',
        mentions: [
          { name: 'Ada Lovelace', profile_id: ADA, is_company: false },
          { name: 'Acme', profile_id: PAGE, is_company: true },
        ],
      },
    },
    { name: 'the voice of a page', more: { asOrganization: PAGE } },
  ])('is found with $name', async ({ more, options = {} }) => {
    const { sandbox, client } = await world({
      ...options,
      faults: [struck('create_post', { kind: 'drop_answer' })],
    });
    await client.createPost(post(more));
    const [effect] = sandbox.world.effects();
    const { attachments: _, ...sought } = post(more);
    expect(await client.findPost(soughtPost(sought))).toMatchObject({ kind: 'found', postId: effect?.id });
  });

  it('that shows late is absent until then', async () => {
    const { clock, client } = await world({
      faults: [
        struck('create_post', { kind: 'late_visibility', ms: 240_000 }),
        struck('create_post', { kind: 'drop_answer' }),
      ],
    });
    await client.createPost(post());
    clock.pass(239_999);
    expect(await client.findPost(soughtPost())).toEqual({ ok: true, kind: 'absent' });
    clock.pass(1);
    expect(await client.findPost(soughtPost())).toMatchObject({ ok: true, kind: 'found' });
  });

  it.each(['CREDENTIALS', 'STOPPED', 'ERROR', 'PERMISSIONS', 'CONNECTING'] as const)(
    'of an account that is %s is not looked for, and LinkedIn is not asked',
    async (status) => {
      const { sandbox, client } = await world({ faults: [struck('create_post', { kind: 'drop_answer' })] });
      await client.createPost(post());
      sandbox.world.setAccountStatus(ALICE, status);
      expect(await client.findPost(soughtPost())).toEqual({ ok: true, kind: 'account_out_of_order', status });
      expect((await requestsOf(sandbox)).requests.map(({ path }) => path)).toEqual([
        '/api/v1/posts',
        `/api/v1/accounts/${ALICE}`,
      ]);
    },
  );

  it('of an account that goes out of order meanwhile is not absent', async () => {
    let accountReads = 0;
    const { client } = await unipileSaying((request) => {
      if (request.url?.includes('/posts') === true) return { body: { items: [] } };
      accountReads += 1;
      return { body: accountSaying(accountReads === 1 ? 'OK' : 'CREDENTIALS') };
    });
    expect(await client.findPost(soughtPost())).toEqual({
      ok: true,
      kind: 'account_out_of_order',
      status: 'CREDENTIALS',
    });
  });

  it('of an account that is restricted, or gone, is a failure', async () => {
    const { sandbox, client } = await world();
    sandbox.world.declareAccount({ id: ALICE, restricted: true });
    expect(await client.findPost(soughtPost())).toMatchObject({ ok: false, kind: 'account_restricted' });
    sandbox.world.deleteAccount(ALICE).finish();
    expect(await client.findPost(soughtPost())).toMatchObject({ ok: false, kind: 'account_missing' });
  });
});

describe('which post it is', () => {
  const publish = async (client: Unipile, more: Partial<CreatePostRequest> = {}): Promise<string> => {
    const published = await client.createPost(post(more));
    return (published.ok && published.postId) || '';
  };

  it.each<{ name: string; published: Partial<CreatePostRequest>; sought: Partial<FindPostRequest> }>([
    { name: 'one with more to it', published: { text: 'We are hiring!' }, sought: {} },
    { name: 'the page’s own', published: { asOrganization: PAGE }, sought: {} },
    { name: 'the account’s own, for the page', published: {}, sought: { asOrganization: PAGE } },
    {
      name: 'one with another link',
      published: { externalLink: LINK },
      sought: { externalLink: `${LINK}2` },
    },
    { name: 'another account’s', published: { accountId: 'bob' }, sought: {} },
  ])('not $name', async ({ published, sought }) => {
    const { client } = await world();
    expect(await publish(client, published)).not.toBe('');
    expect(await client.findPost(soughtPost(sought))).toEqual({ ok: true, kind: 'absent' });
  });

  it('from two minutes before the attempt, and no earlier', async () => {
    const { clock, client } = await world();
    const postId = await publish(client);
    const at = (ms: number) => soughtPost({ since: new Date(clock.now().getTime() + ms) });
    expect(await client.findPost(at(119_999))).toMatchObject({ kind: 'found', postId });
    expect(await client.findPost(at(120_001))).toEqual({ ok: true, kind: 'absent' });
  });

  it('the oldest of several, and never one that is another row’s', async () => {
    const { clock, client } = await world();
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      clock.pass(1_000);
      ids.push(await publish(client));
    }
    const found = (knownIds: readonly string[]) => client.findPost(soughtPost({ knownIds }));
    expect(await found([])).toMatchObject({ postId: ids[0] });
    expect(await found(ids.slice(0, 1))).toMatchObject({ postId: ids[1] });
    expect(await found([`urn:li:activity:${ids[0]}`, ids[1] ?? ''])).toMatchObject({ postId: ids[2] });
    expect(await found(ids)).toEqual({ ok: true, kind: 'absent' });
  });

  it('stops at the first page that goes back beyond the attempt', async () => {
    const { clock, sandbox, client } = await world();
    for (let count = 0; count < 50; count += 1) {
      clock.pass(3_600_000);
      sandbox.world.createPost({ accountId: ALICE, text: `Post ${count}` }).finish();
    }
    const { id: newest } = sandbox.world.effects().at(-1) ?? {};
    const since = (hours: number) => new Date(clock.now().getTime() - hours * 3_600_000);
    expect(await client.findPost(soughtPost({ since: since(1) }))).toEqual({ ok: true, kind: 'absent' });
    expect(await client.findPost(soughtPost({ since: since(1), text: 'Post 49' }))).toMatchObject({
      postId: newest,
    });
    const { requests } = await requestsOf(sandbox);
    expect(requests.filter(({ path }) => path.includes('/posts'))).toHaveLength(2);
    expect(await client.findPost(soughtPost({ since: since(49), text: 'Post 1' }))).toMatchObject({
      kind: 'found',
    });
    const lists = (await requestsOf(sandbox)).requests.filter(({ path }) => path.includes('/posts'));
    expect(lists).toHaveLength(5);
  });
});

describe('a search that cannot read', () => {
  it.each<{ name: string; action: Action }>([
    { name: 'lost answers', action: { kind: 'drop_answer' } },
    { name: 'answers that break off', action: { kind: 'reset_mid_answer' } },
    { name: 'cut JSON', action: { kind: 'malformed_body' } },
    { name: 'pages of HTML', action: { kind: 'html_body', effect: true } },
    {
      name: '500',
      action: { kind: 'status', status: 500, type: 'errors/provider_error', effect: false },
    },
  ])('$name: once is asked again, always is a failure', async ({ action }) => {
    for (const skip of [0, 1, 2]) {
      const strike = { match: { operation: 'read' as const }, action, skip };
      const once = await world({ faults: [{ ...strike, times: 1 }] });
      expect(await once.client.findPost(soughtPost())).toEqual({ ok: true, kind: 'absent' });
      const always = await world({ faults: [{ ...strike, times: null }] });
      expect(await always.client.findPost(soughtPost())).toMatchObject({ ok: false, kind: 'ambiguous' });
    }
  });

  const item = {
    id: '1',
    text: 'We are hiring',
    parsed_datetime: '2026-03-02T09:00:01.000Z',
    author: { id: 'ACoAAOwn' },
    is_repost: false,
  };
  const saying = (items: unknown, read: unknown = {}) =>
    unipileSaying((request) => {
      if (request.url?.includes('/accounts/') === true) return { body: accountSaying('OK') };
      return { body: request.url?.includes('/users/') === true ? { items } : read };
    });

  it.each([
    { items: undefined },
    { items: [null] },
    { items: [{ ...item, id: '' }] },
    { items: [{ ...item, parsed_datetime: '3d' }] },
    { items: [{ ...item, parsed_datetime: null }] },
    { items: [{ ...item, author: null }] },
    { items: [{ ...item, text: 7 }] },
    { items: [{ ...item, is_repost: undefined }] },
  ])('%j cannot be understood, and is not absent', async ({ items }) => {
    const { client } = await saying(items);
    expect(await client.findPost(soughtPost())).toMatchObject({
      ok: false,
      kind: 'ambiguous',
      type: 'unreadable_answer',
    });
  });

  it.each(['1\0', '1\ud83d', '1'.repeat(201)])(
    'the post, with an id that cannot be stored: it cannot be told from another',
    async (id) => {
      const { client } = await saying([{ ...item, id }]);
      expect(await client.findPost(soughtPost())).toMatchObject({ ok: false, type: 'unstorable_id' });
      const { client: second } = await saying([{ ...item, id, text: 'Another' }]);
      expect(await second.findPost(soughtPost())).toEqual({ ok: true, kind: 'absent' });
    },
  );

  it('more items than any page has', async () => {
    const { client } = await saying(Array(1_001).fill(item));
    expect(await client.findPost(soughtPost())).toMatchObject({ ok: false, type: 'list_too_long' });
  });

  it('a post by a URN, without addresses, is found', async () => {
    const { client, asked } = await saying([{ ...item, author: { id: `urn:li:company:${PAGE}` } }]);
    expect(await client.findPost(soughtPost({ asOrganization: PAGE }))).toEqual({
      ok: true,
      kind: 'found',
      postId: '1',
      socialId: null,
      shareUrl: null,
      sentAt: new Date('2026-03-02T09:00:01.000Z'),
    });
    expect(asked).toEqual([
      `GET /api/v1/accounts/${ALICE}`,
      `GET /api/v1/users/${PAGE}/posts?account_id=${ALICE}&is_company=true&limit=20`,
    ]);
  });

  it('a post of another author in the list is passed over', async () => {
    const { client } = await saying([
      { ...item, author: { id: 'ACoAAOther' } },
      { ...item, author: {} },
    ]);
    expect(await client.findPost(soughtPost())).toEqual({ ok: true, kind: 'absent' });
  });

  it('an old date of a repost does not end the list', async () => {
    const repost = { ...item, id: '2', parsed_datetime: '2020-01-01T00:00:00.000Z', is_repost: true };
    const { client } = await unipileSaying((request) => {
      if (request.url?.includes('/accounts/') === true) return { body: accountSaying('OK') };
      const isFirst = request.url?.includes('cursor=') === false;
      return { body: isFirst ? { items: [repost], cursor: 'next' } : { items: [item], cursor: null } };
    });
    expect(await client.findPost(soughtPost())).toMatchObject({ kind: 'found', postId: '1' });
  });
});

describe('readPost', () => {
  it('reads one that is there', async () => {
    const { clock, client } = await world();
    const published = await client.createPost(post());
    const postId = (published.ok && published.postId) || '';
    expect(await client.readPost({ accountId: ALICE, postId })).toEqual({
      ok: true,
      kind: 'found',
      postId,
      socialId: `urn:li:activity:${postId}`,
      shareUrl: published.ok && published.shareUrl,
      sentAt: clock.now(),
    });
  });

  it('says absent of one that is not, or not yet, while the account is in order', async () => {
    const { clock, client } = await world({ visibilityDelayMs: 1_000 });
    expect(await client.readPost({ accountId: ALICE, postId: '1' })).toEqual({ ok: true, kind: 'absent' });
    const published = await client.createPost(post());
    const read = () =>
      client.readPost({ accountId: ALICE, postId: (published.ok && published.postId) || '' });
    expect(await read()).toEqual({ ok: true, kind: 'absent' });
    clock.pass(1_000);
    expect(await read()).toMatchObject({ kind: 'found' });
  });

  it('fails for an account that is out of order, or gone', async () => {
    const { sandbox, client } = await world();
    sandbox.world.setAccountStatus(ALICE, 'CREDENTIALS');
    const read = { accountId: ALICE, postId: 'a/b' };
    expect(await client.readPost(read)).toMatchObject({ ok: false, kind: 'account_disconnected' });
    sandbox.world.deleteAccount(ALICE).finish();
    expect(await client.readPost(read)).toMatchObject({ ok: false, kind: 'account_missing' });
    const { requests } = await requestsOf(sandbox);
    expect(requests[0]?.path).toBe(`/api/v1/posts/a%2Fb?account_id=${ALICE}`);
  });

  it('fails where the answer is no post', async () => {
    const { client } = await unipileSaying(() => ({ body: { id: '1' } }));
    expect(await client.readPost({ accountId: ALICE, postId: '1' })).toMatchObject({
      type: 'unreadable_answer',
    });
  });
});
