/** The rows as the harness reads and ages them, as the owner of the schema. */
import type { Campaign } from './campaign.ts';
import type { Database } from './database.ts';
import type { Row } from './judge.ts';

/** Tables whose instants move when time is moved, and none that name a slot. */
const AGED = [
  'dm_queue',
  'dm_attempts',
  'account_policies',
  'post_publications',
  'post_attempts',
  'posts',
  'sending_pause',
  'job_runs',
  'run_slices',
];

/**
 * Moves time on by so many minutes, for the ledger: every instant in it is moved back by them.
 *
 * Nothing may be under way: to a call that is out, its lease would end early. Not moved are slots,
 * which name runs.
 */
export async function moveTime(database: Database, minutes: number): Promise<void> {
  await database.query(
    `do $$
     declare
       v_table record;
     begin
       set local session_replication_role = replica;
       for v_table in
         select col.table_name as name,
           string_agg(format('%1$I = %1$I - interval ''${Math.trunc(minutes)} minutes''', col.column_name), ', ') as moves
         from information_schema.columns as col
         where col.table_schema = 'public' and col.table_name = any (array['${AGED.join("', '")}'])
           and col.data_type = 'timestamp with time zone' and col.is_generated = 'NEVER'
           and (col.table_name, col.column_name) <> ('job_runs', 'scheduled_for')
         group by col.table_name
       loop
         execute format('update public.%I set %s', v_table.name, v_table.moves);
       end loop;
     end;
     $$`,
  );
}

const workerOf = (pid: number): string => `%:${pid}:%`;

/** What a process has claimed and not ended: for which account, as Unipile knows it, and since when. */
export interface OpenAttempt {
  readonly account: string;
  readonly claimedAtMs: number;
}

export async function readOpenAttempts(database: Database, pid: number): Promise<OpenAttempt[]> {
  return database.query<OpenAttempt>(
    `select account.unipile_account_id as account, extract(epoch from attempt.started_at)::float8 * 1000 as "claimedAtMs"
     from (
       select account_id, started_at from public.dm_attempts where finished_at is null and worker like $1
       union all
       select account_id, started_at from public.post_attempts where finished_at is null and worker like $1
     ) as attempt
     join public.linkedin_accounts as account on account.id = attempt.account_id`,
    [workerOf(pid)],
  );
}

/**
 * Gives the runs of a dead process up at once rather than after a minute without a heartbeat, so
 * that the next trigger begins a new one.
 */
export async function giveUpRuns(database: Database, pid: number): Promise<void> {
  await database.query(
    `update public.job_runs set heartbeat_at = heartbeat_at - interval '11 minutes'
     where (status = 'running' and worker like $1)
       -- Taken by nobody: whoever made it is dead, or it would have begun.
       or (status = 'queued' and requested_at < now() - interval '10 seconds')`,
    [workerOf(pid)],
  );
}

export async function countWaiting(database: Database): Promise<{ messages: number; posts: number }> {
  const [waiting] = await database.query<{ messages: number; posts: number }>(
    `select (select count(*) from public.dm_queue where status = 'pending')::int as messages,
       (select count(*) from public.posts where status = 'scheduled')::int as posts`,
  );
  return waiting ?? { messages: 0, posts: 0 };
}

export async function countResent(database: Database): Promise<number> {
  const [resent] = await database.query<{ count: number }>(
    `select (select count(*) from public.dm_attempts where error_type = 'absent')::int
       + (select count(*) from public.post_attempts where error_type = 'absent')::int as count`,
  );
  return resent?.count ?? 0;
}

export async function countAttempts(database: Database): Promise<{ attempts: number; reconciler: number }> {
  const [counts] = await database.query<{ attempts: number; reconciler: number }>(
    `select count(*)::int as attempts, coalesce(sum(read_backs), 0)::int as "reconciler"
     from (select read_backs from public.dm_attempts union all select read_backs from public.post_attempts) as attempt`,
  );
  return counts ?? { attempts: 0, reconciler: 0 };
}

/** What the product says of everything that was queued. */
export async function readRows(database: Database, { queued }: Campaign): Promise<Row[]> {
  const messages = await database.query<RowRecord>(
    `select message.message as text, account.unipile_account_id as account,
       case
         when message.status = 'pending' then 'waiting'
         when message.status = 'unknown' and message.reason = 'unknown_held' then 'held'
         when message.status in ('sent', 'failed') then message.status
         else 'under-way'
       end as state,
       case when message.status = 'pending' then public.dm_explain(message.id) ->> 'reason'
         else coalesce(message.reason, message.status) end as reason
     from public.dm_queue as message
     join public.linkedin_accounts as account on account.id = message.linkedin_account_id`,
  );
  const posts = await database.query<RowRecord>(
    `select post.content as text, account.unipile_account_id as account,
       case
         -- What RevOS reads must say the same.
         when publication.state = 'published' and post.status = 'published' then 'sent'
         when publication.state = 'failed' and post.status = 'failed' then 'failed'
         when publication.state = 'unknown' and publication.reason = 'unknown_held' then 'held'
         when publication.state = 'waiting' or publication.state is null then 'waiting'
         else 'under-way'
       end as state,
       coalesce(publication.reason, publication.state, 'not looked at') || ', in posts ' || post.status as reason
     from public.posts as post
     join public.linkedin_accounts as account on account.id = post.linkedin_account_id
     left join public.post_publications as publication on publication.post_id = post.id`,
  );
  return [...withMissing('message', messages, queued.messages), ...withMissing('post', posts, queued.posts)];
}

type RowRecord = Pick<Row, 'text' | 'account' | 'state' | 'reason'>;

function withMissing(kind: Row['kind'], records: readonly RowRecord[], queued: ReadonlySet<string>): Row[] {
  const there = new Set(records.map(({ text }) => text));
  const missing = [...queued].filter((text) => !there.has(text));
  return [
    ...records.map((record) => ({ ...record, kind })),
    ...missing.map((text) => ({ kind, text, account: 'no row', state: 'missing' as const, reason: null })),
  ];
}

/** What must be gone in the end. */
export async function readLeftovers(database: Database): Promise<string[]> {
  const rows = await database.query<{ what: string }>(
    `select format('open attempt of message %s', message_id) as what from public.dm_attempts where finished_at is null
     union all
     select format('open attempt of post %s', post_id) from public.post_attempts where finished_at is null
     union all
     select format('run %s of %s is %s', id, job, status) from public.job_runs where status in ('queued', 'running')`,
  );
  return rows.map(({ what }) => what);
}
