-- Posts: RevOS's own `posts`, published through the same machine as messages.
--
-- RevOS writes its table when it likes and without asking, and nothing of it is altered, indexed or triggered. So every
-- look reads the posts anew, and what the machine knows of a post lives beside it, in post_publications. Written
-- back is what RevOS reads: status (published or failed only), published_at, unipile_post_id, post_url, updated_at.
--
-- Rows are locked in one order: policies by account, then publications by post, then posts. A claim waits for none of them.

alter table public.account_policies
  -- Seconds between two posts of an account.
  add column if not exists post_gap_s integer not null default 3600 check (post_gap_s between 0 and 86400);

-- post_publications: one row a post that the scheduler has looked at, or that has options.
--
-- waiting → publishing → published | unknown | failed; held and missed wait for somebody to mend the post. The
-- state says nothing of a post that RevOS does not have as `scheduled`; see post_state_shown.
create table if not exists public.post_publications (
  -- posts.id. No foreign key: RevOS may delete the post.
  post_id uuid primary key,
  state text not null default 'waiting'
    check (state in ('waiting', 'publishing', 'published', 'unknown', 'failed', 'missed', 'held')),
  -- From the closed list in docs/reasons.md.
  reason text check (length(reason) <= 64),
  -- For people; at most 500 characters.
  error text check (length(error) <= 500),
  -- Attempts that were burned: provably not sent, and worth another try.
  attempts integer not null default 0 check (attempts >= 0),
  -- Set by a retry; the post is due once this and its own time have passed.
  not_before timestamptz,
  -- The posts.scheduled_for that was missed: it stays missed until that is changed, whatever the limit is by then.
  missed_for timestamptz,
  published_at timestamptz,
  unipile_post_id text check (length(unipile_post_id) <= 200),
  social_id text check (length(social_id) <= 200),
  share_url text check (length(share_url) <= 2048),

  -- Options, see post_options_set.
  media jsonb not null default '[]'::jsonb,
  mentions jsonb not null default '[]'::jsonb,
  external_link text check (length(external_link) <= 2048),
  as_organization text check (length(as_organization) <= 40),
  -- Its author says that what looks like a mark of a template in the text is meant.
  is_literal boolean not null default false,
  -- When the media were last looked at, and what was wrong: {problem, detail, retryable}.
  media_checked_at timestamptz,
  media_problem jsonb,

  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- post_attempts: the ledger of posts, as dm_attempts is that of messages. It keeps what was sent, since RevOS may
-- change the post afterwards, and reading back compares with it.
create table if not exists public.post_attempts (
  id uuid primary key default gen_random_uuid(),
  post_id uuid not null,
  account_id uuid not null,
  claim_id uuid not null,
  worker text not null check (length(worker) <= 200),
  started_at timestamptz not null,
  lease_until timestamptz not null,
  finished_at timestamptz,
  -- Null while in flight.
  outcome text check (outcome in ('sent', 'not_sent', 'unknown')),
  -- The latest instant at which LinkedIn can have shown the post; the gap is counted by it.
  effect_by timestamptz not null,
  position bigint generated always as identity,
  -- As it was sent; a post of 3,000 characters may have more with the marks of its mentions.
  text text not null check (length(text) <= 20000),
  mentions jsonb not null,
  external_link text,
  as_organization text,
  http_status integer,
  error_type text check (length(error_type) <= 100),
  detail text check (length(detail) <= 500),
  unipile_post_id text check (length(unipile_post_id) <= 200),
  social_id text check (length(social_id) <= 200),
  share_url text check (length(share_url) <= 2048),
  -- As in dm_attempts; a published post without an address is read again too.
  read_backs integer not null default 0 check (read_backs >= 0),
  next_read_at timestamptz,
  absent_since timestamptz,
  check ((finished_at is null) = (outcome is null))
);

-- One call in flight per account, whoever claims.
create unique index if not exists post_attempts_open
  on public.post_attempts (account_id) where finished_at is null;
create index if not exists post_attempts_lease
  on public.post_attempts (lease_until) where finished_at is null;
-- What counts for the gap, latest first.
create index if not exists post_attempts_counted
  on public.post_attempts (account_id, effect_by desc) where outcome is distinct from 'not_sent';
create index if not exists post_attempts_post on public.post_attempts (post_id, position);
create index if not exists post_attempts_unread on public.post_attempts (next_read_at) where next_read_at is not null;
create index if not exists post_attempts_recent on public.post_attempts (account_id, started_at desc);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['post_publications', 'post_attempts'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
  revoke all on sequence public.post_attempts_position_seq from public, anon, authenticated;
end;
$$;

-- post_text_shown: the text as LinkedIn shows it: names for the marks of mentions, and the external link at the
-- end unless the text has it, which is what Unipile does.
create or replace function public.post_text_shown(p_content text, p_mentions jsonb, p_external_link text)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_text text := coalesce(p_content, '');
begin
  for v_index in 0..jsonb_array_length(p_mentions) - 1 loop
    v_text := replace(v_text, '{{' || v_index || '}}', p_mentions -> v_index ->> 'name');
  end loop;
  return case
    when p_external_link is null or strpos(v_text, p_external_link) > 0 then v_text
    else v_text || E'\n' || p_external_link
  end;
end;
$$;

-- post_text_problem: why a text cannot be published; null if it can. The rules are text_problems'.
--
-- LinkedIn takes 3,000 UTF-16 units. A mark that is left is a template that was not filled in, or a mention that is missing.
create or replace function public.post_text_problem(
  p_content text,
  p_mentions jsonb,
  p_external_link text,
  p_is_literal boolean,
  out reason text,
  out detail text
)
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_wrong jsonb;
begin
  if p_mentions = '[]' and p_external_link is null then
    v_wrong := public.text_problems(p_content, 3000, p_is_literal) -> 0;
  elsif public.text_is_blank(public.post_text_shown(p_content, p_mentions, null)) then
    v_wrong := '{"rule": "empty"}';
  else
    v_wrong := public.text_problems(public.post_text_shown(p_content, p_mentions, p_external_link), 3000, p_is_literal) -> 0;
  end if;
  reason := case v_wrong ->> 'rule'
    when 'empty' then 'post_empty' when 'too_long' then 'post_too_long' when 'placeholder' then 'post_placeholder'
    when 'unreadable' then 'post_unreadable' end;
  detail := case v_wrong ->> 'rule'
    when 'empty' then 'the post has no text, or none that shows'
    else 'the text, with its mentions and link, ' || (v_wrong ->> 'problem') end;
end;
$$;

-- post_account_problem: why nothing can be published as the account; null if it can.
create or replace function public.post_account_problem(p_account_id uuid)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when p_account_id is null then 'post_without_account'
    when account.id is null then 'account_missing'
    when account.status is distinct from 'active' then 'account_inactive'
    when account.unipile_account_id is null then 'account_not_connected'
  end
  from (select 1) as always
  left join public.linkedin_accounts as account on account.id = p_account_id;
$$;

-- post_gate: whether a post may leave the account now; if not, why, and the earliest instant at which that can change.
--
-- Both are null when it may. Hours and limits of messages do not apply: a person chose the time. What is in flight or
-- unknown counts for the gap, at the latest instant its effect can have had.
-- Call it with the policy row locked, in a statement of its own: then it has seen every attempt.
create or replace function public.post_gate(
  p_account_id uuid,
  p_now timestamptz,
  out reason text,
  out clear_at timestamptz
)
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  reason := public.post_account_problem(p_account_id);
  if reason is not null then
    clear_at := 'infinity';
    return;
  end if;

  -- The one that blocks longest is the reason.
  select block.reason, block.until into reason, clear_at
  from (
    select 1, 'all_paused', pause.paused_until from public.sending_pause as pause
    union all
    select 2, 'paused', policy.paused_until
    from public.account_policies as policy where policy.account_id = p_account_id
    union all
    select 4, 'post_gap', last.effect_by + make_interval(secs => coalesce((
      select policy.post_gap_s from public.account_policies as policy where policy.account_id = p_account_id), 3600))
    from (
      select max(counted.effect_by) as effect_by
      from public.post_attempts as counted
      where counted.account_id = p_account_id and counted.outcome is distinct from 'not_sent'
    ) as last
    union all
    -- It may end at any time, and by its lease at the latest: then the claim recovers it, and looks again.
    select 3, 'in_flight', greatest(open.lease_until, p_now)
    from (
      select message.lease_until from public.dm_attempts as message
      where message.account_id = p_account_id and message.finished_at is null
      union all
      select post.lease_until from public.post_attempts as post
      where post.account_id = p_account_id and post.finished_at is null
      union all
      -- One whose answer was lost may still be under way, up to the end of its lease. The latest is what counts.
      (select message.effect_by from public.dm_attempts as message
      where message.account_id = p_account_id and message.outcome is distinct from 'not_sent'
        and message.outcome = 'unknown' and message.effect_by > p_now
      order by message.effect_by desc limit 1)
      union all
      (select post.effect_by from public.post_attempts as post
      where post.account_id = p_account_id and post.outcome is distinct from 'not_sent'
        and post.outcome = 'unknown' and post.effect_by > p_now
      order by post.effect_by desc limit 1)
    ) as open
  ) as block (rank, reason, until)
  where block.until > p_now or block.reason = 'in_flight'
  order by block.until desc, block.rank
  limit 1;
end;
$$;

-- post_ledger_state: published, unknown or publishing, where the ledger has an attempt that LinkedIn may have seen; null
-- where it has none. Such a post never goes out again, whatever is written into any other table.
create or replace function public.post_ledger_state(p_post_id uuid)
returns text
language sql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
  select case attempt.outcome when 'sent' then 'published' when 'unknown' then 'unknown' else 'publishing' end
  from public.post_attempts as attempt
  where attempt.post_id = p_post_id and attempt.outcome is distinct from 'not_sent'
  order by attempt.outcome is not distinct from 'sent' desc, attempt.position desc
  limit 1;
$$;

-- post_states: every post that RevOS has as scheduled, with its state by now: the one place that the claim, the
-- explanation and the backlog ask.
--
-- A post that was published, or may have been, keeps its state whatever is written into it. A failed one that RevOS
-- has as scheduled again is tried again. A problem of its media holds it unless that is expected to go
-- away by itself, until a look finds them in order: see post_media_due.
--
-- p_post_ids, p_account_ids: only these; null for all. p_until: only what is scheduled by then, or for no time at all.
-- stored_reason is what the publication would say; reason is why it does not go at this moment, and can_go_at
-- the earliest instant at which that can change, null if none is known or the post would be missed by then.
-- is_open: it could be claimed now. ahead: due posts of its account that go first.
-- It goes through all that is scheduled, since RevOS's table has no index for it; so a post must cost little: 5,000 took
-- 1,400 ms with a function for each, and take 130 ms.
create or replace function public.post_states(
  p_post_ids uuid[],
  p_account_ids uuid[],
  p_until timestamptz,
  p_late_limit_minutes integer,
  p_now timestamptz
)
returns table (
  post_id uuid,
  account_id uuid,
  scheduled_for timestamptz,
  due_at timestamptz,
  state text,
  stored_reason text,
  error text,
  reason text,
  can_go_at timestamptz,
  is_open boolean,
  ahead integer
)
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  with scheduled as materialized (
    select post.id, post.linkedin_account_id as account_id, post.scheduled_for, publication.not_before, verdict.state,
      case
        -- Failed: it may have been published, and a person gave it up.
        when post_is.touched and publication.state in ('publishing', 'published', 'unknown', 'failed') then publication.reason
        when verdict.state = 'missed' then 'too_late'
        when verdict.state = 'held' then held.reason
        when verdict.state = 'waiting' and publication.state = 'waiting'
          and publication.reason is distinct from 'cancelled' then publication.reason
      end as reason,
      case
        when post_is.touched and publication.state in ('publishing', 'published', 'unknown', 'failed') then publication.error
        when verdict.state = 'held' then case held.reason
          when text_of_post.problem ->> 'reason' then text_of_post.problem ->> 'detail'
          when 'media_invalid' then publication.media_problem ->> 'detail' end
        when verdict.state = 'waiting' and publication.state = 'waiting'
          and publication.reason is distinct from 'cancelled' then publication.error
      end as error,
      coalesce(greatest(post.scheduled_for, publication.not_before), 'infinity') as due_at
    from (
      select named.id, named.linkedin_account_id, named.scheduled_for, named.content, named.unipile_post_id
      from unnest(p_post_ids) as asked (id)
      join public.posts as named on named.id = asked.id
      where named.status = 'scheduled' and (named.scheduled_for <= p_until or named.scheduled_for is null)
        and (p_account_ids is null or named.linkedin_account_id = any (p_account_ids))
      union all
      select any_one.id, any_one.linkedin_account_id, any_one.scheduled_for, any_one.content, any_one.unipile_post_id
      from public.posts as any_one
      where p_post_ids is null
        and any_one.status = 'scheduled' and (any_one.scheduled_for <= p_until or any_one.scheduled_for is null)
        and (p_account_ids is null or any_one.linkedin_account_id = any (p_account_ids))
    ) as post
    -- Row by row, and never through all that was ever published.
    left join lateral (
      select known.* from public.post_publications as known where known.post_id = post.id offset 0
    ) as publication on true
    left join public.linkedin_accounts as account on account.id = post.linkedin_account_id
    -- As post_ledger_state.
    left join lateral (
      select case attempt.outcome when 'sent' then 'published' when 'unknown' then 'unknown' else 'publishing' end
      from public.post_attempts as attempt
      where attempt.post_id = post.id and attempt.outcome is distinct from 'not_sent'
      order by attempt.outcome is not distinct from 'sent' desc, attempt.position desc
      limit 1
    ) as ledger (state) on true
    cross join lateral (
      select coalesce(ledger.state is not null or publication.state in ('publishing', 'published', 'unknown'), false),
        (post.scheduled_for = publication.missed_for
          or post.scheduled_for + make_interval(mins => p_late_limit_minutes) < p_now) is true
      -- Here and below: computed once a post. Else it is computed wherever it is mentioned, which is what took most of the time.
      offset 0
    ) as post_is (touched, missed)
    cross join lateral (
      select case
        when post_is.touched or post_is.missed then null
        else (
          select jsonb_build_object('reason', wrong.reason, 'detail', wrong.detail)
          from public.post_text_problem(post.content, coalesce(publication.mentions, '[]'), publication.external_link,
            coalesce(publication.is_literal, false)) as wrong
        )
      end
      offset 0
    ) as text_of_post (problem)
    cross join lateral (
      select case
        when post.unipile_post_id is not null then 'post_has_id'
        when post.scheduled_for is null then 'post_without_time'
        when post.linkedin_account_id is null then 'post_without_account'
        when text_of_post.problem ->> 'reason' is not null then text_of_post.problem ->> 'reason'
        when (publication.media_problem ->> 'retryable')::boolean is false then 'media_invalid'
        -- As post_account_problem.
        when account.id is null then 'account_missing'
        when account.status is distinct from 'active' then 'account_inactive'
        when account.unipile_account_id is null then 'account_not_connected'
      end
      offset 0
    ) as held (reason)
    cross join lateral (
      select case
        when post_is.touched and publication.state in ('publishing', 'published', 'unknown', 'failed') then publication.state
        when post_is.touched then ledger.state
        when post_is.missed then 'missed'
        when held.reason is not null then 'held'
        else 'waiting'
      end
      offset 0
    ) as verdict (state)
  ), gated as materialized (
    select waiting.account_id, gate.reason, coalesce(gate.clear_at, p_now) as clear_at
    from (select distinct scheduled.account_id from scheduled where scheduled.state = 'waiting') as waiting
    cross join lateral public.post_gate(waiting.account_id, p_now) as gate
  ), ranked as materialized (
    select scheduled.*, gated.reason as gate_reason, gated.clear_at,
      scheduled.due_at > p_now and (gated.reason is null or scheduled.due_at > gated.clear_at) as is_early,
      (count(*) filter (where scheduled.due_at <= p_now and scheduled.state = 'waiting') over (
        partition by scheduled.account_id order by scheduled.due_at, scheduled.id
        rows between unbounded preceding and 1 preceding
      ))::integer as ahead
    from scheduled
    left join gated on scheduled.state = 'waiting' and gated.account_id = scheduled.account_id
  ), timed as (
    select ranked.*, case
      when ranked.state <> 'waiting' then 'infinity'
      when ranked.is_early then ranked.due_at
      else ranked.clear_at
    end as at
    from ranked
  )
  select timed.id, timed.account_id, timed.scheduled_for, timed.due_at, timed.state, timed.reason, timed.error,
    case
      when timed.state <> 'waiting' then coalesce(timed.reason, timed.state)
      when timed.is_early then
        case when timed.not_before > timed.scheduled_for then coalesce(timed.reason, 'retry_later') else 'scheduled' end
      when timed.gate_reason is not null then timed.gate_reason
      when timed.reason = 'platform_key_refused' then timed.reason
      when timed.ahead > 0 then 'queued_behind'
      else 'ready'
    end,
    -- Later than this it would be missed.
    case when timed.at <= timed.scheduled_for + make_interval(mins => p_late_limit_minutes)
      then nullif(timed.at, 'infinity') end,
    timed.state = 'waiting' and timed.gate_reason is null and timed.due_at <= p_now,
    case when timed.state = 'waiting' then timed.ahead else 0 end
  from timed;
end;
$$;

-- post_ensure: makes the publications of posts that have none. What the ledger knows of a post stands.
create or replace function public.post_ensure(p_post_ids uuid[], p_now timestamptz)
returns void
language sql
security invoker
set search_path = ''
as $$
  insert into public.post_publications (post_id, state, created_at, updated_at)
  select new.post_id, coalesce(public.post_ledger_state(new.post_id), 'waiting'), p_now, p_now
  from unnest(p_post_ids) as new (post_id)
  where not exists (
    select from public.post_publications as publication where publication.post_id = new.post_id
  )
  order by new.post_id
  on conflict do nothing;
$$;

-- post_look: looks at all that is scheduled up to a day ahead, and, where p_is_writing, puts into the publications what the
-- posts' states are by now, so that a person sees in time what is going to be held. What somebody else is at is left for the
-- next look.
--
-- p_post_ids: only these; null for all. Answers what waits, by account: {account_id: {open: [the 100 that could be claimed
-- first] or null, due_at: since when, later: the first that is not due yet or null, next_at: as can_go_at of post_states}}.
create or replace function public.post_look(
  p_post_ids uuid[],
  p_is_writing boolean,
  p_late_limit_minutes integer,
  p_now timestamptz
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_post_id uuid;
  v_waiting jsonb;
begin
  with looked as materialized (
    select look.*
    from public.post_states(p_post_ids, null, p_now + interval '24 hours', p_late_limit_minutes, p_now) as look
  ), changed as materialized (
    select looked.post_id, looked.scheduled_for, looked.state, looked.stored_reason as reason, looked.error
    from looked
    join public.post_publications as publication on publication.post_id = looked.post_id
    where p_is_writing and (publication.state, publication.reason, publication.error)
      is distinct from (looked.state, looked.stored_reason, looked.error)
  ), free as materialized (
    select publication.post_id
    from public.post_publications as publication
    where publication.post_id in (select changed.post_id from changed)
      and publication.state not in ('publishing', 'published', 'unknown')
    order by publication.post_id
    for update skip locked
  ), updated as (
    update public.post_publications as publication set
      state = changed.state,
      reason = changed.reason,
      error = left(changed.error, 500),
      missed_for = case when changed.state = 'missed' then changed.scheduled_for end,
      -- RevOS has a failed post as scheduled again: it has all its tries.
      attempts = case when publication.state = 'failed' then 0 else publication.attempts end,
      not_before = case when publication.state = 'failed' then null else publication.not_before end,
      updated_at = p_now
    from changed
    join free on free.post_id = changed.post_id
    where publication.post_id = changed.post_id
  )
  select jsonb_object_agg(waiting.account_id, jsonb_build_object(
    'open', to_jsonb(waiting.open_ids[1:100]), 'due_at', waiting.due_at, 'later', waiting.later_ids[1], 'next_at', waiting.next_at))
  into v_waiting
  from (
    select looked.account_id,
      array_agg(looked.post_id order by looked.due_at, looked.post_id) filter (where looked.is_open) as open_ids,
      array_agg(looked.post_id order by looked.due_at, looked.post_id) filter (where looked.due_at > p_now) as later_ids,
      min(looked.due_at) filter (where looked.is_open) as due_at,
      min(looked.can_go_at) as next_at
    from looked
    where looked.state = 'waiting'
    group by looked.account_id
  ) as waiting;
  if not p_is_writing then
    return coalesce(v_waiting, '{}');
  end if;

  -- RevOS has as scheduled what was published, or given up although it may have been: its row is put right.
  for v_post_id in
    select post.id
    from public.posts as post
    join public.post_publications as publication on publication.post_id = post.id
    where post.status = 'scheduled' and publication.state in ('published', 'failed')
      and (p_post_ids is null or post.id = any (p_post_ids))
    order by post.id
    for update of publication, post skip locked
  loop
    perform public.post_write_back(v_post_id, p_now);
  end loop;
  return coalesce(v_waiting, '{}');
end;
$$;

-- post_write_back: writes into RevOS's row what it reads of a publication that came to its end.
--
-- RevOS wants the LinkedIn id to be the post's alone: where another row has it, it stays in the publication only.
create or replace function public.post_write_back(p_post_id uuid, p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_publication public.post_publications;
begin
  select publication.* into v_publication
  from public.post_publications as publication where publication.post_id = p_post_id;

  if v_publication.state = 'failed' then
    update public.posts as post set status = 'failed', updated_at = p_now
    where post.id = p_post_id and post.status = 'scheduled';
  elsif v_publication.state = 'published' then
    update public.posts as post set
      status = 'published',
      published_at = coalesce(v_publication.published_at, post.published_at, p_now),
      post_url = coalesce(v_publication.share_url, post.post_url),
      updated_at = p_now
    where post.id = p_post_id;
    begin
      update public.posts as post set unipile_post_id = v_publication.unipile_post_id
      where post.id = p_post_id and v_publication.unipile_post_id is not null
        and post.unipile_post_id is distinct from v_publication.unipile_post_id
        and not exists (
          select from public.posts as other
          where other.unipile_post_id = v_publication.unipile_post_id and other.id <> p_post_id
        );
    exception when unique_violation then
      -- Another row took it at this very moment.
      null;
    end;
  end if;
end;
$$;

revoke execute on function
  public.post_text_shown, public.post_text_problem, public.post_account_problem, public.post_gate,
  public.post_ledger_state, public.post_states, public.post_ensure, public.post_look,
  public.post_write_back
from public, anon, authenticated;
grant execute on function
  public.post_text_shown, public.post_text_problem, public.post_account_problem, public.post_gate,
  public.post_ledger_state, public.post_states, public.post_ensure, public.post_look,
  public.post_write_back
to service_role;
