/** The world by itself: no HTTP, no real time, nothing left to chance. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Answer, createWorld, DeclarationError, type Fault, type World } from '../src/index.ts';
import { ADA, ALICE, BOB, createClock, GRACE, said } from './support.ts';

const DAY_MS = 86_400_000;

describe('the limit of 24 hours', () => {
  it.each([
    { limit_answer: 'cannot_resend_yet', status: 422 },
    { limit_answer: 'too_many_requests', status: 429 },
  ] as const)(
    'refuses with $status beyond it, rolls, and never has an effect',
    ({ limit_answer, status }) => {
      const clock = createClock();
      const accounts = [{ id: ALICE, messages_per_24h: 2, limit_answer }, { id: BOB }];
      const world = createWorld({ now: clock.now, accounts });
      const send = (from = ALICE) =>
        said(world.startChat({ accountId: from, attendeesIds: [ADA], text: 'Hi' }));
      expect(send().status).toBe(201);
      clock.advance(3_600_000);
      expect(send().status).toBe(201);
      expect(send()).toMatchObject({ status, body: { type: `errors/${limit_answer}` } });
      expect(send(BOB).status).toBe(201);
      clock.advance(DAY_MS - 3_600_000 - 1);
      expect(send().status).toBe(status);
      clock.advance(1);
      expect([send().status, send().status]).toEqual([201, status]);
      expect(world.effects({ account_id: ALICE })).toHaveLength(3);
    },
  );

  it('counts what the owner types on LinkedIn, and a limit of 0 refuses everything', () => {
    const world = createWorld({ accounts: [{ id: ALICE, messages_per_24h: 1 }] });
    world.receiveMessage({ account_id: ALICE, person_id: ADA, text: 'By hand', from: 'account' });
    const send = () => said(world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'Hi' })).status;
    expect(send()).toBe(422);
    world.declareAccount({ id: ALICE, messages_per_24h: null });
    expect(send()).toBe(201);
    world.declareAccount({ id: ALICE, messages_per_24h: 0 });
    expect(send()).toBe(422);
  });

  it('holds when answers are slow and writes overlap', () => {
    const accounts = [{ id: ALICE, messages_per_24h: 1 }];
    const world = createWorld({ accounts, latencyMs: { min: 500, max: 500 } });
    const both = ['a', 'b'].map((text) => world.startChat({ accountId: ALICE, attendeesIds: [ADA], text }));
    expect(both.map((exchange) => said(exchange).status)).toEqual([201, 422]);
    expect(world.effects().map(({ text }) => text)).toEqual(['a']);
  });
});

describe('an exchange', () => {
  it('has its effect once, however often it is finished', () => {
    const world = createWorld({ accounts: [{ id: ALICE }] });
    const exchange = world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'Hi' });
    expect(world.effects()).toEqual([]);
    expect(exchange.finish()).toBe(exchange.finish());
    expect(world.effects()).toHaveLength(1);
  });

  it('released, it is no longer in flight and still has its effect', () => {
    const world = createWorld({ accounts: [{ id: ALICE }] });
    const exchange = world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'Hi' });
    expect(world.concurrency()).toEqual([{ account_id: ALICE, current: 1, max: 1 }]);
    exchange.release();
    exchange.release();
    expect(world.concurrency()).toEqual([{ account_id: ALICE, current: 0, max: 1 }]);
    exchange.finish();
    expect(world.effects()).toHaveLength(1);
    expect(world.concurrency()).toEqual([{ account_id: ALICE, current: 0, max: 1 }]);
  });

  it('that hangs is in flight until the client gives up', () => {
    const action = { kind: 'hang', effect: false } as const;
    const faults: Fault[] = [{ match: { operation: 'send' }, action }];
    const world = createWorld({ accounts: [{ id: ALICE }], faults });
    const exchange = world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'Hi' });
    expect(exchange.finish()).toEqual({ kind: 'hang' });
    expect(world.concurrency()).toEqual([{ account_id: ALICE, current: 1, max: 1 }]);
    exchange.release();
    expect(world.concurrency()).toEqual([{ account_id: ALICE, current: 0, max: 1 }]);
  });

  it('effectAt start applies to every write', () => {
    const world = createWorld({
      accounts: [{ id: ALICE }],
      effectAt: 'start',
      latencyMs: { min: 9, max: 9 },
    });
    const exchange = world.createPost({ accountId: ALICE, text: 'Hi' });
    expect([exchange.delayMs, world.effects().length]).toEqual([9, 1]);
    expect(said(exchange).status).toBe(201);
    expect(world.effects()).toHaveLength(1);
  });
});

describe('bounds', () => {
  it('a full store refuses writes, with no effect, until it is reset', () => {
    const world = createWorld({ accounts: [{ id: ALICE }], storedMax: 2 });
    const send = () => said(world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'Hi' })).status;
    expect([send(), send()]).toEqual([201, 503]);
    expect(world.effects()).toHaveLength(1);
    world.reset();
    expect(send()).toBe(201);
  });

  it('notifications nobody takes are dropped and counted', () => {
    const world = createWorld({ accounts: [{ id: ALICE }] });
    for (let count = 0; count < 10_001; count += 1) {
      world.setAccountStatus(ALICE, count % 2 === 0 ? 'ERROR' : 'STOPPED');
    }
    expect(world.notificationsDroppedCount()).toBe(1);
    expect(world.takeDueNotifications()).toHaveLength(10_000);
  });

  it('more than 1,000 faults are refused, and so is a bad declaration', () => {
    const fault: Fault = { match: { operation: 'send' }, action: { kind: 'drop_answer' } };
    const world = createWorld();
    world.addFaults(Array(1_000).fill(fault));
    expect(() => world.addFaults([fault])).toThrow(DeclarationError);
    expect(() => world.declareAccount({ id: '' })).toThrow('id must');
    expect(() => createWorld({ accounts: [{ provider_id: 'me' }] })).toThrow('accounts.provider_id');
  });
});

describe('notifications', () => {
  it('say when the next is due, and come once', () => {
    const clock = createClock();
    const world = createWorld({ now: clock.now, accounts: [{ id: ALICE }], visibilityDelayMs: 2_000 });
    world.startChat({ accountId: ALICE, attendeesIds: [ADA], text: 'Hi' }).finish();
    expect(world.takeDueNotifications()).toEqual([]);
    expect(world.nextNotificationAt()?.toISOString()).toBe('2026-03-02T09:00:02.000Z');
    clock.advance(2_000);
    expect(world.takeDueNotifications()).toMatchObject([{ event: 'message_received', accountId: ALICE }]);
    expect([world.takeDueNotifications(), world.nextNotificationAt()]).toEqual([[], null]);
  });

  it('of a frozen account have no time yet', () => {
    // The clock stands still: it arrives in the very instant the account froze.
    const accounts = [{ id: ALICE, status: 'CREDENTIALS' as const }];
    const world = createWorld({ now: createClock().now, accounts });
    world.receiveMessage({ account_id: ALICE, person_id: ADA, text: 'Hi' });
    expect([world.takeDueNotifications(), world.nextNotificationAt()]).toEqual([[], null]);
    world.setAccountStatus(ALICE, 'OK');
    expect(world.takeDueNotifications().map(({ event }) => event)).toEqual([
      'reconnected',
      'ok',
      'message_received',
    ]);
  });
});

describe('ids', () => {
  it('never collide, even when chance is constant', () => {
    const world = createWorld({ random: () => 0, accounts: [{ id: ALICE }] });
    const ids = new Set<string>();
    for (let count = 0; count < 2_000; count += 1) {
      const to = `ACoAA${count}`;
      const { body } = said(world.startChat({ accountId: ALICE, attendeesIds: [to], text: 'Hi' }));
      ids.add(body.chat_id).add(body.message_id);
      ids.add(said(world.createPost({ accountId: ALICE, text: 'Hi' })).body.post_id);
    }
    expect(ids.size).toBe(6_000);
    // Some begin with a dash, as the real ones do.
    expect([...ids].some((id) => id.startsWith('-'))).toBe(true);
  });
});

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const step = fc.oneof(
  fc.record({
    do: fc.constant('send' as const),
    from: fc.constantFrom(ALICE, BOB),
    to: fc.constantFrom(ADA, GRACE, 'slug'),
  }),
  fc.record({ do: fc.constant('post' as const), from: fc.constantFrom(ALICE, BOB) }),
  fc.record({
    do: fc.constant('status' as const),
    of: fc.constantFrom(ALICE, BOB),
    to: fc.constantFrom('OK' as const, 'CREDENTIALS' as const),
  }),
  fc.record({ do: fc.constant('reply' as const), from: fc.constantFrom(ADA, GRACE) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: DAY_MS }) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const FAULTS: Fault[] = [
  { match: { operation: 'send' }, action: { kind: 'drop_answer' }, probability: 0.2, times: null },
  {
    match: { operation: 'any' },
    action: { kind: 'status', status: 504, type: 'errors/request_timeout', effect: true },
    probability: 0.1,
    times: null,
  },
  { match: { operation: 'send' }, action: { kind: 'latency', min_ms: 1, max_ms: 9_000 }, times: null },
];

function run(steps: readonly Step[], seed: number): { world: World; answers: Answer[]; delays: number[] } {
  const clock = createClock();
  const world = createWorld({
    now: clock.now,
    random: randomFrom(seed),
    accounts: [{ id: ALICE, messages_per_24h: 5 }, { id: BOB }],
    faults: FAULTS,
    visibilityDelayMs: 1_000,
  });
  const answers: Answer[] = [];
  const delays: number[] = [];
  for (const [index, taken] of steps.entries()) {
    if (taken.do === 'wait') clock.advance(taken.ms);
    else if (taken.do === 'status') world.setAccountStatus(taken.of, taken.to);
    else if (taken.do === 'reply') {
      world.receiveMessage({ account_id: ALICE, person_id: taken.from, text: `Reply ${index}` });
    } else {
      const text = `Text ${index}`;
      const exchange =
        taken.do === 'send'
          ? world.startChat({ accountId: taken.from, attendeesIds: [taken.to], text })
          : world.createPost({ accountId: taken.from, text });
      delays.push(exchange.delayMs);
      clock.advance(exchange.delayMs);
      answers.push(exchange.finish());
    }
    answers.push(world.listMessages().finish());
  }
  return { world, answers, delays };
}

describe('given the same clock and chance', () => {
  it('the world is the same, to the last byte', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer(), (steps, seed) => {
        const [one, two] = [run(steps, seed), run(steps, seed)];
        expect(two.answers).toEqual(one.answers);
        expect(two.delays).toEqual(one.delays);
        expect(two.world.effects()).toEqual(one.world.effects());
        expect(two.world.takeDueNotifications()).toEqual(one.world.takeDueNotifications());
      }),
      { numRuns: 50 },
    );
  });

  it('whatever happens: no refusal has an effect, no limit is passed, every success is in the log', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer(), (steps, seed) => {
        const { world, answers } = run(steps, seed);
        const effects = world.effects();
        expect(new Set(effects.map(({ text }) => text)).size).toBe(effects.length);
        const created = answers.filter((answer) => answer.kind === 'reply' && answer.status === 201);
        expect(effects.length).toBeGreaterThanOrEqual(created.length);
        const sent = world.effects({ account_id: ALICE, kind: 'message' }).map(({ at }) => Date.parse(at));
        for (const end of sent) {
          expect(sent.filter((at) => at > end - DAY_MS && at <= end).length).toBeLessThanOrEqual(5);
        }
      }),
      { numRuns: 50 },
    );
  });
});
