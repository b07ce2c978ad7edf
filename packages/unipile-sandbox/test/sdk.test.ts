/** The official SDK, validating strictly, checks that shapes and requests are the real service's. */

import { UnipileClient } from 'unipile-node-sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../src/index.ts';
import { ADA, ALICE, GRACE } from './support.ts';

let sandbox: Sandbox;
let client: UnipileClient;

beforeAll(async () => {
  sandbox = await startSandbox({
    apiKey: 'KEY.SECRET',
    accounts: [{ id: ALICE, name: 'Alice Example', organizations: [{ id: '42', name: 'Acme' }] }],
    people: [{ provider_id: GRACE, name: 'Grace Hopper', public_identifier: 'grace', relation: 'connected' }],
  });
  client = new UnipileClient(sandbox.url, 'KEY.SECRET', {
    validateRequestPayload: true,
    validateRequestPayloadLevel: 'error',
  });
});
afterAll(() => sandbox.close());

describe('messaging', () => {
  it('starts a chat, sends into it and reads everything back', async () => {
    const started = await client.messaging.startNewChat({
      account_id: ALICE,
      text: 'Hi Ada',
      attendees_ids: [ADA],
      options: { linkedin: { api: 'classic', inmail: false } },
      attachments: [['note.txt', Buffer.from('hello')]],
    });
    expect(started).toMatchObject({ object: 'ChatStarted' });
    const chatId = String(started.chat_id);
    const sent = await client.messaging.sendMessage(
      { chat_id: chatId, text: 'And hello again' },
      { extra_params: { account_id: ALICE } },
    );
    expect(sent.object).toBe('MessageSent');

    const chats = await client.messaging.getAllChats({ account_id: ALICE, limit: 10 });
    expect(chats.items.map(({ id }) => id)).toEqual([chatId]);
    const chat = await client.messaging.getChat(chatId);
    expect(chat.lastMessage?.text).toBe('And hello again');
    const messages = await client.messaging.getAllMessagesFromChat({ chat_id: chatId });
    expect(messages.items.map(({ text }) => text)).toEqual(['And hello again', 'Hi Ada']);
    const message = await client.messaging.getMessage(String(started.message_id));
    expect(message).toMatchObject({ text: 'Hi Ada', is_sender: 1, attachments: [{ file_name: 'note.txt' }] });
    const own = await client.account.getOne(ALICE);
    const ownId = (own as { connection_params: { im: { id: string } } }).connection_params.im.id;
    const mine = await client.messaging.getAllMessagesFromAttendee({ attendee_id: ownId });
    expect(mine.items).toHaveLength(2);
    const withAda = await client.messaging.getAllChatsFromAttendee({ attendee_id: ADA, account_id: ALICE });
    expect(withAda.items.map(({ id }) => id)).toEqual([chatId]);
  });

  it('pages with cursors the validator takes', async () => {
    for (const text of ['one', 'two', 'three']) {
      await client.messaging.startNewChat({ account_id: ALICE, text, attendees_ids: [GRACE] });
    }
    const [chat] = (await client.messaging.getAllChatsFromAttendee({ attendee_id: GRACE })).items;
    const first = await client.messaging.getAllMessagesFromChat({ chat_id: chat?.id ?? '', limit: 2 });
    const second = await client.messaging.getAllMessagesFromChat({
      chat_id: chat?.id ?? '',
      cursor: first.cursor as string,
    });
    expect([...first.items, ...second.items].map(({ text }) => text)).toEqual(['three', 'two', 'one']);
    expect(second.cursor).toBeNull();
  });
});

describe('users', () => {
  it('publishes a post and reads it back', async () => {
    const created = (await client.users.createPost(
      { account_id: ALICE, text: 'We are hiring', attachments: [['image.png', Buffer.from('png')]] },
      { extra_params: { external_link: 'https://example.com/jobs' } },
    )) as unknown as { object: string; post_id: string };
    expect(created.object).toBe('PostCreated');
    const post = await client.users.getPost({ account_id: ALICE, post_id: created.post_id });
    expect(post).toMatchObject({ text: 'We are hiring\nhttps://example.com/jobs' });
    const own = await client.users.getOwnProfile(ALICE);
    const posts = await client.users.getAllPosts({
      account_id: ALICE,
      identifier: (own as { provider_id: string }).provider_id,
      limit: 10,
    });
    expect(posts.items.map(({ id }) => id)).toEqual([created.post_id]);
  });

  it('reads profiles and relations', async () => {
    const profile = await client.users.getProfile({ account_id: ALICE, identifier: 'grace' });
    expect(profile).toMatchObject({ provider_id: GRACE, network_distance: 'FIRST_DEGREE' });
    const relations = await client.users.getAllRelations({ account_id: ALICE });
    expect(relations.items.map(({ member_id }) => member_id)).toEqual([GRACE]);
  });

  it('invites, lists the invitation and cancels it', async () => {
    const invited = await client.users.sendInvitation({
      account_id: ALICE,
      provider_id: 'ACoAAStranger',
      message: 'Hello',
    });
    const sent = await client.users.getAllInvitationsSent({ account_id: ALICE });
    expect(sent.items).toMatchObject([{ id: invited.invitation_id, invitation_text: 'Hello' }]);
    await client.users.cancelInvitationSent({ account_id: ALICE, invitation_id: invited.invitation_id });
    expect((await client.users.getAllInvitationsSent({ account_id: ALICE })).items).toEqual([]);
  });
});

describe('accounts and webhooks', () => {
  it('lists accounts', async () => {
    const accounts = await client.account.getAll();
    expect(accounts.items).toMatchObject([{ id: ALICE, type: 'LINKEDIN', sources: [{ status: 'OK' }] }]);
  });

  it('creates, lists and deletes a webhook', async () => {
    const created = await client.webhook.create({
      request_url: 'http://127.0.0.1:9/hook',
      source: 'messaging',
      events: ['message_received'],
    });
    const webhooks = await client.webhook.getAll();
    expect(webhooks.items).toMatchObject([{ id: created.webhook_id, type: 'AUTO', data: [] }]);
    await client.webhook.delete(created.webhook_id);
    expect((await client.webhook.getAll()).items).toEqual([]);
  });
});
