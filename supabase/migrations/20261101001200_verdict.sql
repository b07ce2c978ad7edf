-- What the verdict on the system is judged from (packages/core/src/verdict): one read, whose cost follows what is out of order and not
-- what is queued.

-- Few, if any: each of them waits for a person.
create index if not exists account_policies_paused_for_good
  on public.account_policies (paused_at) where paused_until = 'infinity';
create index if not exists dm_queue_held
  on public.dm_queue (position) where status = 'unknown' and reason = 'unknown_held';
create index if not exists post_publications_held
  on public.post_publications (post_id) where state = 'unknown' and reason = 'unknown_held';

-- waiting_json: a kind of thing that waits: {count, is_more, since, ids}. p_count: as counted, up to one more than p_count_max.
-- p_ids: all that are counted, or none. p_is_cut: not all were looked at, whatever the count.
create or replace function public.waiting_json(
  p_count bigint,
  p_count_max integer,
  p_since timestamptz,
  p_ids uuid[] default '{}',
  p_is_cut boolean default false
)
returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'count', least(p_count, p_count_max), 'is_more', p_is_cut or p_count > p_count_max, 'since', nullif(p_since, '-infinity'),
    'ids', to_jsonb((coalesce(p_ids, '{}'))[1:p_count_max]));
$$;

-- system_accounts_waiting: accounts that send nothing until somebody acts, though a message waits for it: {count, is_more, since,
-- ids, first: [{account_name, reason}]}. The latest 500 are counted; one that is paused for good costs a look for its messages. Part of
-- system_facts.
create or replace function public.system_accounts_waiting()
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
    with stuck as materialized (
      select policy.account_id, coalesce(policy.pause_reason, policy.blocked_by) as reason, policy.paused_at
      from (
        select paused.account_id from public.account_policies as paused where paused.paused_until = 'infinity'
        union
        select blocked.account_id from public.account_policies as blocked where blocked.blocked_by is not null
      ) as candidate
      join public.account_policies as policy on policy.account_id = candidate.account_id
      -- Before the bound: of those that have nothing to send there may be any number.
      where exists (
        select from public.dm_queue as message
        where message.linkedin_account_id = candidate.account_id and message.status = 'pending'
      )
      order by policy.paused_at desc nulls last, policy.account_id
      limit 501
    )
    select public.waiting_json(count(*), 500, min(stuck.paused_at),
      array_agg(stuck.account_id order by stuck.paused_at desc nulls last, stuck.account_id)) || jsonb_build_object('first', coalesce((
      select jsonb_agg(jsonb_build_object('account_name', account.account_name, 'reason', first.reason)
        order by first.paused_at, account.account_name)
      from (select each.* from stuck as each order by each.paused_at, each.account_id limit 3) as first
      left join public.linkedin_accounts as account on account.id = first.account_id
    ), '[]'::jsonb))
    from stuck
  );
end;
$$;

-- system_messages_late: accounts whose next message could have gone p_late ago, and nobody came for it. Part of system_facts.
--
-- next_claim_at is never late, and may be early: so those are asked whose time has come, the oldest first, 200 at most. One that
-- was only woken (-infinity) says nothing of how long it has waited; it goes with the next claim. A pause of all sending is
-- nobody's fault, and neither is the time before the message was queued.
create or replace function public.system_messages_late(p_late interval, p_now timestamptz)
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
    with candidate as materialized (
      select policy.account_id, policy.next_claim_at
      from public.account_policies as policy
      where policy.next_claim_at > '-infinity' and policy.next_claim_at <= p_now - p_late
      order by policy.next_claim_at
      limit 201
    ), late as (
      select greatest(candidate.next_claim_at, due.created_at, (select max(pause.paused_until) from public.sending_pause as pause)) as since
      from candidate
      join public.account_gates(array(select candidate.account_id from candidate), p_now) as gate
        on gate.account_id = candidate.account_id and gate.reason is null
      cross join lateral (
        select message.created_at
        from generate_series(0, 9) as level (priority)
        cross join lateral (
          select first.created_at
          from public.dm_queue as first
          where first.linkedin_account_id = candidate.account_id and first.status = 'pending'
            and first.priority = level.priority and first.due_at <= p_now
          order by first.due_at, first.position
          limit 1
        ) as message
        order by message.created_at
        limit 1
      ) as due
    )
    select public.waiting_json(count(*), 200, min(late.since)) from late where late.since <= p_now - p_late
  );
end;
$$;

-- system_posts: what is with the posts that are scheduled up to a day ahead, or for no time, of this moment: {missed, held, late}, each
-- as waiting_json, held with by_reason. Each up to 1,000: the latest of those that are later than p_late_limit_minutes, the latest of those
-- whose time has come, and the next ones; so none hides behind another kind. is_more where a part was cut, also of none. Part of system_facts.
create or replace function public.system_posts(p_late interval, p_late_limit_minutes integer, p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set jit = off
as $$
begin
  return (
    with near as materialized (
      (select post.id, 'passed' as part
      from public.posts as post
      where post.status = 'scheduled' and post.scheduled_for <= p_now - make_interval(mins => p_late_limit_minutes)
      order by post.scheduled_for desc, post.id
      limit 1001)
      union all
      (select post.id, 'due'
      from public.posts as post
      where post.status = 'scheduled' and post.scheduled_for <= p_now
        and post.scheduled_for > p_now - make_interval(mins => p_late_limit_minutes)
      order by post.scheduled_for desc, post.id
      limit 1001)
      union all
      (select post.id, 'ahead'
      from public.posts as post
      where post.status = 'scheduled' and post.scheduled_for > p_now and post.scheduled_for <= p_now + interval '24 hours'
      order by post.scheduled_for, post.id
      limit 1001)
      union all
      (select post.id, 'without a time' from public.posts as post
      where post.status = 'scheduled' and post.scheduled_for is null
      order by post.id
      limit 1001)
    ), bound as materialized (
      select bool_or(part.count > 1000) as is_cut, coalesce(bool_or(part.count > 1000) filter (where part.part = 'due'), false) as due_is_cut
      from (select near.part, count(*) from near group by near.part) as part
    ), looked as materialized (
      select state.*, publication.updated_at
      from public.post_states(
        array(select near.id from near), null, p_now + interval '24 hours', p_late_limit_minutes, p_now) as state
      left join public.post_publications as publication on publication.post_id = state.post_id
    )
    select jsonb_build_object(
      'missed', public.waiting_json(count(*) filter (where looked.state = 'missed'), 1000,
        min(looked.scheduled_for + make_interval(mins => p_late_limit_minutes)) filter (where looked.state = 'missed'),
        array_agg(looked.post_id order by looked.scheduled_for desc, looked.post_id) filter (where looked.state = 'missed')),
      'held', public.waiting_json(count(*) filter (where looked.state = 'held'), 1000,
        min(looked.updated_at) filter (where looked.state = 'held'),
        array_agg(looked.post_id order by looked.updated_at desc nulls last, looked.post_id)
          filter (where looked.state = 'held'),
        coalesce(bool_or(bound.is_cut), false))
        || jsonb_build_object('by_reason', coalesce((
          select jsonb_object_agg(held.reason, held.count)
          from (
            select each.reason, count(*) from looked as each where each.state = 'held' group by each.reason
          ) as held
        ), '{}'::jsonb)),
      'late', public.waiting_json(
        count(*) filter (where looked.is_open and looked.since <= p_now - p_late), 1000,
        min(looked.since) filter (where looked.is_open and looked.since <= p_now - p_late), '{}',
        coalesce(bool_or(bound.due_is_cut), false)),
      'key_refused_since', min(looked.due_at) filter (where looked.state = 'waiting' and looked.stored_reason = 'platform_key_refused')
    )
    from (
      select looked.*,
        greatest(looked.due_at, (select max(pause.paused_until) from public.sending_pause as pause)) as since
      from looked
    ) as looked
    cross join bound
  );
end;
$$;

-- system_facts: what is to be known to say whether the system is well; packages/core/src/verdict/facts.ts has its shape.
--
-- It counts up to a bound, by indexes that have only what is out of order in them, and looks at a few thousand scheduled posts at most.
-- p_jobs: the names of the jobs whose last run is wanted, up to 100. Errors: PO030 a limit out of range.
create or replace function public.system_facts(
  p_jobs text[],
  p_late_limit_minutes integer default 360,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set jit = off
set statement_timeout = '10s'
as $$
declare
  v_posts jsonb;
begin
  if (p_late_limit_minutes between 0 and 525600 and cardinality(p_jobs) <= 100) is not true then
    raise exception 'late_limit_minutes must be 0 to 525600, and jobs 100 at most' using errcode = 'PO030';
  end if;
  v_posts := public.system_posts(interval '20 minutes', p_late_limit_minutes, p_now);
  return jsonb_build_object(
    'now', p_now,
    'first_run_at', (select min(run.requested_at) from public.job_runs as run),
    'last_runs', coalesce((
      select jsonb_object_agg(last.job, last.run)
      from unnest(p_jobs) as named (job)
      cross join lateral (
        -- One that was told to do something else answers for no slot.
        select run.job, public.run_json(run) as run
        from public.job_runs as run
        where run.job = named.job and run.params = '{}'::jsonb
        order by run.requested_at desc, run.id
        limit 1
      ) as last
    ), '{}'::jsonb),
    -- One that was cancelled, or stopped with its process, says nothing of how its job is.
    'last_ended_runs', coalesce((
      select jsonb_object_agg(last.job, last.run)
      from unnest(p_jobs) as named (job)
      cross join lateral (
        select run.job, public.run_json(run) as run
        from public.job_runs as run
        where run.job = named.job and run.params = '{}'::jsonb
          and (run.status in ('succeeded', 'failed') or run.status = 'interrupted' and run.error not like 'stopped: %')
        order by run.requested_at desc, run.id
        limit 1
      ) as last
    ), '{}'::jsonb),
    'all_paused', (
      select jsonb_build_object('reason', pause.reason, 'paused_at', pause.paused_at,
        'paused_until', nullif(pause.paused_until, 'infinity'), 'paused_by', pause.paused_by)
      from public.sending_pause as pause where pause.paused_until > p_now
    ),
    'key_refused_since', least((v_posts ->> 'key_refused_since')::timestamptz, (
      select min(refused.updated_at)
      from (
        select message.updated_at from public.dm_queue as message
        where message.status = 'pending' and message.reason = 'platform_key_refused' limit 1000
      ) as refused
    )),
    'accounts', public.system_accounts_waiting(),
    'held_messages', (
      select public.waiting_json(count(*), 1000, min(held.since), array_agg(held.id order by held.since desc, held.id))
      from (
        select message.id, (
          select min(attempt.started_at) from public.dm_attempts as attempt
          where attempt.message_id = message.id and attempt.outcome = 'unknown'
        ) as since
        from public.dm_queue as message
        where message.status = 'unknown' and message.reason = 'unknown_held'
        order by message.position desc
        limit 1001
      ) as held
    ),
    'held_unknown_posts', (
      select public.waiting_json(count(*), 1000, min(held.updated_at),
        array_agg(held.post_id order by held.updated_at desc, held.post_id))
      from (
        select publication.post_id, publication.updated_at from public.post_publications as publication
        where publication.state = 'unknown' and publication.reason = 'unknown_held'
        order by publication.updated_at desc, publication.post_id
        limit 1001
      ) as held
    ),
    'missed_posts', v_posts -> 'missed',
    'held_posts', v_posts -> 'held',
    'late_messages', public.system_messages_late(interval '15 minutes', p_now),
    'late_posts', v_posts -> 'late'
  );
end;
$$;

revoke execute on function
  public.waiting_json, public.system_accounts_waiting, public.system_messages_late, public.system_posts, public.system_facts
from public, anon, authenticated;
grant execute on function
  public.waiting_json, public.system_accounts_waiting, public.system_messages_late, public.system_posts, public.system_facts
to service_role;
