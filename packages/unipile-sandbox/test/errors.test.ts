/** Refusals, as a table: the request, the status, the type, and nothing done. */
import { describe, expect, it } from 'vitest';
import { ADA, ALICE, BOB, type CallOptions, call, sandboxForTest, startChat } from './support.ts';

const chat = (form: Record<string, string | string[]>): CallOptions => ({
  form: { account_id: ALICE, attendees_ids: ADA, text: 'Hi', ...form },
});

const PEOPLE = [
  { provider_id: 'ACoAAStranger', relation: 'not_connected' },
  { provider_id: 'ACoAABlocked', relation: 'blocked' },
  { provider_id: 'ACoAALocked', relation: 'unreachable' },
  { provider_id: 'ACoAABobOnly', relation: 'not_connected', relations: { [BOB]: 'connected' } },
  { provider_id: 'ACoAAFriend', relation: 'connected' },
] as const;

const ACCOUNTS = [
  { id: ALICE },
  { id: BOB },
  { id: 'gone', status: 'CREDENTIALS' },
  { id: 'stopped', status: 'STOPPED' },
  { id: 'jailed', restricted: true },
] as const;

const POST = 'POST';
const CHATS = '/api/v1/chats';
const POSTS = '/api/v1/posts';
const INVITE = '/api/v1/users/invite';

describe('refused writes have no effect', () => {
  it.each<[string, string, CallOptions, number, string]>([
    ['no account', CHATS, { form: { attendees_ids: ADA, text: 'Hi' } }, 400, 'missing_parameters'],
    ['no attendee', CHATS, { form: { account_id: ALICE, text: 'Hi' } }, 400, 'missing_parameters'],
    ['no text', CHATS, { form: { account_id: ALICE, attendees_ids: ADA } }, 400, 'missing_parameters'],
    ['blank text', CHATS, chat({ text: ' \n' }), 400, 'missing_parameters'],
    ['empty attendee', CHATS, chat({ attendees_ids: '' }), 400, 'invalid_parameters'],
    ['51 attendees', CHATS, chat({ attendees_ids: Array(51).fill(ADA) }), 400, 'invalid_parameters'],
    ['bad api', CHATS, chat({ 'linkedin[api]': 'fax' }), 400, 'invalid_parameters'],
    ['8,001 characters', CHATS, chat({ text: 'x'.repeat(8_001) }), 400, 'too_many_characters'],
    ['65 KB of text', CHATS, chat({ text: 'x'.repeat(65_537) }), 400, 'content_too_large'],
    ['account unknown', CHATS, chat({ account_id: 'nobody' }), 404, 'resource_not_found'],
    ['account gone', CHATS, chat({ account_id: 'gone' }), 401, 'disconnected_account'],
    ['account stopped', CHATS, chat({ account_id: 'stopped' }), 401, 'disconnected_account'],
    ['account restricted', CHATS, chat({ account_id: 'jailed' }), 403, 'account_restricted'],
    ['slug', CHATS, chat({ attendees_ids: 'ada-lovelace' }), 422, 'invalid_recipient'],
    ['URL', CHATS, chat({ attendees_ids: 'https://linkedin.com/in/ada' }), 422, 'invalid_recipient'],
    ['URN', CHATS, chat({ attendees_ids: 'urn:li:member:1' }), 422, 'invalid_recipient'],
    ['Sales Navigator id, classic', CHATS, chat({ attendees_ids: 'ACwAAAda' }), 422, 'invalid_recipient'],
    ['a stranger', CHATS, chat({ attendees_ids: 'ACoAAStranger' }), 422, 'no_connection_with_recipient'],
    ["another's friend", CHATS, chat({ attendees_ids: 'ACoAABobOnly' }), 422, 'no_connection_with_recipient'],
    [
      'one stranger in a group',
      CHATS,
      chat({ attendees_ids: [ADA, 'ACoAABlocked'] }),
      422,
      'blocked_recipient',
    ],
    ['locked', CHATS, chat({ attendees_ids: 'ACoAALocked' }), 422, 'user_unreachable'],
    [
      'JSON that is none',
      CHATS,
      { body: '{', headers: { 'content-type': 'application/json' } },
      400,
      'malformed_request',
    ],
    [
      'no boundary',
      CHATS,
      { body: 'x', headers: { 'content-type': 'multipart/form-data' } },
      400,
      'malformed_request',
    ],
    [
      'plain text',
      CHATS,
      { body: 'x', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported_media_type',
    ],
    ['chat unknown', '/api/v1/chats/none/messages', { form: { text: 'Hi' } }, 404, 'resource_not_found'],
    ['post without text', POSTS, { form: { account_id: ALICE } }, 400, 'missing_parameters'],
    [
      'post of 3,001',
      POSTS,
      { form: { account_id: ALICE, text: 'x'.repeat(3_001) } },
      400,
      'too_many_characters',
    ],
    ['post by no one', POSTS, { form: { text: 'Hi' } }, 400, 'missing_parameters'],
    ['post, account gone', POSTS, { form: { account_id: 'gone', text: 'Hi' } }, 401, 'disconnected_account'],
    [
      'bad link',
      POSTS,
      { form: { account_id: ALICE, text: 'Hi', external_link: 'ftp://x' } },
      400,
      'invalid_url',
    ],
    [
      'not our page',
      POSTS,
      { form: { account_id: ALICE, text: 'Hi', as_organization: '7' } },
      403,
      'insufficient_permissions',
    ],
    ['repost of nothing', POSTS, { form: { account_id: ALICE, text: '', repost: '1' } }, 422, 'invalid_post'],
    [
      'mention of a slug',
      POSTS,
      {
        form: {
          account_id: ALICE,
          text: '{{0}}',
          'mentions[0][name]': 'Ada',
          'mentions[0][profile_id]': 'ada',
        },
      },
      400,
      'invalid_parameters',
    ],
    ['invite no one', INVITE, { json: { account_id: ALICE } }, 400, 'missing_parameters'],
    [
      'invite, 301 characters',
      INVITE,
      { json: { account_id: ALICE, provider_id: ADA, message: 'x'.repeat(301) } },
      400,
      'too_many_characters',
    ],
    [
      'invite a friend',
      INVITE,
      { json: { account_id: ALICE, provider_id: 'ACoAAFriend' } },
      422,
      'already_connected',
    ],
  ])('%s', async (_name, path, options, status, type) => {
    const sandbox = await sandboxForTest({ accounts: ACCOUNTS, people: PEOPLE });
    const reply = await call(sandbox, POST, path, options);
    expect([reply.status, reply.body.status, reply.body.type]).toEqual([status, status, `errors/${type}`]);
    expect(sandbox.world.effects()).toEqual([]);
  });

  it.each([
    { sizeBytes: 15 * 1024 * 1024, status: 201 },
    { sizeBytes: 15 * 1024 * 1024 + 1, status: 400 },
  ])('a file of $sizeBytes bytes: $status', async ({ sizeBytes, status }) => {
    const sandbox = await sandboxForTest();
    const files = [{ field: 'attachments', name: 'a.bin', bytes: 'x'.repeat(sizeBytes) }];
    const reply = await call(sandbox, POST, CHATS, { ...chat({}), files });
    expect(reply.status).toBe(status);
    if (status === 400) expect(reply.body.type).toBe('errors/content_too_large');
    expect(sandbox.world.effects()).toHaveLength(status === 201 ? 1 : 0);
  });

  it('at the very edge they pass', async () => {
    const sandbox = await sandboxForTest({ accounts: ACCOUNTS, people: PEOPLE });
    expect((await call(sandbox, POST, CHATS, chat({ text: 'x'.repeat(8_000) }))).status).toBe(201);
    const salesNavigator = chat({ attendees_ids: 'ACwAAAda', 'linkedin[api]': 'sales_navigator' });
    expect((await call(sandbox, POST, CHATS, salesNavigator)).status).toBe(201);
    const inmail = chat({ attendees_ids: 'ACoAAStranger', 'linkedin[inmail]': 'true', subject: 'Hello' });
    expect((await call(sandbox, POST, CHATS, inmail)).status).toBe(201);
    const post = { form: { account_id: ALICE, text: 'x'.repeat(3_000) } };
    expect((await call(sandbox, POST, POSTS, post)).status).toBe(201);
  });
});

describe('bodies, to the letter', () => {
  it.each<[string, number, string, CallOptions, string]>([
    [
      'no key',
      401,
      '/api/v1/accounts',
      { key: null },
      '{"status":401,"type":"errors/missing_credentials","title":"Missing credentials"}',
    ],
    [
      'wrong key',
      401,
      '/api/v1/chats',
      { key: 'wrong' },
      '{"status":401,"type":"errors/missing_credentials","title":"Missing credentials"}',
    ],
    [
      'no such route, with the key',
      404,
      '/api/v1/nothing',
      {},
      '{"status":404,"type":"errors/resource_not_found","title":"Resource not found","detail":"There is no such route."}',
    ],
    [
      'no such route, no key',
      401,
      '/api/v1/nothing',
      { key: null },
      '{"status":401,"type":"errors/missing_credentials","title":"Missing credentials"}',
    ],
    [
      'outside the API',
      404,
      '/nothing',
      {},
      '{"status":404,"type":"errors/resource_not_found","title":"Resource not found","detail":"There is no such route."}',
    ],
  ])('%s', async (_name, status, path, options, text) => {
    const sandbox = await sandboxForTest();
    const reply = await call(sandbox, 'GET', path, options);
    expect([reply.status, JSON.stringify(reply.body)]).toEqual([status, text]);
    expect(reply.headers['content-type']).toMatch(/^application\/json/);
  });

  it.each([
    [
      'gone',
      '{"status":401,"type":"errors/disconnected_account","title":"Disconnected account","detail":"The account appears to be disconnected from the provider service."}',
    ],
    [
      'jailed',
      '{"status":403,"type":"errors/account_restricted","title":"Account restricted","detail":"Access to this account has been restricted by the provider."}',
    ],
  ])('account %s', async (account_id, text) => {
    const sandbox = await sandboxForTest({ accounts: ACCOUNTS });
    const { body } = await call(sandbox, POST, CHATS, chat({ account_id }));
    expect(JSON.stringify(body)).toBe(text);
  });

  it('an unreachable recipient', async () => {
    const sandbox = await sandboxForTest();
    const { body } = await startChat(sandbox, 'Hi', 'ada');
    expect(JSON.stringify(body)).toBe(
      '{"status":422,"type":"errors/invalid_recipient","title":"Recipient cannot be reached","detail":"Make sure that the recipient ID is valid and that the corresponding profile is not locked."}',
    );
  });
});

describe('the guard', () => {
  it("refuses a chat of another account, and takes one's own or none", async () => {
    const sandbox = await sandboxForTest();
    const { body } = await startChat(sandbox, 'From Alice');
    const path = `/api/v1/chats/${body.chat_id}/messages`;
    const send = (form: Record<string, string>) => call(sandbox, POST, path, { form });
    const refused = await send({ account_id: BOB, text: 'From Bob' });
    expect([refused.status, refused.body.type]).toEqual([403, 'errors/account_mismatch']);
    expect(sandbox.world.effects()).toHaveLength(1);
    expect((await send({ account_id: ALICE, text: 'Again' })).body).toMatchObject({ object: 'MessageSent' });
    expect((await send({ text: 'And again' })).status).toBe(201);
    expect((await send({ account_id: ALICE, text: '' })).body.type).toBe('errors/invalid_message');
    expect(sandbox.world.effects().map(({ account_id }) => account_id)).toEqual([ALICE, ALICE, ALICE]);
  });
});

describe('reads', () => {
  it.each<[string, string, number, string]>([
    ['a limit of 0', '/api/v1/chats?limit=0', 400, 'invalid_parameters'],
    ['a limit of 251', '/api/v1/chats?limit=251', 400, 'invalid_parameters'],
    ['a limit that is a word', '/api/v1/chats?limit=ten', 400, 'invalid_parameters'],
    ['an instant without ms', '/api/v1/messages?after=2026-03-02T09:00:00Z', 400, 'invalid_parameters'],
    [
      'an instant with an offset',
      '/api/v1/messages?before=2026-03-02T09:00:00.000%2B00:00',
      400,
      'invalid_parameters',
    ],
    [
      'a year of five digits',
      '/api/v1/messages?before=%2B012026-03-02T09:00:00.000Z',
      400,
      'invalid_parameters',
    ],
    ['a day that is none', '/api/v1/messages?before=2026-02-30T09:00:00.000Z', 400, 'invalid_parameters'],
    ['a cursor that is none', '/api/v1/chats?cursor=abc', 400, 'invalid_parameters'],
    ['an account', '/api/v1/accounts/nobody', 404, 'resource_not_found'],
    ['a chat', '/api/v1/chats/none', 404, 'resource_not_found'],
    ['its messages', '/api/v1/chats/none/messages', 404, 'resource_not_found'],
    ['a message', '/api/v1/messages/none', 404, 'resource_not_found'],
    ['an attendee', `/api/v1/chat_attendees/${ADA}/chats`, 404, 'resource_not_found'],
    ['a post', `/api/v1/posts/1?account_id=${ALICE}`, 422, 'invalid_post'],
    ['a post, by no account', '/api/v1/posts/1', 400, 'missing_parameters'],
    ['101 posts', `/api/v1/users/${ADA}/posts?account_id=${ALICE}&limit=101`, 400, 'invalid_parameters'],
    ['posts of a slug', `/api/v1/users/ada/posts?account_id=${ALICE}`, 422, 'invalid_recipient'],
    ['posts, account gone', `/api/v1/users/${ADA}/posts?account_id=gone`, 401, 'disconnected_account'],
    ['a slug nobody has', `/api/v1/users/ada?account_id=${ALICE}`, 422, 'invalid_recipient'],
  ])('%s', async (_name, path, status, type) => {
    const sandbox = await sandboxForTest({ accounts: ACCOUNTS });
    const reply = await call(sandbox, 'GET', path);
    expect([reply.status, reply.body.type]).toEqual([status, `errors/${type}`]);
  });
});
