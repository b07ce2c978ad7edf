/** Every action, seen from both sides: what the socket did, and what LinkedIn got. */
import { describe, expect, it, vi } from 'vitest';
import type { Action } from '../src/index.ts';
import {
  ADA,
  ALICE,
  call,
  createClock,
  sandboxForTest,
  see,
  seeStartChat,
  startChat,
  texts,
} from './support.ts';

interface Fact {
  name: string;
  action: Action;
  /** What the client sees. */
  seen: object;
  effects: string[];
}

const status = (code: number, type: string, effect: boolean): Action => ({
  kind: 'status',
  status: code,
  type,
  effect,
});

const FACTS: Fact[] = [
  {
    name: 'drop_answer',
    action: { kind: 'drop_answer' },
    seen: { kind: 'failed', code: 'UND_ERR_SOCKET', status: null },
    effects: ['Hi Ada'],
  },
  {
    name: 'reset_before',
    action: { kind: 'reset_before' },
    seen: { kind: 'failed', code: 'ECONNRESET', status: null },
    effects: [],
  },
  {
    name: 'reset_mid_answer',
    action: { kind: 'reset_mid_answer' },
    seen: { kind: 'failed', code: 'UND_ERR_SOCKET', status: 201 },
    effects: ['Hi Ada'],
  },
  {
    name: 'reset_mid_answer, no effect',
    action: { kind: 'reset_mid_answer', effect: false },
    seen: { kind: 'failed', code: 'UND_ERR_SOCKET', status: 500 },
    effects: [],
  },
  {
    name: '504, delivered all the same',
    action: status(504, 'errors/request_timeout', true),
    seen: {
      kind: 'answered',
      status: 504,
      text: '{"status":504,"type":"errors/request_timeout","title":"Request timeout","detail":"Request Timeout. Please try again, and if the issue persists, contact support."}',
    },
    effects: ['Hi Ada'],
  },
  {
    name: '500 that is a limit in disguise',
    action: status(500, 'errors/unexpected_error', false),
    seen: { kind: 'answered', status: 500 },
    effects: [],
  },
  {
    name: '422 cannot_resend_yet',
    action: status(422, 'errors/cannot_resend_yet', false),
    seen: {
      kind: 'answered',
      status: 422,
      text: '{"status":422,"type":"errors/cannot_resend_yet","title":"Cannot resend yet","detail":"You have reached a temporary provider limit. Please try again later."}',
    },
    effects: [],
  },
  {
    name: 'a type the sandbox does not know',
    action: { ...status(451, 'errors/some_new_thing', false), title: 'New', detail: 'Thing' } as Action,
    seen: {
      kind: 'answered',
      status: 451,
      text: '{"status":451,"type":"errors/some_new_thing","title":"New","detail":"Thing"}',
    },
    effects: [],
  },
  {
    name: 'malformed_body',
    action: { kind: 'malformed_body' },
    seen: { kind: 'answered', status: 201, text: expect.stringMatching(/^\{"object":"ChatStarted".*[^}]$/) },
    effects: ['Hi Ada'],
  },
  {
    name: 'html_body with 200',
    action: { kind: 'html_body', effect: true },
    seen: { kind: 'answered', status: 200, text: expect.stringContaining('<html>') },
    effects: ['Hi Ada'],
  },
  {
    name: 'html_body with 502',
    action: { kind: 'html_body', status: 502, effect: false },
    seen: { kind: 'answered', status: 502, text: expect.stringContaining('<html>') },
    effects: [],
  },
  {
    name: 'null_ids',
    action: { kind: 'null_ids' },
    seen: {
      kind: 'answered',
      status: 201,
      text: '{"object":"ChatStarted","chat_id":null,"message_id":null}',
    },
    effects: ['Hi Ada'],
  },
  {
    name: 'null_ids, the message only',
    action: { kind: 'null_ids', which: 'message_id' },
    seen: {
      kind: 'answered',
      status: 201,
      text: expect.stringMatching(/^\{"object":"ChatStarted","chat_id":"[\w-]{22}","message_id":null\}$/),
    },
    effects: ['Hi Ada'],
  },
  {
    name: 'bad_ids with a NUL',
    action: { kind: 'bad_ids', how: 'nul' },
    seen: {
      kind: 'answered',
      status: 201,
      text: expect.stringMatching(/"chat_id":"[\w-]{22}\\u0000","message_id":"[\w-]{22}\\u0000"/),
    },
    effects: ['Hi Ada'],
  },
  {
    name: 'bad_ids with half of a surrogate pair',
    action: { kind: 'bad_ids', how: 'half_surrogate' },
    seen: { kind: 'answered', status: 201, text: expect.stringMatching(/"message_id":"[\w-]{22}\\ud83d"/) },
    effects: ['Hi Ada'],
  },
  {
    name: 'bad_ids that are too long',
    action: { kind: 'bad_ids', how: 'too_long' },
    seen: { kind: 'answered', status: 201, text: expect.stringMatching(/"message_id":"[\w-]{10000}"/) },
    effects: ['Hi Ada'],
  },
  {
    name: 'redirect, without an effect',
    action: { kind: 'redirect', status: 307, location: '/elsewhere', effect: false },
    seen: { kind: 'answered', status: 307, text: expect.stringContaining('<h1>Please wait</h1>') },
    effects: [],
  },
  {
    name: 'redirect, with an effect',
    action: { kind: 'redirect', status: 303, location: '/elsewhere', effect: true },
    seen: { kind: 'answered', status: 303 },
    effects: ['Hi Ada'],
  },
  {
    name: 'latency',
    action: { kind: 'latency', ms: 5 },
    seen: { kind: 'answered', status: 201 },
    effects: ['Hi Ada'],
  },
  {
    name: 'account_status, before',
    action: { kind: 'account_status', status: 'CREDENTIALS' },
    seen: { kind: 'answered', status: 401, text: expect.stringContaining('errors/disconnected_account') },
    effects: [],
  },
  {
    name: 'account_status, after',
    action: { kind: 'account_status', status: 'CREDENTIALS', when: 'after' },
    seen: { kind: 'answered', status: 201 },
    effects: ['Hi Ada'],
  },
];

describe('an action does what it says', () => {
  it.each(FACTS)('$name', async ({ action, seen, effects }) => {
    const sandbox = await sandboxForTest();
    sandbox.world.addFaults([{ match: { operation: 'send' }, action }]);
    expect(await seeStartChat(sandbox)).toMatchObject(seen);
    expect(texts(sandbox)).toEqual(effects);
    // Once only: the next request is answered as if nothing had been.
    const isDisconnected = action.kind === 'account_status';
    const next = await startChat(sandbox, 'Second');
    expect(next.status).toBe(isDisconnected ? 401 : 201);
  });

  it.each([
    { effect: true, effects: ['Hi Ada'] },
    { effect: false, effects: [] },
  ])('hang, effect $effect: no answer until the client gives up', async ({ effect, effects }) => {
    const sandbox = await sandboxForTest();
    sandbox.world.addFaults([{ match: { operation: 'send' }, action: { kind: 'hang', effect } }]);
    expect(await seeStartChat(sandbox, 'Hi Ada', AbortSignal.timeout(200))).toMatchObject({ kind: 'failed' });
    expect(texts(sandbox)).toEqual(effects);
    await vi.waitFor(() =>
      expect(sandbox.world.concurrency()).toEqual([{ account_id: ALICE, current: 0, max: 1 }]),
    );
  });

  it('status: Retry-After only when asked for', async () => {
    const sandbox = await sandboxForTest();
    const throttle = {
      kind: 'status',
      status: 429,
      type: 'errors/too_many_requests',
      effect: false,
    } as const;
    sandbox.world.addFaults([
      { match: { operation: 'send' }, action: throttle },
      { match: { operation: 'send' }, action: { ...throttle, retry_after_s: 90 } },
      { match: { operation: 'send' }, action: { ...throttle, retry_after: 'Mon, 02 Mar 2026 10:00:00 GMT' } },
    ]);
    const first = await startChat(sandbox);
    expect([first.status, first.headers['retry-after']]).toEqual([429, undefined]);
    const second = await startChat(sandbox);
    expect([second.status, second.headers['retry-after']]).toEqual([429, '90']);
    const third = await startChat(sandbox);
    expect(third.headers['retry-after']).toBe('Mon, 02 Mar 2026 10:00:00 GMT');
  });

  it('late_visibility: the effect is there at once, reads show it later', async () => {
    const clock = createClock();
    const sandbox = await sandboxForTest({ now: clock.now });
    sandbox.world.addFaults([
      { match: { operation: 'send' }, action: { kind: 'late_visibility', ms: 60_000 } },
    ]);
    const { body } = await startChat(sandbox);
    expect(texts(sandbox)).toEqual(['Hi Ada']);
    const read = () => call(sandbox, 'GET', `/api/v1/chats/${body.chat_id}/messages`);
    clock.advance(59_999);
    expect((await read()).body.items).toEqual([]);
    expect((await call(sandbox, 'GET', `/api/v1/chat_attendees/${ADA}/chats`)).status).toBe(404);
    clock.advance(1);
    expect((await read()).body.items).toHaveLength(1);
    expect((await call(sandbox, 'GET', `/api/v1/chat_attendees/${ADA}/chats`)).body.items).toHaveLength(1);
  });
});

describe('latency', () => {
  it.each([
    { effectAt: 'start', before: ['Hi Ada'] },
    { effectAt: 'end', before: [] },
  ] as const)('effect at the $effectAt', async ({ effectAt, before }) => {
    const sandbox = await sandboxForTest();
    const action = { kind: 'latency', min_ms: 1_000, max_ms: 2_000, effect_at: effectAt } as const;
    sandbox.world.addFaults([{ match: { operation: 'send' }, action }]);
    const exchange = sandbox.world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'Hi Ada' });
    expect(exchange.delayMs).toBeGreaterThanOrEqual(1_000);
    expect(exchange.delayMs).toBeLessThanOrEqual(2_000);
    expect(texts(sandbox)).toEqual(before);
    exchange.finish();
    expect(texts(sandbox)).toEqual(['Hi Ada']);
  });

  it('a client that leaves meanwhile does not prevent the effect', async () => {
    const sandbox = await sandboxForTest();
    sandbox.world.addFaults([{ match: { operation: 'send' }, action: { kind: 'latency', ms: 300 } }]);
    const happened = new Promise<void>((resolve) => {
      sandbox.world.onNotifications(resolve);
    });
    const seen = await seeStartChat(sandbox, 'Hi Ada', AbortSignal.timeout(100));
    expect(seen.kind).toBe('failed');
    expect(texts(sandbox)).toEqual([]);
    await happened;
    expect(texts(sandbox)).toEqual(['Hi Ada']);
  });
});

describe('reads and posts', () => {
  it('a read can fail too, and only reads are struck', async () => {
    const sandbox = await sandboxForTest();
    await call(sandbox, 'POST', '/_control/faults', {
      json: { match: { operation: 'read' }, action: { kind: 'drop_answer' } },
    });
    expect((await startChat(sandbox)).status).toBe(201);
    expect(await see(sandbox, 'GET', '/api/v1/chats')).toMatchObject({ kind: 'failed' });
    expect((await call(sandbox, 'GET', '/api/v1/chats')).status).toBe(200);
  });

  it('a post can be published and unanswered, or answered without its id', async () => {
    const sandbox = await sandboxForTest();
    sandbox.world.addFaults([
      { match: { operation: 'create_post' }, action: { kind: 'drop_answer' } },
      { match: { operation: 'create_post' }, action: { kind: 'null_ids' } },
    ]);
    const post = (text: string) =>
      see(sandbox, 'POST', '/api/v1/posts', { form: { account_id: ALICE, text } });
    expect(await post('one')).toMatchObject({ kind: 'failed' });
    expect(await post('two')).toMatchObject({ text: '{"object":"PostCreated","post_id":null}' });
    expect(texts(sandbox)).toEqual(['one', 'two']);
  });

  it.each([{ kind: 'null_ids' }, { kind: 'bad_ids', how: 'nul' }, { kind: 'malformed_body' }] as const)(
    'a refusal of the world is not hidden by $kind, which needs a success',
    async (action) => {
      const sandbox = await sandboxForTest();
      sandbox.world.addFaults([{ match: { operation: 'send' }, action }]);
      expect((await startChat(sandbox, 'Hi', 'not-an-id')).body.type).toBe('errors/invalid_recipient');
    },
  );
});
