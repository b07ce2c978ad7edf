/** Posts, and a message beside them: everything that can happen at once ends as it does in some order. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clock, openSharedDatabase, type SharedDatabase } from '../support/database.ts';
import { findContradictions } from '../support/ledger.ts';
import { createOrders, openStageSessions, permutations, type Stage } from '../support/orders.ts';
import { readPosts, SITUATIONS, sleepers } from './post-situations.ts';

const THREE = [
  ['posts wait', ['claim', 'claim messages', 'cancel first']],
  ['posts wait', ['set options of second', 'claim', 'RevOS unschedules first']],
  ['a call is under way', ['record sent', 'RevOS unschedules first', 'claim messages']],
  ['the lease of a call is over', ['record sent', 'recover', 'claim messages']],
  ['a post may have been published', ['resolve absent', 'settle sent first', 'record late sent']],
  ['a post may have been published', ['settle resend first', 'resolve sent', 'claim']],
  ['a post may have been published', ['record late sent', 'settle drop first', 'resolve absent']],
  ['a second try is under way', ['record late sent', 'recover', 'record unknown of the second']],
  ['a post has failed', ['retry first', 'record late sent', 'claim']],
] as const;

const clock: Clock = { now: new Date(0) };
let databases: SharedDatabase[];
let stage: Stage;

beforeAll(async () => {
  databases = [await openSharedDatabase(), await openSharedDatabase()];
  const [shared, own] = databases as [SharedDatabase, SharedDatabase];
  stage = {
    sessions: await openStageSessions(() => shared.openSession(clock)),
    serial: await own.openSession({ now: new Date(0) }),
    read: readPosts,
    wrongs: async (session) => [
      ...(await findContradictions(session.query, clock.now)),
      ...(await sleepers(session)),
    ],
  };
});
afterAll(() => Promise.all((databases ?? []).map((database) => database.close())));

describe.each(SITUATIONS)('when $name', (situation) => {
  let tryOut: ReturnType<typeof createOrders>;
  beforeAll(() => {
    tryOut = createOrders(stage, situation);
  });

  it.each(situation.steps)('$name, held, and any other', async (held) => {
    const wrong: string[] = [];
    for (const other of situation.steps) {
      const second = other === held ? { ...other, name: `${other.name} again` } : other;
      wrong.push(...(await tryOut([held, second])));
    }
    expect(wrong).toEqual([]);
  });
});

describe('three at a time', () => {
  it.each(THREE)('when %s: %j', async (where, names) => {
    const situation = SITUATIONS.find(({ name }) => name === where);
    const steps = names.flatMap((name) => situation?.steps.filter((step) => step.name === name) ?? []);
    if (!situation || steps.length !== names.length) throw new Error('no such situation, or step');
    const tryOut = createOrders(stage, situation);
    const wrong: string[] = [];
    for (const order of permutations(steps)) wrong.push(...(await tryOut(order)));
    expect(wrong).toEqual([]);
  });
});
