/** Which requests a fault strikes, how often, and in what order. */
import { describe, expect, it } from 'vitest';
import { createWorld, type Fault, type Match, type World } from '../src/index.ts';
import { ADA, ALICE, BOB, GRACE, said } from './support.ts';

const REFUSE = { kind: 'status', status: 500, type: 'errors/unexpected_error', effect: false } as const;

function worldWith(faults: Fault[], random: () => number = () => 0.5): World {
  return createWorld({ accounts: [{ id: ALICE }, { id: BOB }], faults, random });
}

function send(world: World, text = 'Hi', to = ADA, from = ALICE): number {
  return said(world.startChat({ accountId: from, attendeesIds: [to], text })).status;
}

describe('match', () => {
  it.each<{ match: Match; struck: number[] }>([
    { match: { operation: 'send' }, struck: [500, 500, 500, 500, 201, 200] },
    { match: { operation: 'start_chat' }, struck: [500, 500, 500, 201, 201, 200] },
    { match: { operation: 'send_message' }, struck: [201, 201, 201, 500, 201, 200] },
    { match: { operation: 'create_post' }, struck: [201, 201, 201, 201, 500, 200] },
    { match: { operation: 'read' }, struck: [201, 201, 201, 201, 201, 500] },
    { match: { operation: 'any' }, struck: [500, 500, 500, 500, 500, 500] },
    { match: { operation: 'any', account_id: BOB }, struck: [201, 500, 201, 201, 201, 200] },
    { match: { operation: 'send', recipient_id: GRACE }, struck: [201, 201, 500, 201, 201, 200] },
    { match: { operation: 'send', recipient_id: ADA }, struck: [500, 500, 201, 500, 201, 200] },
    { match: { operation: 'any', text_contains: 'later' }, struck: [201, 201, 201, 500, 201, 200] },
  ])('$match', ({ match, struck }) => {
    const world = worldWith([]);
    const { body } = said(world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'First' }));
    world.addFaults([{ match, action: REFUSE, times: null }]);
    expect([
      send(world),
      send(world, 'Hi', ADA, BOB),
      send(world, 'Hi', GRACE),
      said(world.sendMessage({ chatId: body.chat_id, text: 'A later one' })).status,
      said(world.createPost({ accountId: ALICE, text: 'Post' })).status,
      said(world.getChat(body.chat_id)).status,
    ]).toEqual(struck);
  });
});

describe('how often', () => {
  it.each([
    { name: 'once by default', fault: {}, struck: [500, 201, 201, 201] },
    { name: 'times', fault: { times: 2 }, struck: [500, 500, 201, 201] },
    { name: 'always', fault: { times: null }, struck: [500, 500, 500, 500] },
    { name: 'skip', fault: { skip: 2 }, struck: [201, 201, 500, 201] },
    { name: 'skip, then times', fault: { skip: 1, times: 2 }, struck: [201, 500, 500, 201] },
  ])('$name', ({ fault, struck }) => {
    const world = worldWith([{ match: { operation: 'send' }, action: REFUSE, ...fault }]);
    expect(struck.map(() => send(world))).toEqual(struck);
  });

  it('probability draws from the injected source, and only then', () => {
    const draws = [0.49, 0.5, 0.51, 0.1];
    let isCounting = false;
    const world = worldWith([], () => (isCounting ? (draws.shift() ?? 0) : 0));
    isCounting = true;
    expect(send(world)).toBe(201);
    expect(draws).toHaveLength(4);
    world.addFaults([{ match: { operation: 'send' }, action: REFUSE, times: null, probability: 0.5 }]);
    expect([send(world), send(world), send(world), send(world)]).toEqual([500, 201, 201, 500]);
  });
});

describe('several', () => {
  it('the first that decides the answer strikes; the second waits for its turn', () => {
    const second = { ...REFUSE, status: 503 } as const;
    const world = worldWith([
      { match: { operation: 'send' }, action: REFUSE },
      { match: { operation: 'send' }, action: second },
    ]);
    expect([send(world), send(world), send(world)]).toEqual([500, 503, 201]);
  });

  it('latency and late visibility combine with a lost answer', () => {
    const world = worldWith([
      { match: { operation: 'send' }, action: { kind: 'latency', ms: 700 } },
      { match: { operation: 'send' }, action: { kind: 'late_visibility', ms: 1_000 } },
      { match: { operation: 'send' }, action: { kind: 'drop_answer' } },
    ]);
    const exchange = world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'Hi' });
    expect(exchange.delayMs).toBe(700);
    expect(exchange.finish()).toEqual({ kind: 'closed' });
    expect(world.effects()).toHaveLength(1);
    expect(said(world.listChats()).body.items).toEqual([]);
  });

  it('reports what each has done, and clears', () => {
    const world = worldWith([]);
    const [id] = world.addFaults([{ match: { operation: 'send' }, action: REFUSE, skip: 1 }]);
    send(world);
    send(world);
    send(world);
    expect(world.faults()).toMatchObject([{ id, matched: 2, hits: 1, action: REFUSE }]);
    world.clearFaults();
    expect(world.faults()).toEqual([]);
  });
});
