import type { Action, Sandbox, SandboxOptions } from '@revos/unipile-sandbox';
import { describe, expect, it } from 'vitest';
import type { FindMessageRequest, UnipileV1Options } from '../../../src/unipile/index.ts';
import { clientForTest, patienceFor, requestsOf, sandboxForTest } from '../../support/sandbox.ts';
import {
  ADA,
  ALICE,
  accountSaying,
  accounts,
  BOB,
  clockOf,
  GRACE,
  soughtMessage,
  struck,
  unipileSaying,
} from './support.ts';

interface Lost {
  readonly sandbox: Sandbox;
  readonly clock: ReturnType<typeof clockOf>;
  find(more?: Partial<FindMessageRequest>): ReturnType<ReturnType<typeof clientForTest>['findMessage']>;
}

/** A first message to Ada, sent while `action` strikes; and a client that looks for it. */
async function sentWhile(
  action: Action,
  { timeoutMs = 5_000, inChat = false }: { timeoutMs?: number; inChat?: boolean } = {},
): Promise<Lost & { chatId: string | null }> {
  const clock = clockOf();
  const sandbox = await sandboxForTest({ accounts, now: clock.now });
  const client = clientForTest(sandbox, { timeoutMs });
  let chatId: string | null = null;
  if (inChat) {
    const first = await client.sendMessage({
      accountId: ALICE,
      recipientId: ADA,
      chatId: null,
      text: 'Before',
    });
    chatId = first.ok ? first.chatId : null;
    clock.pass(3_600_000);
  }
  sandbox.world.addFaults([struck('send', action)]);
  const since = clock.now();
  await client.sendMessage({ accountId: ALICE, recipientId: ADA, chatId, text: 'Hi Ada,\n\nhow are you?' });
  const find: Lost['find'] = (more) =>
    client.findMessage(soughtMessage({ chatId, since, text: 'Hi Ada,\n\nhow are you?', ...more }));
  return { sandbox, clock, chatId, find };
}

/** Every way an answer can be lost, and whether the message went out. */
const LOST: ReadonlyArray<{ name: string; action: Action; isSent: boolean }> = [
  { name: 'the answer is lost', action: { kind: 'drop_answer' }, isSent: true },
  { name: 'a reset before the effect', action: { kind: 'reset_before' }, isSent: false },
  { name: 'the answer breaks off', action: { kind: 'reset_mid_answer' }, isSent: true },
  { name: 'a failure breaks off', action: { kind: 'reset_mid_answer', effect: false }, isSent: false },
  { name: 'no answer, with an effect', action: { kind: 'hang', effect: true }, isSent: true },
  { name: 'no answer, without an effect', action: { kind: 'hang', effect: false }, isSent: false },
  ...([500, 504] as const).flatMap((status) =>
    [true, false].map((effect) => ({
      name: `${status}, ${effect ? 'with' : 'without'} an effect`,
      action: { kind: 'status' as const, status, type: 'errors/unexpected_error', effect },
      isSent: effect,
    })),
  ),
  { name: 'success without ids', action: { kind: 'null_ids' }, isSent: true },
  { name: 'a success that is cut JSON', action: { kind: 'malformed_body' }, isSent: true },
  { name: 'a page of HTML, with an effect', action: { kind: 'html_body', effect: true }, isSent: true },
  { name: 'a page of HTML, without an effect', action: { kind: 'html_body', effect: false }, isSent: false },
];

describe('a message whose answer was lost', () => {
  it.each(LOST.flatMap((lost) => [true, false].map((inChat) => ({ ...lost, inChat }))))(
    '$name: sent $isSent, in a chat $inChat',
    async ({ action, isSent, inChat }) => {
      const timeoutMs = patienceFor(action);
      const { sandbox, clock, find } = await sentWhile(action, { timeoutMs, inChat });
      const effect = sandbox.world.effects()[inChat ? 1 : 0];
      expect(effect !== undefined).toBe(isSent);
      expect(await find()).toEqual(
        isSent
          ? { ok: true, kind: 'found', messageId: effect?.id, chatId: effect?.chat_id, sentAt: clock.now() }
          : { ok: true, kind: 'absent' },
      );
    },
  );

  it('that shows late is absent until then', async () => {
    const clock = clockOf();
    const sandbox = await sandboxForTest({
      accounts,
      now: clock.now,
      faults: [
        struck('send', { kind: 'late_visibility', ms: 60_000 }),
        struck('send', { kind: 'drop_answer' }),
      ],
    });
    const client = clientForTest(sandbox);
    const message = { accountId: ALICE, recipientId: ADA, chatId: null, text: 'Hi Ada' };
    const sought = soughtMessage({ since: clock.now() });
    expect(await client.sendMessage(message)).toMatchObject({ ok: false, kind: 'ambiguous' });
    clock.pass(59_999);
    expect(await client.findMessage(sought)).toEqual({ ok: true, kind: 'absent' });
    clock.pass(1);
    expect(await client.findMessage(sought)).toMatchObject({ ok: true, kind: 'found' });
  });

  it('of an account that went out of order is not absent, and is found when it is back', async () => {
    const { sandbox, find } = await sentWhile({ kind: 'drop_answer' });
    // What happened while the account was out of order is not in the store.
    sandbox.world.setAccountStatus(ALICE, 'CREDENTIALS');
    expect(await find({ text: 'Another' })).toEqual({
      ok: true,
      kind: 'account_out_of_order',
      status: 'CREDENTIALS',
    });
    // What the store shows is true, however stale it is.
    expect(await find()).toMatchObject({ ok: true, kind: 'found' });
    sandbox.world.setAccountStatus(ALICE, 'OK');
    expect(await find({ text: 'Another' })).toEqual({ ok: true, kind: 'absent' });
  });

  it.each(['CREDENTIALS', 'STOPPED', 'ERROR', 'PERMISSIONS', 'CONNECTING'] as const)(
    'says %s where the account flips as it is written',
    async (status) => {
      const { sandbox, find } = await sentWhile({ kind: 'account_status', status });
      expect(sandbox.world.effects()).toHaveLength(0);
      expect(await find()).toEqual({ ok: true, kind: 'account_out_of_order', status });
    },
  );

  it('of an account that is gone cannot be looked for', async () => {
    const { sandbox, find } = await sentWhile({ kind: 'drop_answer' });
    sandbox.world.deleteAccount(ALICE).finish();
    expect(await find()).toMatchObject({ ok: false, kind: 'account_missing', httpStatus: 404 });
  });

  it('is looked for with all chats where its own is gone', async () => {
    const { sandbox, find } = await sentWhile({ kind: 'drop_answer' });
    const [effect] = sandbox.world.effects();
    expect(await find({ chatId: 'gone' })).toMatchObject({ kind: 'found', messageId: effect?.id });
  });
});

describe('which message it is', () => {
  const sentBy = (account_id: string, person_id: string, from: 'account' | 'person', text = 'Hi Ada') => ({
    account_id,
    person_id,
    from,
    text,
  });

  async function world(options: SandboxOptions = {}) {
    const clock = clockOf();
    const sandbox = await sandboxForTest({ accounts, now: clock.now, ...options });
    return { clock, sandbox, client: clientForTest(sandbox) };
  }

  it.each([
    { name: 'the person’s own', message: sentBy(ALICE, ADA, 'person') },
    { name: 'another account’s', message: sentBy(BOB, ADA, 'account') },
    { name: 'one to another person', message: sentBy(ALICE, GRACE, 'account') },
    { name: 'one with more to it', message: sentBy(ALICE, ADA, 'account', 'Hi Ada and Bob') },
  ])('not $name', async ({ message }) => {
    const { sandbox, client } = await world();
    sandbox.world.receiveMessage(message);
    expect(await client.findMessage(soughtMessage())).toEqual({ ok: true, kind: 'absent' });
  });

  it('from two minutes before the attempt, for clocks that differ, and no earlier', async () => {
    const { clock, sandbox, client } = await world();
    const { id } = sandbox.world.receiveMessage(sentBy(ALICE, ADA, 'account'));
    const at = (ms: number) => soughtMessage({ since: new Date(clock.now().getTime() + ms) });
    expect(await client.findMessage(at(119_999))).toMatchObject({ kind: 'found', messageId: id });
    expect(await client.findMessage(at(120_001))).toEqual({ ok: true, kind: 'absent' });
  });

  it('the oldest of several, and never one that is another row’s', async () => {
    const { clock, sandbox, client } = await world();
    const ids = [0, 1, 2].map(() => {
      clock.pass(1_000);
      return sandbox.world.receiveMessage(sentBy(ALICE, ADA, 'account')).id;
    });
    const found = async (knownIds: readonly string[]) => client.findMessage(soughtMessage({ knownIds }));
    expect(await found([])).toMatchObject({ kind: 'found', messageId: ids[0] });
    expect(await found(ids.slice(0, 1))).toMatchObject({ kind: 'found', messageId: ids[1] });
    expect(await found(ids)).toEqual({ ok: true, kind: 'absent' });
  });

  it('among hundreds in one chat, on a later page', async () => {
    const { sandbox, client } = await world();
    const { id } = sandbox.world.receiveMessage(sentBy(ALICE, ADA, 'account'));
    for (let count = 0; count < 350; count += 1) {
      sandbox.world.receiveMessage(sentBy(ALICE, ADA, 'person', `Answer ${count}`));
    }
    expect(await client.findMessage(soughtMessage())).toMatchObject({ kind: 'found', messageId: id });
    for (let count = 0; count < 200; count += 1) {
      sandbox.world.receiveMessage(sentBy(ALICE, ADA, 'person', `More ${count}`));
    }
    // More than is read: it might be behind what was seen.
    expect(await client.findMessage(soughtMessage())).toMatchObject({
      ok: false,
      kind: 'ambiguous',
      type: 'list_too_long',
    });
  });

  it('in an InMail chat as well', async () => {
    const { sandbox, client } = await world();
    sandbox.world.receiveMessage(sentBy(ALICE, ADA, 'person', 'Hello'));
    const inmail = { accountId: ALICE, attendeesIds: [ADA], text: 'Hi Ada', isInmail: true };
    sandbox.world.startChat(inmail).finish();
    const [effect] = sandbox.world.effects();
    expect(await client.findMessage(soughtMessage())).toMatchObject({
      kind: 'found',
      messageId: effect?.id,
      chatId: effect?.chat_id,
    });
  });
});

/** What a read can meet. The first one is asked again; the truth is not guessed. */
describe('a search that cannot read', () => {
  const reading = async (action: Action, times: number | null, options: Partial<UnipileV1Options> = {}) => {
    const sandbox = await sandboxForTest({
      accounts,
      faults: [{ match: { operation: 'read' }, action, times }],
    });
    // Something to read: without it the person is unknown to the store, which is a plain 404.
    sandbox.world.receiveMessage({ account_id: ALICE, person_id: ADA, from: 'person', text: 'Hi' });
    return { sandbox, client: clientForTest(sandbox, options) };
  };

  it.each<{ name: string; action: Action; kind: string }>([
    { name: 'lost answers', action: { kind: 'drop_answer' }, kind: 'ambiguous' },
    { name: 'resets', action: { kind: 'reset_before' }, kind: 'ambiguous' },
    { name: 'answers that break off', action: { kind: 'reset_mid_answer' }, kind: 'ambiguous' },
    { name: 'cut JSON', action: { kind: 'malformed_body' }, kind: 'ambiguous' },
    { name: 'pages of HTML', action: { kind: 'html_body', effect: true }, kind: 'ambiguous' },
    {
      name: '503',
      action: { kind: 'status', status: 503, type: 'errors/service_unavailable', effect: false },
      kind: 'ambiguous',
    },
    { name: 'no answers', action: { kind: 'hang', effect: true }, kind: 'ambiguous' },
  ])('$name: once is asked again, always is a failure', async ({ action, kind }) => {
    const options = { readTimeoutMs: 150 };
    const once = await reading(action, 1, options);
    expect(await once.client.findMessage(soughtMessage())).toEqual({ ok: true, kind: 'absent' });
    const always = await reading(action, null, options);
    expect(await always.client.findMessage(soughtMessage())).toMatchObject({ ok: false, kind });
    expect((await requestsOf(always.sandbox)).requests).toHaveLength(2);
  });

  it.each<{ status: number; type: string; kind: string }>([
    { status: 429, type: 'errors/too_many_requests', kind: 'throttled' },
    { status: 401, type: 'errors/disconnected_account', kind: 'account_disconnected' },
    { status: 403, type: 'errors/account_restricted', kind: 'account_restricted' },
    { status: 400, type: 'errors/invalid_parameters', kind: 'rejected' },
  ])('$status is $kind, and not asked again', async ({ status, type, kind }) => {
    const { sandbox, client } = await reading({ kind: 'status', status, type, effect: false }, null);
    expect(await client.findMessage(soughtMessage())).toMatchObject({ ok: false, kind, httpStatus: status });
    expect((await requestsOf(sandbox)).requests).toHaveLength(1);
  });

  it('a 404 that is not Unipile’s own says nothing about the person', async () => {
    const { client } = await unipileSaying((request) =>
      request.url?.includes('/accounts/') === true
        ? { body: accountSaying('OK') }
        : { status: 404, body: '<html>Not found</html>' },
    );
    expect(await client.findMessage(soughtMessage())).toMatchObject({ ok: false, httpStatus: 404 });
  });

  it('nothing there, and the account unreadable after it, is not absent', async () => {
    const { client } = await unipileSaying((request) =>
      request.url?.includes('/accounts/') === true ? { status: 500, body: {} } : { body: { items: [] } },
    );
    expect(await client.findMessage(soughtMessage())).toMatchObject({ ok: false, kind: 'ambiguous' });
  });

  it('ends all its reads after so long', async () => {
    const { client, asked } = await unipileSaying(() => null, { readTimeoutMs: 5_000, searchTimeoutMs: 150 });
    expect(await client.findMessage(soughtMessage())).toMatchObject({
      ok: false,
      kind: 'ambiguous',
      type: 'TimeoutError',
    });
    expect(asked).toHaveLength(1);
  });

  it('a list without end is a failure, after five pages', async () => {
    const { client, asked } = await unipileSaying(() => ({ body: { items: [], cursor: 'more' } }));
    expect(await client.findMessage(soughtMessage({ chatId: 'c' }))).toMatchObject({ type: 'list_too_long' });
    expect(asked).toHaveLength(5);
    expect(asked[1]).toBe(
      'GET /api/v1/chats/c/messages?after=2026-03-02T08%3A58%3A00.000Z&limit=100&cursor=more',
    );
  });
});

/** Answers that say something else than they should: never taken for "absent". */
describe('an answer that cannot be understood', () => {
  const message = {
    id: 'm1',
    chat_id: 'c1',
    account_id: ALICE,
    text: 'Hi Ada',
    is_sender: 1,
    timestamp: '2026-03-02T09:00:01.000Z',
  };
  const saying = (said: { messages?: unknown; account?: unknown; chats?: unknown }) =>
    unipileSaying((request) => {
      if (request.url?.includes('/chat_attendees/')) return { body: said.chats ?? { items: [] } };
      if (request.url?.includes('/messages')) return { body: said.messages ?? { items: [] } };
      return { body: said.account ?? accountSaying('OK') };
    });

  it('one that can is', async () => {
    const { client, asked } = await saying({ messages: { items: [message], cursor: null } });
    expect(await client.findMessage(soughtMessage({ chatId: 'c/1' }))).toEqual({
      ok: true,
      kind: 'found',
      messageId: 'm1',
      chatId: 'c1',
      sentAt: new Date('2026-03-02T09:00:01.000Z'),
    });
    expect(asked).toEqual(['GET /api/v1/chats/c%2F1/messages?after=2026-03-02T08%3A58%3A00.000Z&limit=100']);
  });

  it.each([
    { messages: {} },
    { messages: { items: 'none' } },
    { messages: [] },
    { messages: { items: [null] } },
    { messages: { items: [{ ...message, is_sender: 'yes' }] } },
    { messages: { items: [{ ...message, id: null }] } },
    { messages: { items: [{ ...message, timestamp: 'yesterday' }] } },
    { messages: { items: [{ ...message, text: undefined }] } },
    { account: {} },
    { account: { ...accountSaying('OK'), sources: [] } },
    { account: { ...accountSaying('OK'), sources: 'OK' } },
    { account: { ...accountSaying('OK'), connection_params: {} } },
  ])('%j', async (said) => {
    const { client } = await saying(said);
    expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toMatchObject({
      ok: false,
      kind: 'ambiguous',
      type: 'unreadable_answer',
    });
  });

  it.each([
    { name: 'with a NUL', id: 'm\0' },
    { name: 'with half of a surrogate pair', id: 'm\ud83d' },
    { name: 'that is too long', id: 'm'.repeat(201) },
  ])('the message, with an id $name: it cannot be told from another', async ({ id }) => {
    const { client } = await saying({ messages: { items: [{ ...message, id }] } });
    expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toMatchObject({
      ok: false,
      kind: 'ambiguous',
      type: 'unstorable_id',
    });
    const other = { ...message, id, text: 'Another' };
    const { client: second } = await saying({ messages: { items: [other] } });
    expect(await second.findMessage(soughtMessage({ chatId: 'c1' }))).toEqual({ ok: true, kind: 'absent' });
  });

  it('a chat with an id that cannot be stored is dropped', async () => {
    const { client } = await saying({ messages: { items: [{ ...message, chat_id: 'c'.repeat(201) }] } });
    expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toMatchObject({
      kind: 'found',
      messageId: 'm1',
      chatId: null,
    });
  });

  it.each(['+275760-09-13T00:00:00.000Z', '-000001-01-01T00:00:00.000Z', '1969-12-31T23:59:59.999Z'])(
    'a message of %s, which no database keeps',
    async (timestamp) => {
      const { client } = await saying({ messages: { items: [{ ...message, timestamp }] } });
      expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toMatchObject({
        type: 'unreadable_answer',
      });
    },
  );

  it('a status of the account that cannot be stored', async () => {
    const { client } = await saying({ account: accountSaying(`\0${'S'.repeat(1_000)}`) });
    expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toEqual({
      ok: true,
      kind: 'account_out_of_order',
      status: 'S'.repeat(100),
    });
  });

  it.each([
    {
      name: 'more items than any page has',
      body: `{"items":[${'{},'.repeat(1_000)}{}]}`,
      type: 'list_too_long',
    },
    {
      name: 'more items than a call may have arguments',
      body: `{"items":[${'1,'.repeat(130_000)}1]}`,
      type: 'list_too_long',
    },
    {
      name: 'more values than any answer has',
      body: `{"items":[${'{},'.repeat(2_000_000)}{}]}`,
      type: 'unreadable_answer',
    },
    {
      name: 'more values, one in the other',
      body: `{"items":${'['.repeat(300_000)}`,
      type: 'unreadable_answer',
    },
  ])('$name', async ({ body, type }) => {
    const { client } = await unipileSaying(() => ({ body }));
    expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toMatchObject({
      ok: false,
      kind: 'ambiguous',
      type,
    });
  });

  it('an answer of a few values and much text is read', async () => {
    const text = '{,['.repeat(700_000);
    const { client } = await saying({ messages: { items: [{ ...message, text }, message] } });
    expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toMatchObject({ kind: 'found' });
  });

  it.each([
    { name: 'of another account', more: { account_id: BOB } },
    {
      name: 'from before, though only later ones were asked for',
      more: { timestamp: '2026-03-02T08:57:59.999Z' },
    },
  ])('a message $name is passed over', async ({ more }) => {
    const { client } = await saying({ messages: { items: [{ ...message, ...more }] } });
    expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toEqual({ ok: true, kind: 'absent' });
  });

  it.each(['edited', 'deleted'])(
    'one that a person has %s on LinkedIn may have been it: that is no absence',
    async (flag) => {
      const changed = { ...message, text: 'Something else', [flag]: 1 };
      const { client } = await saying({ messages: { items: [changed] } });
      expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toMatchObject({
        ok: false,
        type: 'edited_or_deleted',
      });
      const knownIds = [message.id];
      expect(await client.findMessage(soughtMessage({ chatId: 'c1', knownIds }))).toEqual({
        ok: true,
        kind: 'absent',
      });
    },
  );

  it('a chat that is none', async () => {
    const { client } = await saying({ chats: { items: [{ id: 'c1' }] } });
    expect(await client.findMessage(soughtMessage())).toMatchObject({ type: 'unreadable_answer' });
  });

  it('more chats with one person than are looked through', async () => {
    const items = Array.from({ length: 11 }, (_, index) => ({ id: `c${index}`, account_id: ALICE }));
    const { client, asked } = await saying({ chats: { items } });
    expect(await client.findMessage(soughtMessage())).toMatchObject({ type: 'list_too_long' });
    expect(asked).toHaveLength(1);
  });

  it('a chat of another account is passed over, whatever was asked for', async () => {
    const items = [{ id: 'c1', account_id: BOB }];
    const { client, asked } = await saying({ chats: { items }, messages: { items: [message] } });
    expect(await client.findMessage(soughtMessage())).toEqual({ ok: true, kind: 'absent' });
    expect(asked).toEqual([
      `GET /api/v1/chat_attendees/${ADA}/chats?account_id=${ALICE}&limit=100`,
      `GET /api/v1/accounts/${ALICE}`,
    ]);
  });

  it.each([
    { statuses: ['OK', 'OK'], said: { kind: 'absent' } },
    { statuses: ['OK', 'ERROR'], said: { kind: 'account_out_of_order', status: 'ERROR' } },
    { statuses: ['CREDENTIALS', 'OK'], said: { kind: 'account_out_of_order', status: 'CREDENTIALS' } },
  ])('sources $statuses: $said.kind', async ({ statuses, said }) => {
    const { client } = await saying({ account: accountSaying(...statuses) });
    expect(await client.findMessage(soughtMessage({ chatId: 'c1' }))).toEqual({ ok: true, ...said });
  });
});
