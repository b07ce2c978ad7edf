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
    execute format('revoke all on public.%I from public, anon, authenticated', v_table);
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

-- post_text_problem: why a text cannot be published; null if it can.
--
-- LinkedIn takes 3,000 UTF-16 units, in which an emoji counts as two. A mark that is left is a template that was not
-- filled in, or a mention that is missing.
create or replace function public.post_text_problem(
  p_content text,
  p_mentions jsonb,
  p_external_link text,
  out reason text,
  out detail text
)
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_shown constant text := public.post_text_shown(p_content, p_mentions, p_external_link);
  v_units integer := length(v_shown);
begin
  -- Only what may be too long is counted: this runs for every scheduled post, and the pattern takes its time.
  if v_units > 1500 and octet_length(v_shown) > v_units then
    v_units := 2 * v_units - length(regexp_replace(v_shown, '[\U00010000-\U0010FFFF]', '', 'g'));
  end if;

  if coalesce(p_content, '') !~ '[^[:space:]]' then
    reason := 'post_empty';
    detail := 'the post has no text';
  elsif strpos(v_shown, '{{') > 0 or strpos(v_shown, '}}') > 0 then
    reason := 'post_placeholder';
    detail := 'the text has a placeholder that was not filled in: '
      || left((regexp_match(v_shown, '\{\{[^{}]*\}?\}?|\}\}'))[1], 60);
  elsif v_units > 3000 then
    reason := 'post_too_long';
    detail := format('the text has %s characters with its mentions and link, of 3000 at most', v_units);
  end if;
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
    select 3, 'post_gap', last.effect_by + make_interval(secs => coalesce((
      select policy.post_gap_s from public.account_policies as policy where policy.account_id = p_account_id), 3600))
    from (
      select max(counted.effect_by) as effect_by
      from public.post_attempts as counted
      where counted.account_id = p_account_id and counted.outcome is distinct from 'not_sent'
    ) as last
    union all
    -- It may end at any time, and by its lease at the latest: then the claim recovers it, and looks again.
    select 4, 'in_flight', greatest(open.lease_until, p_now)
    from (
      select message.lease_until from public.dm_attempts as message
      where message.account_id = p_account_id and message.finished_at is null
      union all
      select post.lease_until from public.post_attempts as post
      where post.account_id = p_account_id and post.finished_at is null
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
as $$
  select case attempt.outcome when 'sent' then 'published' when 'unknown' then 'unknown' else 'publishing' end
  from public.post_attempts as attempt
  where attempt.post_id = p_post_id and attempt.outcome is distinct from 'not_sent'
  order by attempt.outcome is not distinct from 'sent' desc, attempt.position desc
  limit 1;
$$;

-- post_verdict: the state that a post is in by what it says now, apart from its account's pace. Part of post_states.
--
-- A post that was published, or may have been, keeps its state whatever is written into it. A failed one that RevOS
-- has as scheduled again is tried again. p_media_problem holds unless it may go away by itself.
create or replace function public.post_verdict(
  p_publication public.post_publications,
  p_post_id uuid,
  p_account_id uuid,
  p_content text,
  p_scheduled_for timestamptz,
  p_unipile_post_id text,
  p_late_limit_minutes integer,
  p_now timestamptz,
  out state text,
  out reason text,
  out error text
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  state := public.post_ledger_state(p_post_id);
  if state is not null or p_publication.state in ('publishing', 'published', 'unknown') then
    -- Failed: it may have been published, and a person gave it up.
    if p_publication.state in ('publishing', 'published', 'unknown', 'failed') then
      state := p_publication.state;
      reason := p_publication.reason;
      error := p_publication.error;
    end if;
    return;
  end if;

  if p_scheduled_for = p_publication.missed_for
    or p_scheduled_for + make_interval(mins => p_late_limit_minutes) < p_now then
    state := 'missed';
    reason := 'too_late';
    return;
  end if;

  state := 'held';
  reason := case
    when p_unipile_post_id is not null then 'post_has_id'
    when p_scheduled_for is null then 'post_without_time'
    when p_account_id is null then 'post_without_account'
  end;
  if reason is null then
    select problem.reason, problem.detail into reason, error
    from public.post_text_problem(
      p_content, coalesce(p_publication.mentions, '[]'), p_publication.external_link) as problem;
  end if;
  if reason is null and (p_publication.media_problem ->> 'retryable')::boolean is false then
    reason := 'media_invalid';
    error := p_publication.media_problem ->> 'detail';
  end if;
  reason := coalesce(reason, public.post_account_problem(p_account_id));

  if reason is null then
    state := 'waiting';
    if p_publication.state = 'waiting' and p_publication.reason is distinct from 'cancelled' then
      reason := p_publication.reason;
      error := p_publication.error;
    end if;
  end if;
end;
$$;

-- post_states: every post that RevOS has as scheduled, with its state by now: the one place that the claim, the
-- explanation and the backlog ask.
--
-- p_post_ids, p_account_ids: only these; null for all. p_until: only what is scheduled by then, or for no time at all.
-- stored_reason is what the publication would say; reason is why it does not go at this moment, and can_go_at
-- the earliest instant at which that can change, null if none is known or the post would be missed by then.
-- is_open: it could be claimed now. ahead: due posts of its account that go first.
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
language sql
stable
security invoker
set search_path = ''
as $$
  with scheduled as materialized (
    select post.id, post.linkedin_account_id as account_id, post.scheduled_for, publication.not_before, verdict.*,
      coalesce(greatest(post.scheduled_for, publication.not_before), 'infinity') as due_at
    from public.posts as post
    left join public.post_publications as publication on publication.post_id = post.id
    cross join lateral public.post_verdict(
      publication, post.id, post.linkedin_account_id, post.content, post.scheduled_for, post.unipile_post_id,
      p_late_limit_minutes, p_now) as verdict
    where post.status = 'scheduled'
      and (post.scheduled_for <= p_until or post.scheduled_for is null)
      and (p_post_ids is null or post.id = any (p_post_ids))
      and (p_account_ids is null or post.linkedin_account_id = any (p_account_ids))
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

-- post_look: puts into the publications what the posts' states are by now, up to a day ahead, so that a person
-- sees in time what is going to be held. What somebody else is at is left for the next look.
--
-- p_post_ids: only these; null for all.
create or replace function public.post_look(p_post_ids uuid[], p_late_limit_minutes integer, p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_post_id uuid;
begin
  with changed as materialized (
    select look.post_id, look.scheduled_for, look.state, look.stored_reason as reason, look.error
    from public.post_states(p_post_ids, null, p_now + interval '24 hours', p_late_limit_minutes, p_now) as look
    join public.post_publications as publication on publication.post_id = look.post_id
    where (publication.state, publication.reason, publication.error)
      is distinct from (look.state, look.stored_reason, look.error)
  ), free as materialized (
    select publication.post_id
    from public.post_publications as publication
    where publication.post_id in (select changed.post_id from changed)
      and publication.state not in ('publishing', 'published', 'unknown')
    order by publication.post_id
    for update skip locked
  )
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
  where publication.post_id = changed.post_id;

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

-- post_prepare: makes what is missing for posts that are scheduled by p_until: policies of their accounts, and their
-- publications. Part of post_claim, before it locks anything: somebody else may be making the same rows.
create or replace function public.post_prepare(p_until timestamptz, p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  insert into public.account_policies (account_id)
  select distinct post.linkedin_account_id
  from public.posts as post
  join public.linkedin_accounts as account on account.id = post.linkedin_account_id
  where post.status = 'scheduled' and post.scheduled_for <= p_until and not exists (
    select from public.account_policies as policy where policy.account_id = post.linkedin_account_id
  )
  order by 1
  on conflict do nothing;
  perform public.post_ensure(array(
    select post.id from public.posts as post
    where post.status = 'scheduled' and (post.scheduled_for <= p_until or post.scheduled_for is null)
  ), p_now);
end;
$$;

-- post_claim: claims up to p_limit posts, at most one an account, and only where pause, gap and what is in flight
-- allow it. Writes the attempt with what is going to be sent, and sets the publication `publishing`, before any call.
--
-- Safe under races: account rows are locked `skip locked` and looked at only afterwards, and so are the posts, so any
-- number of workers may call it at once, and none waits for RevOS. It recovers what was lost, and brings every
-- publication up to what RevOS's rows say now; only a post that is not late by more than p_late_limit_minutes is given.
--
-- p_lease_ms, p_claim_id, p_account_ids: as in dm_claim.
-- Answers {now, next_claim_at, items: [{attempt_id, post_id, account_id, unipile_account_id, text, media, mentions,
-- external_link, as_organization, attempts, was_unknown, lease_until}]}; was_unknown lists the earlier attempts that
-- may have been seen by LinkedIn, each as post_unknowns gives it. Nothing is given while all sending is paused.
-- Errors: PO030 an argument out of range.
create or replace function public.post_claim(
  p_worker text,
  p_limit integer,
  p_lease_ms integer,
  p_late_limit_minutes integer default 360,
  p_claim_id uuid default gen_random_uuid(),
  p_account_ids uuid[] default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_until constant timestamptz := p_now + interval '24 hours';
  v_is_looking boolean;
  v_items jsonb := '[]';
  v_item jsonb;
  v_account_ids uuid[];
  v_account_id uuid;
  v_next timestamptz;
begin
  if (p_limit between 1 and 1000 and p_lease_ms between 1000 and 3600000
    and p_late_limit_minutes between 0 and 525600 and length(p_worker) between 1 and 200) is not true then
    raise exception 'limit must be 1 to 1000, lease_ms 1000 to 3600000, late_limit_minutes 0 to 525600, worker 1 to 200 characters'
      using errcode = 'PO030';
  end if;

  -- One session at a time brings things up to date; the others claim what they find, and do not wait for it.
  v_is_looking := pg_try_advisory_xact_lock(hashtext('public.post_look'));
  if v_is_looking then
    perform public.post_prepare(v_until, p_now);
  end if;
  perform public.dm_recover(p_now);
  perform public.post_recover(p_now);
  if v_is_looking then
    perform public.post_look(null, p_late_limit_minutes, p_now);
  end if;

  select array_agg(ready.account_id order by ready.account_id) into v_account_ids
  from (
    select open.account_id
    from public.post_states(null, p_account_ids, p_now, p_late_limit_minutes, p_now) as open
    where open.is_open
    group by open.account_id
    order by min(open.due_at), open.account_id
    limit p_limit
  ) as ready;
  select array_agg(locked.account_id order by locked.account_id) into v_account_ids
  from (
    select policy.account_id
    from public.account_policies as policy
    where policy.account_id = any (v_account_ids)
    order by policy.account_id
    for update skip locked
  ) as locked;

  -- Statements of their own: their snapshots are younger than the locks.
  foreach v_account_id in array coalesce(v_account_ids, '{}') loop
    v_item := public.post_take(
      v_account_id, p_worker, p_claim_id, p_now + make_interval(secs => p_lease_ms / 1000.0), p_late_limit_minutes, p_now);
    if v_item is not null then
      v_items := v_items || v_item;
    end if;
  end loop;

  select min(future.at) into v_next
  from (
    select greatest(waiting.can_go_at, p_now)
    from public.post_states(null, p_account_ids, v_until, p_late_limit_minutes, p_now) as waiting
    where waiting.can_go_at is not null
    union all
    -- Far off: what may hold it is looked at when it comes near.
    select min(post.scheduled_for)
    from public.posts as post
    where post.status = 'scheduled' and post.scheduled_for > v_until
      and (p_account_ids is null or post.linkedin_account_id = any (p_account_ids))
  ) as future (at);
  return jsonb_build_object('now', p_now, 'next_claim_at', v_next, 'items', v_items);
end;
$$;

-- post_take: claims the account's next due post, if one may go. Part of post_claim, which has locked the account.
create or replace function public.post_take(
  p_account_id uuid,
  p_worker text,
  p_claim_id uuid,
  p_lease_until timestamptz,
  p_late_limit_minutes integer,
  p_now timestamptz
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_post_id uuid;
  v_attempt public.post_attempts;
  v_publication public.post_publications;
begin
  for v_post_id in
    select open.post_id
    from public.post_states(null, array[p_account_id], p_now, p_late_limit_minutes, p_now) as open
    where open.is_open
    order by open.due_at, open.post_id
    limit 100
  loop
    perform from public.post_publications as publication
    where publication.post_id = v_post_id for update skip locked;
    continue when not found;
    perform from public.posts as post where post.id = v_post_id for update skip locked;
    continue when not found;
    -- Now that both stand: RevOS may have changed it since, or another session claimed it.
    continue when not exists (
      select from public.post_states(
        array[v_post_id], array[p_account_id], p_now, p_late_limit_minutes, p_now) as open
      where open.is_open
    );

    update public.post_publications as publication
    set state = 'publishing', reason = null, error = null, updated_at = p_now
    where publication.post_id = v_post_id
    returning publication.* into v_publication;
    insert into public.post_attempts (post_id, account_id, claim_id, worker, started_at, lease_until, effect_by,
      text, mentions, external_link, as_organization)
    select v_post_id, p_account_id, p_claim_id, p_worker, p_now, p_lease_until, p_lease_until,
      post.content, v_publication.mentions, v_publication.external_link, v_publication.as_organization
    from public.posts as post where post.id = v_post_id
    returning * into v_attempt;

    return jsonb_build_object(
      'attempt_id', v_attempt.id,
      'post_id', v_post_id,
      'account_id', p_account_id,
      'unipile_account_id', (
        select account.unipile_account_id from public.linkedin_accounts as account where account.id = p_account_id
      ),
      'text', v_attempt.text,
      'media', v_publication.media,
      'mentions', v_attempt.mentions,
      'external_link', v_attempt.external_link,
      'as_organization', v_attempt.as_organization,
      'attempts', v_publication.attempts,
      'was_unknown', coalesce((
        select jsonb_agg(public.post_sought(earlier) order by earlier.position)
        from public.post_attempts as earlier
        where earlier.post_id = v_post_id and earlier.outcome = 'not_sent'
          and earlier.error_type in ('absent', 'settled')
      ), '[]'::jsonb),
      'lease_until', p_lease_until
    );
  end loop;
  return null;
end;
$$;

-- post_sought: what to look for on LinkedIn to find what an attempt may have published.
--
-- known_post_ids are ids that belong to other posts of the account since shortly before: what is found under one of
-- them is not this one.
create or replace function public.post_sought(p_attempt public.post_attempts)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'attempt_id', p_attempt.id,
    'post_id', p_attempt.post_id,
    'account_id', p_attempt.account_id,
    'unipile_account_id', (
      select account.unipile_account_id from public.linkedin_accounts as account where account.id = p_attempt.account_id
    ),
    'text', p_attempt.text,
    'mentions', p_attempt.mentions,
    'external_link', p_attempt.external_link,
    'as_organization', p_attempt.as_organization,
    'started_at', p_attempt.started_at,
    'unipile_post_id', p_attempt.unipile_post_id,
    'known_post_ids', coalesce((
      select jsonb_agg(distinct known.id)
      from (
        select unnest(array[other.unipile_post_id, other.social_id])
        from public.post_attempts as other
        where other.account_id = p_attempt.account_id and other.post_id <> p_attempt.post_id
          and other.started_at >= p_attempt.started_at - interval '1 hour'
        union all
        select theirs.unipile_post_id
        from public.posts as theirs
        where theirs.linkedin_account_id = p_attempt.account_id and theirs.id <> p_attempt.post_id
          and theirs.published_at >= p_attempt.started_at - interval '1 hour'
      ) as known (id)
      where known.id is not null
    ), '[]'::jsonb)
  );
$$;

-- post_record: closes attempts with what became of them, in bulk; the fences are those of dm_record.
--
-- p_results: [{attempt_id, outcome, next_step?, reason?, error?, retry_after_ms?, http_status?, error_type?, detail?,
-- unipile_post_id?, social_id?, share_url?, sent_at?, pause_ms?, pause_reason?, media_problem?}]. For not_sent, next_step is
-- release, wait, retry or fail, as in dm_record. media_problem {problem, detail, retryable} is what a fetch of the media
-- said; one that will not go away by itself holds the post.
-- Answers [{attempt_id, applied, status}] in the order of the results; status is what the post is now, in the words of
-- messages: pending, sending, sent, unknown or failed; null if it is gone.
-- Errors: PO040 results that are not of this form.
create or replace function public.post_record(p_results jsonb, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_result jsonb;
  v_attempt public.post_attempts;
  v_answers jsonb := '[]';
  v_applied text;
  v_status text;
  v_late boolean;
begin
  if jsonb_typeof(p_results) is distinct from 'array' or jsonb_array_length(p_results) > 1000 then
    raise exception 'results must be an array of at most 1000' using errcode = 'PO040';
  end if;
  if exists (
    select from jsonb_array_elements(p_results) as result (value)
    where coalesce(result.value ->> 'outcome', '') not in ('sent', 'not_sent', 'unknown')
      or (result.value ->> 'outcome' = 'not_sent'
        and coalesce(result.value ->> 'next_step', '') not in ('release', 'wait', 'retry', 'fail'))
  ) then
    raise exception 'a result has no known outcome, or no known next_step' using errcode = 'PO040';
  end if;
  perform public.post_lock(array(
    select (result.value ->> 'attempt_id')::uuid from jsonb_array_elements(p_results) as result (value)
  ));

  for v_result in select result.value from jsonb_array_elements(p_results) as result (value) loop
    v_status := null;
    select attempt.* into v_attempt
    from public.post_attempts as attempt where attempt.id = (v_result ->> 'attempt_id')::uuid for update;

    if not found then
      v_applied := 'missing';
    else
      v_late := v_attempt.finished_at is not null;
      if v_late and not (v_attempt.outcome <> 'sent' and v_result ->> 'outcome' = 'sent') then
        v_applied := 'ignored';
      else
        v_applied := case when v_late then 'late' else 'recorded' end;
        update public.post_attempts as attempt set
          finished_at = p_now,
          outcome = v_result ->> 'outcome',
          -- The effect lies before the answer. Without an answer it can come until the lease ends.
          effect_by = case v_result ->> 'outcome' when 'sent' then p_now else greatest(attempt.lease_until, p_now) end,
          -- It may be there; or it is, and only its address is not known.
          next_read_at = case
            when v_result ->> 'outcome' = 'unknown'
              or (v_result ->> 'outcome' = 'sent' and v_result ->> 'unipile_post_id' is not null
                and v_result ->> 'share_url' is null)
            then public.read_back_at(p_now, null, p_now) end,
          http_status = (v_result ->> 'http_status')::integer,
          error_type = left(v_result ->> 'error_type', 100),
          detail = left(v_result ->> 'detail', 500),
          unipile_post_id = left(v_result ->> 'unipile_post_id', 200),
          social_id = left(v_result ->> 'social_id', 200),
          share_url = left(v_result ->> 'share_url', 2048)
        where attempt.id = v_attempt.id
        returning attempt.* into v_attempt;
        perform public.post_settle(v_attempt, v_late, v_result, p_now);
        perform public.post_account_settle(v_attempt.account_id, v_late, v_result, p_now);
      end if;
      select case publication.state
        when 'published' then 'sent' when 'publishing' then 'sending'
        when 'unknown' then 'unknown' when 'failed' then 'failed' else 'pending'
      end into v_status
      from public.post_publications as publication where publication.post_id = v_attempt.post_id;
    end if;
    v_answers := v_answers || jsonb_build_object(
      'attempt_id', v_result ->> 'attempt_id', 'applied', v_applied, 'status', v_status);
  end loop;
  return v_answers;
end;
$$;

-- post_lock: locks the accounts and then the publications of attempts, in the order that everybody keeps.
create or replace function public.post_lock(p_attempt_ids uuid[])
returns void
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
begin
  perform from public.account_policies as policy
  where policy.account_id in (
    select attempt.account_id from public.post_attempts as attempt where attempt.id = any (p_attempt_ids)
  )
  order by policy.account_id
  for update;
  perform from public.post_publications as publication
  where publication.post_id in (
    select attempt.post_id from public.post_attempts as attempt where attempt.id = any (p_attempt_ids)
  )
  order by publication.post_id
  for update;
end;
$$;

-- post_account_settle: what a result means for its account: the pause it asks for, and that its messages may be looked
-- at again. Part of post_record and post_recover. The breaker counts messages only.
create or replace function public.post_account_settle(
  p_account_id uuid,
  p_late boolean,
  p_result jsonb,
  p_now timestamptz
)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_pause_ms constant bigint := (p_result ->> 'pause_ms')::bigint;
begin
  if p_late then
    return;
  end if;
  perform public.account_hold(p_account_id, case
    when v_pause_ms < 0 then 'infinity'
    else p_now + make_interval(secs => v_pause_ms / 1000.0)
  end, p_result ->> 'pause_reason', p_now);
end;
$$;

-- post_settle: what a result means for its post. Part of post_record, post_recover, post_resolve and post_act.
--
-- p_attempt: as it is in the ledger by now. p_late: it had been closed before.
create or replace function public.post_settle(
  p_attempt public.post_attempts,
  p_late boolean,
  p_result jsonb,
  p_now timestamptz
)
returns void
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_post_id constant uuid := p_attempt.post_id;
  v_outcome constant text := p_result ->> 'outcome';
  v_next_step constant text := p_result ->> 'next_step';
  v_sent public.post_attempts;
  v_attempts integer;
begin
  -- The attempt that was sent: this one, or an earlier one of which that was learnt only now.
  if v_outcome = 'sent' then
    v_sent := p_attempt;
  else
    select earlier.* into v_sent
    from public.post_attempts as earlier
    where earlier.post_id = v_post_id and earlier.outcome = 'sent' order by earlier.position limit 1;
  end if;

  if v_sent.id is not null then
    update public.post_publications as publication set
      state = 'published', reason = null, error = null, missed_for = null, updated_at = p_now,
      published_at = least(coalesce((p_result ->> 'sent_at')::timestamptz, v_sent.finished_at), p_now),
      unipile_post_id = v_sent.unipile_post_id, social_id = v_sent.social_id, share_url = v_sent.share_url
    where publication.post_id = v_post_id
      -- A late answer while another attempt is under way: that one's end finds it.
      and case when p_late then publication.state not in ('published', 'publishing') else publication.state = 'publishing' end;
    if found then
      perform public.post_write_back(v_post_id, p_now);
    end if;
    return;
  end if;

  if v_outcome = 'unknown' then
    update public.post_publications as publication set
      state = 'unknown', reason = 'answer_lost', error = left(p_result ->> 'error', 500), updated_at = p_now
    where publication.post_id = v_post_id and publication.state = 'publishing';
    return;
  end if;

  select publication.attempts + case when v_next_step = 'retry' then 1 else 0 end into v_attempts
  from public.post_publications as publication where publication.post_id = v_post_id;
  update public.post_publications as publication set
    -- Five retries after the first attempt.
    state = case when v_next_step = 'fail' or v_attempts > 5 then 'failed' else 'waiting' end,
    reason = case when v_attempts > 5 then 'retries_exhausted' else p_result ->> 'reason' end,
    error = left(p_result ->> 'error', 500),
    attempts = v_attempts,
    not_before = coalesce(p_now + make_interval(secs => (p_result ->> 'retry_after_ms')::bigint / 1000.0), publication.not_before),
    media_problem = coalesce(nullif(p_result -> 'media_problem', 'null'), publication.media_problem),
    media_checked_at = case when p_result ->> 'media_problem' is null then publication.media_checked_at else p_now end,
    updated_at = p_now
  where publication.post_id = v_post_id and publication.state = 'publishing';
  perform public.post_write_back(v_post_id, p_now);
end;
$$;

-- post_release: gives back what one call of post_claim claimed and its caller never dispatched. Answers how many.
create or replace function public.post_release(p_claim_id uuid, p_worker text, p_now timestamptz default now())
returns integer
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_results jsonb;
begin
  select jsonb_agg(jsonb_build_object('attempt_id', attempt.id, 'outcome', 'not_sent', 'next_step', 'release'))
  into v_results
  from public.post_attempts as attempt
  where attempt.finished_at is null and attempt.claim_id = p_claim_id and attempt.worker = p_worker;
  if v_results is null then
    return 0;
  end if;
  perform public.post_record(v_results, p_now);
  return jsonb_array_length(v_results);
end;
$$;

-- post_recover: closes attempts whose lease has ended without a result as `unknown`. Answers {lost}.
--
-- What somebody else is at is left for the next call, so it never waits.
create or replace function public.post_recover(p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_account_ids uuid[];
  v_attempt public.post_attempts;
  v_lost integer := 0;
begin
  select array_agg(locked.account_id) into v_account_ids
  from (
    select policy.account_id
    from public.account_policies as policy
    where policy.account_id in (
      select attempt.account_id
      from public.post_attempts as attempt
      where attempt.finished_at is null and attempt.lease_until <= p_now
      order by attempt.lease_until
      limit 1000
    )
    order by policy.account_id
    for update skip locked
  ) as locked;

  for v_attempt in
    select attempt.*
    from public.post_attempts as attempt
    join public.post_publications as publication on publication.post_id = attempt.post_id
    where attempt.finished_at is null and attempt.lease_until <= p_now and attempt.account_id = any (v_account_ids)
    order by publication.post_id
    for update of publication skip locked
  loop
    update public.post_attempts as attempt
    set finished_at = p_now, outcome = 'unknown', effect_by = greatest(attempt.lease_until, p_now),
      error_type = 'lease_expired', next_read_at = public.read_back_at(p_now, null, p_now)
    where attempt.id = v_attempt.id and attempt.finished_at is null
    returning attempt.* into v_attempt;
    continue when not found;
    v_lost := v_lost + 1;
    perform public.post_settle(v_attempt, false,
      '{"outcome":"unknown","error":"the process that published it went away before it had an answer"}', p_now);
    perform public.post_account_settle(v_attempt.account_id, false, '{}', p_now);
  end loop;
  return jsonb_build_object('lost', v_lost);
end;
$$;

-- post_unknowns: attempts whose time to be looked for has come: those that may have been published, and published
-- ones (they have a unipile_post_id) whose address is not known. Each is given to one asker a minute.
--
-- Answers {now, next_read_at, items: [post_sought]}; next_read_at is null if nothing is to be read.
-- Errors: PO070 a limit out of range.
create or replace function public.post_unknowns(p_limit integer, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_items jsonb;
begin
  if (p_limit between 1 and 1000) is not true then
    raise exception 'limit must be from 1 to 1000' using errcode = 'PO070', detail = '{"field":"limit"}';
  end if;
  with due as materialized (
    select attempt.id
    from public.post_attempts as attempt
    where attempt.next_read_at <= p_now
    order by attempt.next_read_at
    limit p_limit
    for update skip locked
  ), taken as (
    update public.post_attempts as attempt
    set next_read_at = case when exists (
      select from public.post_publications as publication
      where publication.post_id = attempt.post_id
        and publication.state = case attempt.outcome when 'sent' then 'published' else 'unknown' end
    ) then p_now + interval '1 minute' end
    from due
    where attempt.id = due.id
    returning attempt.id, attempt.next_read_at
  )
  select jsonb_agg(public.post_sought(attempt) order by attempt.started_at) into v_items
  from taken
  join public.post_attempts as attempt on attempt.id = taken.id
  where taken.next_read_at is not null;

  return jsonb_build_object(
    'now', p_now,
    'next_read_at', (
      select min(attempt.next_read_at) from public.post_attempts as attempt where attempt.next_read_at is not null
    ),
    'items', coalesce(v_items, '[]'::jsonb)
  );
end;
$$;

-- post_resolve: settles unknown posts by what was seen on LinkedIn, and fills in addresses.
--
-- p_results: [{attempt_id, found, unipile_post_id?, social_id?, share_url?, sent_at?, detail?}]; found and p_policy as in
-- dm_resolve, and so are the rules: fenced by the attempt, and tried again for an absence only once.
-- Answers [{attempt_id, resolution}]: sent, waiting, held, unknown, or ignored (also where only an address was looked for).
-- Errors: PO071 results or a policy that are not of this form.
create or replace function public.post_resolve(p_results jsonb, p_policy text, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_result jsonb;
  v_attempt public.post_attempts;
  v_resolution text;
  v_answers jsonb := '[]';
begin
  if jsonb_typeof(p_results) is distinct from 'array' or jsonb_array_length(p_results) > 1000
    or (p_policy in ('resend-when-absent', 'hold')) is not true
    or exists (
      select from jsonb_array_elements(p_results) as result (value)
      where coalesce(result.value ->> 'found', '') not in ('sent', 'absent', 'unreadable', 'account_out_of_order')
        or (result.value ->> 'found' = 'sent' and coalesce(result.value ->> 'unipile_post_id', '') = '')
    ) then
    raise exception 'results must be an array of at most 1000, each with what was found; the policy resend-when-absent or hold'
      using errcode = 'PO071';
  end if;
  perform public.post_lock(array(
    select (result.value ->> 'attempt_id')::uuid from jsonb_array_elements(p_results) as result (value)
  ));

  for v_result in select result.value from jsonb_array_elements(p_results) as result (value) loop
    select attempt.* into v_attempt
    from public.post_attempts as attempt where attempt.id = (v_result ->> 'attempt_id')::uuid for update;
    v_resolution := case
      when v_attempt.next_read_at is null then 'ignored'
      when v_attempt.outcome = 'unknown' then public.post_resolve_unknown(v_attempt, v_result, p_policy, p_now)
      when v_attempt.outcome = 'sent' then public.post_resolve_address(v_attempt, v_result, p_now)
      else 'ignored'
    end;
    v_answers := v_answers || jsonb_build_object('attempt_id', v_result ->> 'attempt_id', 'resolution', v_resolution);
  end loop;
  return v_answers;
end;
$$;

-- post_resolve_unknown: what one look means for an attempt that may have been published. Part of post_resolve.
create or replace function public.post_resolve_unknown(
  p_attempt public.post_attempts,
  p_result jsonb,
  p_policy text,
  p_now timestamptz
)
returns text
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_attempt public.post_attempts;
  v_read record;
begin
  select * into v_read from public.read_back_verdict(
    case when p_result ->> 'found' = 'sent' and exists (
      -- Another post's, recorded since it was asked for: it is looked for again, without that one.
      select from public.post_attempts as other
      where other.account_id = p_attempt.account_id and other.started_at >= p_attempt.started_at - interval '1 hour'
        and other.id <> p_attempt.id
        and (other.unipile_post_id = p_result ->> 'unipile_post_id' or other.social_id = p_result ->> 'social_id')
    ) then 'unreadable' else p_result ->> 'found' end,
    p_attempt.finished_at, p_attempt.effect_by, p_attempt.absent_since,
    p_policy = 'resend-when-absent' and not exists (
      select from public.post_attempts as earlier
      where earlier.post_id = p_attempt.post_id and earlier.outcome = 'not_sent' and earlier.error_type = 'absent'
    ), p_now);

  update public.post_attempts as attempt set
    read_backs = attempt.read_backs + 1,
    absent_since = v_read.absent_since,
    next_read_at = case
      when v_read.verdict = 'sent' and p_result ->> 'share_url' is null then public.read_back_at(p_now, null, p_now)
      else v_read.next_read_at end,
    outcome = case v_read.verdict when 'sent' then 'sent' when 'waiting' then 'not_sent' else 'unknown' end,
    error_type = case v_read.verdict when 'waiting' then 'absent' else attempt.error_type end,
    detail = coalesce(left(p_result ->> 'detail', 500), attempt.detail),
    unipile_post_id = case when v_read.verdict = 'sent' then left(p_result ->> 'unipile_post_id', 200) end,
    social_id = case when v_read.verdict = 'sent' then left(p_result ->> 'social_id', 200) end,
    share_url = case when v_read.verdict = 'sent' then left(p_result ->> 'share_url', 2048) end
  where attempt.id = p_attempt.id
  returning attempt.* into v_attempt;
  perform public.post_read_settle(v_attempt, v_read.verdict, p_result, p_now);
  return v_read.verdict;
end;
$$;

-- post_read_settle: what a verdict on an unknown attempt means for its post and account. Part of post_resolve_unknown
-- and post_act.
create or replace function public.post_read_settle(
  p_attempt public.post_attempts,
  p_verdict text,
  p_result jsonb,
  p_now timestamptz
)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if p_verdict = 'sent' then
    perform public.post_settle(p_attempt, true, p_result || '{"outcome":"sent"}', p_now);
  elsif p_verdict = 'waiting' then
    update public.post_publications as publication
    set state = 'waiting', reason = 'absent_on_linkedin', error = null, not_before = null, updated_at = p_now
    where publication.post_id = p_attempt.post_id and publication.state = 'unknown';
  elsif p_verdict = 'held' then
    update public.post_publications as publication set reason = 'unknown_held', updated_at = p_now
    where publication.post_id = p_attempt.post_id and publication.state = 'unknown';
  end if;
end;
$$;

-- post_resolve_address: a published post was read again for its address, which LinkedIn may show only later; five
-- times at most. Part of post_resolve.
create or replace function public.post_resolve_address(p_attempt public.post_attempts, p_result jsonb, p_now timestamptz)
returns text
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_share_url constant text := left(p_result ->> 'share_url', 2048);
begin
  update public.post_attempts as attempt set
    read_backs = attempt.read_backs + 1,
    social_id = coalesce(left(p_result ->> 'social_id', 200), attempt.social_id),
    share_url = v_share_url,
    next_read_at = case when v_share_url is null and attempt.read_backs < 4
      then public.read_back_at(attempt.finished_at, null, p_now) end
  where attempt.id = p_attempt.id;
  if v_share_url is not null then
    update public.post_publications as publication set
      share_url = v_share_url,
      social_id = coalesce(left(p_result ->> 'social_id', 200), publication.social_id),
      updated_at = p_now
    where publication.post_id = p_attempt.post_id and publication.state = 'published';
    update public.posts as post set post_url = v_share_url, updated_at = p_now where post.id = p_attempt.post_id;
  end if;
  return 'ignored';
end;
$$;

-- post_backlog: what waits, and why: {due, scheduled, by_reason: {reason: count}, next_at}; what was missed or is held is
-- in it, since it waits for somebody. p_account_ids: only these accounts; null for all.
create or replace function public.post_backlog(
  p_account_ids uuid[] default null,
  p_late_limit_minutes integer default 360,
  p_now timestamptz default now()
)
returns jsonb
language sql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
  with left_over as materialized (
    select states.scheduled_for <= p_now as is_due, states.reason, states.can_go_at
    from public.post_states(null, p_account_ids, 'infinity', p_late_limit_minutes, p_now) as states
    where states.state in ('waiting', 'held', 'missed')
  )
  select jsonb_build_object(
    'due', count(*) filter (where left_over.is_due),
    'scheduled', count(*) filter (where left_over.is_due is not true),
    'by_reason', coalesce((
      select jsonb_object_agg(counted.reason, counted.count)
      from (select inner_left.reason, count(*) from left_over as inner_left group by inner_left.reason) as counted
    ), '{}'::jsonb),
    'next_at', greatest(min(left_over.can_go_at), case when min(left_over.can_go_at) is not null then p_now end)
  )
  from left_over;
$$;

-- post_preview: what a run would do now, without doing it: post_backlog, and the ids of what could be claimed at
-- once, at most one an account, up to 50.
create or replace function public.post_preview(
  p_account_ids uuid[] default null,
  p_late_limit_minutes integer default 360,
  p_now timestamptz default now()
)
returns jsonb
language sql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
  select public.post_backlog(p_account_ids, p_late_limit_minutes, p_now) || jsonb_build_object('would_send', coalesce((
    select jsonb_agg(first.post_id order by first.due_at, first.post_id)
    from (
      select open.post_id, open.due_at
      from public.post_states(null, p_account_ids, p_now, p_late_limit_minutes, p_now) as open
      where open.is_open and open.ahead = 0
      order by open.due_at, open.post_id
      limit 50
    ) as first
  ), '[]'::jsonb));
$$;

-- post_state_shown: the state of a post as people see it, by what was known at the last look. A post that RevOS does not
-- have as scheduled, and that never went out from here, has RevOS's own word for its state: draft, published or failed.
create or replace function public.post_state_shown(
  p_post_id uuid,
  p_status text,
  p_scheduled_for timestamptz,
  p_publication public.post_publications
)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when p_publication.state in ('publishing', 'published', 'unknown') then p_publication.state
    when p_status is distinct from 'scheduled' then coalesce(p_status, 'draft')
    -- RevOS has changed it since.
    when p_publication.state = 'missed' and p_publication.missed_for is distinct from p_scheduled_for then 'waiting'
    when p_publication.state = 'failed' and public.post_ledger_state(p_post_id) is null then 'waiting'
    else coalesce(p_publication.state, 'waiting')
  end;
$$;

-- post_filter: a filter of posts as a condition on `post` and `publication`, see filter_where.
--
-- Fields: ids, state, post_status (RevOS's), account_id, campaign_id, reason, scheduled_from, scheduled_to, created_from, created_to.
create or replace function public.post_filter(p_filter jsonb)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select public.filter_where(p_filter, '{
    "ids": ["post.id", "uuid", "in"],
    "state": ["public.post_state_shown(post.id, post.status, post.scheduled_for, publication)", "text", "in"],
    "post_status": ["post.status", "text", "in"],
    "account_id": ["post.linkedin_account_id", "uuid", "in"],
    "campaign_id": ["post.campaign_id", "uuid", "in"],
    "reason": ["publication.reason", "text", "in"],
    "scheduled_from": ["post.scheduled_for", "timestamptz", ">="],
    "scheduled_to": ["post.scheduled_for", "timestamptz", "<"],
    "created_from": ["post.created_at", "timestamptz", ">="],
    "created_to": ["post.created_at", "timestamptz", "<"]}');
$$;

-- post_json: a post as lists show it, without its text; null if there is none.
create or replace function public.post_json(p_id uuid)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'id', post.id,
    'linkedin_account_id', post.linkedin_account_id,
    'account_name', account.account_name,
    'campaign_id', post.campaign_id,
    'post_status', post.status,
    'state', shown.state,
    'reason', case
      when shown.state = publication.state then publication.reason
      when shown.state = 'draft' and publication.reason = 'cancelled' then publication.reason
    end,
    'error', case
      when shown.state = publication.state or (shown.state = 'draft' and publication.reason = 'cancelled') then publication.error
    end,
    'scheduled_for', post.scheduled_for,
    'not_before', publication.not_before,
    'published_at', coalesce(publication.published_at, post.published_at),
    'attempts', coalesce(publication.attempts, 0),
    'post_url', coalesce(post.post_url, publication.share_url),
    'unipile_post_id', coalesce(post.unipile_post_id, publication.unipile_post_id),
    'has_media', coalesce(jsonb_array_length(publication.media) > 0, false),
    'created_at', post.created_at
  )
  from public.posts as post
  left join public.post_publications as publication on publication.post_id = post.id
  left join public.linkedin_accounts as account on account.id = post.linkedin_account_id
  cross join lateral public.post_state_shown(post.id, post.status, post.scheduled_for, publication) as shown (state)
  where post.id = p_id;
$$;

-- post_list: posts, those scheduled last first: {items: [post_json], next_cursor}. p_filter as post_filter.
--
-- Errors: SE001 to SE003.
create or replace function public.post_list(
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
  v_after constant jsonb := public.cursor_read(p_after, 2);
  v_rows jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object(
      'item', public.post_json(page.id), 'place', jsonb_build_array(page.at, page.id)
    ) order by page.at desc, page.id desc), '[]')
    from (
      select post.id, placed.at
      from public.posts as post
      left join public.post_publications as publication on publication.post_id = post.id
      cross join lateral (select coalesce(post.scheduled_for, post.created_at, '-infinity')) as placed (at)
      where %s and ($1 is null or (placed.at, post.id) < ($1, $2))
      order by placed.at desc, post.id desc limit $3
    ) as page
  $sql$, public.post_filter(p_filter))
  into v_rows
  using (v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid, public.list_limit(p_limit) + 1;
  return public.list_page(v_rows, p_limit);
end;
$$;

-- post_explain: why a post has not gone out, and the earliest instant at which it can.
--
-- Answers {id, state, post_status, reason, can_go_at, ahead, error, next_read_at, account: {paused_until, pause_reason}}; null
-- if there is no such post. It asks what the claim asks, so its state is that of this moment, not of the last look.
-- can_go_at is null where no instant is known, and where the post would be missed by then; `ahead` counts due posts
-- of its account that go first.
create or replace function public.post_explain(
  p_id uuid,
  p_late_limit_minutes integer default 360,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_item constant jsonb := public.post_json(p_id);
  v_account_id constant uuid := (v_item ->> 'linkedin_account_id')::uuid;
  v_now record;
  v_policy public.account_policies;
begin
  if v_item is null then
    return null;
  end if;
  select states.* into v_now
  from public.post_states(
    -- Those of the account too: they may go first.
    case when v_account_id is null then array[p_id] end,
    case when v_account_id is not null then array[v_account_id] end,
    'infinity', p_late_limit_minutes, p_now) as states
  where states.post_id = p_id;
  select policy.* into v_policy from public.account_policies as policy where policy.account_id = v_account_id;

  return jsonb_build_object(
    'id', p_id,
    'state', coalesce(v_now.state, v_item ->> 'state'),
    'post_status', v_item -> 'post_status',
    'reason', coalesce(v_now.reason, v_item ->> 'reason', case v_item ->> 'state'
      when 'draft' then 'post_draft' when 'failed' then 'post_failed_in_revos' else v_item ->> 'state' end),
    'can_go_at', v_now.can_go_at,
    'ahead', coalesce(v_now.ahead, 0),
    'error', case when v_now.state is null then v_item ->> 'error' else v_now.error end,
    'next_read_at', (
      select min(attempt.next_read_at) from public.post_attempts as attempt where attempt.post_id = p_id
    ),
    'account', case when v_policy.paused_until > p_now
      then jsonb_build_object('paused_until', v_policy.paused_until, 'pause_reason', v_policy.pause_reason)
      else '{"paused_until": null, "pause_reason": null}'
    end
  );
end;
$$;

-- post_options_json: the options of a post, and what was last seen of its media.
create or replace function public.post_options_json(p_publication public.post_publications)
returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'media', coalesce(p_publication.media, '[]'),
    'mentions', coalesce(p_publication.mentions, '[]'),
    'external_link', p_publication.external_link,
    'as_organization', p_publication.as_organization,
    'media_checked_at', p_publication.media_checked_at,
    'media_problem', p_publication.media_problem
  );
$$;

-- post_get: one post: post_json, its text, options, attempts (oldest first) and explanation; null if there is none.
create or replace function public.post_get(
  p_id uuid,
  p_late_limit_minutes integer default 360,
  p_now timestamptz default now()
)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select public.post_json(post.id) || jsonb_build_object(
    'content', post.content,
    'options', public.post_options_json(publication),
    'explanation', public.post_explain(post.id, p_late_limit_minutes, p_now),
    'attempts', coalesce((
      select jsonb_agg(jsonb_build_object(
        'id', attempt.id, 'started_at', attempt.started_at, 'finished_at', attempt.finished_at,
        'outcome', attempt.outcome, 'http_status', attempt.http_status, 'error_type', attempt.error_type,
        'detail', attempt.detail, 'worker', attempt.worker, 'read_backs', attempt.read_backs,
        'next_read_at', attempt.next_read_at, 'unipile_post_id', attempt.unipile_post_id,
        'share_url', attempt.share_url
      ) order by attempt.position)
      from public.post_attempts as attempt where attempt.post_id = post.id
    ), '[]'::jsonb)
  )
  from public.posts as post
  left join public.post_publications as publication on publication.post_id = post.id
  where post.id = p_id;
$$;

-- post_options_problem: which option is wrong, and how; null if none is.
create or replace function public.post_options_problem(p_patch jsonb, out code text, out field text, out problem text)
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_name text;
  v_value jsonb;
  v_index integer;
begin
  if jsonb_typeof(p_patch) is distinct from 'object' then
    code := 'PO002'; field := 'patch'; problem := 'must be an object of options';
    return;
  end if;
  for v_name, v_value in select * from jsonb_each(p_patch) loop
    field := left(v_name, 60);
    if v_name = 'media' then
      code := 'PO003';
      if jsonb_typeof(v_value) not in ('array', 'null')
        or (jsonb_typeof(v_value) = 'array' and jsonb_array_length(v_value) > 20) then
        problem := 'must be an array of at most 20 {url, name?}';
        return;
      end if;
      for v_index, v_value in
        select entry.ordinality - 1, entry.value
        from jsonb_array_elements(case jsonb_typeof(v_value) when 'array' then v_value else '[]' end)
          with ordinality as entry (value, ordinality)
      loop
        field := format('media[%s]', v_index);
        problem := case
          when jsonb_typeof(v_value) <> 'object' or exists (
            select from jsonb_object_keys(v_value) as key (name) where key.name not in ('url', 'name')
          ) then 'must be {url, name?}'
          when jsonb_typeof(v_value -> 'url') is distinct from 'string'
            or length(v_value ->> 'url') > 2048 or v_value ->> 'url' !~ '^https?://[^[:space:]/]+'
            or v_value ->> 'url' ~ '[[:space:]]' then 'url must be an http or https URL of at most 2048 characters'
          when jsonb_typeof(coalesce(v_value -> 'name', 'null')) not in ('string', 'null')
            or length(v_value ->> 'name') not between 1 and 200 or v_value ->> 'name' ~ '[/\\[:cntrl:]]'
            then 'name must be a file name of 1 to 200 characters'
        end;
        if problem is not null then
          return;
        end if;
      end loop;
    elsif v_name = 'mentions' then
      code := 'PO004';
      if jsonb_typeof(v_value) not in ('array', 'null')
        or (jsonb_typeof(v_value) = 'array' and jsonb_array_length(v_value) > 50) then
        problem := 'must be an array of at most 50 {name, profile_id, is_company}';
        return;
      end if;
      for v_index, v_value in
        select entry.ordinality - 1, entry.value
        from jsonb_array_elements(case jsonb_typeof(v_value) when 'array' then v_value else '[]' end)
          with ordinality as entry (value, ordinality)
      loop
        field := format('mentions[%s]', v_index);
        problem := case
          when jsonb_typeof(v_value) <> 'object' or exists (
            select from jsonb_object_keys(v_value) as key (name) where key.name not in ('name', 'profile_id', 'is_company')
          ) then 'must be {name, profile_id, is_company}'
          when jsonb_typeof(v_value -> 'name') is distinct from 'string' or length(v_value ->> 'name') not between 1 and 200
            or v_value ->> 'name' !~ '[^[:space:]]' or v_value ->> 'name' ~ '[{}[:cntrl:]]'
            then 'name must be a name of 1 to 200 characters, without braces'
          when jsonb_typeof(coalesce(v_value -> 'is_company', 'false')) <> 'boolean' then 'is_company must be true or false'
          when jsonb_typeof(v_value -> 'profile_id') is distinct from 'string'
            or v_value ->> 'profile_id' !~ case when (v_value ->> 'is_company')::boolean
              then '^[0-9]{1,40}$' else '^A(Co|Cw|E)[A-Za-z0-9_-]{1,196}$' end
            then 'profile_id must be a LinkedIn provider id such as ACoAAB…, or the digits of a company'
        end;
        if problem is not null then
          return;
        end if;
      end loop;
    elsif v_name = 'external_link' then
      code := 'PO005';
      if jsonb_typeof(v_value) not in ('string', 'null') or length(v_value #>> '{}') > 2048
        or (v_value #>> '{}') !~ '^https?://[^[:space:]/]+[^[:space:]]*$' then
        problem := 'must be an http or https URL of at most 2048 characters';
        return;
      end if;
    elsif v_name = 'as_organization' then
      code := 'PO006';
      if jsonb_typeof(v_value) not in ('string', 'null') or (v_value #>> '{}') !~ '^[0-9]{1,40}$' then
        problem := 'must be the digits of a company page';
        return;
      end if;
    else
      code := 'PO002';
      problem := 'is not an option of a post';
      return;
    end if;
  end loop;
  code := null;
  field := null;
end;
$$;

-- post_options_set: changes some options of a post; null takes one away. Answers as post_options_json.
--
-- p_patch: {media?: [{url, name?}] (20 at most; images, or one video, or one document), mentions?: [{name, profile_id,
-- is_company}] ({{0}} in the text is the first), external_link?, as_organization?}.
-- Errors: PO001 no such post; PO002 not an object, or no option; PO003 bad media; PO004 bad mentions; PO005 a bad link; PO006 a
-- bad organization; PO007 a post that is on its way, or was or may have been published.
create or replace function public.post_options_set(
  p_post_id uuid,
  p_patch jsonb,
  p_actor text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_problem record;
  v_publication public.post_publications;
begin
  if not exists (select from public.posts as post where post.id = p_post_id) then
    raise exception 'no such post: %', p_post_id using errcode = 'PO001', detail = '{"field":"post_id"}';
  end if;
  select * into v_problem from public.post_options_problem(p_patch) as problem;
  if v_problem.code is not null then
    raise exception '% %', v_problem.field, v_problem.problem
      using errcode = v_problem.code, detail = jsonb_build_object('field', v_problem.field)::text;
  end if;

  perform public.post_ensure(array[p_post_id], p_now);
  select publication.* into v_publication
  from public.post_publications as publication where publication.post_id = p_post_id for update;
  if v_publication.state in ('publishing', 'published', 'unknown') then
    raise exception 'post % is %: its options stand', p_post_id, v_publication.state
      using errcode = 'PO007', detail = '{"field":"post_id"}';
  end if;

  update public.post_publications as publication set
    media = case when p_patch ? 'media' then coalesce(nullif(p_patch -> 'media', 'null'), '[]') else publication.media end,
    -- They are looked at anew.
    media_checked_at = case when p_patch ? 'media' then null else publication.media_checked_at end,
    media_problem = case when p_patch ? 'media' then null else publication.media_problem end,
    mentions = case when p_patch ? 'mentions' then coalesce((
        select jsonb_agg('{"is_company": false}'::jsonb || entry.value order by entry.ordinality)
        from jsonb_array_elements(case jsonb_typeof(p_patch -> 'mentions') when 'array' then p_patch -> 'mentions' else '[]' end)
          with ordinality as entry (value, ordinality)
      ), '[]') else publication.mentions end,
    external_link = case when p_patch ? 'external_link' then p_patch ->> 'external_link' else publication.external_link end,
    as_organization = case when p_patch ? 'as_organization' then p_patch ->> 'as_organization' else publication.as_organization end,
    updated_at = p_now
  where publication.post_id = p_post_id
  returning publication.* into v_publication;
  perform public.audit_add(p_actor, 'post.options', p_post_id::text,
    jsonb_build_object('options', (select jsonb_agg(option.name) from jsonb_object_keys(p_patch) as option (name))), p_now);
  return public.post_options_json(v_publication);
end;
$$;

-- post_media_due: posts due within a day whose media are to be looked at: not looked at yet, or 15 minutes after a look
-- that failed and may not the next time. Answers {now, items: [{post_id, media}]}, those due first first.
--
-- Errors: PO070 a limit out of range.
create or replace function public.post_media_due(p_limit integer, p_now timestamptz default now())
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if (p_limit between 1 and 1000) is not true then
    raise exception 'limit must be from 1 to 1000' using errcode = 'PO070', detail = '{"field":"limit"}';
  end if;
  return jsonb_build_object('now', p_now, 'items', coalesce((
    select jsonb_agg(jsonb_build_object('post_id', due.id, 'media', due.media) order by due.scheduled_for, due.id)
    from (
      select post.id, post.scheduled_for, publication.media
      from public.post_publications as publication
      join public.posts as post on post.id = publication.post_id
      where post.status = 'scheduled' and post.scheduled_for <= p_now + interval '24 hours'
        and publication.media <> '[]' and publication.missed_for is distinct from post.scheduled_for
        and publication.state not in ('publishing', 'published', 'unknown')
        and (publication.media_checked_at is null
          or ((publication.media_problem ->> 'retryable')::boolean
            and publication.media_checked_at <= p_now - interval '15 minutes'))
      order by post.scheduled_for, post.id
      limit p_limit
    ) as due
  ), '[]'::jsonb));
end;
$$;

-- post_media_record: what a look at media said. p_results: [{post_id, media (as it was looked at), problem: null | {problem,
-- detail, retryable}}]; media that were changed meanwhile are left for another look. A problem that will not go away
-- by itself holds its post from now on. Answers how many were recorded.
-- Errors: PO041 results that are not of this form.
create or replace function public.post_media_record(
  p_results jsonb,
  p_late_limit_minutes integer default 360,
  p_now timestamptz default now()
)
returns integer
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_post_ids uuid[];
begin
  if jsonb_typeof(p_results) is distinct from 'array' or jsonb_array_length(p_results) > 1000 or exists (
    select from jsonb_array_elements(p_results) as result (value)
    where result.value ->> 'post_id' is null or jsonb_typeof(result.value -> 'media') is distinct from 'array'
      or (result.value ->> 'problem' is not null and jsonb_typeof(result.value #> '{problem,retryable}') is distinct from 'boolean')
  ) then
    raise exception 'results must be an array of at most 1000, each with a post, its media, and a problem or null'
      using errcode = 'PO041';
  end if;
  with result as materialized (
    select (given.value ->> 'post_id')::uuid as post_id, given.value -> 'media' as media,
      nullif(given.value -> 'problem', 'null') as problem
    from jsonb_array_elements(p_results) as given (value)
  ), locked as materialized (
    select publication.post_id
    from public.post_publications as publication
    where publication.post_id in (select result.post_id from result)
    order by publication.post_id
    for update
  ), recorded as (
    update public.post_publications as publication
    set media_checked_at = p_now, media_problem = result.problem, updated_at = p_now
    from result
    join locked on locked.post_id = result.post_id
    where publication.post_id = result.post_id and publication.media = result.media
    returning publication.post_id
  )
  select array_agg(recorded.post_id) into v_post_ids from recorded;
  perform public.post_look(coalesce(v_post_ids, '{}'), p_late_limit_minutes, p_now);
  return coalesce(cardinality(v_post_ids), 0);
end;
$$;

-- post_act_problem: why an action cannot be done to a post in this state; null if it can.
create or replace function public.post_act_problem(p_action text, p_state text, p_post_id uuid)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when p_action = 'settle' then
      case when p_state <> 'unknown' then 'only what is unknown can be, and it is ' || p_state end
    when public.post_ledger_state(p_post_id) is not null then 'it was published, or may have been'
    when p_action = 'cancel' and p_state not in ('waiting', 'held', 'missed')
      then 'only what waits can be, and it is ' || p_state
    when p_action = 'retry' and p_state not in ('failed', 'held', 'waiting')
      then 'only what has failed, is held or waits can be, and it is ' || p_state
    when p_state not in ('waiting', 'held', 'missed', 'failed')
      then 'only what waits, was missed or has failed can be, and it is ' || p_state
  end;
$$;

-- post_act: does one thing to many posts.
--
-- p_action and p_args: cancel {reason?}: RevOS has it as a draft again; retry: what failed, is held or waits for another
-- try is due at once, with all its tries, and its media are looked at anew; reschedule {scheduled_for}; publish_now: it
-- is due now; settle {decision, reason?}, as in dm_act: a post that is dropped is `failed`.
-- p_selection, p_dry_run, p_expected_count and the answer: as in dm_act.
-- Errors: PO060 no such action; PO061 to PO065 as selection_filter and selection_check, PO064 bad arguments; SE001.
create or replace function public.post_act(
  p_action text,
  p_selection jsonb,
  p_args jsonb,
  p_dry_run boolean,
  p_expected_count integer default null,
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
  v_ids uuid[];
  v_can uuid[];
  v_refused jsonb;
  v_answer jsonb;
begin
  perform public.post_act_check(p_action, p_args);
  execute format($sql$
    select array_agg(matching.id)
    from (
      select post.id
      from public.posts as post
      left join public.post_publications as publication on publication.post_id = post.id
      where %s limit 10001
    ) as matching
  $sql$, public.post_filter(public.selection_filter(p_selection, 'PO'))) into v_ids;
  perform public.selection_check(
    p_selection, coalesce(cardinality(v_ids), 0), p_dry_run, p_expected_count, 'PO');

  if not p_dry_run then
    perform from public.account_policies as policy
    where policy.account_id in (
      select post.linkedin_account_id from public.posts as post where post.id = any (v_ids)
      union all
      select attempt.account_id from public.post_attempts as attempt where attempt.post_id = any (v_ids)
    )
    order by policy.account_id
    for update;
    perform public.post_ensure(v_ids, p_now);
    perform from public.post_publications as publication
    where publication.post_id = any (v_ids) order by publication.post_id for update;
    perform from public.posts as post where post.id = any (v_ids) order by post.id for update;
  end if;

  select array_agg(judged.id order by judged.id) filter (where judged.problem is null),
    jsonb_agg(jsonb_build_object('id', judged.id, 'status', judged.state, 'problem', judged.problem) order by judged.id)
      filter (where judged.problem is not null)
  into v_can, v_refused
  from (
    select post.id, shown.state, public.post_act_problem(p_action, shown.state, post.id) as problem
    from public.posts as post
    left join public.post_publications as publication on publication.post_id = post.id
    cross join lateral public.post_state_shown(post.id, post.status, post.scheduled_for, publication) as shown (state)
    where post.id = any (v_ids)
    union all
    select named.id::uuid, null, 'there is no such post'
    from jsonb_array_elements_text(p_selection -> 'ids') as named (id)
    where named.id::uuid <> all (coalesce(v_ids, '{}'))
  ) as judged;

  v_answer := jsonb_build_object(
    'action', p_action,
    'dry_run', p_dry_run,
    'matched', coalesce(cardinality(v_ids), 0),
    'changed', coalesce(cardinality(v_can), 0),
    'refused', coalesce((
      select jsonb_agg(first.value)
      from (select refused.value from jsonb_array_elements(v_refused) as refused (value) limit 100) as first
    ), '[]'::jsonb),
    'sample', to_jsonb(coalesce(v_can[1:20], '{}'::uuid[])));
  if not p_dry_run then
    perform public.post_act_on(p_action, coalesce(v_can, '{}'), p_args, p_now);
    perform public.audit_add(p_actor, 'post.' || p_action,
      case when cardinality(v_can) = 1 then v_can[1]::text end,
      jsonb_build_object('selection', p_selection, 'args', p_args, 'matched', v_answer -> 'matched', 'changed', v_answer -> 'changed'),
      p_now);
  end if;
  return v_answer;
end;
$$;

-- post_act_check: refuses an action that does not exist, and arguments it does not take. Part of post_act.
create or replace function public.post_act_check(p_action text, p_args jsonb)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_known constant jsonb := '{"cancel": ["reason"], "retry": [], "reschedule": ["scheduled_for"], "publish_now": [],
    "settle": ["decision", "reason"]}';
  v_field text;
begin
  if not v_known ? coalesce(p_action, '') then
    raise exception 'an action is cancel, retry, reschedule, publish_now or settle'
      using errcode = 'PO060', detail = '{"field":"action"}';
  end if;
  select argument.name into v_field
  from jsonb_object_keys(coalesce(p_args, '{}')) as argument (name)
  where not (v_known -> p_action) ? argument.name limit 1;
  if v_field is null and p_action = 'reschedule'
    and not (p_args ->> 'scheduled_for' is not null and public.is_instant(p_args ->> 'scheduled_for')) then
    v_field := 'scheduled_for';
  end if;
  if v_field is null and p_action = 'settle'
    and (p_args ->> 'decision' in ('sent', 'resend', 'drop')) is not true then
    v_field := 'decision';
  end if;
  if v_field is not null then
    raise exception '% is missing, wrong, or not an argument of %', left(v_field, 60), p_action
      using errcode = 'PO064', detail = jsonb_build_object('field', left(v_field, 60))::text;
  end if;
end;
$$;

-- post_act_on: carries out an action on posts that are locked and can take it. Part of post_act.
create or replace function public.post_act_on(p_action text, p_ids uuid[], p_args jsonb, p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if p_action = 'settle' then
    perform public.post_settle_by_hand(p_ids, p_args, p_now);
    return;
  end if;

  update public.posts as post set
    status = case p_action when 'cancel' then 'draft' else 'scheduled' end,
    scheduled_for = case
      when p_action = 'publish_now' then p_now
      when p_action = 'reschedule' then (p_args ->> 'scheduled_for')::timestamptz
      -- Its own time has passed, maybe for so long that it would be missed.
      when p_action = 'retry' and post.status = 'failed' then greatest(post.scheduled_for, p_now)
      else post.scheduled_for
    end,
    updated_at = p_now
  where post.id = any (p_ids);
  update public.post_publications as publication set
    state = 'waiting',
    reason = case when p_action = 'cancel' then 'cancelled' end,
    error = case when p_action = 'cancel' then left(p_args ->> 'reason', 500) end,
    attempts = 0, not_before = null, missed_for = null, media_checked_at = null, media_problem = null,
    updated_at = p_now
  where publication.post_id = any (p_ids);
end;
$$;

-- post_settle_by_hand: a person says what became of posts that may have been published. Part of post_act.
create or replace function public.post_settle_by_hand(p_ids uuid[], p_args jsonb, p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_decision constant text := p_args ->> 'decision';
  v_attempt public.post_attempts;
  v_id uuid;
begin
  if v_decision = 'drop' then
    -- The attempt stays unknown: it counts, and nothing sends the post again.
    update public.post_attempts as attempt set next_read_at = null
    where attempt.post_id = any (p_ids) and attempt.outcome = 'unknown';
    update public.post_publications as publication
    set state = 'failed', reason = 'dropped', error = left(p_args ->> 'reason', 500), updated_at = p_now
    where publication.post_id = any (p_ids);
    foreach v_id in array p_ids loop
      perform public.post_write_back(v_id, p_now);
    end loop;
    return;
  end if;

  for v_attempt in
    update public.post_attempts as attempt set
      outcome = case v_decision when 'sent' then 'sent' else 'not_sent' end,
      error_type = 'settled',
      next_read_at = null
    where attempt.post_id = any (p_ids) and attempt.outcome = 'unknown'
    returning attempt.*
  loop
    perform public.post_read_settle(v_attempt, case v_decision when 'sent' then 'sent' else 'waiting' end,
      jsonb_build_object('sent_at', v_attempt.started_at), p_now);
  end loop;
  if v_decision = 'resend' then
    update public.posts as post
    set status = 'scheduled', scheduled_for = greatest(post.scheduled_for, p_now), updated_at = p_now
    where post.id = any (p_ids);
  end if;
end;
$$;

revoke execute on function
  public.post_text_shown, public.post_text_problem, public.post_account_problem, public.post_gate,
  public.post_ledger_state, public.post_verdict, public.post_states, public.post_ensure, public.post_look,
  public.post_write_back, public.post_prepare, public.post_claim, public.post_take, public.post_sought,
  public.post_record, public.post_lock, public.post_account_settle, public.post_settle, public.post_release,
  public.post_recover, public.post_unknowns, public.post_resolve, public.post_resolve_unknown,
  public.post_read_settle, public.post_resolve_address, public.post_backlog, public.post_preview,
  public.post_state_shown, public.post_filter, public.post_json, public.post_list, public.post_explain,
  public.post_options_json, public.post_get, public.post_options_problem, public.post_options_set,
  public.post_media_due, public.post_media_record, public.post_act_problem, public.post_act,
  public.post_act_check, public.post_act_on, public.post_settle_by_hand
from public, anon, authenticated;
grant execute on function
  public.post_text_shown, public.post_text_problem, public.post_account_problem, public.post_gate,
  public.post_ledger_state, public.post_verdict, public.post_states, public.post_ensure, public.post_look,
  public.post_write_back, public.post_prepare, public.post_claim, public.post_take, public.post_sought,
  public.post_record, public.post_lock, public.post_account_settle, public.post_settle, public.post_release,
  public.post_recover, public.post_unknowns, public.post_resolve, public.post_resolve_unknown,
  public.post_read_settle, public.post_resolve_address, public.post_backlog, public.post_preview,
  public.post_state_shown, public.post_filter, public.post_json, public.post_list, public.post_explain,
  public.post_options_json, public.post_get, public.post_options_problem, public.post_options_set,
  public.post_media_due, public.post_media_record, public.post_act_problem, public.post_act,
  public.post_act_check, public.post_act_on, public.post_settle_by_hand
to service_role;
