-- Retention: history is deleted once nobody needs it, in small batches, so that what is worked on stays small.
--
-- Messages go 30 days after they ended, attempts and runs after 90. What has not ended stays, however old, and so do
-- the attempts it is judged by. What must outlive a message is written down as it goes: its dedupe key, so that an
-- import that is repeated months later queues nothing twice; and from when on days can still be recounted.

-- dm_spent_keys: dedupe keys of messages that are gone.
create table if not exists public.dm_spent_keys (
  dedupe_key text primary key check (length(dedupe_key) <= 200),
  -- dm_queue.id, as it was.
  message_id uuid not null,
  -- As dm_digest: whether a key that comes back is that of the same message. Null where it went before there was one.
  digest bytea
);

-- history_mark: from when on the rows behind the analytics are whole. One row; -infinity until something is deleted.
create table if not exists public.history_mark (
  only_one boolean primary key default true check (only_one),
  kept_from timestamptz not null
);
insert into public.history_mark (kept_from) values ('-infinity') on conflict do nothing;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['dm_spent_keys', 'history_mark'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
end;
$$;

-- What has ended, the longest ago first.
create index if not exists dm_queue_ended
  on public.dm_queue (updated_at) where status in ('sent', 'failed', 'cancelled');
create index if not exists dm_attempts_age on public.dm_attempts (started_at, position);
create index if not exists post_attempts_age on public.post_attempts (started_at, position);
create index if not exists job_runs_age on public.job_runs (requested_at);
create index if not exists job_slots_run on public.job_slots (run_id);

-- history_delete: deletes up to p_limit rows of one kind whose time is over: {deleted, after}.
--
-- p_kind: messages, message_attempts, post_attempts or runs. p_after: the answer's `after`, to go on from there; it is null
-- once nothing is left. Safe under races and at any time: a row that somebody else is at is left for another day.
-- Errors: HI001 a kind, a limit or a place that is none.
create or replace function public.history_delete(
  p_kind text,
  p_limit integer default 1000,
  p_after jsonb default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
begin
  if (p_limit between 1 and 10000) is not true then
    raise exception 'limit must be 1 to 10000' using errcode = 'HI001', detail = '{"field":"limit"}';
  end if;
  begin
    perform (p_after ->> 'started_at')::timestamptz, (p_after ->> 'position')::bigint;
  exception when data_exception then
    raise exception 'after must be that of an answer' using errcode = 'HI001', detail = '{"field":"after"}';
  end;
  case p_kind
    when 'messages' then return public.history_delete_messages(p_limit, p_now - interval '30 days');
    when 'message_attempts' then
      return public.history_delete_message_attempts(p_limit, p_after, p_now - interval '90 days');
    when 'post_attempts' then return public.history_delete_post_attempts(p_limit, p_after, p_now - interval '90 days');
    when 'runs' then return public.history_delete_runs(p_limit, p_now - interval '90 days');
    else
      raise exception 'kind must be messages, message_attempts, post_attempts or runs'
        using errcode = 'HI001', detail = '{"field":"kind"}';
  end case;
end;
$$;

-- history_mark_move: what is behind the days before p_kept_from is going. It waits for recounts that are under way, and
-- those that come wait for it: no day is recounted from rows of which some are gone.
create or replace function public.history_mark_move(p_kept_from timestamptz)
returns void
language sql
security invoker
set search_path = ''
as $$
  insert into public.history_mark as mark (kept_from) values (p_kept_from)
  on conflict (only_one) do update set kept_from = greatest(mark.kept_from, excluded.kept_from);
$$;

-- history_delete_messages: messages that ended before p_before.
--
create or replace function public.history_delete_messages(p_limit integer, p_before timestamptz)
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
  v_deleted integer;
begin
  with ended as (
    select message.id
    from public.dm_queue as message
    where message.status in ('sent', 'failed', 'cancelled') and message.updated_at < p_before
    order by message.updated_at
    limit p_limit
    for update skip locked
  ), deleted as (
    delete from public.dm_queue as message using ended
    where message.id = ended.id
    returning message.id, message.dedupe_key,
      case when message.dedupe_key is not null
        then public.dm_digest(message.linkedin_account_id, message.recipient_id, message.message) end as digest
  ), spent as (
    insert into public.dm_spent_keys (dedupe_key, message_id, digest)
    select deleted.dedupe_key, deleted.id, deleted.digest from deleted where deleted.dedupe_key is not null
    order by deleted.dedupe_key
    on conflict (dedupe_key) do nothing
  )
  select count(*) into v_deleted from deleted;
  if v_deleted > 0 then
    perform public.history_mark_move(p_before);
  end if;
  return jsonb_build_object('deleted', v_deleted, 'after', case when v_deleted = p_limit then '{}'::jsonb end);
end;
$$;

-- history_delete_message_attempts: attempts of messages that began before p_before, unless the message has not ended: it is judged
-- by them before it goes out again.
create or replace function public.history_delete_message_attempts(p_limit integer, p_after jsonb, p_before timestamptz)
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_custom_plan
as $$
declare
  v_answer jsonb;
begin
  with old as materialized (
    select attempt.* from public.dm_attempts as attempt
    where attempt.started_at < p_before and (attempt.started_at, attempt.position)
      > (coalesce((p_after ->> 'started_at')::timestamptz, '-infinity'), coalesce((p_after ->> 'position')::bigint, 0))
    order by attempt.started_at, attempt.position
    limit p_limit
    for update skip locked
  ), deleted as (
    delete from public.dm_attempts as attempt using old
    where attempt.id = old.id and old.finished_at is not null and not exists (
      select from public.dm_queue as message
      where message.id = old.message_id and message.status in ('pending', 'sending', 'unknown')
    )
    returning attempt.id
  )
  select jsonb_build_object('deleted', (select count(*) from deleted), 'after', (
    select jsonb_build_object('started_at', old.started_at, 'position', old.position)
    from old order by old.started_at desc, old.position desc limit 1))
  into v_answer;
  if (v_answer ->> 'deleted')::integer > 0 then
    perform public.history_mark_move(p_before);
  end if;
  return v_answer;
end;
$$;

-- history_delete_post_attempts: attempts of posts that began before p_before, unless the post has not ended: it is judged
-- by them before it goes out again.
create or replace function public.history_delete_post_attempts(p_limit integer, p_after jsonb, p_before timestamptz)
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_custom_plan
as $$
declare
  v_answer jsonb;
begin
  with old as materialized (
    select attempt.* from public.post_attempts as attempt
    where attempt.started_at < p_before and (attempt.started_at, attempt.position)
      > (coalesce((p_after ->> 'started_at')::timestamptz, '-infinity'), coalesce((p_after ->> 'position')::bigint, 0))
    order by attempt.started_at, attempt.position
    limit p_limit
    for update skip locked
  ), deleted as (
    delete from public.post_attempts as attempt using old
    where attempt.id = old.id and old.finished_at is not null and not exists (
      select from public.post_publications as publication
      where publication.post_id = old.post_id and publication.state not in ('published', 'failed')
    )
    returning attempt.id
  )
  select jsonb_build_object('deleted', (select count(*) from deleted), 'after', (
    select jsonb_build_object('started_at', old.started_at, 'position', old.position)
    from old order by old.started_at desc, old.position desc limit 1))
  into v_answer;
  if (v_answer ->> 'deleted')::integer > 0 then
    perform public.history_mark_move(p_before);
  end if;
  return v_answer;
end;
$$;

-- history_delete_runs: runs that ended and were asked for before p_before, with their slots. The last run of a job
-- stays, however old: whether a slot was missed is told from it.
create or replace function public.history_delete_runs(p_limit integer, p_before timestamptz)
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
  v_deleted integer;
begin
  with old as (
    select run.id
    from public.job_runs as run
    where run.requested_at < p_before and run.finished_at is not null and exists (
      select from public.job_runs as later where later.job = run.job and later.requested_at > run.requested_at
    )
    order by run.requested_at
    limit p_limit
    for update skip locked
  )
  delete from public.job_runs as run using old where run.id = old.id;
  get diagnostics v_deleted = row_count;
  return jsonb_build_object('deleted', v_deleted, 'after', case when v_deleted = p_limit then '{}'::jsonb end);
end;
$$;

-- history_first_day: the first day whose rows are all there; -infinity if none was deleted.
create or replace function public.history_first_day()
returns date
language sql
stable
security invoker
set search_path = ''
as $$
  -- An account's day begins up to 14 hours before that of UTC.
  select coalesce(max(((mark.kept_from at time zone 'UTC') + interval '14 hours')::date + 1), '-infinity')
  from public.history_mark as mark;
$$;

-- history_check_day: refuses a day that cannot be recounted any more. Errors: AN006 its rows are partly gone.
create or replace function public.history_check_day(p_day date)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_first constant date := public.history_first_day();
begin
  if p_day < v_first then
    raise exception 'days before % stay as they were counted: what they were counted from is not kept any more', v_first
      using errcode = 'AN006', detail = '{"field":"from"}';
  end if;
end;
$$;

revoke execute on function
  public.history_delete, public.history_mark_move, public.history_delete_messages,
  public.history_delete_message_attempts, public.history_delete_post_attempts,
  public.history_delete_runs, public.history_first_day, public.history_check_day
from public, anon, authenticated;
grant execute on function
  public.history_delete, public.history_mark_move, public.history_delete_messages,
  public.history_delete_message_attempts, public.history_delete_post_attempts,
  public.history_delete_runs, public.history_first_day, public.history_check_day
to service_role;
