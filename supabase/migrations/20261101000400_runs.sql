-- Runs: start, begin, heartbeat, finish, cancel, recover. docs/run-lifecycle.md draws the states.
--
-- A run is worked on in slices: one, or several in as many processes at the same time. Whatever changes a run or a
-- slice of it locks the run's row first.

-- run_slices: who works on which slice of a run, how far it is, and how it ended.
create table if not exists public.run_slices (
  run_id uuid not null references public.job_runs (id) on delete cascade,
  slice smallint not null check (slice between 0 and 31),
  -- Who took it up last; nobody else may speak for it.
  worker text not null check (length(worker) <= 200),
  -- `waiting`: given back, for another worker to take up.
  status text not null check (status in ('running', 'waiting', 'succeeded', 'failed', 'cancelled', 'interrupted')),
  -- Whether it was begun before every other slice of its run, whoever took it over since.
  is_first boolean not null default false,
  began_at timestamptz not null,
  heartbeat_at timestamptz not null,
  -- The run's horizon as it was when the slice ended; null before.
  horizon_seen timestamptz,
  stats jsonb not null default '{}'::jsonb,
  error text check (length(error) <= 2000),
  primary key (run_id, slice)
);
alter table public.run_slices add column if not exists is_first boolean not null default false;
alter table public.run_slices enable row level security;
revoke all on public.run_slices from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.run_slices to service_role;

-- run_json: a run as every caller sees it.
create or replace function public.run_json(p_run public.job_runs)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select to_jsonb(p_run);
$$;

-- run_stats: what the slices of a run came to together.
--
-- Counts are summed. What describes all that waits is not, since each slice sees the same: `due` is the largest, the rest
-- is what the slice said that was heard of last. `seen` is what was claimed by all and what the last one left waiting.
create or replace function public.run_stats(p_run_id uuid)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  with told as (
    select stat.key, stat.value,
      case when jsonb_typeof(stat.value) = 'number' then (stat.value #>> '{}')::numeric end as number,
      row_number() over (partition by stat.key order by slice.heartbeat_at desc, slice.slice) as age
    from public.run_slices as slice
    cross join lateral jsonb_each(slice.stats) as stat
    where slice.run_id = p_run_id
  ), merged as (
    select told.key, (array_agg(told.value order by told.age))[1] as latest,
      (array_agg(told.number order by told.age))[1] as latest_number,
      sum(told.number) as total, max(told.number) as largest, bool_and(told.number is not null) as is_number
    from told group by told.key
  )
  select coalesce(jsonb_object_agg(merged.key, case
    when not merged.is_number then merged.latest
    when merged.key = 'due' then to_jsonb(merged.largest)
    when merged.key = 'seen' then to_jsonb(merged.latest_number + claimed.by_others)
    else to_jsonb(merged.total)
  end), '{}')
  from merged
  -- What the slice that told `seen` last claimed by itself is in it already.
  cross join lateral (
    select coalesce(sum((slice.stats ->> 'eligible')::numeric), 0) as by_others
    from public.run_slices as slice
    where merged.key = 'seen' and slice.run_id = p_run_id and slice.slice <> (
      select teller.slice from public.run_slices as teller
      where teller.run_id = p_run_id and teller.stats ? 'seen' order by teller.heartbeat_at desc, teller.slice limit 1
    )
  ) as claimed;
$$;

-- run_recover: marks runs whose heartbeat stopped as interrupted, and answers how many.
--
-- A running run is given up after 60 s without a heartbeat of any of its slices, a queued one after 10 minutes. One that
-- was to be cancelled is: nobody goes on with it.
create or replace function public.run_recover(p_now timestamptz default now())
returns integer
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_count integer;
begin
  with given_up as (
    update public.job_runs as run
    set status = case when run.cancel_requested_at is null then 'interrupted' else 'cancelled' end,
      finished_at = p_now,
      error = case
        when run.cancel_requested_at is not null then run.error
        when run.status = 'queued' then 'no worker took it up'
        else 'its worker went away: no heartbeat'
      end
    where (run.status = 'running' and run.heartbeat_at < p_now - interval '60 seconds')
      or (run.status = 'queued' and run.heartbeat_at < p_now - interval '10 minutes')
    returning run.id, run.status
  ), ended as (
    update public.run_slices as slice set status = given_up.status
    from given_up where slice.run_id = given_up.id and slice.status in ('running', 'waiting')
  )
  select count(*) into v_count from given_up;
  return v_count;
end;
$$;

-- run_start: starts a run, or answers with the one that exists.
--
-- A slot makes one run, whoever asks and however often. If a run of the job is still active, it
-- answers the request too (coalesced) and works on until the later horizon. A run asked for by hand
-- has no slot and consumes none. Requests of one job are taken one after the other.
-- p_params: what the run is told; with any, it is a run of its own beside the normal one, and is neither
-- coalesced nor given a slot. p_priority: 0 to 9.
-- Answers {outcome: created | exists | coalesced, run}.
-- Errors: RN003 a slot and parameters together; RN004 too many runs with parameters at once.
create or replace function public.run_start(
  p_job text,
  p_trigger text,
  p_scheduled_for timestamptz,
  p_requested_by text,
  p_horizon_at timestamptz,
  p_params jsonb default '{}',
  p_priority integer default 0,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_run public.job_runs;
  v_outcome text;
  v_is_normal constant boolean := coalesce(p_params, '{}') = '{}';
begin
  if p_scheduled_for is not null and not v_is_normal then
    raise exception 'a run with parameters has no slot' using errcode = 'RN003', detail = '{"field":"params"}';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('run_start:' || p_job, 0));

  select run.* into v_run
  from public.job_slots as slot
  join public.job_runs as run on run.id = slot.run_id
  where slot.job = p_job and slot.scheduled_for = p_scheduled_for;
  if found then
    return jsonb_build_object('outcome', 'exists', 'run', public.run_json(v_run));
  end if;

  perform public.run_recover(p_now);
  update public.job_runs as run
  set horizon_at = greatest(run.horizon_at, p_horizon_at)
  where v_is_normal and run.job = p_job and run.status in ('queued', 'running') and run.params = '{}'
    and run.cancel_requested_at is null
  returning run.* into v_run;
  if found then
    v_outcome := 'coalesced';
  else
    if v_is_normal then
      -- A run that is being cancelled makes room at once: it takes up nothing more.
      with making_room as (
        update public.job_runs as run set status = 'cancelled', finished_at = p_now
        where run.job = p_job and run.status in ('queued', 'running') and run.params = '{}'
        returning run.id
      )
      update public.run_slices as slice set status = 'cancelled'
      from making_room where slice.run_id = making_room.id and slice.status in ('running', 'waiting');
    elsif (
      select count(*) from public.job_runs as run
      where run.job = p_job and run.status in ('queued', 'running') and run.params <> '{}'
    ) >= 10 then
      raise exception 'ten runs of % with parameters are under way already', p_job using errcode = 'RN004';
    end if;
    insert into public.job_runs (job, scheduled_for, trigger, requested_at, heartbeat_at, horizon_at, requested_by,
      params, priority)
    values (p_job, p_scheduled_for, p_trigger, p_now, p_now, p_horizon_at, p_requested_by,
      coalesce(p_params, '{}'), coalesce(p_priority, 0))
    returning * into v_run;
    v_outcome := 'created';
  end if;
  if p_trigger = 'ops' then
    perform public.audit_add(p_requested_by, 'run.start', v_run.id::text,
      jsonb_build_object('job', p_job, 'outcome', v_outcome, 'params', p_params, 'priority', p_priority), p_now);
  end if;

  if p_scheduled_for is not null then
    insert into public.job_slots (job, scheduled_for, run_id, created_at)
    values (p_job, p_scheduled_for, v_run.id, p_now);
  end if;
  return jsonb_build_object('outcome', v_outcome, 'run', public.run_json(v_run));
end;
$$;

-- run_told: what the worker of a slice is told of it: {owned, slice: {status, stats, is_first}, run}.
create or replace function public.run_told(p_id uuid, p_slice smallint, p_owned boolean)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'owned', p_owned,
    'slice', (
      select jsonb_build_object('status', slice.status, 'stats', slice.stats, 'is_first', slice.is_first)
      from public.run_slices as slice where slice.run_id = run.id and slice.slice = p_slice
    ),
    'run', public.run_json(run)
  )
  from public.job_runs as run where run.id = p_id;
$$;

-- run_begin: takes up a slice of a run that is queued or running. Answers {owned, slice, run}; null if there is no such run.
--
-- Not owned: the run has ended or is to be cancelled, or the slice is somebody's who was heard of within 15 s, or it has
-- ended. One that ended well is taken up again if the run's horizon moved since. A worker that was silent for longer
-- loses its slice, and is told so with its next heartbeat. Whoever takes a slice up goes on with its stats; where calls are
-- limited it is not taken from anybody, since what he did after his last heartbeat is not known.
-- The worker that has it already may ask again: its answer was lost.
create or replace function public.run_begin(
  p_id uuid,
  p_worker text,
  p_slice smallint default 0,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_run public.job_runs;
  v_slice public.run_slices;
begin
  select run.* into v_run from public.job_runs as run where run.id = p_id for update;
  if not found then
    return null;
  end if;
  select slice.* into v_slice from public.run_slices as slice where slice.run_id = p_id and slice.slice = p_slice;
  if v_run.status = 'running' and v_slice.status = 'running' and v_slice.worker = p_worker then
    return public.run_told(p_id, p_slice, true);
  end if;
  if v_run.status not in ('queued', 'running') or v_run.cancel_requested_at is not null
    or (v_slice.status = 'running'
      and (v_slice.heartbeat_at >= p_now - interval '15 seconds' or v_run.params ? 'limit'))
    or v_slice.status in ('failed', 'cancelled', 'interrupted')
    or (v_slice.status = 'succeeded' and v_slice.horizon_seen >= v_run.horizon_at)
  then
    return public.run_told(p_id, p_slice, false);
  end if;

  insert into public.run_slices as slice (run_id, slice, worker, status, is_first, began_at, heartbeat_at)
  values (p_id, p_slice, p_worker, 'running',
    not exists (select from public.run_slices as earlier where earlier.run_id = p_id), p_now, p_now)
  on conflict (run_id, slice) do update
  set worker = p_worker, status = 'running', began_at = p_now, heartbeat_at = p_now, horizon_seen = null, error = null;
  update public.job_runs as run
  set status = 'running', started_at = coalesce(run.started_at, p_now), heartbeat_at = p_now,
    -- Who took the run up first, for people.
    worker = coalesce(run.worker, p_worker)
  where run.id = p_id;
  return public.run_told(p_id, p_slice, true);
end;
$$;

-- run_heartbeat: says that a slice is alive, and how far it is. Answers {owned, slice, run}.
--
-- Not owned any more: the run was given up on, or the slice was taken over, and its worker must stop.
create or replace function public.run_heartbeat(
  p_id uuid,
  p_worker text,
  p_stats jsonb,
  p_slice smallint default 0,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_is_running boolean;
begin
  select run.status = 'running' into v_is_running from public.job_runs as run where run.id = p_id for update;
  update public.run_slices as slice
  set heartbeat_at = p_now, stats = p_stats
  where v_is_running and slice.run_id = p_id and slice.slice = p_slice and slice.worker = p_worker
    and slice.status = 'running';
  if not found then
    return public.run_told(p_id, p_slice, false);
  end if;
  update public.job_runs as run set heartbeat_at = p_now, stats = public.run_stats(p_id) where run.id = p_id;
  return public.run_told(p_id, p_slice, true);
end;
$$;

-- run_finish: ends a slice, and the run with the last of them; or gives the slice back (`waiting`) for another worker.
-- Answers {owned, slice, run}.
--
-- A slice that succeeded but whose run's horizon moved since its worker last looked is not ended: it answers with the
-- slice, still running, and the worker goes on. So a slot that was coalesced is never lost.
-- The run ends when no slice is running or waiting: failed if one of them was, cancelled if that was asked for,
-- interrupted if the last one was. Slices that nobody took up do not hold it up.
-- Errors: RN001 an end that is none.
create or replace function public.run_finish(
  p_id uuid,
  p_worker text,
  p_status text,
  p_stats jsonb,
  p_error text,
  p_horizon_seen timestamptz,
  p_slice smallint default 0,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_run public.job_runs;
  v_slice public.run_slices;
  v_failed_with text;
begin
  if p_status not in ('succeeded', 'failed', 'cancelled', 'interrupted', 'waiting') then
    raise exception '% is not the end of a slice', p_status using errcode = 'RN001';
  end if;
  select run.* into v_run from public.job_runs as run where run.id = p_id for update;
  select slice.* into v_slice from public.run_slices as slice where slice.run_id = p_id and slice.slice = p_slice;
  if v_slice.worker is distinct from p_worker then
    return public.run_told(p_id, p_slice, false);
  end if;
  if v_run.status <> 'running' or v_slice.status <> 'running' then
    if v_run.status in ('cancelled', 'interrupted') then
      -- Ended by somebody else meanwhile (cancelled, given up): what was done still counts, and no more is to be.
      update public.run_slices as slice
      set stats = p_stats, status = case when slice.status = 'running' then v_run.status else slice.status end
      where slice.run_id = p_id and slice.slice = p_slice;
      update public.job_runs as run set stats = public.run_stats(p_id) where run.id = p_id;
    end if;
    return public.run_told(p_id, p_slice, true);
  end if;
  if p_status = 'succeeded' and v_run.cancel_requested_at is null and v_run.horizon_at > p_horizon_seen then
    return public.run_told(p_id, p_slice, true);
  end if;

  update public.run_slices as slice
  set
    -- A cancel that came as the work was ending still stands: its caller was told so.
    status = case when p_status <> 'failed' and v_run.cancel_requested_at is not null then 'cancelled' else p_status end,
    stats = p_stats, error = left(p_error, 2000), heartbeat_at = p_now, horizon_seen = p_horizon_seen
  where slice.run_id = p_id and slice.slice = p_slice
  returning slice.* into v_slice;
  update public.job_runs as run set heartbeat_at = p_now, stats = public.run_stats(p_id) where run.id = p_id;
  if exists (
    select from public.run_slices as slice
    -- Nobody takes up what waits of a run that is to be cancelled.
    where slice.run_id = p_id
      and (slice.status = 'running' or (slice.status = 'waiting' and v_run.cancel_requested_at is null))
  ) then
    return public.run_told(p_id, p_slice, true);
  end if;

  select coalesce(slice.error, '') into v_failed_with from public.run_slices as slice
  where slice.run_id = p_id and slice.status = 'failed' order by slice.slice limit 1;
  update public.run_slices as slice set status = 'cancelled' where slice.run_id = p_id and slice.status = 'waiting';
  update public.job_runs as run
  set finished_at = p_now,
    status = case
      when v_failed_with is not null then 'failed'
      when run.cancel_requested_at is not null then 'cancelled'
      else v_slice.status
    end,
    error = case
      when v_failed_with is not null then nullif(v_failed_with, '')
      when run.cancel_requested_at is not null then coalesce(run.error, v_slice.error)
      else v_slice.error
    end
  where run.id = p_id;
  return public.run_told(p_id, p_slice, true);
end;
$$;

-- run_cancel: cancels a run that nobody works on, or asks one that is worked on to stop. Answers the run, null if there
-- is none.
create or replace function public.run_cancel(p_id uuid, p_requested_by text, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_run public.job_runs;
  v_is_worked_on boolean;
begin
  select run.* into v_run from public.job_runs as run where run.id = p_id for update;
  if not found then
    return null;
  end if;
  if v_run.status not in ('queued', 'running') then
    return public.run_json(v_run);
  end if;
  select exists (
    select from public.run_slices as slice where slice.run_id = p_id and slice.status = 'running'
  ) into v_is_worked_on;
  update public.job_runs as run
  set cancel_requested_at = coalesce(run.cancel_requested_at, p_now),
    error = coalesce(run.error, left('cancelled by ' || p_requested_by, 2000)),
    status = case when v_is_worked_on then run.status else 'cancelled' end,
    finished_at = case when v_is_worked_on then null else p_now end
  where run.id = p_id
  returning run.* into v_run;
  if not v_is_worked_on then
    update public.run_slices as slice set status = 'cancelled' where slice.run_id = p_id and slice.status = 'waiting';
  end if;
  perform public.audit_add(p_requested_by, 'run.cancel', p_id::text, jsonb_build_object('job', v_run.job), p_now);
  return public.run_json(v_run);
end;
$$;

-- run_open: runs that may want a worker: [{run, closed_slices, is_worked_on}], the oldest 100.
--
-- Queued ones for 5 s or more, and running ones. closed_slices are those that nobody is to be asked for: they are worked
-- on, by somebody who was heard of within 15 s, or have ended. It is what run_begin would refuse.
create or replace function public.run_open(p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'run', public.run_json(run), 'closed_slices', coalesce(known.closed, '[]'),
    'is_worked_on', coalesce(known.is_worked_on, false)
  ) order by run.requested_at, run.id), '[]')
  from (
    select run.* from public.job_runs as run
    where run.cancel_requested_at is null
      and (run.status = 'running' or (run.status = 'queued' and run.requested_at <= p_now - interval '5 seconds'))
    order by run.requested_at, run.id limit 100
  ) as run
  cross join lateral (
    select jsonb_agg(slice.slice order by slice.slice) filter (where slice.is_alive
        or (slice.status = 'running' and run.params ? 'limit')
        or slice.status in ('failed', 'cancelled', 'interrupted')
        or (slice.status = 'succeeded' and slice.horizon_seen >= run.horizon_at)) as closed,
      bool_or(slice.is_alive) as is_worked_on
    from (
      select slice.*, slice.status = 'running' and slice.heartbeat_at >= p_now - interval '15 seconds' as is_alive
      from public.run_slices as slice where slice.run_id = run.id
    ) as slice
  ) as known;
$$;

-- run_get: one run, null if there is none.
create or replace function public.run_get(p_id uuid, p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select public.run_json(run) from public.job_runs as run where run.id = p_id;
$$;

-- run_slot: the run that a slot was answered with, null if it never ran.
create or replace function public.run_slot(p_job text, p_scheduled_for timestamptz, p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select public.run_json(run)
  from public.job_slots as slot
  join public.job_runs as run on run.id = slot.run_id
  where slot.job = p_job and slot.scheduled_for = p_scheduled_for;
$$;

-- run_list: runs, newest first: {items, next_cursor}.
--
-- p_filter: job, status, trigger, requested_by, from, to, scoped (true: only runs with parameters; false: none).
-- Errors: SE001 to SE003.
create or replace function public.run_list(
  p_filter jsonb default '{}',
  p_limit integer default 50,
  p_after text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_after constant jsonb := public.cursor_read(p_after, '{timestamptz,uuid}');
  v_given constant jsonb := public.filter_literals(p_filter, '{"job": "texts", "status": "texts", "trigger": "texts",
    "requested_by": "texts", "scoped": "boolean", "from": "instant", "to": "instant"}');
  v_rows jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object(
      'item', public.run_json(page), 'place', jsonb_build_array(page.requested_at, page.id)
    ) order by page.requested_at desc, page.id desc), '[]')
    from (
      select run.* from public.job_runs as run
      where %s and ($1 is null or (run.requested_at, run.id) < ($1, $2))
      order by run.requested_at desc, run.id desc limit $3
    ) as page
  $sql$, concat_ws(' and ', 'true',
    'run.job = any (' || (v_given ->> 'job') || ')',
    'run.status = any (' || (v_given ->> 'status') || ')',
    'run.trigger = any (' || (v_given ->> 'trigger') || ')',
    'run.requested_by = any (' || (v_given ->> 'requested_by') || ')',
    '(run.params <> ''{}'') is ' || (v_given ->> 'scoped'),
    'run.requested_at >= ' || (v_given ->> 'from'),
    'run.requested_at < ' || (v_given ->> 'to')))
  into v_rows
  using (v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid, public.list_limit(p_limit) + 1;
  return public.list_page(v_rows, p_limit);
end;
$$;

-- system_probe: whether the caller sees what it must: the schema's version, and the tables.
--
-- Row-level security hides rows without an error, so privilege alone proves nothing: a role sees its
-- tables if it may select from them and no policy stands in its way.
create or replace function public.system_probe(p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'schema_version', 8,
    'now', p_now,
    'can_see', (
      select jsonb_object_agg(expected.name, case
        when to_regclass('public.' || expected.name) is null then false
        else has_table_privilege('public.' || expected.name, 'select')
          and not row_security_active('public.' || expected.name)
      end)
      from unnest(array['dm_queue', 'dm_attempts', 'account_policies', 'job_runs', 'job_slots', 'run_slices',
        'audit_log', 'sending_pause', 'restores', 'post_publications', 'post_attempts', 'analytics_daily', 'analytics_cache',
        'alert_incidents', 'alert_deliveries', 'linkedin_accounts', 'posts']) as expected (name)
    )
  );
$$;

revoke execute on function
  public.run_json, public.run_stats, public.run_told, public.run_recover, public.run_start, public.run_begin,
  public.run_heartbeat, public.run_finish, public.run_cancel, public.run_open, public.run_get, public.run_slot, public.run_list, public.system_probe
from public, anon, authenticated;
grant execute on function
  public.run_json, public.run_stats, public.run_told, public.run_recover, public.run_start, public.run_begin,
  public.run_heartbeat, public.run_finish, public.run_cancel, public.run_open, public.run_get, public.run_slot, public.run_list, public.system_probe
to service_role;
