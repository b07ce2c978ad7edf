/** Webhooks: what is told, to whom, how it looks on the wire, and how often it is tried. */
import { describe, expect, it, vi } from 'vitest';
import type { Sandbox } from '../src/index.ts';
import { ADA, ALICE, BOB, call, receiverForTest, sandboxForTest, startChat } from './support.ts';

async function subscribe(sandbox: Sandbox, url: string, more: object = {}): Promise<string> {
  const json = { request_url: url, source: 'messaging', name: 'mine', ...more };
  const { status, body } = await call(sandbox, 'POST', '/api/v1/webhooks', { json });
  expect([status, Object.keys(body)]).toEqual([201, ['object', 'webhook_id']]);
  return body.webhook_id;
}

describe('message_received', () => {
  it("tells of one's own messages too, in the captured shape, with no Content-Type", async () => {
    const sandbox = await sandboxForTest();
    const receiver = await receiverForTest();
    await subscribe(sandbox, receiver.url, { headers: [{ key: 'Unipile-Auth', value: 's3cret' }] });
    const { body } = await startChat(sandbox);
    const { headers, body: told } = await receiver.next();
    expect(headers['content-type']).toBeUndefined();
    expect(headers['unipile-auth']).toBe('s3cret');
    expect(told).toMatchObject({
      event: 'message_received',
      account_id: ALICE,
      account_type: 'LINKEDIN',
      webhook_name: 'mine',
      chat_id: body.chat_id,
      message_id: body.message_id,
      message: 'Hi Ada',
      is_sender: true,
      is_event: 0,
      is_group: false,
      attendees: [{ attendee_provider_id: ADA }],
    });
    expect(told.sender.attendee_provider_id).toBe(told.account_info.user_id);
    expect(told.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('tells of replies, and of what the owner typed on LinkedIn', async () => {
    const sandbox = await sandboxForTest();
    const receiver = await receiverForTest();
    await subscribe(sandbox, receiver.url, { headers: [{ key: 'Content-Type', value: 'application/json' }] });
    const json = [
      { account_id: ALICE, person_id: ADA, text: 'Hello!' },
      { account_id: ALICE, person_id: ADA, text: 'By hand', from: 'account' },
    ];
    await call(sandbox, 'POST', '/_control/messages', { json });
    const told = [await receiver.next(), await receiver.next()];
    expect(told[0]?.headers['content-type']).toBe('application/json');
    expect(told.map(({ body }) => [body.message, body.is_sender])).toEqual([
      ['Hello!', false],
      ['By hand', true],
    ]);
    expect(sandbox.world.effects()).toEqual([]);
  });

  it('goes to those who asked: by account, by source, while enabled, until deleted', async () => {
    const sandbox = await sandboxForTest();
    const receiver = await receiverForTest();
    await subscribe(sandbox, receiver.url, { name: 'other account', account_ids: [BOB] });
    await subscribe(sandbox, receiver.url, { name: 'other source', source: 'account_status' });
    await subscribe(sandbox, receiver.url, { name: 'other event', events: ['message_read'] });
    await subscribe(sandbox, receiver.url, { name: 'disabled', enabled: false });
    const deleted = await subscribe(sandbox, receiver.url, { name: 'deleted' });
    expect((await call(sandbox, 'DELETE', `/api/v1/webhooks/${deleted}`)).body.object).toBe('WebhookDeleted');
    expect((await call(sandbox, 'DELETE', `/api/v1/webhooks/${deleted}`)).status).toBe(404);
    const data = [{ name: 'text', key: 'message' }];
    await subscribe(sandbox, receiver.url, { account_ids: [ALICE], data });
    await startChat(sandbox);
    expect((await receiver.next()).body).toEqual({ text: 'Hi Ada' });
    // One more round, so that anything wrongly sent would have arrived by now.
    await startChat(sandbox, 'Second');
    expect((await receiver.next()).body).toEqual({ text: 'Second' });
    expect(receiver.received).toHaveLength(2);
  });

  it('waits until the message is visible', async () => {
    const sandbox = await sandboxForTest({ visibilityDelayMs: 80 });
    const receiver = await receiverForTest();
    await subscribe(sandbox, receiver.url);
    const { body } = await startChat(sandbox);
    expect((await call(sandbox, 'GET', `/api/v1/messages/${body.message_id}`)).status).toBe(404);
    await receiver.next();
    expect((await call(sandbox, 'GET', `/api/v1/messages/${body.message_id}`)).status).toBe(200);
  });
});

describe('account_status', () => {
  it('tells of transitions only; what piled up comes in a burst on reconnection', async () => {
    const sandbox = await sandboxForTest();
    const { world } = sandbox;
    const statuses = await receiverForTest();
    const messages = await receiverForTest();
    await subscribe(sandbox, statuses.url, {
      source: 'account_status',
      events: ['credentials', 'reconnected', 'ok'],
    });
    await subscribe(sandbox, messages.url);
    world.setAccountStatus(ALICE, 'OK');
    world.setAccountStatus(ALICE, 'CREDENTIALS');
    world.setAccountStatus(ALICE, 'CREDENTIALS');
    expect((await statuses.next()).text).toBe(
      `{"AccountStatus":{"account_id":"${ALICE}","account_type":"LINKEDIN","message":"CREDENTIALS"}}`,
    );
    world.receiveMessage({ account_id: ALICE, person_id: ADA, text: 'one' });
    world.receiveMessage({ account_id: ALICE, person_id: ADA, text: 'two' });
    world.receiveMessage({ account_id: BOB, person_id: ADA, text: 'for Bob' });
    expect((await messages.next()).body.message).toBe('for Bob');
    world.setAccountStatus(ALICE, 'OK');
    const told = [await statuses.next(), await statuses.next()];
    expect(told.map(({ body }) => body.AccountStatus.message).sort()).toEqual(['OK', 'RECONNECTED']);
    const burst = [await messages.next(), await messages.next()];
    expect(burst.map(({ body }) => body.message).sort()).toEqual(['one', 'two']);
    expect([statuses.received.length, messages.received.length]).toEqual([3, 3]);
  });

  it('leaves out ok, connecting and stopped unless asked; a new account is announced', async () => {
    const sandbox = await sandboxForTest();
    const receiver = await receiverForTest();
    await subscribe(sandbox, receiver.url, { source: 'account_status' });
    sandbox.world.setAccountStatus(ALICE, 'STOPPED');
    sandbox.world.setAccountStatus(ALICE, 'CONNECTING');
    sandbox.world.setAccountStatus(ALICE, 'OK');
    await call(sandbox, 'POST', '/_control/accounts', { json: { id: 'new' } });
    await call(sandbox, 'DELETE', '/api/v1/accounts/new');
    const told = [await receiver.next(), await receiver.next()];
    expect(told.map(({ body }) => body.AccountStatus.message).sort()).toEqual([
      'CREATION_SUCCESS',
      'DELETED',
    ]);
  });
});

describe('delivery', () => {
  const attempts = async (sandbox: Sandbox) =>
    (await call(sandbox, 'GET', '/_control/deliveries')).body as {
      attempts: { attempt: number; result: number | string }[];
      lost_count: number;
    };

  it.each([
    { name: 'at once', answers: [], results: [200], lost: 0 },
    { name: 'after failures', answers: [500, 404, 302], results: [500, 404, 302, 200], lost: 0 },
    { name: '201 is not 200', answers: [201], results: [201, 200], lost: 0 },
    {
      name: 'the last of five retries',
      answers: [500, 500, 500, 500, 500],
      results: [500, 500, 500, 500, 500, 200],
      lost: 0,
    },
    {
      name: 'given up after it',
      answers: [500, 500, 500, 500, 500, 500],
      results: [500, 500, 500, 500, 500, 500],
      lost: 1,
    },
  ])('$name', async ({ answers, results, lost }) => {
    const sandbox = await sandboxForTest({ webhooks: { retryDelaysMs: [1, 2, 3, 4, 5] } });
    const receiver = await receiverForTest([...answers]);
    await subscribe(sandbox, receiver.url);
    await startChat(sandbox);
    for (const _ of results) expect((await receiver.next()).body.message).toBe('Hi Ada');
    await vi.waitFor(async () => {
      const seen = await attempts(sandbox);
      expect(seen.attempts.map(({ result }) => result)).toEqual(results);
      expect(seen.lost_count).toBe(lost);
    });
    expect(receiver.received).toHaveLength(results.length);
  });

  it('tries again when there is no answer in time, and when nobody listens', async () => {
    const sandbox = await sandboxForTest({ webhooks: { retryDelaysMs: [1], timeoutMs: 100 } });
    const receiver = await receiverForTest([0]);
    await subscribe(sandbox, receiver.url);
    await startChat(sandbox);
    await receiver.next();
    await receiver.next();
    await vi.waitFor(async () =>
      expect((await attempts(sandbox)).attempts.map(({ result }) => result)).toEqual(['timeout', 200]),
    );
    await call(sandbox, 'POST', '/_control/reset');
    await subscribe(sandbox, 'http://127.0.0.1:1/hook');
    await startChat(sandbox);
    await vi.waitFor(async () =>
      expect((await attempts(sandbox)).attempts.slice(2).map(({ result }) => result)).toEqual([
        'unreachable',
        'unreachable',
      ]),
    );
  });

  it('does not try again once the webhook is deleted', async () => {
    const sandbox = await sandboxForTest({ webhooks: { retryDelaysMs: [200] } });
    const receiver = await receiverForTest([500]);
    const id = await subscribe(sandbox, receiver.url);
    await startChat(sandbox);
    await receiver.next();
    await call(sandbox, 'DELETE', `/api/v1/webhooks/${id}`);
    await vi.waitFor(async () => {
      const { body } = await call(sandbox, 'GET', '/_control/health');
      expect(body).toMatchObject({ webhooks_pending_count: 0, webhooks_lost_count: 0 });
    });
    expect((await attempts(sandbox)).attempts).toMatchObject([{ result: 500 }]);
  });

  it('drops what the queue cannot hold, and counts it', async () => {
    const sandbox = await sandboxForTest({ webhooks: { queueMax: 1, concurrencyMax: 1, timeoutMs: 10_000 } });
    const receiver = await receiverForTest([0]);
    await subscribe(sandbox, receiver.url);
    await startChat(sandbox, 'held');
    await receiver.next();
    await startChat(sandbox, 'queued');
    await startChat(sandbox, 'lost');
    await vi.waitFor(async () => expect((await attempts(sandbox)).lost_count).toBe(1));
  });
});

it.each([
  { json: { source: 'messaging' }, type: 'errors/missing_parameters' },
  { json: { request_url: 'http://x' }, type: 'errors/missing_parameters' },
  { json: { request_url: 'ftp://x', source: 'messaging' }, type: 'errors/invalid_parameters' },
  { json: { request_url: 'http://x', source: 'fax' }, type: 'errors/invalid_parameters' },
  {
    json: { request_url: 'http://x', source: 'messaging', format: 'form' },
    type: 'errors/feature_not_implemented',
  },
])('a bad webhook is refused: $type', async ({ json, type }) => {
  const sandbox = await sandboxForTest();
  expect((await call(sandbox, 'POST', '/api/v1/webhooks', { json })).body.type).toBe(type);
});
