-- What a scrape of the metrics reads of the database (apps/jobs-api/src/metrics): numbers alone, each counted up to a bound.

-- metrics_messages: what waits to go out: {due, oldest_due_s, ready, oldest_ready_s}. Part of system_metrics.
--
-- due: pending messages whose time has come, of the first 50,000 that are pending. ready: accounts with one whose gate is open, so that
-- a claim would take it; the 200 whose message is due for longest are looked at. An age is in seconds, null where nothing waits: of a
-- due message since its time, of a ready one since all that held it back has ended, as far as that is known.
create or replace function public.metrics_messages(p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
begin
  return (
    with looked as materialized (
      select message.linkedin_account_id as account_id, message.due_at
      from public.dm_queue as message
      where message.status = 'pending'
      order by message.linkedin_account_id
      limit 50000
    ), due as materialized (
      select looked.account_id, count(*) as count, min(looked.due_at) as since
      from looked
      where looked.due_at <= p_now
      group by looked.account_id
    ), candidate as materialized (
      select due.account_id, due.since from due order by due.since limit 200
    ), ready as (
      select greatest(
        candidate.since,
        (select nullif(policy.next_claim_at, '-infinity') from public.account_policies as policy
        where policy.account_id = candidate.account_id),
        (select max(pause.paused_until) from public.sending_pause as pause)
      ) as since
      from public.account_gates(array(select candidate.account_id from candidate), p_now) as gate
      join candidate on candidate.account_id = gate.account_id
      where gate.reason is null
    )
    select jsonb_build_object(
      'due', coalesce((select sum(due.count) from due), 0),
      'oldest_due_s', (select extract(epoch from p_now - min(due.since)) from due),
      'ready', (select count(*) from ready),
      'oldest_ready_s', (select extract(epoch from p_now - min(least(ready.since, p_now))) from ready)
    )
  );
end;
$$;

-- metrics_unknowns: what may be on LinkedIn and is looked for, by how long ago it was tried, and what is not looked for any more and waits
-- for a person: {message: {age: count}, post: {age: count}, held: {message: count, post: count}}. Up to 1,000 of a kind. Part of system_metrics.
create or replace function public.metrics_unknowns(p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
begin
  return (
    with unknown_message as materialized (
      select message.id, message.reason
      from public.dm_queue as message
      where message.status = 'unknown'
      order by message.position
      limit 1000
    ), unknown_post as materialized (
      (select publication.post_id as id
      from public.post_publications as publication
      where publication.state = 'unknown' and publication.reason = 'unknown_held'
      limit 1000)
      union
      (select attempt.post_id
      from public.post_attempts as attempt
      join public.post_publications as publication on publication.post_id = attempt.post_id and publication.state = 'unknown'
      where attempt.next_read_at is not null and attempt.outcome = 'unknown'
      limit 1000)
    ), tried as (
      select 'message' as kind, message.reason, (
        select min(attempt.started_at) from public.dm_attempts as attempt
        where attempt.message_id = message.id and attempt.outcome = 'unknown'
      ) as at
      from unknown_message as message
      union all
      select 'post', publication.reason, (
        select min(attempt.started_at) from public.post_attempts as attempt
        where attempt.post_id = post.id and attempt.outcome = 'unknown'
      )
      from unknown_post as post
      join public.post_publications as publication on publication.post_id = post.id
    ), counted as (
      select aged.kind, aged.age, count(*) as count
      from (
        select tried.kind, case
          when tried.at > p_now - interval '5 minutes' then '5m'
          when tried.at > p_now - interval '30 minutes' then '30m'
          when tried.at > p_now - interval '2 hours' then '2h'
          when tried.at > p_now - interval '1 day' then '1d'
          else 'older'
        end as age
        from tried
        where tried.reason is distinct from 'unknown_held'
      ) as aged
      group by aged.kind, aged.age
    )
    select jsonb_build_object(
      'message', coalesce((
        select jsonb_object_agg(counted.age, counted.count) from counted where counted.kind = 'message'), '{}'::jsonb),
      'post', coalesce((
        select jsonb_object_agg(counted.age, counted.count) from counted where counted.kind = 'post'), '{}'::jsonb),
      'held', (
        select jsonb_build_object(
          'message', count(*) filter (where tried.kind = 'message'), 'post', count(*) filter (where tried.kind = 'post'))
        from tried where tried.reason = 'unknown_held')
    )
  );
end;
$$;

-- metrics_accounts: the accounts that have a policy: {total, paused: {reason: count}, blocked: {reason: count}, day_limit_used: {share: count}}.
--
-- The first 2,000 are counted. A pause in other words than the machine's is `person`: what people write is no label.
-- day_limit_used: how much of the local day's limit is used, counted as the gate counts. Part of system_metrics.
create or replace function public.metrics_accounts(p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
begin
  return (
    with looked as materialized (
      select policy.blocked_by,
        case
          when policy.paused_until > p_now is not true then null
          when policy.pause_reason in (
            'breaker', 'rate_limited', 'account_disconnected', 'account_restricted', 'account_missing'
          ) then policy.pause_reason
          else 'person'
        end as paused_by,
        public.account_day_limit(policy, p_now) as day_limit,
        (
          -- No local day is longer than 25 hours.
          select count(*)
          from public.dm_attempts as counted
          where counted.account_id = policy.account_id and counted.outcome is distinct from 'not_sent'
            and counted.effect_by > p_now - interval '25 hours'
            and (counted.effect_by at time zone policy.time_zone)::date >= (p_now at time zone policy.time_zone)::date
        ) as used
      from public.account_policies as policy
      order by policy.account_id
      limit 2000
    ), share as (
      select case
        when looked.used = 0 then '0%'
        when looked.used >= looked.day_limit then '100%'
        when looked.used * 4 <= looked.day_limit then '1-25%'
        when looked.used * 2 <= looked.day_limit then '26-50%'
        when looked.used * 4 <= looked.day_limit * 3 then '51-75%'
        else '76-99%'
      end as used, count(*) as count
      from looked group by 1
    ), paused as (
      select looked.paused_by as reason, count(*) as count from looked where looked.paused_by is not null group by 1
    ), blocked as (
      select looked.blocked_by as reason, count(*) as count from looked where looked.blocked_by is not null group by 1
    )
    select jsonb_build_object(
      'total', (select count(*) from looked),
      'paused', coalesce((select jsonb_object_agg(paused.reason, paused.count) from paused), '{}'::jsonb),
      'blocked', coalesce((select jsonb_object_agg(blocked.reason, blocked.count) from blocked), '{}'::jsonb),
      'day_limit_used', coalesce((select jsonb_object_agg(share.used, share.count) from share), '{}'::jsonb)
    )
  );
end;
$$;

-- system_metrics: what the gauges of a deployment show: {now, messages, unknowns, accounts, all_paused, jobs: {job: {last_success_s, last_run}}}.
-- apps/jobs-api/src/metrics/deployment.ts has its shape. It has no id, name or text in it but the names of jobs that it was given.
--
-- It is asked at every scrape: within 3 s, or not at all.
-- p_jobs: the names of the jobs whose runs are wanted, up to 100. Only runs that were told nothing else than usual are looked at, the
-- latest 200 of a job. Errors: RN005 too many jobs.
create or replace function public.system_metrics(p_jobs text[], p_now timestamptz default now())
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set jit = off
set statement_timeout = '3s'
as $$
begin
  if (cardinality(p_jobs) <= 100) is not true then
    raise exception 'jobs must be 100 at most' using errcode = 'RN005', detail = '{"field":"jobs"}';
  end if;
  return jsonb_build_object(
    'now', p_now,
    'messages', public.metrics_messages(p_now),
    'unknowns', public.metrics_unknowns(p_now),
    'accounts', public.metrics_accounts(p_now),
    'all_paused', exists (select from public.sending_pause as pause where pause.paused_until > p_now),
    'jobs', coalesce((
      select jsonb_object_agg(named.job, jsonb_build_object(
        'last_success_s', (
          select max(extract(epoch from run.finished_at)) from (
            select latest.status, latest.finished_at
            from public.job_runs as latest
            where latest.job = named.job and latest.params = '{}'::jsonb
            order by latest.requested_at desc, latest.id
            limit 200
          ) as run where run.status = 'succeeded'
        ),
        'last_run', (
          select jsonb_build_object('status', run.status, 'scheduled_for', run.scheduled_for,
            'requested_at', run.requested_at, 'finished_at', run.finished_at)
          from public.job_runs as run
          where run.job = named.job and run.params = '{}'::jsonb
          order by run.requested_at desc, run.id
          limit 1
        )
      ))
      from (select distinct given.job from unnest(p_jobs) as given (job) where given.job is not null) as named
    ), '{}'::jsonb)
  );
end;
$$;

revoke execute on function
  public.metrics_messages, public.metrics_unknowns, public.metrics_accounts, public.system_metrics
from public, anon, authenticated;
grant execute on function
  public.metrics_messages, public.metrics_unknowns, public.metrics_accounts, public.system_metrics
to service_role;
