/** Chats and messages: what a write gives, and when and how reads show it. */
import { describe, expect, it } from 'vitest';
import { ADA, ALICE, BOB, call, createClock, GRACE, sandboxForTest, startChat } from './support.ts';

const UNIPILE_ID = /^[A-Za-z0-9_-]{22}$/;

describe('POST /chats', () => {
  it('answers with ids in the real form', async () => {
    const sandbox = await sandboxForTest();
    const { status, body } = await startChat(sandbox);
    expect(status).toBe(201);
    expect(Object.keys(body)).toEqual(['object', 'chat_id', 'message_id']);
    expect(body.chat_id).toMatch(UNIPILE_ID);
    expect(body.message_id).toMatch(UNIPILE_ID);
  });

  it('appends to the 1:1 chat there is; accounts and people do not share chats', async () => {
    const sandbox = await sandboxForTest();
    const first = (await startChat(sandbox, 'one')).body.chat_id;
    expect((await startChat(sandbox, 'two')).body.chat_id).toBe(first);
    expect((await startChat(sandbox, 'three', GRACE)).body.chat_id).not.toBe(first);
    expect((await startChat(sandbox, 'four', ADA, BOB)).body.chat_id).not.toBe(first);
    const { body } = await call(sandbox, 'GET', `/api/v1/chats/${first}/messages`);
    expect(body.items.map((message: { text: string }) => message.text)).toEqual(['two', 'one']);
  });

  it('sends the same text twice if asked twice: nothing is idempotent', async () => {
    const sandbox = await sandboxForTest();
    await startChat(sandbox);
    await startChat(sandbox);
    expect(sandbox.world.effects()).toMatchObject([{ text: 'Hi Ada' }, { text: 'Hi Ada' }]);
  });

  it('takes several attendees as a new group each time, and files', async () => {
    const sandbox = await sandboxForTest();
    const form = { account_id: ALICE, attendees_ids: [ADA, GRACE], text: 'Both of you' };
    const group = { form, files: [{ field: 'attachments', name: 'cv.pdf', bytes: 'pdf!' }] };
    const { body } = await call(sandbox, 'POST', '/api/v1/chats', group);
    const again = await call(sandbox, 'POST', '/api/v1/chats', group);
    expect(again.body.chat_id).not.toBe(body.chat_id);
    const chat = await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}`);
    expect(chat.body.type).toBe(1);
    expect(chat.body).not.toHaveProperty('attendee_provider_id');
    expect(chat.body.lastMessage.attachments).toMatchObject([{ file_name: 'cv.pdf', file_size: 4 }]);
    expect(sandbox.world.effects()[0]).toMatchObject({ recipient_id: null });
  });

  it('tolerates JSON', async () => {
    const sandbox = await sandboxForTest();
    const json = {
      account_id: ALICE,
      attendees_ids: [ADA],
      text: 'Hi',
      linkedin: { api: 'classic', inmail: true },
    };
    const { status, body } = await call(sandbox, 'POST', '/api/v1/chats', { json });
    expect(status).toBe(201);
    const chat = await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}`);
    expect(chat.body.content_type).toBe('inmail');
  });

  it('keeps text as it came: spaces, emoji, marks', async () => {
    const sandbox = await sandboxForTest();
    const text = ' Grüße,\r\n\u00a0Ada 👩‍💻 “quoted” ';
    const { body } = await startChat(sandbox, text);
    const message = await call(sandbox, 'GET', `/api/v1/messages/${body.message_id}`);
    expect(message.body.text).toBe(text);
  });

  it('sees line breaks as multipart carries them: a client writes every one as CRLF', async () => {
    const sandbox = await sandboxForTest();
    await startChat(sandbox, 'Hi\nAda');
    expect(sandbox.world.effects()).toMatchObject([{ text: 'Hi\r\nAda' }]);
  });
});

describe('reads', () => {
  it('page newest first, and a cursor is standard base64 that outlives new messages', async () => {
    const clock = createClock();
    const sandbox = await sandboxForTest({ now: clock.now });
    for (const text of ['1', '2', '3', '4', '5']) {
      await startChat(sandbox, text);
      clock.advance(1_000);
    }
    const seen: string[] = [];
    let query = '?limit=2';
    for (let pages = 0; pages < 3; pages += 1) {
      const { body } = await call(sandbox, 'GET', `/api/v1/messages${query}`);
      seen.push(...body.items.map((message: { text: string }) => message.text));
      if (body.cursor === null) break;
      expect(body.cursor).toMatch(/^[A-Za-z0-9+/]+={0,2}$/);
      expect(body.cursor.length % 4).toBe(0);
      query = `?limit=250&cursor=${encodeURIComponent(body.cursor)}`;
      await startChat(sandbox, 'meanwhile');
    }
    expect(seen).toEqual(['5', '4', '3', '2', '1']);
  });

  it('ends with a null cursor, also when the last page is full', async () => {
    const sandbox = await sandboxForTest();
    await startChat(sandbox, '1');
    await startChat(sandbox, '2');
    const { body } = await call(sandbox, 'GET', '/api/v1/messages?limit=2');
    expect([body.items.length, body.cursor]).toEqual([2, null]);
    expect((await call(sandbox, 'GET', '/api/v1/chats?account_id=none')).body).toEqual({
      object: 'ChatList',
      items: [],
      cursor: null,
    });
  });

  it('a cursor of one list is refused by another', async () => {
    const sandbox = await sandboxForTest();
    await startChat(sandbox, '1');
    await startChat(sandbox, '2');
    const { body } = await call(sandbox, 'GET', '/api/v1/messages?limit=1');
    const other = await call(sandbox, 'GET', `/api/v1/chats?cursor=${encodeURIComponent(body.cursor)}`);
    expect(other.body.type).toBe('errors/invalid_parameters');
  });

  it('before and after exclude their own instant', async () => {
    const clock = createClock('2026-03-02T09:00:00.000Z');
    const sandbox = await sandboxForTest({ now: clock.now });
    for (const text of ['09:00', '10:00', '11:00']) {
      await startChat(sandbox, text);
      clock.advance(3_600_000);
    }
    const read = async (query: string) => {
      const { body } = await call(sandbox, 'GET', `/api/v1/messages?${query}`);
      return body.items.map((message: { text: string }) => message.text);
    };
    expect(await read('after=2026-03-02T09:00:00.000Z')).toEqual(['11:00', '10:00']);
    expect(await read('after=2026-03-02T08:59:59.999Z')).toEqual(['11:00', '10:00', '09:00']);
    expect(await read('before=2026-03-02T11:00:00.000Z')).toEqual(['10:00', '09:00']);
    expect(await read('after=2026-03-02T09:00:00.000Z&before=2026-03-02T11:00:00.000Z')).toEqual(['10:00']);
  });

  it('flags are integers, and senders can be asked for by either id', async () => {
    const sandbox = await sandboxForTest();
    const { body } = await startChat(sandbox);
    sandbox.world.receiveMessage({ account_id: ALICE, person_id: ADA, text: 'Hello!' });
    const read = async (query = '') =>
      (await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}/messages${query}`)).body.items;
    const [reply, own] = await read();
    expect([reply.is_sender, own.is_sender, own.delivered, own.seen]).toEqual([0, 1, 1, 0]);
    expect(own.sender_id).toBe(sandbox.world.accounts()[0]?.providerId);
    expect(await read(`?sender_id=${ADA}`)).toEqual([reply]);
    expect(await read(`?sender_id=${encodeURIComponent(reply.sender_attendee_id)}`)).toEqual([reply]);
    const chat = (await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}`)).body;
    expect(chat).toMatchObject({ unread_count: 1, unread: 1, attendee_provider_id: ADA, type: 0 });
    expect((await call(sandbox, 'GET', '/api/v1/chats?unread=false')).body.items).toEqual([]);
  });

  it('chats and messages of an attendee, by comma list and by account', async () => {
    const sandbox = await sandboxForTest();
    await startChat(sandbox, 'to Ada');
    await startChat(sandbox, 'to Grace', GRACE);
    await startChat(sandbox, 'Bob to Ada', ADA, BOB);
    const count = async (path: string) => (await call(sandbox, 'GET', `/api/v1${path}`)).body.items.length;
    expect(await count(`/chat_attendees/${ADA}/chats`)).toBe(2);
    expect(await count(`/chat_attendees/${ADA}/chats?account_id=${ALICE}`)).toBe(1);
    expect(await count(`/chat_attendees/${ADA},${GRACE}/chats?account_id=${ALICE},${BOB}`)).toBe(3);
    expect(await count(`/chat_attendees/${ADA}/messages`)).toBe(0);
    const own = sandbox.world.accounts()[1]?.providerId;
    expect(await count(`/chat_attendees/${own}/messages`)).toBe(1);
  });

  it('a history sync is asked for, then done, and does not hurry anything', async () => {
    const clock = createClock();
    const sandbox = await sandboxForTest({ now: clock.now, visibilityDelayMs: 1_000 });
    const { body } = await startChat(sandbox);
    const sync = async () => (await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}/sync`)).body;
    expect(await sync()).toEqual({
      object: 'ChatHistorySync',
      chat_id: body.chat_id,
      status: 'SYNC_STARTED',
    });
    expect((await sync()).status).toBe('SYNC_DONE');
    expect((await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}`)).body.lastMessage).toBeNull();
    clock.advance(1_000);
    expect((await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}`)).body.lastMessage.text).toBe(
      'Hi Ada',
    );
  });
});

describe('an account that is not OK', () => {
  it('refuses writes, and its store stays as it was until it is back', async () => {
    const clock = createClock();
    const sandbox = await sandboxForTest({ now: clock.now, visibilityDelayMs: 1_000 });
    const { world } = sandbox;
    const { body } = await startChat(sandbox, 'seen');
    clock.advance(1_000);
    await startChat(sandbox, 'not yet seen');
    world.setAccountStatus(ALICE, 'CREDENTIALS');
    clock.advance(60_000);
    world.receiveMessage({ account_id: ALICE, person_id: ADA, text: 'arrived meanwhile' });
    clock.advance(60_000);
    const read = async () => {
      const reply = await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}/messages`);
      return reply.body.items.map((message: { text: string }) => message.text);
    };
    expect((await startChat(sandbox)).status).toBe(401);
    expect(await read()).toEqual(['seen']);
    const account = await call(sandbox, 'GET', `/api/v1/accounts/${ALICE}`);
    expect(account.body.sources).toEqual([{ id: `${ALICE}_MESSAGING`, status: 'CREDENTIALS' }]);
    world.setAccountStatus(ALICE, 'OK');
    expect(await read()).toEqual(['arrived meanwhile', 'not yet seen', 'seen']);
    expect((await startChat(sandbox)).status).toBe(201);
  });

  it.each([
    { status: 'OK', object: 'AccountRestarted', after: 'OK' },
    { status: 'STOPPED', object: 'AccountRestarted', after: 'OK' },
    { status: 'CREDENTIALS', object: 'AccountFailedToRestart', after: 'CREDENTIALS' },
  ] as const)('restart when $status', async ({ status, object, after }) => {
    const sandbox = await sandboxForTest({ accounts: [{ id: ALICE, status }] });
    const { body } = await call(sandbox, 'POST', `/api/v1/accounts/${ALICE}/restart`);
    expect(body.object).toBe(object);
    expect(sandbox.world.accounts()[0]?.status).toBe(after);
  });

  it('deleted, it is gone with its chats; the log keeps what happened', async () => {
    const sandbox = await sandboxForTest({ accounts: [{ id: ALICE }] });
    const { body } = await startChat(sandbox);
    expect((await call(sandbox, 'DELETE', `/api/v1/accounts/${ALICE}`)).body).toEqual({
      object: 'AccountDeleted',
    });
    expect((await call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}`)).status).toBe(404);
    expect((await startChat(sandbox)).status).toBe(404);
    expect(sandbox.world.effects()).toHaveLength(1);
    // Seen so on the real service: an empty list has no cursor.
    expect((await call(sandbox, 'GET', '/api/v1/accounts')).body).toEqual({
      object: 'AccountList',
      items: [],
    });
  });
});
