/** What post_states says of a post at once is what the functions say that are asked of one post alone. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { accountId, at } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { insertPost, LATE_LIMIT_MINUTES, postingAccount } from '../support/posts.ts';

const NOW = at('2026-03-02T10:00:00Z');
let session: Session;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(() => session.reset());

const statesOf = (answer: string): Promise<readonly Record<string, unknown>[]> =>
  session.query(
    `select ${answer} as alone, states.state, states.stored_reason
     from public.post_states(null, null, $1, $2, $1) as states order by states.post_id`,
    [NOW.toISOString(), LATE_LIMIT_MINUTES],
  );

/** Null: still in flight, of which an account has one at most. */
const OUTCOMES = ['sent', 'not_sent', 'unknown', null] as const;
type Outcome = (typeof OUTCOMES)[number];

const upToThree = (): Outcome[][] => {
  const longer = (lists: readonly Outcome[][]): Outcome[][] =>
    lists.flatMap((list) => OUTCOMES.map((outcome) => [...list, outcome]));
  const [ones, twos] = [longer([[]]), longer(longer([[]]))];
  return [[], ...ones, ...twos, ...longer(twos)].filter(
    (list) => list.filter((outcome) => outcome === null).length <= 1,
  );
};

it('of a post whose attempts say where it is', async () => {
  for (const [index, outcomes] of upToThree().entries()) {
    const account = await postingAccount(session, index + 1);
    const post = await insertPost(session, { linkedin_account_id: account });
    for (const outcome of outcomes) {
      await session.query(
        `insert into post_attempts (post_id, account_id, claim_id, worker, started_at, lease_until, finished_at, outcome, effect_by, text, mentions)
         values ($1, $2, gen_random_uuid(), 'worker-1', $3, $3, case when $4::text is not null then $3::timestamptz end, $4, $3, 'Hello', '[]')`,
        [post, account, NOW.toISOString(), outcome],
      );
    }
  }
  const rows = await statesOf('public.post_ledger_state(states.post_id)');
  expect(rows).toHaveLength(upToThree().length);
  for (const { alone, state } of rows) expect(state).toBe(alone ?? 'waiting');
  expect(new Set(rows.map(({ state }) => state))).toEqual(
    new Set(['waiting', 'publishing', 'unknown', 'published']),
  );
});

it('of a post whose account stands in its way', async () => {
  // RevOS's tables are its own: one without this key is possible.
  await session.asOwner('alter table posts drop constraint posts_linkedin_account_id_fkey', []);
  const missing = accountId(99);
  const accounts: (string | null)[] = [null, missing];
  for (const [index, [status, unipileId]] of [
    ['active', 'u1'],
    ['active', null],
    ['expired', 'u2'],
    ['expired', null],
    [null, 'u3'],
  ].entries()) {
    const account = await postingAccount(session, index + 1);
    await session.query('update linkedin_accounts set status = $2, unipile_account_id = $3 where id = $1', [
      account,
      status,
      unipileId,
    ]);
    accounts.push(account);
  }
  for (const account of accounts) await insertPost(session, { linkedin_account_id: account });
  const rows = await statesOf('public.post_account_problem(states.account_id)');
  expect(rows).toHaveLength(accounts.length);
  for (const { alone, state, stored_reason } of rows) {
    expect({ state, stored_reason }).toEqual({
      state: alone === null ? 'waiting' : 'held',
      stored_reason: alone,
    });
  }
  expect(new Set(rows.map(({ alone }) => alone))).toEqual(
    new Set([null, 'post_without_account', 'account_missing', 'account_inactive', 'account_not_connected']),
  );
});
