/** The control API: what it shows, what it changes, and how it refuses. */
import { describe, expect, it, vi } from 'vitest';
import { buildServer } from '../src/server.ts';
import {
  ADA,
  ALICE,
  BOB,
  call,
  createClock,
  GRACE,
  sandboxForTest,
  see,
  seeStartChat,
  startChat,
} from './support.ts';

describe('log', () => {
  it('shows every effect in order, and filters', async () => {
    const clock = createClock();
    const sandbox = await sandboxForTest({ now: clock.now });
    const { body } = await startChat(sandbox);
    await startChat(sandbox, 'From Bob', GRACE, BOB);
    await call(sandbox, 'POST', '/api/v1/posts', { form: { account_id: ALICE, text: 'Post' } });
    await call(sandbox, 'POST', '/api/v1/users/invite', { json: { account_id: ALICE, provider_id: ADA } });
    const log = async (query = '') =>
      (await call(sandbox, 'GET', `/_control/log${query}`, { key: null })).body;
    const all = await log();
    expect(all.truncated_count).toBe(0);
    expect(all.effects[0]).toEqual({
      seq: 1,
      kind: 'message',
      account_id: ALICE,
      recipient_id: ADA,
      chat_id: body.chat_id,
      id: body.message_id,
      text: 'Hi Ada',
      attachments: [],
      at: '2026-03-02T09:00:00.000Z',
    });
    const seqs = async (query: string) => (await log(query)).effects.map(({ seq }: { seq: number }) => seq);
    expect(await seqs('')).toEqual([1, 2, 3, 4]);
    expect(await seqs(`?account_id=${ALICE}`)).toEqual([1, 3, 4]);
    expect(await seqs('?kind=post')).toEqual([3]);
    expect(await seqs('?since=2')).toEqual([3, 4]);
    expect(await seqs(`?since=1&account_id=${ALICE}&kind=invitation`)).toEqual([4]);
  });

  it('is a ring that says what it lost', async () => {
    const sandbox = await sandboxForTest({ effectsMax: 2 });
    for (const text of ['1', '2', '3']) await startChat(sandbox, text);
    const { body } = await call(sandbox, 'GET', '/_control/log');
    expect(body).toMatchObject({ truncated_count: 1, effects: [{ seq: 2 }, { seq: 3 }] });
  });
});

describe('requests', () => {
  it('shows each with its status, account and duration; a cut one as reset', async () => {
    const sandbox = await sandboxForTest();
    await startChat(sandbox);
    await call(sandbox, 'GET', '/api/v1/chats?limit=5', { key: 'wrong' });
    sandbox.world.addFaults([{ match: { operation: 'send' }, action: { kind: 'drop_answer' } }]);
    await seeStartChat(sandbox);
    await vi.waitFor(async () => {
      const { body } = await call(sandbox, 'GET', '/_control/requests');
      expect(body.requests).toMatchObject([
        { seq: 1, method: 'POST', path: '/api/v1/chats', status: 201, account_id: ALICE },
        { seq: 2, method: 'GET', path: '/api/v1/chats?limit=5', status: 401, account_id: null },
        { seq: 3, status: 'reset', account_id: ALICE },
      ]);
      expect(body.requests[0].duration_ms).toBeGreaterThan(0);
      expect(body.truncated_count).toBe(0);
    });
    const ofAlice = await call(sandbox, 'GET', `/_control/requests?account_id=${ALICE}`);
    expect(ofAlice.body.requests).toHaveLength(2);
  });

  it('is a ring that says what it lost', async () => {
    const sandbox = await sandboxForTest({ requestsMax: 2 });
    for (let count = 0; count < 3; count += 1) await call(sandbox, 'GET', '/api/v1/chats');
    const { body } = await call(sandbox, 'GET', '/_control/requests');
    expect([body.truncated_count, body.requests.map(({ seq }: { seq: number }) => seq)]).toEqual([1, [2, 3]]);
  });

  it('counts writes in flight: together they add up, one after the other they do not', async () => {
    const sandbox = await sandboxForTest({ latencyMs: { min: 50, max: 50 } });
    await startChat(sandbox, 'one after', ADA, BOB);
    await startChat(sandbox, 'the other', ADA, BOB);
    await Promise.all([startChat(sandbox, 'a'), startChat(sandbox, 'b'), startChat(sandbox, 'c')]);
    await call(sandbox, 'GET', `/api/v1/accounts/${ALICE}`);
    const { body } = await call(sandbox, 'GET', '/_control/requests');
    expect(body.writes_in_flight).toEqual([
      { account_id: BOB, current: 0, max: 1 },
      { account_id: ALICE, current: 0, max: 3 },
    ]);
  });
});

describe('changing the world', () => {
  it('creates and updates accounts, singly or in a list', async () => {
    const sandbox = await sandboxForTest({ accounts: [] });
    const post = async (json: unknown) =>
      (await call(sandbox, 'POST', '/_control/accounts', { json })).body.accounts;
    const [made, named] = await post([{ name: 'No Id' }, { id: ALICE, provider_id: 'ACoAAOwn' }]);
    expect(made.id).toMatch(/^[\w-]{22}$/);
    expect(named).toMatchObject({ id: ALICE, provider_id: 'ACoAAOwn', status: 'OK' });
    expect(await post({ id: ALICE, status: 'ERROR' })).toMatchObject([
      { provider_id: 'ACoAAOwn', status: 'ERROR' },
    ]);
    expect((await startChat(sandbox)).status).toBe(401);
    await post({ id: ALICE, status: 'OK', restricted: true });
    expect((await startChat(sandbox)).status).toBe(403);
    await post({ id: ALICE, restricted: false });
    expect((await startChat(sandbox)).status).toBe(201);
  });

  it('declares people, for all accounts or for one', async () => {
    const sandbox = await sandboxForTest();
    const declare = (json: unknown) => call(sandbox, 'POST', '/_control/people', { json });
    await declare({ provider_id: ADA, relation: 'not_connected', relations: { [BOB]: 'connected' } });
    expect((await startChat(sandbox)).body.type).toBe('errors/no_connection_with_recipient');
    expect((await startChat(sandbox, 'Hi', ADA, BOB)).status).toBe(201);
    await declare([{ provider_id: ADA, relation: 'connected' }]);
    expect((await startChat(sandbox)).status).toBe(201);
  });

  it('faults: scripts, lists with hits, clears', async () => {
    const sandbox = await sandboxForTest();
    const json = [
      { match: { operation: 'send' }, action: { kind: 'drop_answer' } },
      { match: { operation: 'read', account_id: BOB }, action: { kind: 'hang', effect: false }, times: null },
    ];
    const added = await call(sandbox, 'POST', '/_control/faults', { json, key: null });
    expect([added.status, added.body.ids.length]).toEqual([201, 2]);
    await seeStartChat(sandbox);
    const { body } = await call(sandbox, 'GET', '/_control/faults');
    expect(body.faults).toMatchObject([
      { id: added.body.ids[0], hits: 1, ...json[0] },
      { id: added.body.ids[1], hits: 0, ...json[1] },
    ]);
    expect((await call(sandbox, 'DELETE', '/_control/faults')).status).toBe(204);
    expect((await call(sandbox, 'GET', '/_control/faults')).body).toEqual({ faults: [] });
  });

  it('resets to what was declared at the start; what was under way has no effect', async () => {
    const sandbox = await sandboxForTest();
    await startChat(sandbox);
    await call(sandbox, 'POST', '/_control/accounts', {
      json: [{ id: 'more' }, { id: ALICE, status: 'ERROR' }],
    });
    const underWay = sandbox.world.startChat({ accountId: BOB, attendeesIds: [ADA], text: 'late' });
    expect((await call(sandbox, 'POST', '/_control/reset')).status).toBe(204);
    expect(underWay.finish()).toEqual({ kind: 'closed' });
    expect(sandbox.world.effects()).toEqual([]);
    expect(sandbox.world.accounts().map(({ id, status }) => [id, status])).toEqual([
      [ALICE, 'OK'],
      [BOB, 'OK'],
    ]);
    expect((await call(sandbox, 'GET', '/_control/requests')).body).toMatchObject({
      requests: [],
      writes_in_flight: [],
    });
    expect((await call(sandbox, 'GET', '/_control/health')).body).toMatchObject({
      status: 'ok',
      accounts_count: 2,
    });
  });
});

describe('a bad body is refused, and the field named', () => {
  const match = { operation: 'send' };
  it.each<[string, unknown, string[]]>([
    ['faults', {}, ['match', 'action']],
    ['faults', { match: { operation: 'fax' }, action: { kind: 'drop_answer' } }, ['match.operation']],
    ['faults', { match, action: { kind: 'explode' } }, ['action.kind']],
    ['faults', { match, action: { kind: 'hang' } }, ['action.effect']],
    [
      'faults',
      { match, action: { kind: 'status', status: 200, type: 'x', effect: true } },
      ['action.status', 'action.type'],
    ],
    ['faults', { match, action: { kind: 'drop_answer', ms: 5 } }, ['action.ms']],
    ['faults', { match, action: { kind: 'latency' } }, ['action.ms']],
    ['faults', { match, action: { kind: 'latency', min_ms: 5 } }, ['action.ms']],
    ['faults', { match, action: { kind: 'latency', min_ms: 5, max_ms: 4 } }, ['action.max_ms']],
    ['faults', { match, action: { kind: 'account_status', status: 'FINE' } }, ['action.status']],
    ['faults', { match, action: { kind: 'drop_answer' }, times: 0 }, ['times']],
    ['faults', { match, action: { kind: 'drop_answer' }, probability: 1.5 }, ['probability']],
    ['faults', [{ match, action: { kind: 'drop_answer' } }, { match }], ['1.action']],
    ['accounts', { id: ALICE, statuss: 'OK' }, ['statuss']],
    ['accounts', { status: 'FINE' }, ['status']],
    ['accounts', [{ id: '' }], ['0.id']],
    ['people', { relation: 'connected' }, ['provider_id']],
    ['people', { provider_id: 'ada' }, ['provider_id']],
    ['messages', { account_id: ALICE, person_id: ADA, text: '' }, ['text']],
  ])('%s %j', async (route, json, fields) => {
    const sandbox = await sandboxForTest();
    const { status, body } = await call(sandbox, 'POST', `/_control/${route}`, { json });
    expect([status, body.type]).toEqual([400, 'errors/invalid_parameters']);
    expect(body.problems.map(({ field }: { field: string }) => field).sort()).toEqual([...fields].sort());
    for (const field of fields) expect(body.detail).toContain(field);
    expect(sandbox.world.faults()).toEqual([]);
    expect(sandbox.world.accounts()).toHaveLength(2);
  });

  it.each(['/_control/log?kind=fax', '/_control/log?since=-1', '/_control/log?foo=1'])('%s', async (path) => {
    const sandbox = await sandboxForTest();
    expect((await call(sandbox, 'GET', path)).status).toBe(400);
  });
});

it('answers this machine only', async () => {
  const { app, stop } = await buildServer();
  const status = async (remoteAddress: string) =>
    (await app.inject({ url: '/_control/health', remoteAddress })).statusCode;
  expect(
    await Promise.all(['127.0.0.1', '::1', '::ffff:127.0.0.1', '10.0.0.7', '127.evil'].map(status)),
  ).toEqual([200, 200, 200, 403, 403]);
  await stop();
});

it('closes at once, whatever hangs', async () => {
  const sandbox = await sandboxForTest();
  sandbox.world.addFaults([
    { match: { operation: 'send' }, action: { kind: 'hang', effect: true } },
    { match: { operation: 'read' }, action: { kind: 'latency', ms: 60_000 } },
  ]);
  const happened = new Promise<void>((resolve) => {
    sandbox.world.onNotifications(resolve);
  });
  const hanging = seeStartChat(sandbox);
  const waiting = see(sandbox, 'GET', '/api/v1/chats');
  await happened;
  await vi.waitFor(() => expect(sandbox.world.faults().map(({ hits }) => hits)).toEqual([1, 1]));
  await sandbox.close();
  expect([(await hanging).kind, (await waiting).kind]).toEqual(['failed', 'failed']);
});
