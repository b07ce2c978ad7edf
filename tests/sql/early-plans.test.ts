/**
 * A session keeps its plans, and makes them when it is first asked: on the day of a launch, with an
 * empty ledger. What it reads for a message must not grow with the ledger or the queue all the
 * same, until somebody analyses the tables.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';

const NOW = new Date('2026-03-02T10:00:00Z');
const ACCOUNTS = 40;
const BATCH = 20;
/** Of a session, until Postgres makes no plan for its values any more; and a few. */
const ROUNDS_EARLY = 8;
/** Long past, of accounts of their own. */
const HISTORY = 50_000;

let database: SharedDatabase;
let session: Session;
let queued = 0;

beforeEach(async () => {
  database = await openSharedDatabase();
  session = await database.openSession({ now: NOW });
  // Nobody comes by meanwhile.
  await session.asOwner('alter table dm_attempts set (autovacuum_enabled = false)', []);
  await session.asOwner('alter table dm_queue set (autovacuum_enabled = false)', []);
});
afterEach(() => database.close());

/** Accounts that may always send, with so many messages each. */
async function open(name: string, accounts: number, messages: number): Promise<void> {
  await session.asOwner(
    `with account as (
       insert into linkedin_accounts (account_name, unipile_account_id)
       select $1 || ' ' || n, $1 || '-' || n from generate_series(1, $2::integer) as n returning id
     )
     insert into dm_queue (linkedin_account_id, recipient_id, message, send_at)
     select account.id, 'ACoAA' || n, 'Hello', $4::timestamptz - interval '1 hour'
     from account cross join generate_series(1, $3::integer) as n`,
    [name, accounts, messages, NOW],
  );
  await session.asOwner(
    `update account_policies set window_start = '00:00', window_end = '24:00', gap_min_s = 0, gap_max_s = 0,
       dms_per_day = 50, next_claim_at = '-infinity'`,
    [],
  );
}

interface Round {
  readonly claimed: number;
  readonly enqueue: number;
  readonly claim: number;
  readonly record: number;
}

/** The blocks that queueing one more message, a claim and a record of its answers go through. */
async function blocksOfRound(limit = BATCH): Promise<Round> {
  const [early] = await session.query(
    'select linkedin_account_id from dm_queue order by position limit 1',
    [],
  );
  queued += 1;
  const message = {
    linkedin_account_id: early?.linkedin_account_id,
    recipient_id: `ACoAB${queued}`,
    message: 'Hello',
  };
  const enqueue = await blocksOf('select dm_enqueue($1::jsonb, null, $2)', [JSON.stringify([message]), NOW]);
  const claim = await blocksOf('select dm_claim($1, $2, 120000, gen_random_uuid(), 0.5, null, $3)', [
    'worker-1',
    limit,
    NOW,
  ]);
  const open = await session.query('select id from dm_attempts where finished_at is null', []);
  const results = open.map(({ id }) => ({
    attempt_id: id,
    outcome: 'sent',
    unipile_message_id: `m-${id}`,
    chat_id: 'c1',
  }));
  const record = await blocksOf('select dm_record($1::jsonb, $2)', [JSON.stringify(results), NOW]);
  return { claimed: results.length, enqueue, claim, record };
}

/**
 * Blocks of our own tables and indexes. Those of the catalog depend on what other databases of the
 * server are at.
 */
async function blocksOf(statement: string, values: readonly unknown[]): Promise<number> {
  const before = await blocksSoFar();
  await session.query(statement, values);
  return (await blocksSoFar()) - before;
}

async function blocksSoFar(): Promise<number> {
  await session.asOwner('select pg_stat_force_next_flush()', []);
  const [row] = await session.asOwner(
    `select sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))::integer as blocks
     from pg_statio_user_tables where schemaname = 'public'`,
    [],
  );
  return Number(row?.blocks);
}

describe('plans that were made early', () => {
  it('do not read more for a message when it has filled', async () => {
    await open('early', ACCOUNTS, 40);
    await session.asOwner('vacuum analyze dm_attempts', []);
    for (let round = 1; round < ROUNDS_EARLY; round += 1) await blocksOfRound();
    const before = await blocksOfRound();
    await session.asOwner(
      `insert into dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until,
         finished_at, outcome, effect_by)
       select gen_random_uuid(), gen_random_uuid(), 'ACoAA1', gen_random_uuid(), 'worker-0', past.at, past.at, past.at, 'sent', past.at
       from generate_series(1, ${HISTORY}) as n
       cross join lateral (select $1::timestamptz - interval '20 days' - make_interval(secs => n)) as past (at)`,
      [NOW],
    );
    const after = await blocksOfRound();
    expect([before.claimed, after.claimed]).toEqual([BATCH, BATCH]);
    expect(before.claim).toBeGreaterThan(BATCH);
    // Deeper indexes, and no more.
    expect(after.enqueue).toBeLessThan(2 * before.enqueue);
    expect(after.claim).toBeLessThan(2 * before.claim);
    expect(after.record).toBeLessThan(2 * before.record);
  });

  it.each([1, 2])('with %i accounts do not read the queue when it has filled', async (accounts) => {
    await open('early', accounts, 5);
    await session.asOwner('vacuum analyze', []);
    const before = await blocksOfRound(1);
    await open('late', 200, 50);
    const after = await blocksOfRound(1);
    expect([before.claimed, after.claimed]).toEqual([1, 1]);
    // Deeper indexes, and no more.
    expect(after.enqueue).toBeLessThan(2 * before.enqueue);
    expect(after.claim).toBeLessThan(2 * before.claim);
    expect(after.record).toBeLessThan(2 * before.record);
  });
});
