/** Posts and invitations: what is published, under which ids, and who may read it. */
import { describe, expect, it } from 'vitest';
import { ADA, ALICE, BOB, call, createClock, sandboxForTest } from './support.ts';

const publish = (sandbox: Parameters<typeof call>[0], form: Record<string, string>) =>
  call(sandbox, 'POST', '/api/v1/posts', { form: { account_id: ALICE, ...form } });

describe('the text that is read back', () => {
  const link = 'https://example.com/a?b=1';
  it.each([
    { name: 'as sent', form: { text: 'Hello' }, text: 'Hello' },
    { name: 'link put at the end', form: { text: 'Read', external_link: link }, text: `Read\n${link}` },
    {
      name: 'link already there',
      form: { text: `At ${link} now`, external_link: link },
      text: `At ${link} now`,
    },
    {
      name: 'mentions by name',
      form: {
        text: 'Thanks {{0}} and {{1}}, not {{2}}',
        'mentions[0][name]': 'Ada',
        'mentions[0][profile_id]': ADA,
        'mentions[1][name]': 'Acme',
        'mentions[1][profile_id]': '42',
        'mentions[1][is_company]': 'true',
      },
      text: 'Thanks Ada and Acme, not {{2}}',
    },
  ])('$name', async ({ form, text }) => {
    const sandbox = await sandboxForTest();
    const { status, body } = await publish(sandbox, form as unknown as Record<string, string>);
    expect([status, body.object]).toEqual([201, 'PostCreated']);
    const post = await call(sandbox, 'GET', `/api/v1/posts/${body.post_id}?account_id=${BOB}`);
    expect(post.body.text).toBe(text);
    expect(sandbox.world.effects()).toMatchObject([
      { kind: 'post', text, recipient_id: null, id: body.post_id },
    ]);
  });
});

it('shows short links for long ones, if it is to', async () => {
  const sandbox = await sandboxForTest({ shortLinks: true });
  const text =
    'See (https://example.com/a/long/one?x=1), https://a.example and www.example.com/another/long/one';
  const { body } = await publish(sandbox, { text, external_link: 'https://example.com/the/external/link' });
  const post = await call(sandbox, 'GET', `/api/v1/posts/${body.post_id}?account_id=${ALICE}`);
  const short = 'https://lnkd\\.in/[\\w-]{8}';
  expect(post.body.text).toMatch(
    new RegExp(
      `^See \\(${short}\\), https://a\\.example and www\\.example\\.com/another/long/one\\n${short}$`,
    ),
  );
});

it('says in the log which files a post has, and shows them with it', async () => {
  const sandbox = await sandboxForTest();
  const files = ['one.png', 'two.png'].map((name) => ({ field: 'attachments', name, bytes: 'png!' }));
  const { body } = await call(sandbox, 'POST', '/api/v1/posts', {
    form: { account_id: ALICE, text: 'Two' },
    files,
  });
  const attachments = ['one.png', 'two.png'].map((file_name) => ({
    file_name,
    file_size: 4,
    mimetype: 'application/octet-stream',
  }));
  expect(sandbox.world.effects()).toMatchObject([{ kind: 'post', id: body.post_id, attachments }]);
  const { effects } = (await call(sandbox, 'GET', '/_control/log', { key: null })).body;
  expect(effects).toMatchObject([{ attachments }]);
  const post = await call(sandbox, 'GET', `/api/v1/posts/${body.post_id}?account_id=${ALICE}`);
  expect(post.body.attachments).toMatchObject(attachments);
});

it('one post has several ids, and any of them finds it', async () => {
  const clock = createClock();
  const sandbox = await sandboxForTest({ now: clock.now });
  const { body } = await publish(sandbox, { text: 'Hello' });
  clock.advance(3 * 86_400_000);
  const read = (id: string) =>
    call(sandbox, 'GET', `/api/v1/posts/${encodeURIComponent(id)}?account_id=${ALICE}`);
  const post = (await read(body.post_id)).body;
  expect(post.id).toMatch(/^\d{19}$/);
  expect(post).toMatchObject({
    social_id: `urn:li:activity:${post.id}`,
    date: '3d',
    parsed_datetime: '2026-03-02T09:00:00.000Z',
  });
  expect(post.share_url).toContain(post.id);
  expect((await read(post.social_id)).body).toEqual(post);
  // The wrong flavour of URN finds nothing.
  expect((await read(`urn:li:share:${post.id}`)).body.type).toBe('errors/invalid_post');
});

it('lists by author: a member by LinkedIn id, a page by its digits', async () => {
  const sandbox = await sandboxForTest({
    accounts: [{ id: ALICE, organizations: [{ id: '42', name: 'Acme' }] }, { id: BOB }],
  });
  await publish(sandbox, { text: 'Mine' });
  await publish(sandbox, { text: 'Ours', as_organization: '42' });
  const own = sandbox.world.accounts()[0]?.providerId;
  const list = async (who: string) => {
    const { body } = await call(sandbox, 'GET', `/api/v1/users/${who}account_id=${BOB}`);
    return body.items.map((post: { text: string; author: { name: string } }) => post.text);
  };
  expect(await list(`${own}/posts?`)).toEqual(['Mine']);
  expect(await list('42/posts?is_company=true&')).toEqual(['Ours']);
});

it('a repost may be empty and shows what it repeats', async () => {
  const sandbox = await sandboxForTest();
  const first = (await publish(sandbox, { text: 'Original' })).body.post_id;
  const { body } = await publish(sandbox, { text: '', repost: `urn:li:activity:${first}` });
  const post = await call(sandbox, 'GET', `/api/v1/posts/${body.post_id}?account_id=${ALICE}`);
  expect(post.body).toMatchObject({ is_repost: true, repost_content: { id: first, text: 'Original' } });
});

it('a post shows after the visibility delay', async () => {
  const clock = createClock();
  const sandbox = await sandboxForTest({ now: clock.now, visibilityDelayMs: 5_000 });
  await publish(sandbox, { text: 'Hello' });
  const own = sandbox.world.accounts()[0]?.providerId;
  const count = async () =>
    (await call(sandbox, 'GET', `/api/v1/users/${own}/posts?account_id=${ALICE}`)).body.items.length;
  clock.advance(4_999);
  expect(await count()).toBe(0);
  clock.advance(1);
  expect(await count()).toBe(1);
});

it('an invitation can be sent once, listed, and taken back', async () => {
  const sandbox = await sandboxForTest();
  const json = { account_id: ALICE, provider_id: ADA, message: 'Hello' };
  const invite = () => call(sandbox, 'POST', '/api/v1/users/invite', { json });
  const first = await invite();
  expect([first.status, first.body.object]).toEqual([200, 'UserInvitationSent']);
  expect((await invite()).body.type).toBe('errors/already_invited_recently');
  expect(sandbox.world.effects()).toMatchObject([{ kind: 'invitation', recipient_id: ADA, text: 'Hello' }]);
  const id = first.body.invitation_id;
  const cancel = `/api/v1/users/invite/sent/${id}?account_id=`;
  expect((await call(sandbox, 'DELETE', `${cancel}${BOB}`)).status).toBe(404);
  expect((await call(sandbox, 'DELETE', `${cancel}${ALICE}`)).body.object).toBe('InvitationCanceled');
  expect((await invite()).status).toBe(200);
});
