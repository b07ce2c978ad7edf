/**
 * What a claim costs by how many messages wait: `npm run bench -- claim-depth [depth …]`.
 *
 * On a real Postgres, over 100,000 accounts of which one in ten can send; the others are capped,
 * paused, outside their hours, inactive, disconnected, or have nothing due yet. Prints a line for
 * each depth: milliseconds of a claim of 20 and of its record, and of the looks that a run, a
 * person or a list makes; and the blocks that a claim reads.
 */
import type { ClaimedMessage } from '@revos/core/dm';
import { createTemplate, startPostgres } from '@revos/local-stack';
import { openSharedDatabase, type Session } from '../support/database.ts';
import { describeMachine, median, quantile, table } from './report.ts';

const ACCOUNTS = 100_000;
const BATCH = 20;
const ROUNDS = 25;
const LEASE_MS = 120_000;
/** A Monday. */
const NOW = new Date('2026-03-02T10:00:00Z');

/** The kind of an account, by the last digit of its number `n`. */
const KINDS = `(array['open','capped','capped','paused','paused','closed','closed','inactive','disconnected','later'])[1 + n % 10]`;
const ACCOUNT_ID = (n: string): string => `md5('account' || ${n})::uuid`;

async function fillAccounts(session: Session): Promise<void> {
  const at = NOW.toISOString();
  await session.asOwner(
    `insert into linkedin_accounts (id, account_name, unipile_account_id, status)
     select ${ACCOUNT_ID('n')}, 'Account ' || n, 'unipile-' || n,
       case when ${KINDS} in ('inactive', 'disconnected') then 'expired' else 'active' end
     from generate_series(1, ${ACCOUNTS}) as n`,
    [],
  );
  await session.asOwner(
    `insert into account_policies (account_id, window_start, window_end, paused_until, pause_reason, paused_at,
       returns, seen_inactive, blocked_by, next_claim_at)
     select ${ACCOUNT_ID('n')}, case kind when 'closed' then '12:00' else '09:00' end::time, '18:00',
       case when kind in ('paused', 'disconnected') then 'infinity'::timestamptz end,
       case kind when 'paused' then 'holiday' when 'disconnected' then 'account_disconnected' end,
       case when kind in ('paused', 'disconnected') then $1::timestamptz end,
       kind = 'disconnected', kind = 'disconnected', case kind when 'inactive' then 'account_inactive' end,
       case kind
         when 'closed' then '2026-03-02T12:00:00Z' when 'capped' then '2026-03-03T09:00:00Z'
         when 'later' then '2026-03-03T10:00:00Z' else 'infinity' end::timestamptz
     from generate_series(1, ${ACCOUNTS}) as n cross join lateral (select ${KINDS}) as of_account (kind)`,
    [at],
  );
  // Twenty of today are the limit of a day; who is open has a week of twelve behind him.
  await session.asOwner(
    `insert into dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until,
       finished_at, outcome, effect_by)
     select gen_random_uuid(), ${ACCOUNT_ID('n')}, 'ACoAA' || k, gen_random_uuid(), 'worker-0', past.at, past.at, past.at, 'sent', past.at
     from generate_series(1, ${ACCOUNTS}) as n
     cross join generate_series(1, 20) as k
     cross join lateral (
       select $1::timestamptz - case ${KINDS} when 'capped' then make_interval(mins => k * 2) else make_interval(hours => k * 12) end
     ) as past (at)
     where ${KINDS} in ('capped', 'open')`,
    [at],
  );
}

/** Adds messages until `depth` wait, spread evenly over the accounts. */
async function fillQueue(session: Session, from: number, depth: number): Promise<void> {
  const indexes = await session.asOwner(
    `select indexname, indexdef from pg_indexes
     where tablename = 'dm_queue' and not exists (
       select from pg_constraint where conname = indexname and conrelid = 'public.dm_queue'::regclass)`,
    [],
  );
  for (const { indexname } of indexes) await session.asOwner(`drop index public.${String(indexname)}`, []);
  await session.asOwner(
    `insert into dm_queue (id, linkedin_account_id, recipient_id, message, send_at, created_at)
     select lpad(to_hex(k), 32, '0')::uuid, ${ACCOUNT_ID('n')}, 'ACoAA' || k, repeat('Hello there. ', 15),
       case when n % 10 = 9 then '2026-03-03T10:00:00Z'::timestamptz else $1::timestamptz - make_interval(secs => k % 3600) end, $1
     from generate_series(${from + 1}, ${depth}) as k
     cross join lateral (select 1 + (k::bigint * 7919) % ${ACCOUNTS}) as of_message (n)`,
    [NOW.toISOString()],
  );
  await session.asOwner(`set maintenance_work_mem = '512MB'`, []);
  for (const { indexdef } of indexes) await session.asOwner(String(indexdef), []);
  await session.asOwner(
    `update account_policies as policy set next_claim_at = '-infinity'
     from generate_series(1, ${ACCOUNTS}) as n
     where ${KINDS} = 'open' and policy.account_id = ${ACCOUNT_ID('n')} and policy.next_claim_at = 'infinity'
       and exists (select from dm_queue as message where message.linkedin_account_id = policy.account_id)`,
    [],
  );
  await session.asOwner('vacuum analyze', []);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function claimAndRecord(session: Session): Promise<{ claimMs: number; recordMs: number }> {
  session.clock.now = new Date(session.clock.now.getTime() + 1_000);
  let items: readonly ClaimedMessage[] = [];
  const claimMs = await timed(async () => {
    const claim = await session.dm.claim({
      claimId: crypto.randomUUID(),
      worker: 'worker-1',
      limit: BATCH,
      leaseMs: LEASE_MS,
      draw: 0.5,
    });
    items = claim.items;
  });
  if (items.length !== BATCH) throw new Error(`claimed ${items.length}, not ${BATCH}`);
  const recordMs = await timed(() =>
    session.dm.record(
      items.map(({ attempt_id }) => ({
        attempt_id,
        outcome: 'sent',
        unipile_message_id: `m-${attempt_id}`,
        chat_id: 'chat',
        http_status: 201,
      })),
    ),
  );
  return { claimMs, recordMs };
}

type Row = Readonly<Record<string, number>>;

/**
 * Blocks of 8 kB that a call reads, from memory or from disk: the part of its cost that a busy
 * machine does not change.
 */
async function blocksOf(session: Session, call: string): Promise<number> {
  await session.query('begin', []);
  const [row] = await session.query(`explain (analyze, buffers, timing off, format json) select ${call}`, []);
  await session.query('rollback', []);
  const plans = row?.['QUERY PLAN'] as ReadonlyArray<{ readonly Plan: Row }> | undefined;
  const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': read } = plans?.[0]?.Plan ?? {};
  return (hit ?? Number.NaN) + (read ?? Number.NaN);
}

async function measure(session: Session, depth: number): Promise<Row> {
  const rounds: Array<{ claimMs: number; recordMs: number }> = [];
  for (let round = 0; round < ROUNDS + 5; round += 1) rounds.push(await claimAndRecord(session));
  // The first five plan their statements, and fill the caches.
  const warm = rounds.slice(5);
  const [claimsMs, recordsMs] = [warm.map(({ claimMs }) => claimMs), warm.map(({ recordMs }) => recordMs)];
  const [waiting] = await session.query(`select id from dm_queue where status = 'pending' limit 1`, []);
  const looks: Readonly<Record<string, () => Promise<unknown>>> = {
    recover: () => session.rpc.call('dm_recover'),
    unknowns: () => session.dm.unknowns(20),
    explain: () => session.dm.explain(String(waiting?.id)),
    backlog: () => session.dm.backlog(),
    preview: () => session.dm.preview(),
    list: () => session.rpc.call('dm_list', { filter: { status: 'pending' } }),
  };
  const looksMs: Record<string, number> = {};
  for (const [name, look] of Object.entries(looks)) {
    await look();
    looksMs[name] = await timed(look);
  }
  const now = `'${session.clock.now.toISOString()}'`;
  return {
    'messages that wait': depth,
    'claim p50': median(claimsMs),
    'claim p95': quantile(claimsMs, 0.95),
    'record p50': median(recordsMs),
    'record p95': quantile(recordsMs, 0.95),
    ...looksMs,
    'blocks of a claim': await blocksOf(
      session,
      `dm_claim('worker-1', ${BATCH}, ${LEASE_MS}, gen_random_uuid(), 0.5, null, ${now})`,
    ),
    'blocks of a backlog': await blocksOf(session, `dm_backlog(null, ${now})`),
  };
}

const depths = process.argv.slice(2).map(Number);
const server = await startPostgres();
const template = await createTemplate(server.connectionString);
const database = await openSharedDatabase(await server.createDatabase('depth', { template }));
try {
  const session = await database.openSession({ now: NOW });
  await session.asOwner('set session_replication_role = replica', []);
  await fillAccounts(session);
  const rows: Row[] = [];
  let filled = 0;
  for (const depth of depths.length > 0 ? depths : [10_000, 1_000_000, 10_000_000]) {
    await session.asOwner('set session_replication_role = replica', []);
    await fillQueue(session, filled, depth);
    await session.asOwner('set session_replication_role = origin', []);
    filled = depth;
    rows.push(await measure(session, depth));
    process.stderr.write(`${depth} measured\n`);
  }
  const columns = Object.keys(rows[0] ?? {}).map((head) => ({
    head,
    cell: (row: Row) => {
      const value = row[head] ?? Number.NaN;
      return Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(1);
    },
  }));
  process.stdout.write(`${describeMachine()}\n\n${table(columns, rows)}\n`);
} finally {
  await database.close();
  await server.stop();
}
