-- Restored: the database was put back to an earlier instant. What has gone out since then stands in it as if it had not.
--
-- The instant is told once (restore_mark). Then every message and post that could have gone out since is `unknown`: the ledger gets an attempt
-- for it that began at the instant, and it is looked for on LinkedIn and settled as any other whose answer was lost. Docs: decision 29.

-- restores: the instants to which the database was put back, as people told them.
create table if not exists public.restores (
  id uuid primary key default gen_random_uuid(),
  restored_to timestamptz not null unique,
  -- When it was told: what came into the queue later was not there before.
  marked_at timestamptz not null,
  marked_by text not null check (length(marked_by) between 1 and 100),
  -- Accounts are gone through in the order of their ids; these, up to this one, are done.
  done_through uuid not null default '00000000-0000-0000-0000-000000000000',
  is_marked boolean not null default false,
  -- Attempts that were unknown before, and are looked for anew.
  unknown_count integer not null default 0
);
-- Its attempts in the ledgers have its id as claim_id.
create index if not exists dm_attempts_restored on public.dm_attempts (claim_id) where worker = 'restored';
create index if not exists post_attempts_restored on public.post_attempts (claim_id) where worker = 'restored';

alter table public.restores enable row level security;
revoke all on public.restores from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.restores to service_role;

-- restore_look_since: since when something of the queue is to be looked for on LinkedIn before it goes out; null if it need not be.
--
-- What stood in the database when it was put back, however late it is to go, and what came within a week after: a campaign
-- whose rows were lost is queued anew, and may have gone out already.
create or replace function public.restore_look_since(p_created_at timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
set plan_cache_mode = force_generic_plan
as $$
begin
  return (
    select min(restore.restored_to) from public.restores as restore
    where coalesce(p_created_at, '-infinity') <= restore.marked_at + interval '7 days'
  );
end;
$$;

-- restore_suspects: of some accounts (null for all), what could have gone out since the database was put back: what is due by p_until, and
-- was there by then. What is due later, or has failed, is looked for when its turn comes (restore_look_since).
create or replace function public.restore_suspects(p_account_ids uuid[], p_until timestamptz)
returns table (kind text, id uuid)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  select 'message', message.id
  from public.dm_queue as message
  where message.status = 'pending' and message.due_at <= p_until and message.created_at <= p_until
    and (p_account_ids is null or message.linkedin_account_id = any (p_account_ids))
  union all
  select 'post', post.id
  from public.posts as post
  left join public.post_publications as publication on publication.post_id = post.id
  where post.status = 'scheduled' and post.scheduled_for <= p_until and coalesce(post.created_at, '-infinity') <= p_until
    and post.linkedin_account_id is not null and (p_account_ids is null or post.linkedin_account_id = any (p_account_ids))
    -- Held for a person, who sees whether it is there; or longer than anything that is sent.
    and post.unipile_post_id is null and length(post.content) <= 20000
    and coalesce(publication.state, 'waiting') not in ('publishing', 'published', 'unknown')
    and public.post_ledger_state(post.id) is null;
end;
$$;

-- restore_assume: puts into the ledger what accounts may have sent since the instant and nobody knows any more: messages that were queued
-- after it are gone with their attempts, and have used limits all the same.
--
-- Up to its limit for each local day on which its window was open, at the end of that day, or now: no limit that is counted from it
-- lets more through than one that knew. A message that is found takes the place of one of them (restore_found).
-- Part of restore_mark, which has locked the accounts.
create or replace function public.restore_assume(p_restore public.restores, p_account_ids uuid[], p_now timestamptz)
returns void
language sql
security invoker
set search_path = ''
as $$
  insert into public.dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until, finished_at,
    outcome, effect_by, error_type)
  select gen_random_uuid(), day.account_id, '', p_restore.id, 'restored', day.last_at, day.last_at, p_now, 'unknown', day.last_at, 'assumed'
  from (
    select policy.account_id, bounds.last_at,
      public.account_day_limit(policy, bounds.last_at) - (
        -- Only what is certain: what was unknown may turn out not to have used any.
        select count(*) from public.dm_attempts as known
        where known.account_id = policy.account_id and known.outcome is distinct from 'not_sent' and known.outcome = 'sent'
          and known.effect_by > p_now - interval '10 days' and (known.effect_by at time zone policy.time_zone)::date = local.day
      ) as count
    from public.account_policies as policy
    cross join lateral (
      -- The longest limit reaches back a week.
      select (greatest(p_restore.restored_to, p_now - interval '8 days') at time zone policy.time_zone)::date as first_day,
        (p_now at time zone policy.time_zone)::date as last_day
    ) as span
    cross join lateral (
      select span.first_day + day.n from generate_series(0, span.last_day - span.first_day) as day (n)
    ) as local (day)
    cross join lateral (
      select
        greatest(public.account_day_starts_at(policy.time_zone, local.day), p_restore.restored_to) as first_at,
        least(public.account_day_starts_at(policy.time_zone, local.day + 1) - interval '1 microsecond', p_now) as last_at
    ) as bounds
    where policy.account_id = any (p_account_ids)
      and public.account_opens_at(policy, bounds.first_at) <= bounds.last_at
  ) as day
  cross join lateral generate_series(1, day.count) as assumed (n);
$$;

-- restore_mark_accounts: makes unknown what could have gone out of some accounts, which restore_mark has locked. Answers how many
-- attempts were unknown before: an absence that was seen then says nothing of what came after it.
create or replace function public.restore_mark_accounts(p_restore public.restores, p_account_ids uuid[], p_now timestamptz)
returns integer
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_messages integer;
  v_posts integer;
  v_message_ids uuid[];
  v_post_ids uuid[];
begin
  perform public.restore_assume(p_restore, p_account_ids, p_now);

  update public.dm_attempts as attempt set
    absent_since = null, effect_by = greatest(attempt.effect_by, p_now),
    -- Of an earlier restore, to an instant that was too late.
    started_at = case when attempt.worker = 'restored' then least(attempt.started_at, p_restore.restored_to) else attempt.started_at end,
    next_read_at = case when attempt.next_read_at is not null then public.read_back_at(p_now, null, p_now) end
  from public.dm_queue as message
  where attempt.account_id = any (p_account_ids) and attempt.outcome = 'unknown'
    and message.id = attempt.message_id and message.status = 'unknown';
  get diagnostics v_messages = row_count;
  update public.post_attempts as attempt set
    absent_since = null, effect_by = greatest(attempt.effect_by, p_now),
    started_at = case when attempt.worker = 'restored' then least(attempt.started_at, p_restore.restored_to) else attempt.started_at end,
    next_read_at = case when attempt.next_read_at is not null then public.read_back_at(p_now, null, p_now) end
  from public.post_publications as publication
  where attempt.account_id = any (p_account_ids) and attempt.outcome = 'unknown'
    and publication.post_id = attempt.post_id and publication.state = 'unknown';
  get diagnostics v_posts = row_count;

  select array_agg(suspect.id order by suspect.id) filter (where suspect.kind = 'message'),
    array_agg(suspect.id order by suspect.id) filter (where suspect.kind = 'post')
  into v_message_ids, v_post_ids
  from public.restore_suspects(p_account_ids, p_restore.marked_at) as suspect;

  perform from public.dm_queue as message where message.id = any (v_message_ids) order by message.id for update;
  insert into public.dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until, finished_at,
    outcome, effect_by, error_type, next_read_at, text_key)
  select message.id, message.linkedin_account_id, message.recipient_id, p_restore.id, 'restored', p_restore.restored_to, p_now, p_now,
    'unknown', p_now, 'restored', public.read_back_at(p_now, null, p_now), message.text_key
  from public.dm_queue as message
  where message.id = any (v_message_ids) and message.status = 'pending';
  update public.dm_queue as message set status = 'unknown', reason = 'restored', error = null
  where message.id = any (v_message_ids) and message.status = 'pending';

  perform public.post_ensure(coalesce(v_post_ids, '{}'), p_now);
  perform from public.post_publications as publication
  where publication.post_id = any (v_post_ids) order by publication.post_id for update;
  insert into public.post_attempts (post_id, account_id, claim_id, worker, started_at, lease_until, finished_at, outcome, effect_by,
    text, mentions, external_link, as_organization, error_type, next_read_at)
  select post.id, post.linkedin_account_id, p_restore.id, 'restored', p_restore.restored_to, p_now, p_now, 'unknown', p_now,
    post.content, publication.mentions, publication.external_link, publication.as_organization, 'restored',
    public.read_back_at(p_now, null, p_now)
  from public.posts as post
  join public.post_publications as publication on publication.post_id = post.id
  where post.id = any (v_post_ids);
  update public.post_publications as publication
  set state = 'unknown', reason = 'restored', error = null, missed_for = null, updated_at = p_now
  where publication.post_id = any (v_post_ids);
  return v_messages + v_posts;
end;
$$;

-- restore_found: a message that was suspected was seen on LinkedIn: it counts at its real time, and in the place of an assumed one of
-- that local day. Part of dm_resolve.
create or replace function public.restore_found(p_attempt_id uuid, p_sent_at timestamptz, p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
  v_attempt public.dm_attempts;
begin
  update public.dm_attempts as attempt
  set effect_by = least(p_now, greatest(coalesce(p_sent_at, attempt.effect_by), attempt.started_at - interval '2 minutes'))
  where attempt.id = p_attempt_id and attempt.worker = 'restored'
  returning attempt.* into v_attempt;
  delete from public.dm_attempts as attempt
  where attempt.id = (
    select assumed.id
    from public.dm_attempts as assumed
    join public.account_policies as policy on policy.account_id = assumed.account_id
    where assumed.account_id = v_attempt.account_id and assumed.outcome is distinct from 'not_sent'
      and assumed.claim_id = v_attempt.claim_id and assumed.error_type = 'assumed'
      and assumed.effect_by >= v_attempt.effect_by
      and (assumed.effect_by at time zone policy.time_zone)::date = (v_attempt.effect_by at time zone policy.time_zone)::date
    limit 1
  );
end;
$$;

-- restore_whole: refuses while a restore is marked in part: accounts that it has not come to would send again what they have sent.
--
-- Whoever marks is waited for: the pause that he is about to make must not be ended before his restore is seen.
create or replace function public.restore_whole()
returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_restored_to timestamptz;
begin
  perform pg_advisory_xact_lock_shared(hashtext('public.restore_mark'));
  select min(restore.restored_to) into v_restored_to from public.restores as restore where not restore.is_marked;
  if v_restored_to is not null then
    raise exception 'a restore is not marked whole yet: repeat ops restored --to %',
      to_char(v_restored_to at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') using errcode = 'RS003';
  end if;
end;
$$;

-- restore_mark: says that the database was put back to an instant, pauses all sending until a person resumes it, and makes unknown whatever
-- could have gone out since: then it is looked for on LinkedIn.
--
-- Some accounts a call, each call one transaction: it is called until `is_marked`. Once that is so it changes nothing, and says how far
-- the looks have come; so it may be interrupted anywhere and repeated at any time.
-- p_to: no later than the instant of the backup: what went out between would not be found. p_dry_run: changes nothing.
-- p_limit: accounts a call. Answers {restored_to, dry_run, marked_at, marked_by, is_marked, paused, suspected: {messages, posts}: not marked
-- yet, messages and posts: {looked_for, sent, released, held}, unknown_before, assumed, last_attempt_at, next_read_at}.
-- Errors: RS001 an instant that is in the future, or more than 90 days ago; RS002 dry_run or a limit that are not of this form.
create or replace function public.restore_mark(
  p_to timestamptz,
  p_dry_run boolean,
  p_limit integer default 100,
  p_actor text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_restore public.restores;
  v_account_ids uuid[];
  v_unknown integer;
begin
  -- One that was begun may always be ended: nothing is sent before.
  if (p_to > p_now - interval '90 days' and p_to <= p_now) is not true
    and not exists (select from public.restores as restore where restore.restored_to = p_to) then
    raise exception 'to must be an instant of the last 90 days' using errcode = 'RS001', detail = '{"field":"to"}';
  end if;
  if p_dry_run is null or (p_limit between 1 and 1000) is not true then
    raise exception 'dry_run must be true or false, and limit 1 to 1000' using errcode = 'RS002',
      detail = jsonb_build_object('field', case when p_dry_run is null then 'dry_run' else 'limit' end)::text;
  end if;
  if p_dry_run then
    return public.restore_json(p_to, true, p_now);
  end if;

  -- Of two who tell it at once, the second goes on where the first has come to.
  perform pg_advisory_xact_lock(hashtext('public.restore_mark'));
  insert into public.restores (restored_to, marked_at, marked_by) values (p_to, p_now, coalesce(p_actor, 'sql'))
  on conflict (restored_to) do nothing;
  select restore.* into v_restore from public.restores as restore where restore.restored_to = p_to;
  if v_restore.is_marked then
    return public.restore_json(p_to, false, p_now);
  end if;

  if not exists (select from public.sending_pause as pause where pause.paused_until = 'infinity') then
    perform public.sending_pause_set(
      'the database was put back to ' || to_char(p_to at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), null, p_actor, p_now);
  end if;
  if v_restore.marked_at = p_now then
    -- What was under way at the instant is unknown by now; and what is scheduled has its account's policy.
    perform public.dm_recover(p_now);
    perform public.post_recover(p_now);
    perform public.post_prepare(p_now, p_now);
  end if;
  v_account_ids := array(
    select policy.account_id from public.account_policies as policy
    where policy.account_id > v_restore.done_through
    order by policy.account_id
    limit p_limit
    for update
  );
  -- Statements of their own: their snapshots are younger than the locks.
  v_unknown := public.restore_mark_accounts(v_restore, v_account_ids, p_now);
  update public.restores as restore set
    done_through = coalesce(v_account_ids[cardinality(v_account_ids)], restore.done_through),
    unknown_count = restore.unknown_count + v_unknown,
    is_marked = cardinality(v_account_ids) < p_limit
  where restore.id = v_restore.id;
  perform public.audit_add(p_actor, 'restore.mark', null,
    jsonb_build_object('to', p_to, 'accounts', cardinality(v_account_ids), 'is_marked', cardinality(v_account_ids) < p_limit), p_now);
  return public.restore_json(p_to, false, p_now);
end;
$$;

-- restore_json: how far a restore has come, as restore_mark answers; of one that was not told yet, what it would begin with.
create or replace function public.restore_json(p_to timestamptz, p_dry_run boolean, p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_restore public.restores;
begin
  select restore.* into v_restore from public.restores as restore where restore.restored_to = p_to;
  return jsonb_build_object(
    'restored_to', p_to,
    'dry_run', p_dry_run,
    'marked_at', v_restore.marked_at,
    'marked_by', v_restore.marked_by,
    'is_marked', coalesce(v_restore.is_marked, false),
    'paused', public.sending_is_paused(p_now),
    'suspected', (
      select jsonb_build_object(
        'messages', count(*) filter (where suspect.kind = 'message'), 'posts', count(*) filter (where suspect.kind = 'post'))
      from public.restore_suspects(case when v_restore.id is not null then array(
        select policy.account_id from public.account_policies as policy
        where not v_restore.is_marked and policy.account_id > v_restore.done_through
      ) end, coalesce(v_restore.marked_at, p_now)) as suspect
    ),
    'messages', (
      select jsonb_build_object(
        'looked_for', count(*) filter (where attempt.outcome = 'unknown' and attempt.next_read_at is not null),
        'sent', count(*) filter (where attempt.outcome = 'sent'),
        'released', count(*) filter (where attempt.outcome = 'not_sent'),
        'held', count(*) filter (where attempt.outcome = 'unknown' and attempt.next_read_at is null and message.status = 'unknown'))
      from public.dm_attempts as attempt
      left join public.dm_queue as message on message.id = attempt.message_id
      where attempt.worker = 'restored' and attempt.claim_id = v_restore.id and attempt.error_type is distinct from 'assumed'
    ),
    'posts', (
      select jsonb_build_object(
        'looked_for', count(*) filter (where attempt.outcome = 'unknown' and attempt.next_read_at is not null),
        'sent', count(*) filter (where attempt.outcome = 'sent'),
        'released', count(*) filter (where attempt.outcome = 'not_sent'),
        'held', count(*) filter (
          where attempt.outcome = 'unknown' and attempt.next_read_at is null and publication.state = 'unknown'))
      from public.post_attempts as attempt
      left join public.post_publications as publication on publication.post_id = attempt.post_id
      where attempt.worker = 'restored' and attempt.claim_id = v_restore.id
    ),
    'unknown_before', coalesce(v_restore.unknown_count, 0),
    'assumed', (
      select count(*) from public.dm_attempts as attempt
      where attempt.worker = 'restored' and attempt.claim_id = v_restore.id and attempt.error_type = 'assumed'
    ),
    'last_attempt_at', (
      select max(last.started_at)
      from (
        (select attempt.started_at from public.dm_attempts as attempt
        where attempt.worker <> 'restored' order by attempt.started_at desc, attempt.position desc limit 1)
        union all
        (select attempt.started_at from public.post_attempts as attempt
        where attempt.worker <> 'restored' order by attempt.started_at desc, attempt.position desc limit 1)
      ) as last
    ),
    'next_read_at', (
      select min(unread.next_read_at)
      from (
        select attempt.next_read_at from public.dm_attempts as attempt
        where attempt.worker = 'restored' and attempt.claim_id = v_restore.id
        union all
        select attempt.next_read_at from public.post_attempts as attempt
        where attempt.worker = 'restored' and attempt.claim_id = v_restore.id and attempt.outcome = 'unknown'
      ) as unread
    )
  );
end;
$$;

revoke execute on function
  public.restore_look_since, public.restore_suspects, public.restore_assume, public.restore_mark_accounts, public.restore_found,
  public.restore_whole, public.restore_mark, public.restore_json
from public, anon, authenticated;
grant execute on function
  public.restore_look_since, public.restore_suspects, public.restore_assume, public.restore_mark_accounts, public.restore_found,
  public.restore_whole, public.restore_mark, public.restore_json
to service_role;
