-- Runs: start, begin, heartbeat, finish, cancel, recover. docs/run-lifecycle.md draws the states.

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

-- run_recover: marks runs whose heartbeat stopped as interrupted, and answers how many.
--
-- A running run is given up after 60 s without a heartbeat, a queued one after 10 minutes.
create or replace function public.run_recover(p_now timestamptz default now())
returns integer
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.job_runs as run
  set status = 'interrupted', finished_at = p_now,
    error = case run.status when 'queued' then 'no worker took it up' else 'its worker went away: no heartbeat' end
  where (run.status = 'running' and run.heartbeat_at < p_now - interval '60 seconds')
    or (run.status = 'queued' and run.heartbeat_at < p_now - interval '10 minutes');
  get diagnostics v_count = row_count;
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
      update public.job_runs as run set status = 'cancelled', finished_at = p_now
      where run.job = p_job and run.status in ('queued', 'running') and run.params = '{}';
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

-- run_begin: takes up a queued run. Answers {owned, run}; null if there is no such run.
create or replace function public.run_begin(p_id uuid, p_worker text, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_run public.job_runs;
begin
  update public.job_runs as run
  set status = 'running', started_at = p_now, heartbeat_at = p_now, worker = p_worker
  where run.id = p_id and run.status = 'queued'
  returning run.* into v_run;
  if not found then
    select run.* into v_run from public.job_runs as run where run.id = p_id;
  end if;
  if v_run.id is null then
    return null;
  end if;
  return jsonb_build_object(
    'owned', v_run.status = 'running' and v_run.worker = p_worker, 'run', public.run_json(v_run));
end;
$$;

-- run_heartbeat: says that a run is alive, and how far it is. Answers {owned, run}.
--
-- Not owned any more: the run was given up on, and its worker must stop.
create or replace function public.run_heartbeat(
  p_id uuid,
  p_worker text,
  p_stats jsonb,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_run public.job_runs;
begin
  update public.job_runs as run
  set heartbeat_at = p_now, stats = p_stats
  where run.id = p_id and run.status = 'running' and run.worker = p_worker
  returning run.* into v_run;
  if found then
    return jsonb_build_object('owned', true, 'run', public.run_json(v_run));
  end if;
  select run.* into v_run from public.job_runs as run where run.id = p_id;
  return jsonb_build_object('owned', false, 'run', public.run_json(v_run));
end;
$$;

-- run_finish: ends a run. Answers {owned, run}.
--
-- A run that succeeded but whose horizon moved since its worker last looked is not ended: it answers
-- with the run, still running, and the worker goes on. So a slot that was coalesced is never lost.
-- Errors: RN001 an end that is none.
create or replace function public.run_finish(
  p_id uuid,
  p_worker text,
  p_status text,
  p_stats jsonb,
  p_error text,
  p_horizon_seen timestamptz,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_run public.job_runs;
begin
  if p_status not in ('succeeded', 'failed', 'cancelled', 'interrupted') then
    raise exception '% is not the end of a run', p_status using errcode = 'RN001';
  end if;
  update public.job_runs as run
  set
    -- A cancel that came as the work was ending still stands: its caller was told so.
    status = case when p_status = 'succeeded' and run.cancel_requested_at is not null then 'cancelled' else p_status end,
    finished_at = p_now, heartbeat_at = p_now, stats = p_stats,
    error = left(coalesce(p_error, run.error), 2000)
  where run.id = p_id and run.status = 'running' and run.worker = p_worker
    and not (p_status = 'succeeded' and run.cancel_requested_at is null and run.horizon_at > p_horizon_seen)
  returning run.* into v_run;
  if not found then
    -- Ended by somebody else meanwhile (cancelled, given up): what was done still counts.
    update public.job_runs as run set stats = p_stats
    where run.id = p_id and run.worker = p_worker and run.status in ('cancelled', 'interrupted')
    returning run.* into v_run;
  end if;
  if not found then
    select run.* into v_run from public.job_runs as run where run.id = p_id;
  end if;
  return jsonb_build_object('owned', coalesce(v_run.worker = p_worker, false), 'run', public.run_json(v_run));
end;
$$;

-- run_cancel: cancels a queued run, or asks a running one to stop. Answers the run, null if there is none.
create or replace function public.run_cancel(p_id uuid, p_requested_by text, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_run public.job_runs;
begin
  update public.job_runs as run
  set cancel_requested_at = coalesce(run.cancel_requested_at, p_now),
    error = coalesce(run.error, left('cancelled by ' || p_requested_by, 2000)),
    status = case run.status when 'queued' then 'cancelled' else run.status end,
    finished_at = case run.status when 'queued' then p_now end
  where run.id = p_id and run.status in ('queued', 'running')
  returning run.* into v_run;
  if found then
    perform public.audit_add(p_requested_by, 'run.cancel', p_id::text, jsonb_build_object('job', v_run.job), p_now);
  else
    select run.* into v_run from public.job_runs as run where run.id = p_id;
  end if;
  return case when v_run.id is null then null else public.run_json(v_run) end;
end;
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
  $sql$, public.filter_where(p_filter, '{
    "job": ["run.job", "text", "in"], "status": ["run.status", "text", "in"], "trigger": ["run.trigger", "text", "in"],
    "requested_by": ["run.requested_by", "text", "in"], "scoped": ["run.params <> ''{}''", "boolean", "where"],
    "from": ["run.requested_at", "timestamptz", ">="], "to": ["run.requested_at", "timestamptz", "<"]}'))
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
    'schema_version', 2,
    'now', p_now,
    'can_see', (
      select jsonb_object_agg(expected.name, case
        when to_regclass('public.' || expected.name) is null then false
        else has_table_privilege('public.' || expected.name, 'select')
          and not row_security_active('public.' || expected.name)
      end)
      from unnest(array['dm_queue', 'dm_attempts', 'account_policies', 'job_runs', 'job_slots',
        'audit_log', 'sending_pause', 'post_publications', 'post_attempts', 'analytics_daily', 'analytics_cache',
        'linkedin_accounts', 'posts']) as expected (name)
    )
  );
$$;

revoke execute on function
  public.run_json, public.run_recover, public.run_start, public.run_begin, public.run_heartbeat, public.run_finish,
  public.run_cancel, public.run_get, public.run_slot, public.run_list, public.system_probe
from public, anon, authenticated;
grant execute on function
  public.run_json, public.run_recover, public.run_start, public.run_begin, public.run_heartbeat, public.run_finish,
  public.run_cancel, public.run_get, public.run_slot, public.run_list, public.system_probe
to service_role;
