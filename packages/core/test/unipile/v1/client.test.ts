import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Action, Fault } from '@revos/unipile-sandbox';
import { Dispatcher } from 'undici';
import { describe, expect, it, onTestFinished } from 'vitest';
import { realEffects } from '../../../src/effects/index.ts';
import type { FailureKind, SendMessageRequest } from '../../../src/unipile/index.ts';
import { createUnipileV1 } from '../../../src/unipile/index.ts';
import { baseUrlOf } from '../../../src/unipile/v1/exchange.ts';
import { clientForTest, patienceFor, requestsOf, sandboxForTest } from '../../support/sandbox.ts';
import { selfSigned } from '../../support/self-signed.ts';

const ALICE = 'alice';
const BOB = 'bob';
const ADA = 'ACoAAAda';
const GRACE = 'ACoAAGrace';

const accounts = [{ id: ALICE }, { id: BOB }];

const firstMessage = (more: Partial<SendMessageRequest> = {}): SendMessageRequest => ({
  accountId: ALICE,
  recipientId: ADA,
  chatId: null,
  text: 'Hi Ada',
  ...more,
});

const always = (action: Action): Fault => ({ match: { operation: 'send' }, action, times: null });

/** A server that listens until the test ends. */
async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function clientOf(dsn: string, timeoutMs = 5_000) {
  const client = createUnipileV1({ dsn, apiKey: 'key', timeoutMs });
  onTestFinished(() => client.close());
  return client;
}

describe('a message that goes out', () => {
  it('starts a chat, and goes on in it', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const client = clientForTest(sandbox);
    const first = await client.sendMessage(firstMessage());
    expect(first).toEqual({
      ok: true,
      httpStatus: 201,
      messageId: expect.any(String),
      chatId: expect.any(String),
    });
    const chatId = first.ok ? first.chatId : null;
    const second = await client.sendMessage(firstMessage({ chatId, text: 'And another' }));
    expect(second).toMatchObject({ ok: true, httpStatus: 201, chatId });
    expect(sandbox.world.effects()).toMatchObject([
      {
        account_id: ALICE,
        recipient_id: ADA,
        chat_id: chatId,
        text: 'Hi Ada',
        id: first.ok && first.messageId,
      },
      { account_id: ALICE, recipient_id: ADA, chat_id: chatId, text: 'And another' },
    ]);
    const { requests } = await requestsOf(sandbox);
    expect(requests.map(({ method, path, status }) => ({ method, path, status }))).toEqual([
      { method: 'POST', path: '/api/v1/chats', status: 201 },
      { method: 'POST', path: `/api/v1/chats/${chatId}/messages`, status: 201 },
    ]);
  });

  it.each([
    { name: 'of letters beyond ASCII', text: 'Grüß Gott, Łukasz — 你好 שלום' },
    { name: 'of emoji, joined and coloured', text: '👋🏽 👩‍👩‍👧 🏳️‍🌈 é' },
    {
      name: 'that looks like a form',
      text: '--boundary\tContent-Disposition: form-data; name="text" & = % + "',
    },
    { name: 'of 8,000 characters', text: 'x'.repeat(8_000) },
    { name: 'with white space at both ends', text: '  Hi  ' },
  ])('arrives as it was given: text $name', async ({ text }) => {
    const sandbox = await sandboxForTest({ accounts });
    expect(await clientForTest(sandbox).sendMessage(firstMessage({ text }))).toMatchObject({ ok: true });
    expect(sandbox.world.effects().map((effect) => effect.text)).toEqual([text]);
  });

  it.each([{ text: 'Hi Ada,\n\nhow are you?\nBen' }, { text: 'Hi Ada,\r\n\r\nhow are you?\r\nBen' }])(
    'keeps the lines of $text, with the line ends of a form',
    async ({ text }) => {
      const sandbox = await sandboxForTest({ accounts });
      await clientForTest(sandbox).sendMessage(firstMessage({ text }));
      // A multipart form has CRLF between its lines, whatever the text had.
      expect(sandbox.world.effects()[0]?.text).toBe('Hi Ada,\r\n\r\nhow are you?\r\nBen');
    },
  );

  it.each(['-begins-with-a-dash', '_underscore', 'a b/c?d#e%20&f=g', 'ü'])(
    'finds the chat "%s", whatever its id needs in a URL',
    async (chatId) => {
      const sandbox = await sandboxForTest({ accounts });
      const answer = await clientForTest(sandbox).sendMessage(firstMessage({ chatId }));
      expect(answer).toMatchObject({ ok: false, kind: 'chat_missing', type: 'resource_not_found' });
      const { requests } = await requestsOf(sandbox);
      expect(requests.map(({ path }) => path)).toEqual([
        `/api/v1/chats/${encodeURIComponent(chatId)}/messages`,
      ]);
    },
  );

  it('never writes into another account’s chat', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const client = clientForTest(sandbox);
    const first = await client.sendMessage(firstMessage());
    const chatId = first.ok ? first.chatId : null;
    const answer = await client.sendMessage(firstMessage({ accountId: BOB, chatId }));
    expect(answer).toMatchObject({
      ok: false,
      kind: 'chat_missing',
      type: 'account_mismatch',
      httpStatus: 403,
    });
    expect(sandbox.world.effects()).toHaveLength(1);
  });

  describe('and its connection', () => {
    /** A server that says which connection each message came over, counted from 1, and ends some of them. */
    async function countingServer(onAnswered: (socket: Socket) => void, headers = {}) {
      const sockets: Socket[] = [];
      const came: number[] = [];
      const server = createHttpServer((request, response) => {
        came.push(sockets.indexOf(request.socket) + 1);
        response.writeHead(201, headers).end('{"message_id":"m"}', () => onAnswered(request.socket));
      });
      // Longer than any client keeps one: what ends a connection here is the client, or the test.
      server.keepAliveTimeout = 60_000;
      server.on('connection', (socket) => sockets.push(socket));
      const client = clientOf(`http://127.0.0.1:${await portOf(server)}`);
      return { sockets, came, send: () => client.sendMessage(firstMessage()) };
    }

    it('carries the next one too, right after', async () => {
      const { came, send } = await countingServer(() => {});
      for (let count = 0; count < 6; count += 1) expect(await send()).toMatchObject({ ok: true });
      // It may not be free again for the very next one: then two of them take turns.
      expect(Math.max(...came)).toBeLessThanOrEqual(2);
    });

    it('is closed by the client after a second, and carries none after that', async () => {
      const { sockets, came, send } = await countingServer(() => {});
      await send();
      const answeredAt = performance.now();
      await once(sockets[0] as Socket, 'close');
      // Timers of a busy machine are late; none is early by more than its own fineness.
      expect(performance.now() - answeredAt).toBeGreaterThan(900);
      await send();
      expect(came).toEqual([1, 2]);
    });

    it('carries none after the server has said that it closes it', async () => {
      const { came, send } = await countingServer(() => {}, { connection: 'close' });
      for (let count = 0; count < 4; count += 1) expect(await send()).toMatchObject({ ok: true });
      expect(came).toEqual([1, 2, 3, 4]);
    });

    it('carries none for longer than the server says', async () => {
      const { came, send } = await countingServer(() => {}, { 'keep-alive': 'timeout=2' });
      for (let count = 0; count < 4; count += 1) expect(await send()).toMatchObject({ ok: true });
      expect(came).toEqual([1, 2, 3, 4]);
    });

    it.each([
      ['ended', (socket: Socket) => socket.end()],
      ['reset', (socket: Socket) => socket.resetAndDestroy()],
    ])('that the server %s after its answer, without a word, costs no message', async (_name, finish) => {
      const { sockets, came, send } = await countingServer((socket) => setImmediate(finish, socket));
      for (let count = 0; count < 20; count += 1) {
        expect(await send()).toMatchObject({ ok: true });
        const socket = sockets.at(-1) as Socket;
        if (!socket.closed) await once(socket, 'close');
      }
      expect(came).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    });
  });

  it('sends 50 at once, each over a connection of its own, each once', async () => {
    // Long enough for all of them to meet, however busy the machine is.
    const sandbox = await sandboxForTest({ accounts, latencyMs: { min: 400, max: 500 } });
    const client = clientForTest(sandbox);
    const texts = Array.from({ length: 50 }, (_, index) => `Message ${index}`);
    const answers = await Promise.all(
      texts.map((text, index) =>
        client.sendMessage(firstMessage({ text, recipientId: `ACoAAPerson${index}` })),
      ),
    );
    expect(answers.filter(({ ok }) => ok)).toHaveLength(50);
    expect(new Set(answers.map((answer) => answer.ok && answer.messageId)).size).toBe(50);
    expect(
      sandbox.world
        .effects()
        .map(({ text }) => text)
        .sort(),
    ).toEqual(texts.sort());
    const { requests, writes_in_flight } = await requestsOf(sandbox);
    expect(requests).toHaveLength(50);
    expect(writes_in_flight[0]?.max).toBeGreaterThan(10);
  });
});

/** Everything that can happen to a write: what the client says of it, and what LinkedIn saw. */
const FATES: ReadonlyArray<{
  name: string;
  action: Action;
  kind: FailureKind | 'sent';
  effects: 0 | 1;
  httpStatus: number | null;
}> = [
  {
    name: 'the answer is lost',
    action: { kind: 'drop_answer' },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: null,
  },
  {
    // Before the effect, but after the request was written: nobody can tell.
    name: 'the connection is reset before the effect',
    action: { kind: 'reset_before' },
    kind: 'ambiguous',
    effects: 0,
    httpStatus: null,
  },
  {
    name: 'the answer breaks off',
    action: { kind: 'reset_mid_answer' },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: 201,
  },
  {
    name: 'the answer breaks off, without an effect',
    action: { kind: 'reset_mid_answer', effect: false },
    kind: 'ambiguous',
    effects: 0,
    httpStatus: 500,
  },
  {
    name: 'no answer comes, with an effect',
    action: { kind: 'hang', effect: true },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: null,
  },
  {
    name: 'no answer comes, without an effect',
    action: { kind: 'hang', effect: false },
    kind: 'ambiguous',
    effects: 0,
    httpStatus: null,
  },
  {
    name: '504, delivered all the same',
    action: { kind: 'status', status: 504, type: 'errors/request_timeout', effect: true },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: 504,
  },
  {
    name: '500, not delivered',
    action: { kind: 'status', status: 500, type: 'errors/unexpected_error', effect: false },
    kind: 'ambiguous',
    effects: 0,
    httpStatus: 500,
  },
  {
    name: '503 network_down',
    action: { kind: 'status', status: 503, type: 'errors/network_down', effect: false },
    kind: 'ambiguous',
    effects: 0,
    httpStatus: 503,
  },
  {
    name: '429',
    action: { kind: 'status', status: 429, type: 'errors/too_many_requests', effect: false },
    kind: 'throttled',
    effects: 0,
    httpStatus: 429,
  },
  {
    name: '401 of the account',
    action: { kind: 'status', status: 401, type: 'errors/disconnected_account', effect: false },
    kind: 'account_disconnected',
    effects: 0,
    httpStatus: 401,
  },
  {
    name: '403 account_restricted',
    action: { kind: 'status', status: 403, type: 'errors/account_restricted', effect: false },
    kind: 'account_restricted',
    effects: 0,
    httpStatus: 403,
  },
  {
    name: '422 no_connection_with_recipient',
    action: { kind: 'status', status: 422, type: 'errors/no_connection_with_recipient', effect: false },
    kind: 'not_connected',
    effects: 0,
    httpStatus: 422,
  },
  {
    name: '418 of a type that nobody knows',
    action: { kind: 'status', status: 418, type: 'errors/teapot', effect: false },
    kind: 'rejected',
    effects: 0,
    httpStatus: 418,
  },
  {
    name: 'success without ids',
    action: { kind: 'null_ids' },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: 201,
  },
  {
    name: 'success without a message id',
    action: { kind: 'null_ids', which: 'message_id' },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: 201,
  },
  {
    name: 'success without a chat id',
    action: { kind: 'null_ids', which: 'chat_id' },
    kind: 'sent',
    effects: 1,
    httpStatus: 201,
  },
  {
    name: 'a success that is cut JSON',
    action: { kind: 'malformed_body' },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: 201,
  },
  {
    name: 'a page of HTML instead, delivered',
    action: { kind: 'html_body', effect: true },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: 200,
  },
  {
    name: 'a page of HTML instead, not delivered',
    action: { kind: 'html_body', effect: false },
    kind: 'ambiguous',
    effects: 0,
    httpStatus: 200,
  },
  {
    name: 'a gateway’s 502 in HTML',
    action: { kind: 'html_body', status: 502, effect: true },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: 502,
  },
  {
    name: 'a firewall’s 403 in HTML',
    action: { kind: 'html_body', status: 403, effect: false },
    kind: 'gateway',
    effects: 0,
    httpStatus: 403,
  },
  {
    name: 'a proxy’s 404 in HTML',
    action: { kind: 'html_body', status: 404, effect: false },
    kind: 'gateway',
    effects: 0,
    httpStatus: 404,
  },
  {
    name: 'a redirect, not delivered',
    action: { kind: 'redirect', status: 307, location: '/elsewhere', effect: false },
    kind: 'ambiguous',
    effects: 0,
    httpStatus: 307,
  },
  {
    name: 'a redirect, delivered all the same',
    action: { kind: 'redirect', status: 303, location: '/elsewhere', effect: true },
    kind: 'ambiguous',
    effects: 1,
    httpStatus: 303,
  },
  {
    name: 'a slow answer that comes in time',
    action: { kind: 'latency', ms: 50 },
    kind: 'sent',
    effects: 1,
    httpStatus: 201,
  },
  {
    name: 'an effect that is seen late',
    action: { kind: 'late_visibility', ms: 5_000 },
    kind: 'sent',
    effects: 1,
    httpStatus: 201,
  },
  {
    name: 'an account that signs out meanwhile',
    action: { kind: 'account_status', status: 'CREDENTIALS' },
    kind: 'account_disconnected',
    effects: 0,
    httpStatus: 401,
  },
];

describe('what becomes of a write', () => {
  it.each(FATES)('$name → $kind', async ({ action, kind, effects, httpStatus }) => {
    const sandbox = await sandboxForTest({ accounts, faults: [always(action)] });
    const timeoutMs = patienceFor(action);
    const answer = await clientForTest(sandbox, { timeoutMs }).sendMessage(firstMessage());
    expect(answer.ok ? 'sent' : answer.kind).toBe(kind);
    expect(answer.httpStatus).toBe(httpStatus);
    expect(sandbox.world.effects()).toHaveLength(effects);
    // Whatever happens, it is asked once: a write is never repeated here.
    expect((await requestsOf(sandbox)).requests).toHaveLength(1);
  });

  it('a slow effect after the client gave up is ambiguous, and comes once', async () => {
    const sandbox = await sandboxForTest({
      accounts,
      faults: [always({ kind: 'latency', ms: 400, effect_at: 'end' })],
    });
    const client = clientForTest(sandbox, { timeoutMs: 100 });
    expect(await client.sendMessage(firstMessage())).toMatchObject({
      ok: false,
      kind: 'ambiguous',
      type: 'TimeoutError',
    });
    expect(sandbox.world.effects()).toHaveLength(0);
    await expect.poll(() => sandbox.world.effects().length, { timeout: 5_000 }).toBe(1);
    expect((await requestsOf(sandbox)).requests).toHaveLength(1);
  });

  it('says what Unipile said, for people', async () => {
    const sandbox = await sandboxForTest({
      accounts,
      people: [{ provider_id: ADA, relation: 'not_connected' }],
    });
    expect(await clientForTest(sandbox).sendMessage(firstMessage())).toEqual({
      ok: false,
      kind: 'not_connected',
      httpStatus: 422,
      type: 'no_connection_with_recipient',
      detail: 'No connection with recipient: The recipient appears not to be first degree connection.',
      retryAfterMs: null,
    });
  });

  it.each([
    { name: 'too long', detail: 'd'.repeat(1_000), said: `T: ${'d'.repeat(497)}` },
    // 497 characters more would end within an emoji; half of one is no text that Postgres takes.
    { name: 'cut within an emoji', detail: `${'d'.repeat(496)}👋👋`, said: `T: ${'d'.repeat(496)}\uFFFD` },
    { name: 'with a NUL', detail: 'a\0b', said: 'T: ab' },
    { name: 'with half of an emoji', detail: 'a\ud83d', said: 'T: a\uFFFD' },
  ])('a detail $name becomes one that can be kept', async ({ detail, said }) => {
    const body = JSON.stringify({ status: 422, type: 'errors/x', title: 'T', detail });
    const server = createHttpServer((_request, response) => {
      response.writeHead(422, { 'content-type': 'application/json' }).end(body);
    });
    const client = clientOf(`http://127.0.0.1:${await portOf(server)}`);
    expect(await client.sendMessage(firstMessage())).toMatchObject({ kind: 'rejected', detail: said });
  });

  it.each([
    { type: 'errors/some.type_2', said: 'some.type_2' },
    { type: 'errors/Hi Ada, how are you?', said: null },
    { type: `errors/${'t'.repeat(101)}`, said: null },
  ])('the type $type is told as $said: what is no name may be the message', async ({ type, said }) => {
    const server = createHttpServer((_request, response) => {
      response.writeHead(422, { 'content-type': 'application/json' }).end(JSON.stringify({ type }));
    });
    const client = clientOf(`http://127.0.0.1:${await portOf(server)}`);
    expect(await client.sendMessage(firstMessage())).toMatchObject({ kind: 'rejected', type: said });
  });

  it.each([
    { status: 400, body: '{}' },
    { status: 401, body: 'Unauthorized' },
    { status: 403, body: '{"type":"about:blank","title":"Forbidden"}' },
    { status: 404, body: '404 page not found' },
    { status: 404, body: '{"type":"error","error":{"type":"not_found"}}' },
    { status: 404, body: '{"type":"errors/","title":"Not found"}' },
    { status: 407, body: '' },
    { status: 422, body: '{"type":["errors/invalid_recipient"]}' },
  ])('$status with the body $body is not Unipile’s', async ({ status, body }) => {
    const server = createHttpServer((_request, response) => void response.writeHead(status).end(body));
    const client = clientOf(`http://127.0.0.1:${await portOf(server)}`);
    const said = { ok: false, kind: 'gateway', httpStatus: status, type: null };
    expect(await client.sendMessage(firstMessage())).toMatchObject(said);
    expect(await client.sendMessage(firstMessage({ chatId: 'c' }))).toMatchObject(said);
  });

  const NOW = '2026-03-02T10:00:00.000Z';
  it.each([
    { retryAfter: '0', retryAfterMs: 0 },
    { retryAfter: '120', retryAfterMs: 120_000 },
    { retryAfter: ' 120 ', retryAfterMs: 120_000 },
    { retryAfter: '99999999', retryAfterMs: 99_999_999_000 },
    { retryAfter: '9'.repeat(400), retryAfterMs: Number.MAX_SAFE_INTEGER },
    { retryAfter: 'Mon, 02 Mar 2026 10:05:00 GMT', retryAfterMs: 300_000 },
    { retryAfter: 'Monday, 02-Mar-26 10:05:00 GMT', retryAfterMs: 300_000 },
    { retryAfter: 'Mon Mar  2 10:05:00 2026', retryAfterMs: 300_000 },
    { retryAfter: 'Mon, 02 Mar 2026 09:00:00 GMT', retryAfterMs: 0 },
    { retryAfter: 'Mon, 99 Mar 2026 10:00:00 GMT', retryAfterMs: null },
    { retryAfter: '2026-03-02T10:05:00Z', retryAfterMs: null },
    { retryAfter: '1.5', retryAfterMs: null },
    { retryAfter: '-1', retryAfterMs: null },
    { retryAfter: 'soon', retryAfterMs: null },
    { retryAfter: ['60', '90'], retryAfterMs: 90_000 },
    { retryAfter: undefined, retryAfterMs: null },
  ])('Retry-After $retryAfter → $retryAfterMs ms', async ({ retryAfter, retryAfterMs }) => {
    const server = createHttpServer((_request, response) => {
      if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
      response.writeHead(429).end('{}');
    });
    const dsn = `http://127.0.0.1:${await portOf(server)}`;
    const effects = { ...realEffects, now: () => new Date(NOW) };
    const client = createUnipileV1({ dsn, apiKey: 'key', effects });
    onTestFinished(() => client.close());
    expect(await client.sendMessage(firstMessage())).toMatchObject({ kind: 'throttled', retryAfterMs });
  });

  it('reads Retry-After as the sandbox sends it', async () => {
    const sandbox = await sandboxForTest({
      accounts,
      faults: [
        always({
          kind: 'status',
          status: 429,
          type: 'errors/too_many_requests',
          effect: false,
          retry_after_s: 90,
        }),
      ],
    });
    expect(await clientForTest(sandbox).sendMessage(firstMessage())).toMatchObject({
      kind: 'throttled',
      retryAfterMs: 90_000,
    });
  });

  it.each([
    { body: '[]', kind: 'ambiguous' },
    { body: 'null', kind: 'ambiguous' },
    { body: '', kind: 'ambiguous' },
    { body: '{"message_id":""}', kind: 'ambiguous' },
    { body: '{"message_id":42}', kind: 'ambiguous' },
    { body: '{"message_id":"m","chat_id":7}', kind: 'sent' },
  ])('201 with the body $body is $kind', async ({ body, kind }) => {
    const server = createHttpServer((_request, response) => void response.writeHead(201).end(body));
    const answer = await clientOf(`http://127.0.0.1:${await portOf(server)}`).sendMessage(firstMessage());
    expect(answer.ok ? 'sent' : answer.kind).toBe(kind);
    expect(answer).toMatchObject(answer.ok ? { chatId: null } : { type: 'no_message_id' });
  });

  it.each([
    { name: 'with a NUL', id: 'm\0' },
    { name: 'with half of a surrogate pair', id: 'm\ud83d' },
    { name: 'that is too long', id: 'm'.repeat(201) },
  ])('201 with an id $name was sent: the id is dropped', async ({ id }) => {
    const body = JSON.stringify({ message_id: id, chat_id: id });
    const server = createHttpServer((_request, response) => void response.writeHead(201).end(body));
    const client = clientOf(`http://127.0.0.1:${await portOf(server)}`);
    const sent = { ok: true, httpStatus: 201, messageId: null };
    expect(await client.sendMessage(firstMessage())).toEqual({ ...sent, chatId: null });
    // The chat that it was written in is known all the same.
    expect(await client.sendMessage(firstMessage({ chatId: 'c' }))).toEqual({ ...sent, chatId: 'c' });
  });

  it.each(['m'.repeat(200), 'ümläut 👋'])('201 with the id %s keeps it', async (id) => {
    const body = JSON.stringify({ message_id: id, chat_id: id });
    const server = createHttpServer((_request, response) => void response.writeHead(201).end(body));
    const answer = await clientOf(`http://127.0.0.1:${await portOf(server)}`).sendMessage(firstMessage());
    expect(answer).toEqual({ ok: true, httpStatus: 201, messageId: id, chatId: id });
  });

  it('201 with an empty chat id keeps the one that was written in', async () => {
    const body = '{"message_id":"m","chat_id":""}';
    const server = createHttpServer((_request, response) => void response.writeHead(201).end(body));
    const client = clientOf(`http://127.0.0.1:${await portOf(server)}`);
    expect(await client.sendMessage(firstMessage({ chatId: 'c' }))).toMatchObject({ chatId: 'c' });
    expect(await client.sendMessage(firstMessage())).toMatchObject({ chatId: null });
  });

  it('an answer beyond 1 MiB is not read: ambiguous', async () => {
    const server = createHttpServer((_request, response) => {
      response.writeHead(201).end(`{"message_id":"m","pad":"${'x'.repeat(1_100_000)}"}`);
    });
    const answer = await clientOf(`http://127.0.0.1:${await portOf(server)}`).sendMessage(firstMessage());
    expect(answer).toMatchObject({ ok: false, kind: 'ambiguous' });
  });

  it('a redirect is not followed', async () => {
    let count = 0;
    const server = createHttpServer((_request, response) => {
      count += 1;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    const answer = await clientOf(`http://127.0.0.1:${await portOf(server)}`).sendMessage(firstMessage());
    // Whatever redirects may have passed it on before.
    expect(answer).toMatchObject({ ok: false, kind: 'ambiguous', httpStatus: 307 });
    expect(count).toBe(1);
  });

  it('a wrong key is the platform’s, not the account’s', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const answer = await clientForTest(sandbox, { apiKey: 'wrong' }).sendMessage(firstMessage());
    expect(answer).toMatchObject({ ok: false, kind: 'platform_key', httpStatus: 401 });
    expect(sandbox.world.effects()).toHaveLength(0);
  });

  it('a key that cannot stand in a header is sent nowhere', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const answer = await clientForTest(sandbox, { apiKey: 'two\nlines' }).sendMessage(firstMessage());
    expect(answer).toMatchObject({ ok: false, kind: 'unreachable' });
    expect((await requestsOf(sandbox)).requests).toHaveLength(0);
  });

  it('sends to each account and person what is meant for them', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const client = clientForTest(sandbox);
    await client.sendMessage(firstMessage({ accountId: BOB, recipientId: GRACE, text: 'Hi Grace' }));
    expect(sandbox.world.effects()).toMatchObject([
      { account_id: BOB, recipient_id: GRACE, text: 'Hi Grace' },
    ]);
  });
});

describe('no connection, so nothing was written', () => {
  it('a port that refuses', async () => {
    const server = createServer();
    const port = await portOf(server);
    server.close();
    await once(server, 'close');
    const answer = await clientOf(`http://127.0.0.1:${port}`).sendMessage(firstMessage());
    expect(answer).toEqual({
      ok: false,
      kind: 'unreachable',
      httpStatus: null,
      type: 'ECONNREFUSED',
      detail: null,
      retryAfterMs: null,
    });
  });

  it('a name that does not exist', async () => {
    const answer = await clientOf('http://no-such-host.invalid:4010').sendMessage(firstMessage());
    expect(answer).toMatchObject({
      ok: false,
      kind: 'unreachable',
      type: expect.stringMatching(/^E(NOTFOUND|AI_AGAIN)$/),
    });
  });

  it('a certificate that nobody trusts', async () => {
    let requests = 0;
    const server = createTlsServer(selfSigned, (socket) => socket.on('data', () => (requests += 1)));
    server.on('tlsClientError', () => {});
    const answer = await clientOf(`127.0.0.1:${await portOf(server)}`).sendMessage(firstMessage());
    expect(answer).toMatchObject({ ok: false, kind: 'unreachable', type: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    expect(requests).toBe(0);
  });

  it('a server that speaks no TLS, where the DSN names no scheme', async () => {
    const sandbox = await sandboxForTest({ accounts });
    const answer = await clientForTest(sandbox, { dsn: `127.0.0.1:${sandbox.port}` }).sendMessage(
      firstMessage(),
    );
    expect(answer).toMatchObject({ ok: false, kind: 'unreachable', httpStatus: null });
    expect((await requestsOf(sandbox)).requests).toHaveLength(0);
  });

  it('a server that hangs up during the TLS handshake', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.destroy()));
    const answer = await clientOf(`127.0.0.1:${await portOf(server)}`).sendMessage(firstMessage());
    expect(answer).toMatchObject({ ok: false, kind: 'unreachable', type: 'ECONNRESET' });
  });

  it('a server that hangs up once connected may have read the request: ambiguous', async () => {
    const server = createServer((socket) => socket.destroy());
    const answer = await clientOf(`http://127.0.0.1:${await portOf(server)}`).sendMessage(firstMessage());
    expect(answer).toMatchObject({ ok: false, kind: 'ambiguous', httpStatus: null });
  });
});

describe('a connection that fails once it stands', () => {
  it.each(['read', 'write'])('on %s, with the code of a route that is gone: ambiguous', async (syscall) => {
    class Broken extends Dispatcher {
      override dispatch(_options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
        const error = Object.assign(new Error('no route'), { code: 'EHOSTUNREACH', syscall });
        handler.onResponseError?.({} as Dispatcher.DispatchController, error);
        return true;
      }
      override async close(): Promise<void> {}
    }
    const transport = { writing: new Broken(), reading: new Broken(), hasFailedToConnect: () => false };
    const client = createUnipileV1({ dsn: 'api1.unipile.com', apiKey: 'key', transport });
    expect(await client.sendMessage(firstMessage())).toMatchObject({
      kind: 'ambiguous',
      type: 'EHOSTUNREACH',
    });
  });
});

describe('baseUrlOf', () => {
  it.each([
    { dsn: 'api1.unipile.com:13211', url: 'https://api1.unipile.com:13211/api/v1/' },
    { dsn: 'https://api1.unipile.com:13211', url: 'https://api1.unipile.com:13211/api/v1/' },
    { dsn: 'https://api1.unipile.com:13211/', url: 'https://api1.unipile.com:13211/api/v1/' },
    { dsn: 'https://api1.unipile.com:13211/api/v1', url: 'https://api1.unipile.com:13211/api/v1/' },
    { dsn: 'http://127.0.0.1:4010', url: 'http://127.0.0.1:4010/api/v1/' },
    { dsn: 'localhost:4010', url: 'https://localhost:4010/api/v1/' },
    { dsn: 'HTTPS://api1.unipile.com:13211', url: 'https://api1.unipile.com:13211/api/v1/' },
  ])('$dsn → $url', ({ dsn, url }) => {
    expect(baseUrlOf(dsn).href).toBe(url);
  });

  it.each(['', 'two words', 'http://', 'host:port'])('"%s" is none', (dsn) => {
    expect(() => baseUrlOf(dsn)).toThrow(TypeError);
  });
});
