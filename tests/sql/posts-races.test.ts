/**
 * Several sessions at once, on a real Postgres: posts, messages and RevOS itself. Nothing waits for
 * a clock.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pidOf, untilBlocked } from '../support/blocked.ts';
import { accountId, after, at, claim, LEASE_MS, queue } from '../support/builders.ts';
import { type Clock, openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';
import {
  actOnPosts,
  attemptsOf,
  claimPost,
  claimPosts,
  insertPost,
  look,
  POST_LEASE_MS,
  postingAccount,
  publicationOf,
  recordPost,
  revosReads,
  SENT,
} from '../support/posts.ts';

const NOW = at('2026-03-02T10:00:00Z');
const SESSIONS = 12;
const clock: Clock = { now: NOW };
let database: SharedDatabase;
let sessions: Session[];
let ann: Session;
let bob: Session;

beforeAll(async () => {
  database = await openSharedDatabase();
  sessions = [];
  for (let count = 0; count < SESSIONS; count += 1) sessions.push(await database.openSession(clock));
  [ann, bob] = sessions as [Session, Session];
});
afterAll(() => database?.close());
beforeEach(async () => {
  clock.now = NOW;
  for (const session of [ann, bob]) {
    await session.query('rollback', []);
    await session.query('reset statement_timeout', []);
  }
  await ann.reset();
});

/** A claim that waited for somebody would be cut off here. */
const mustNotWait = (session: Session) => session.query(`set statement_timeout = '10s'`, []);

it('a table that is locked for a moment is waited for: a vacuum gives its last pages back', async () => {
  await insertPost(ann, { linkedin_account_id: await postingAccount(ann, 1), scheduled_for: NOW });
  const pid = await pidOf(bob);
  await ann.asOwner('begin', []);
  await ann.asOwner('lock table posts in access exclusive mode', []);
  const claiming = claimPosts(bob);
  // For longer than post_make_missing would.
  await Promise.race([claiming, untilBlocked(sessions[2] as Session, pid, 20)]);
  await ann.asOwner('rollback', []);
  expect(await claiming).toHaveLength(1);
});

describe('posts that RevOS is writing', () => {
  it('hold up no other account, however few slots there are', async () => {
    for (const n of [1, 2, 3]) {
      const account = await postingAccount(ann, n);
      await insertPost(ann, { linkedin_account_id: account, scheduled_for: after(NOW, -n * 1_000) });
    }
    await ann.query('begin', []);
    await ann.query('select from posts where linkedin_account_id <> $1 for update', [accountId(1)]);
    await mustNotWait(bob);
    const claimed = await claimPosts(bob, { limit: 1 });
    expect(claimed.map((one) => one.account_id)).toEqual([accountId(1)]);
    await ann.query('rollback', []);
  });
});

describe('posts that are claimed at once', () => {
  it('by 12 sessions, each goes to one of them, one an account', async () => {
    for (let n = 1; n <= 15; n += 1) {
      const account = await postingAccount(ann, n);
      for (let count = 0; count < 3; count += 1) await insertPost(ann, { linkedin_account_id: account });
    }
    const claimed = (await Promise.all(sessions.map((session) => claimPosts(session, { limit: 4 })))).flat();
    const all = [...claimed, ...(await claimPosts(ann, { limit: 100 }))];
    expect(new Set(all.map((one) => one.post_id)).size).toBe(all.length);
    expect(all.map((one) => one.account_id).sort()).toEqual(
      Array.from({ length: 15 }, (_, n) => accountId(n + 1)),
    );
  });

  it('one post whose account RevOS changes between two claims goes once', async () => {
    const [first, second] = [await postingAccount(ann, 1), await postingAccount(ann, 2)];
    const id = await insertPost(ann, { linkedin_account_id: first });
    await ann.query('begin', []);
    const claimed = await claimPosts(ann);
    // RevOS waits for the claim, whose row it wants; it goes on as soon as that has ended.
    const moved = bob.query('update posts set linkedin_account_id = $2 where id = $1', [id, second]);
    const others = await Promise.all(sessions.slice(2).map((session) => claimPosts(session)));
    await ann.query('commit', []);
    await moved;
    others.push(...(await Promise.all(sessions.map((session) => claimPosts(session)))));
    expect([...claimed, ...others.flat()]).toHaveLength(1);
    expect(await attemptsOf(ann, id)).toHaveLength(1);
  });

  it('and messages of the same account: one call is in flight, whichever it is', async () => {
    for (let n = 1; n <= 8; n += 1) {
      const account = await postingAccount(ann, n);
      await insertPost(ann, { linkedin_account_id: account });
      await queue(ann, account, 3);
    }
    const results = await Promise.all(
      sessions.map((session, index) =>
        index % 2 === 0 ? claimPosts(session, { limit: 5 }) : claim(session, { limit: 5 }),
      ),
    );
    const accounts = results.flat().map((one) => one.account_id);
    expect(new Set(accounts).size).toBe(accounts.length);
    const open = await ann.query(
      `select account_id from dm_attempts where finished_at is null
       union all select account_id from post_attempts where finished_at is null`,
      [],
    );
    expect(open).toHaveLength(accounts.length);
    expect(new Set(open.map((row) => row.account_id)).size).toBe(open.length);
  });
});

describe('a claim waits for nobody', () => {
  it('not for an account that another session is at', async () => {
    for (const n of [1, 2]) await insertPost(ann, { linkedin_account_id: await postingAccount(ann, n) });
    await mustNotWait(ann);
    await bob.query('begin', []);
    await bob.query('select from account_policies where account_id = $1 for update', [accountId(1)]);
    expect((await claimPosts(ann)).map((one) => one.account_id)).toEqual([accountId(2)]);
    await bob.query('rollback', []);
    expect((await claimPosts(ann)).map((one) => one.account_id)).toEqual([accountId(1)]);
  });

  it('not for a post that RevOS is writing; it goes once that has ended, as it then is', async () => {
    const id = await insertPost(ann, { linkedin_account_id: await postingAccount(ann, 1) });
    const other = await insertPost(ann, { linkedin_account_id: await postingAccount(ann, 2) });
    await look(ann);
    await mustNotWait(ann);
    await bob.query('begin', []);
    await bob.query(`update posts set content = 'New' where id = $1`, [id]);
    expect((await claimPosts(ann)).map((one) => one.post_id)).toEqual([other]);
    await bob.query('commit', []);
    expect(await claimPost(ann)).toMatchObject({ post_id: id, text: 'New' });
  });

  it('not for RevOS, which queues the first message of an account as the first post of it is due', async () => {
    await ann.query(
      `insert into linkedin_accounts (id, account_name, unipile_account_id) values ($1::uuid, $1::text, $1::text)`,
      [accountId(1)],
    );
    const id = await insertPost(ann, { linkedin_account_id: accountId(1) });
    const other = await insertPost(ann, { linkedin_account_id: await postingAccount(ann, 2) });
    await mustNotWait(ann);
    await bob.query('begin', []);
    await queue(bob, accountId(1));
    expect((await claimPosts(ann)).map((one) => one.post_id)).toEqual([other]);
    await bob.query('commit', []);
    expect((await claimPosts(ann)).map((one) => one.post_id)).toEqual([id]);
  });

  it('not for a new post that a person’s action is at, and the other accounts’ new posts go meanwhile', async () => {
    const id = await insertPost(ann, { linkedin_account_id: await postingAccount(ann, 1) });
    const other = await insertPost(ann, { linkedin_account_id: await postingAccount(ann, 2) });
    await mustNotWait(ann);
    await bob.query('begin', []);
    await actOnPosts(bob, 'publish_now', [id]);
    expect((await claimPosts(ann)).map((one) => one.post_id)).toEqual([other]);
    await bob.query('commit', []);
    expect((await claimPosts(ann)).map((one) => one.post_id)).toEqual([id]);
  });

  it('not for a lost post that another session is at; it is recovered afterwards', async () => {
    const id = await insertPost(ann, { linkedin_account_id: await postingAccount(ann, 1) });
    await claimPost(ann);
    clock.now = after(NOW, POST_LEASE_MS);
    await mustNotWait(ann);
    await bob.query('begin', []);
    await bob.query('select from post_publications where post_id = $1 for update', [id]);
    expect(await claimPosts(ann)).toEqual([]);
    expect(await publicationOf(ann, id)).toMatchObject({ state: 'publishing' });
    await bob.query('rollback', []);
    await look(ann);
    expect(await publicationOf(ann, id)).toMatchObject({ state: 'unknown' });
  });
});

describe('an answer that comes while the lease is being recovered', () => {
  it('is recorded by one of the two, and a `sent` wins', async () => {
    for (let round = 0; round < 10; round += 1) {
      clock.now = NOW;
      await ann.reset();
      const id = await insertPost(ann, { linkedin_account_id: await postingAccount(ann, 1) });
      const claimed = await claimPost(ann);
      clock.now = after(NOW, POST_LEASE_MS + LEASE_MS);
      await Promise.all([
        recordPost(ann, claimed, SENT),
        ...sessions.slice(1).map((session) => claimPosts(session)),
      ]);
      expect(await publicationOf(ann, id)).toMatchObject({ state: 'published' });
      expect(await revosReads(ann, id)).toMatchObject({ status: 'published', unipile_post_id: 'p1' });
      expect(await attemptsOf(ann, id)).toMatchObject([{ outcome: 'sent' }]);
    }
  });

  it('results, actions and claims in any order do not deadlock', async () => {
    const ids: string[] = [];
    for (let n = 1; n <= 10; n += 1) {
      ids.push(await insertPost(ann, { linkedin_account_id: await postingAccount(ann, n) }));
    }
    const claimed = await claimPosts(ann);
    const results = claimed.map(({ attempt_id }, n) => ({ attempt_id, ...SENT, unipile_post_id: `p${n}` }));
    const act = (session: Session, action: string, of: readonly string[]) =>
      session.rpc.call('post_act', { action, selection: { ids: of }, args: {}, dry_run: false });
    await Promise.all(
      sessions.map((session, n) => {
        if (n % 3 === 0)
          return session.rpc.call('post_record', { results: n % 2 ? results : results.toReversed() });
        if (n % 3 === 1) return act(session, 'publish_now', n % 2 ? ids : ids.toReversed());
        return claimPosts(session);
      }),
    );
    const states = await ann.query('select distinct state from post_publications', []);
    expect(states).toEqual([{ state: 'published' }]);
  });
});
