/**
 * One order of locks: whatever touches several accounts at once takes them in the same order, so
 * that no two of them wait for each other, in whichever order their callers name them.
 *
 * One row is held by somebody else. Two steps run into it, each with what it has locked so far;
 * then it is let go.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pidOf } from '../support/blocked.ts';
import { act, after, at, claim, LEASE_MS, message, openAccount } from '../support/builders.ts';
import { type Clock, openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';
import { findContradictions } from '../support/ledger.ts';
import { answerOf, openStageSessions, type Step, untilItWaits } from '../support/orders.ts';
import { actOnPosts, claimPosts, insertPost, POST_LEASE_MS, postingAccount } from '../support/posts.ts';

/** Two accounts, each with a thing whose call is under way and one that waits. */
interface Two {
  readonly attempts: readonly string[];
  readonly underWay: readonly string[];
  readonly waiting: readonly string[];
}
type TwoStep = Step<Two>;

const NOW = at('2026-03-02T10:00:00Z');
const clock: Clock = { now: NOW };
let database: SharedDatabase;
let sessions: Session[];

beforeAll(async () => {
  database = await openSharedDatabase();
  sessions = await openStageSessions(() => database.openSession(clock));
});
afterAll(() => database?.close());

const RESULT = {
  outcome: 'not_sent',
  next_step: 'retry',
  reason: 'unreachable',
  retry_after_ms: 1_000,
} as const;

/** A step that names two things, and the same step that names them the other way round. */
const bothWays = (
  name: string,
  run: (session: Session, ids: (pair: readonly string[]) => readonly string[], two: Two) => Promise<unknown>,
): TwoStep[] => [
  { name, run: (session, two) => run(session, (pair) => pair, two) },
  { name: `${name}, backwards`, run: (session, two) => run(session, (pair) => pair.toReversed(), two) },
];

const resultsOf = (attempts: readonly string[]) => attempts.map((attempt_id) => ({ attempt_id, ...RESULT }));
const looksOf = (attempts: readonly string[]) =>
  attempts.map((attempt_id) => ({ attempt_id, found: 'absent' }));

const KINDS = [
  {
    kind: 'messages',
    async make(session: Session): Promise<Two> {
      await session.reset();
      const accounts = [await openAccount(session, 1), await openAccount(session, 2)];
      const queued = await session.dm.enqueue(accounts.flatMap((id) => [message(id), message(id)]));
      const claimed = await claim(session);
      const underWay = claimed.map(({ message_id }) => message_id);
      const waiting = queued.messages.map(({ id }) => id).filter((id) => !underWay.includes(id));
      clock.now = after(NOW, LEASE_MS);
      return { attempts: claimed.map(({ attempt_id }) => attempt_id), underWay, waiting };
    },
    steps: [
      ...bothWays('record', (session, ids, { attempts }) => session.dm.record(resultsOf(ids(attempts)))),
      ...bothWays('resolve', (session, ids, { attempts }) =>
        session.rpc.call('dm_resolve', { results: looksOf(ids(attempts)), policy: 'hold' }),
      ),
      ...bothWays('reschedule', (session, ids, { waiting }) =>
        act(session, 'reschedule', ids(waiting), { send_at: NOW.toISOString() }),
      ),
      ...bothWays('enqueue', (session, ids) =>
        session.dm.enqueue(ids([ACCOUNTS[0], ACCOUNTS[1]]).map((id) => message(id))),
      ),
      { name: 'recover', run: (session) => session.rpc.call('dm_recover') },
      { name: 'claim', run: (session) => claim(session) },
    ] satisfies TwoStep[],
    rows: {
      'an account': () => `account_policies where account_id = '${ACCOUNTS[1]}'`,
      'a message under way': ({ underWay }: Two) => `dm_queue where id = '${underWay[1]}'`,
      'a message that waits': ({ waiting }: Two) => `dm_queue where id = '${waiting[0]}'`,
    },
  },
  {
    kind: 'posts',
    async make(session: Session): Promise<Two> {
      await session.reset();
      const accounts = [await postingAccount(session, 1), await postingAccount(session, 2)];
      for (const linkedin_account_id of [...accounts, ...accounts])
        await insertPost(session, { linkedin_account_id });
      const claimed = await claimPosts(session);
      const underWay = claimed.map(({ post_id }) => post_id);
      const rows = await session.query('select id from posts where id <> all ($1) order by id', [underWay]);
      clock.now = after(NOW, POST_LEASE_MS);
      return {
        attempts: claimed.map(({ attempt_id }) => attempt_id),
        underWay,
        waiting: rows.map(({ id }) => String(id)),
      };
    },
    steps: [
      ...bothWays('record', (session, ids, { attempts }) =>
        session.rpc.call('post_record', { results: resultsOf(ids(attempts)) }),
      ),
      ...bothWays('resolve', (session, ids, { attempts }) =>
        session.rpc.call('post_resolve', { results: looksOf(ids(attempts)), policy: 'hold' }),
      ),
      ...bothWays('publish now', (session, ids, { waiting }) =>
        actOnPosts(session, 'publish_now', ids(waiting)),
      ),
      ...bothWays('enqueue messages', (session, ids) =>
        session.dm.enqueue(ids([ACCOUNTS[0], ACCOUNTS[1]]).map((id) => message(id))),
      ),
      { name: 'recover', run: (session) => session.rpc.call('post_recover') },
      { name: 'claim', run: (session) => claimPosts(session) },
    ] satisfies TwoStep[],
    rows: {
      'an account': () => `account_policies where account_id = '${ACCOUNTS[1]}'`,
      'a publication under way': ({ underWay }: Two) => `post_publications where post_id = '${underWay[1]}'`,
      'a post that waits': ({ waiting }: Two) => `posts where id = '${waiting[0]}'`,
    },
  },
] as const;

const ACCOUNTS = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'] as const;

/** What two steps answered that ran into a held row. */
async function runInto(
  make: (session: Session) => Promise<Two>,
  rowOf: (two: Two) => string,
  steps: readonly TwoStep[],
) {
  const [holder, ann, bob, watcher] = sessions as [Session, Session, Session, Session];
  for (const session of sessions) await pidOf(session);
  clock.now = NOW;
  const two = await make(holder);
  await holder.query('begin', []);
  await holder.query(`select from ${rowOf(two)} for update`, []);
  const running: Promise<unknown>[] = [];
  for (const [index, step] of steps.entries()) {
    const session = index === 0 ? ann : bob;
    let isDone = false;
    running.push(
      answerOf(step, session, two).then((answer) => {
        isDone = true;
        return answer;
      }),
    );
    await untilItWaits(session, watcher, () => isDone);
  }
  await holder.query('commit', []);
  return { answers: await Promise.all(running), wrongs: await findContradictions(holder.query, clock.now) };
}

describe.each(KINDS)('of $kind', ({ make, steps, rows }) => {
  it.each(Object.entries(rows))('when somebody holds %s', async (_, rowOf) => {
    const wrong: string[] = [];
    for (const first of steps.filter(({ name }) => !name.endsWith('backwards'))) {
      for (const second of steps) {
        const { answers, wrongs } = await runInto(make, rowOf, [first, second]);
        const thrown = answers.filter((answer) => answer instanceof Object && 'threw' in answer);
        for (const line of [...thrown.map((answer) => JSON.stringify(answer)), ...wrongs]) {
          wrong.push(`${first.name} ‖ ${second.name}: ${line}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});
