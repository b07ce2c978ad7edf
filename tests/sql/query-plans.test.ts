/**
 * What the functions that run for every message read: by an index, and no more than what they
 * answer is worth.
 *
 * On a real Postgres whose tables are filled and analysed. auto_explain tells the plan of every
 * statement, of those within functions and triggers too, with the rows that each scan went through.
 */
import type { ClaimedMessage } from '@revos/core/dm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountId, after, at, HOUR_MS, LEASE_MS, MINUTE_MS } from '../support/builders.ts';
import { openSharedDatabase, type SharedDatabase } from '../support/database.ts';

const NOW = at('2026-03-02T10:00:00Z');
const ACCOUNTS = 300;
/**
 * Of each account: messages that wait, and that were sent; attempts, one in 90 minutes, and those
 * of the last week.
 */
const OF_EACH = { pending: 50, sent: 100, attempts: 300, attemptsOfWeek: 112 };
const BATCH = 20;
/** Calls that are under way, of other accounts. */
const IN_FLIGHT = 2_000;
/** Tables that grow with the history or the queue. RevOS's posts have no index of ours: see decision 5. */
const OURS = ['dm_queue', 'dm_attempts', 'account_policies', 'post_publications', 'post_attempts'] as const;
type Table = (typeof OURS)[number];

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly PlanNode[];
}

let database: SharedDatabase;
let client: pg.Client;
let plans: PlanNode[] = [];

beforeAll(async () => {
  database = await openSharedDatabase();
  client = new pg.Client({ connectionString: database.connectionString });
  await client.connect();
  await fill();
  client.on('notice', ({ message }) => {
    const [, json] = /^duration: [\d.]+ ms {2}plan:\n([\s\S]*)$/.exec(message ?? '') ?? [];
    if (json !== undefined) plans.push((JSON.parse(json) as { Plan: PlanNode }).Plan);
  });
  await client.query(`load 'auto_explain'`);
  for (const [name, value] of Object.entries({
    'auto_explain.log_min_duration': '0',
    'auto_explain.log_nested_statements': 'on',
    'auto_explain.log_analyze': 'on',
    'auto_explain.log_timing': 'off',
    'auto_explain.log_format': 'json',
    client_min_messages: 'log',
  })) {
    await client.query(`select set_config($1, $2, false)`, [name, value]);
  }
  await client.query('set role service_role');
});
afterAll(async () => {
  await client?.end();
  await database?.close();
});

/** As accountId, in SQL. */
const ID = `('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid`;

async function fill(): Promise<void> {
  const { pending, sent, attempts } = OF_EACH;
  const now = `'${NOW.toISOString()}'::timestamptz`;
  await client.query(`
    set session_replication_role = replica;
    insert into linkedin_accounts (id, account_name, unipile_account_id)
      select ${ID}, 'Account ' || n, 'unipile-' || n from generate_series(1, ${ACCOUNTS}) as n;
    insert into account_policies (account_id, dms_per_day, dms_per_24h, dms_per_7d, window_start, window_end, post_gap_s, next_claim_at)
      select ${ID}, 50, 50, 350, '00:00', '24:00', 0, '-infinity' from generate_series(1, ${ACCOUNTS}) as n;
    insert into dm_queue (linkedin_account_id, recipient_id, message, status, send_at, sent_at)
      select ${ID}, 'ACoAA' || k, 'Hello', case when k <= ${pending} then 'pending' else 'sent' end,
        ${now} - make_interval(mins => k), case when k > ${pending} then ${now} - make_interval(mins => k) end
      from generate_series(1, ${ACCOUNTS}) as n cross join generate_series(1, ${pending + sent}) as k;
    insert into dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until, finished_at, outcome, effect_by)
      select gen_random_uuid(), ${ID}, 'ACoAA' || k, gen_random_uuid(), 'worker-0', past.at, past.at, past.at, 'sent', past.at
      from generate_series(1, ${ACCOUNTS}) as n cross join generate_series(1, ${attempts}) as k
      cross join lateral (select ${now} - make_interval(mins => k * 90)) as past (at);
    insert into dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until, effect_by)
      select gen_random_uuid(), gen_random_uuid(), 'ACoAA1', gen_random_uuid(), 'worker-2', ${now}, ${now} + interval '1 day', ${now} + interval '1 day'
      from generate_series(1, ${IN_FLIGHT});
    insert into posts (id, linkedin_account_id, content, status, scheduled_for)
      select gen_random_uuid(), ${ID}, 'Hello', case when k = 1 then 'scheduled' else 'published' end, ${now} - make_interval(hours => k)
      from generate_series(1, ${ACCOUNTS}) as n cross join generate_series(1, 50) as k;
    insert into post_publications (post_id, state)
      select post.id, case post.status when 'scheduled' then 'waiting' else 'published' end from posts as post;
    insert into post_attempts (post_id, account_id, claim_id, worker, started_at, lease_until, finished_at, outcome, effect_by, text, mentions)
      select post.id, post.linkedin_account_id, gen_random_uuid(), 'worker-0', post.scheduled_for, post.scheduled_for,
        post.scheduled_for, 'sent', post.scheduled_for, 'Hello', '[]'
      from posts as post where post.status = 'published';
    set session_replication_role = origin`);
  await client.query('vacuum analyze');
}

async function call<Result>(text: string, values: readonly unknown[] = []): Promise<Result> {
  const { rows } = await client.query(`select ${text} as result`, [...values]);
  return rows[0].result as Result;
}

const claimDms = (
  now: Date,
  leaseMs: number,
  accountIds: string[] | null = null,
): Promise<{ items: readonly ClaimedMessage[] }> =>
  call('dm_claim($1, $2, $3, gen_random_uuid(), 0.5, $4, $5)', ['worker-1', BATCH, leaseMs, accountIds, now]);

async function recordDms(items: readonly ClaimedMessage[], ending: object, now: Date): Promise<unknown> {
  const results = items.map(({ attempt_id }) => ({ attempt_id, ...ending }));
  return call('dm_record($1, $2)', [JSON.stringify(results), now]);
}

function* nodesOf(nodes: readonly PlanNode[]): Generator<PlanNode> {
  for (const node of nodes) {
    yield node;
    yield* nodesOf(node.Plans ?? []);
  }
}

/** The rows that scans of a table went through, and whether one of them was of the whole table. */
function readingsOf(table: Table): { rows: number; scans: number } {
  let [rows, scans] = [0, 0];
  for (const node of nodesOf(plans)) {
    if (node['Relation Name'] !== table || !node['Node Type'].endsWith('Scan')) continue;
    const ofEach =
      (node['Actual Rows'] ?? 0) +
      (node['Rows Removed by Filter'] ?? 0) +
      (node['Rows Removed by Index Recheck'] ?? 0);
    rows += ofEach * (node['Actual Loops'] ?? 0);
    if (node['Node Type'] === 'Seq Scan' && (node['Actual Loops'] ?? 0) > 0) scans += 1;
  }
  return { rows: Math.round(rows), scans };
}

/** Runs in a transaction that is undone; gives back what `work` read. */
async function readBy(prepare: () => Promise<(() => Promise<unknown>) | undefined>): Promise<unknown> {
  await client.query('begin');
  try {
    const work = await prepare();
    plans = [];
    return await work?.();
  } finally {
    await client.query('rollback');
  }
}

const SENT = { outcome: 'sent', unipile_message_id: 'm1', chat_id: 'c1' };
const UNKNOWN = { outcome: 'unknown', error: 'no answer' };

/** For each row that is answered: what it may read of each table. The gate reads what counts in a week. */
const EACH = { dm_queue: 12, dm_attempts: OF_EACH.attemptsOfWeek + 20, account_policies: 12 };
const ofBatch = Object.fromEntries(Object.entries(EACH).map(([table, rows]) => [table, rows * BATCH]));

const CASES: ReadonlyArray<{
  readonly name: string;
  readonly prepare: () => Promise<() => Promise<unknown>>;
  readonly rowsMax: Partial<Record<Table, number>>;
}> = [
  { name: 'dm_claim', prepare: async () => () => claimDms(NOW, LEASE_MS), rowsMax: ofBatch },
  {
    name: 'dm_claim, of named accounts',
    prepare: async () => () => claimDms(NOW, LEASE_MS, [accountId(1), accountId(2)]),
    rowsMax: ofBatch,
  },
  {
    name: 'dm_record, of what was sent',
    prepare: async () => {
      const { items } = await claimDms(NOW, LEASE_MS);
      return () => recordDms(items, SENT, NOW);
    },
    rowsMax: ofBatch,
  },
  {
    name: 'dm_record, of what is unknown, with strikes',
    prepare: async () => {
      const { items } = await claimDms(NOW, LEASE_MS);
      return () => recordDms(items, { ...UNKNOWN, is_strike: true }, NOW);
    },
    rowsMax: { ...ofBatch, dm_attempts: (50 + 20) * BATCH },
  },
  {
    name: 'dm_recover',
    prepare: async () => {
      await claimDms(NOW, LEASE_MS);
      return () => call('dm_recover($1)', [after(NOW, HOUR_MS)]);
    },
    rowsMax: ofBatch,
  },
  {
    name: 'dm_unknowns',
    prepare: async () => {
      const { items } = await claimDms(NOW, LEASE_MS);
      await recordDms(items, UNKNOWN, NOW);
      return () => call('dm_unknowns($1, $2)', [BATCH, after(NOW, MINUTE_MS)]);
    },
    // And what is known of the account's other messages.
    rowsMax: { ...ofBatch, dm_attempts: (2 * OF_EACH.attemptsOfWeek + 40) * BATCH },
  },
  {
    name: 'dm_enqueue',
    prepare: async () => () => {
      const rows = Array.from({ length: BATCH }, (_, index) => ({
        linkedin_account_id: accountId(index + 1),
        recipient_id: 'ACoAA1',
        message: 'Hello',
        dedupe_key: `key-${index}`,
      }));
      return call('dm_enqueue($1, null, $2)', [JSON.stringify(rows), NOW]);
    },
    rowsMax: ofBatch,
  },
  {
    name: 'dm_explain',
    prepare: async () => {
      const { rows } = await client.query(`select id from dm_queue where status = 'pending' limit 1`);
      return () => call('dm_explain($1, $2)', [rows[0].id, NOW]);
    },
    rowsMax: { dm_queue: OF_EACH.pending + 5, dm_attempts: OF_EACH.attemptsOfWeek + 5, account_policies: 2 },
  },
  {
    name: 'dm_backlog',
    prepare: async () => () => call('dm_backlog(null, $1)', [NOW]),
    // What waits, and each account once; of its ledger what counts in a week.
    rowsMax: {
      dm_queue: ACCOUNTS * OF_EACH.pending,
      dm_attempts: ACCOUNTS * (OF_EACH.attemptsOfWeek + 5),
      account_policies: ACCOUNTS * 2,
    },
  },
  {
    name: 'system_metrics',
    prepare: async () => () => call('system_metrics($1, $2)', [['dm-queue', 'post-scheduler'], NOW]),
    // What waits, once; the gates of 200 accounts; of the others what counts in a day.
    rowsMax: {
      dm_queue: ACCOUNTS * OF_EACH.pending,
      dm_attempts: 200 * (OF_EACH.attemptsOfWeek + 5) + ACCOUNTS * 20,
      account_policies: ACCOUNTS + 200 * 2,
      post_publications: 10,
      post_attempts: 200 * 3,
    },
  },
  {
    name: 'post_claim',
    prepare: async () => () =>
      call('post_claim($1, $2, $3, 360, gen_random_uuid(), null, $4)', ['worker-1', BATCH, 300_000, NOW]),
    // Every post that is scheduled is looked at a few times; what was published is not.
    rowsMax: { post_publications: ACCOUNTS * 6, post_attempts: ACCOUNTS * 6, account_policies: ACCOUNTS * 6 },
  },
];

describe('reads by an index, and what it answers', () => {
  it.each(CASES)('$name', async ({ prepare, rowsMax }) => {
    const answer = await readBy(prepare);
    expect(answer).not.toBeNull();
    for (const table of OURS) {
      const { rows, scans } = readingsOf(table);
      expect(scans, `${table} was scanned`).toBe(0);
      if (rowsMax[table] !== undefined) expect(rows, `rows of ${table}`).toBeLessThanOrEqual(rowsMax[table]);
    }
    // The measure measures: something was seen.
    expect(OURS.some((table) => readingsOf(table).rows > 0)).toBe(true);
  });
});
