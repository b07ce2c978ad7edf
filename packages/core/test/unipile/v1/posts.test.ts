import type { Action } from '@revos/unipile-sandbox';
import { describe, expect, it } from 'vitest';
import type { FailureKind, PostFile } from '../../../src/unipile/index.ts';
import { clientForTest, patienceFor, requestsOf, sandboxForTest } from '../../support/sandbox.ts';
import { ADA, ALICE, accounts, BOB, PAGE, post, struck, unipileSaying } from './support.ts';

const file = (name: string, mimeType: string, size: number): PostFile => ({
  name,
  mimeType,
  bytes: new Uint8Array(size).fill(7),
});

describe('a 404', () => {
  const gone = { status: 404, body: { status: 404, type: 'errors/resource_not_found', title: 'Not found' } };

  it.each([
    { more: {}, kind: 'account_missing' },
    { more: { asOrganization: PAGE }, kind: 'rejected' },
    { more: { mentions: [{ name: 'Ada', profile_id: ADA, is_company: false }] }, kind: 'rejected' },
  ])('for $more is $kind: what is not found may be what the post names', async ({ more, kind }) => {
    const { client } = await unipileSaying(() => gone);
    expect(await client.createPost(post(more))).toMatchObject({ ok: false, kind, httpStatus: 404 });
  });
});

describe('an answer that cannot be stored', () => {
  it.each([
    { name: 'with a NUL', id: '1\0' },
    { name: 'with half of a surrogate pair', id: '1\ud83d' },
    { name: 'that is too long', id: '1'.repeat(201) },
  ])('201 with an id $name was published: the id is dropped, and nothing is asked by it', async ({ id }) => {
    const { client, asked } = await unipileSaying(() => ({ status: 201, body: { post_id: id } }));
    expect(await client.createPost(post())).toEqual({
      ok: true,
      httpStatus: 201,
      postId: null,
      socialId: null,
      shareUrl: null,
    });
    expect(asked).toHaveLength(1);
  });

  it.each([
    { social_id: 'urn:\0', share_url: 'https://www.linkedin.com/\0' },
    { social_id: 'urn:\ud83d', share_url: 'https://www.linkedin.com/\ud83d' },
    { social_id: 'u'.repeat(201), share_url: `https://www.linkedin.com/${'x'.repeat(2_048)}` },
  ])('addresses that cannot be stored are dropped', async (addresses) => {
    const { client } = await unipileSaying((request) =>
      request.method === 'POST' ? { status: 201, body: { post_id: '1' } } : { body: addresses },
    );
    expect(await client.createPost(post())).toMatchObject({ postId: '1', socialId: null, shareUrl: null });
  });
});

describe('a post that goes out', () => {
  it('is published once, and says where it is', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const published = await clientForTest(sandbox).createPost(post());
    const [effect] = sandbox.world.effects();
    expect(effect).toMatchObject({ kind: 'post', account_id: ALICE, text: 'We are hiring', attachments: [] });
    expect(published).toEqual({
      ok: true,
      httpStatus: 201,
      postId: effect?.id,
      socialId: `urn:li:activity:${effect?.id}`,
      shareUrl: expect.stringContaining(`activity-${effect?.id}`),
    });
    const { requests } = await requestsOf(sandbox);
    expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /api/v1/posts',
      `GET /api/v1/posts/${effect?.id}?account_id=${ALICE}`,
    ]);
  });

  it('takes its files along, with their names and types', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const attachments = [
      file('Team photo.png', 'image/png', 3),
      file('grüße "1".jpg', 'image/jpeg', 70_000),
      file('third.webp', 'image/webp', 0),
    ];
    expect(await clientForTest(sandbox).createPost(post({ attachments }))).toMatchObject({ ok: true });
    expect(sandbox.world.effects()[0]?.attachments).toEqual([
      { file_name: 'Team photo.png', mimetype: 'image/png', file_size: 3 },
      { file_name: 'grüße %221%22.jpg', mimetype: 'image/jpeg', file_size: 70_000 },
      { file_name: 'third.webp', mimetype: 'image/webp', file_size: 0 },
    ]);
  });

  it('of 20 images, one of them of 15 MB', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const attachments = Array.from({ length: 20 }, (_, index) =>
      file(`${index}.png`, 'image/png', index === 0 ? 15 * 1_048_576 : 1_000),
    );
    expect(await clientForTest(sandbox).createPost(post({ attachments }))).toMatchObject({ ok: true });
    expect(sandbox.world.effects()[0]?.attachments).toHaveLength(20);
  });

  it('names people and companies, links, and speaks as a page', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const published = await clientForTest(sandbox).createPost(
      post({
        text: 'Thanks {{0}} and {{1}}',
        mentions: [
          { name: 'Ada Lovelace', profile_id: ADA, is_company: false },
          { name: 'Acme', profile_id: PAGE, is_company: true },
        ],
        externalLink: 'https://example.com/jobs',
        asOrganization: PAGE,
      }),
    );
    expect(published).toMatchObject({ ok: true, shareUrl: expect.stringContaining(`company-${PAGE}`) });
    expect(sandbox.world.effects()).toMatchObject([
      { kind: 'post', text: 'Thanks Ada Lovelace and Acme\nhttps://example.com/jobs' },
    ]);
  });

  it('is published all the same where it cannot be read at once', async () => {
    const sandbox = await sandboxForTest({ accounts, visibilityDelayMs: 60_000 });
    const published = await clientForTest(sandbox).createPost(post());
    expect(published).toEqual({
      ok: true,
      httpStatus: 201,
      postId: sandbox.world.effects()[0]?.id,
      socialId: null,
      shareUrl: null,
    });
    // One look, no more: the post must be recorded.
    expect((await requestsOf(sandbox)).requests).toHaveLength(2);
  });

  it.each([
    { name: 'no answer', read: null },
    { name: 'a failure', read: { status: 500, body: {} } },
    { name: 'something else', read: { body: 'Please wait' } },
    { name: 'no addresses', read: { body: { social_id: 7, share_url: 'javascript:alert(1)' } } },
  ])('is published all the same where the read gives $name', async ({ read }) => {
    const { client, asked } = await unipileSaying(
      (request) => (request.method === 'POST' ? { status: 201, body: { post_id: '1' } } : read),
      { readTimeoutMs: 100 },
    );
    expect(await client.createPost(post())).toEqual({
      ok: true,
      httpStatus: 201,
      postId: '1',
      socialId: null,
      shareUrl: null,
    });
    expect(asked).toEqual(['POST /api/v1/posts', `GET /api/v1/posts/1?account_id=${ALICE}`]);
  });
});

/** Everything that can happen to a post: what the client says of it, and what LinkedIn saw. */
const FATES: ReadonlyArray<{ name: string; action: Action; kind: FailureKind | 'sent'; effects: 0 | 1 }> = [
  { name: 'the answer is lost', action: { kind: 'drop_answer' }, kind: 'ambiguous', effects: 1 },
  {
    name: 'the connection is reset before the effect',
    action: { kind: 'reset_before' },
    kind: 'ambiguous',
    effects: 0,
  },
  { name: 'the answer breaks off', action: { kind: 'reset_mid_answer' }, kind: 'ambiguous', effects: 1 },
  { name: 'no answer, published', action: { kind: 'hang', effect: true }, kind: 'ambiguous', effects: 1 },
  {
    name: 'no answer, not published',
    action: { kind: 'hang', effect: false },
    kind: 'ambiguous',
    effects: 0,
  },
  {
    name: '504, published',
    action: { kind: 'status', status: 504, type: 'errors/request_timeout', effect: true },
    kind: 'ambiguous',
    effects: 1,
  },
  {
    name: '500, not published',
    action: { kind: 'status', status: 500, type: 'errors/unexpected_error', effect: false },
    kind: 'ambiguous',
    effects: 0,
  },
  { name: 'success without its id', action: { kind: 'null_ids' }, kind: 'ambiguous', effects: 1 },
  { name: 'a success that is cut JSON', action: { kind: 'malformed_body' }, kind: 'ambiguous', effects: 1 },
  { name: 'a page of HTML', action: { kind: 'html_body', effect: true }, kind: 'ambiguous', effects: 1 },
  {
    name: '429',
    action: { kind: 'status', status: 429, type: 'errors/too_many_requests', effect: false },
    kind: 'throttled',
    effects: 0,
  },
  {
    name: '422 invalid_post',
    action: { kind: 'status', status: 422, type: 'errors/invalid_post', effect: false },
    kind: 'rejected',
    effects: 0,
  },
  {
    name: '415',
    action: { kind: 'status', status: 415, type: 'errors/unsupported_media_type', effect: false },
    kind: 'rejected',
    effects: 0,
  },
  {
    name: 'an account that signs out meanwhile',
    action: { kind: 'account_status', status: 'CREDENTIALS' },
    kind: 'account_disconnected',
    effects: 0,
  },
  { name: 'an effect seen late', action: { kind: 'late_visibility', ms: 5_000 }, kind: 'sent', effects: 1 },
];

describe('what becomes of a post', () => {
  it.each(FATES)('$name → $kind', async ({ action, kind, effects }) => {
    const sandbox = await sandboxForTest({ accounts, faults: [struck('create_post', action)] });
    const postTimeoutMs = patienceFor(action);
    const answer = await clientForTest(sandbox, { postTimeoutMs }).createPost(post());
    expect(answer.ok ? 'sent' : answer.kind).toBe(kind);
    expect(sandbox.world.effects()).toHaveLength(effects);
    const writes = (await requestsOf(sandbox)).requests.filter(({ method }) => method === 'POST');
    expect(writes).toHaveLength(1);
  });

  it.each([
    { name: 'no text', more: { text: '' }, kind: 'rejected', type: 'missing_parameters' },
    {
      name: 'too much text',
      more: { text: 'x'.repeat(3_001) },
      kind: 'rejected',
      type: 'too_many_characters',
    },
    { name: 'a link that is none', more: { externalLink: 'ftp://a' }, kind: 'rejected', type: 'invalid_url' },
    {
      name: 'a page of others',
      more: { asOrganization: '7' },
      kind: 'rejected',
      type: 'insufficient_permissions',
    },
    {
      name: 'an account that is gone',
      more: { accountId: 'gone' },
      kind: 'account_missing',
      type: 'resource_not_found',
    },
  ])('$name is $kind', async ({ more, kind, type }) => {
    const sandbox = await sandboxForTest({ accounts });
    expect(await clientForTest(sandbox).createPost(post(more))).toMatchObject({ ok: false, kind, type });
    expect(sandbox.world.effects()).toHaveLength(0);
  });

  it('a wrong key is the platform’s', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const answer = await clientForTest(sandbox, { apiKey: 'wrong' }).createPost(post({ accountId: BOB }));
    expect(answer).toMatchObject({ ok: false, kind: 'platform_key' });
  });

  it.each([{ post_id: null }, { post_id: '' }, { post_id: 7 }, {}])(
    '201 with %j is ambiguous',
    async (body) => {
      const { client, asked } = await unipileSaying(() => ({ status: 201, body }));
      expect(await client.createPost(post())).toMatchObject({
        ok: false,
        kind: 'ambiguous',
        type: 'no_post_id',
      });
      expect(asked).toEqual(['POST /api/v1/posts']);
    },
  );
});
