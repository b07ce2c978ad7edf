-- Posts: claim, record, release, recover. The machine is that of messages; see dm_claim and dm_record.

-- post_prepare: makes what is missing for posts that are scheduled by p_until: policies of their accounts, and their
-- publications. Part of post_claim, before it locks anything.
create or replace function public.post_prepare(p_until timestamptz, p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_account_ids uuid[];
  v_post_ids uuid[];
begin
  select
    array_agg(distinct account.id order by account.id) filter (where policy.account_id is null and account.id is not null),
    array_agg(post.id order by post.scheduled_for, post.id) filter (where publication.post_id is null)
  into v_account_ids, v_post_ids
  from public.posts as post
  left join public.post_publications as publication on publication.post_id = post.id
  left join public.account_policies as policy on policy.account_id = post.linkedin_account_id
  left join public.linkedin_accounts as account on account.id = post.linkedin_account_id
  where post.status = 'scheduled' and (post.scheduled_for <= p_until or post.scheduled_for is null)
    and (publication.post_id is null or policy.account_id is null);
  perform public.post_make_missing(coalesce(v_account_ids, '{}'), coalesce(v_post_ids, '{}'), p_now);
end;
$$;

-- post_make_missing: makes policies of accounts and publications of posts. Part of post_prepare.
--
-- Somebody else may be making the same row at this moment, and a unique index waits for the end of his transaction: so
-- what is not free within 10 ms is left for the next call.
create or replace function public.post_make_missing(p_account_ids uuid[], p_post_ids uuid[], p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
set lock_timeout = '10ms'
as $$
declare
  v_account_id uuid;
  v_post_id uuid;
  v_held_count integer := 0;
begin
  foreach v_account_id in array p_account_ids loop
    begin
      insert into public.account_policies (account_id) values (v_account_id) on conflict do nothing;
    exception when lock_not_available then
      continue;
    end;
  end loop;

  if p_post_ids = '{}' then
    return;
  end if;
  begin
    perform public.post_ensure(p_post_ids, p_now);
    return;
  exception when lock_not_available then
    -- A person's action is making one of them, which has undone all.
    null;
  end;

  -- One by one, so that a held post keeps none of the others from being made. It takes its time (about 1 ms a post), so
  -- it has a limit; those that are due first go first, and the next call does the rest.
  foreach v_post_id in array p_post_ids[1:500] loop
    begin
      perform public.post_ensure(array[v_post_id], p_now);
    exception when lock_not_available then
      v_held_count := v_held_count + 1;
      exit when v_held_count = 100;
    end;
  end loop;
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
set enable_seqscan = off
set jit = off
as $$
declare
  v_until constant timestamptz := p_now + interval '24 hours';
  v_is_looking boolean;
  v_waiting jsonb;
  v_items jsonb := '[]';
  v_item jsonb;
  -- Accounts that could publish, those whose post is due first before the others.
  v_account_ids uuid[];
  v_tried integer := 0;
  v_wanted integer;
  v_account_id uuid;
  v_claimed uuid[];
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
  v_waiting := public.post_look(null, v_is_looking, p_late_limit_minutes, p_now);
  if p_account_ids is not null then
    v_waiting := (
      select coalesce(jsonb_object_agg(waiting.key, waiting.value), '{}')
      from jsonb_each(v_waiting) as waiting where waiting.key::uuid = any (p_account_ids)
    );
  end if;
  v_account_ids := array(
    select waiting.key::uuid
    from jsonb_each(v_waiting) as waiting
    where waiting.value ->> 'due_at' is not null
    order by (waiting.value ->> 'due_at')::timestamptz, waiting.key
  );

  -- An account whose row, or whose posts, somebody else holds gives nothing, and costs one look; then the next ones
  -- are tried. Bounded: the rest waits for the next call.
  for v_round in 1..50 loop
    v_wanted := p_limit - jsonb_array_length(v_items);
    exit when v_wanted = 0 or v_tried >= cardinality(v_account_ids);
    -- Statements of their own: their snapshots are younger than the locks.
    for v_account_id in
      select policy.account_id
      from public.account_policies as policy
      where policy.account_id = any (v_account_ids[v_tried + 1 : v_tried + v_wanted])
      order by policy.account_id
      for update skip locked
    loop
      v_item := public.post_take(
        v_account_id, array(select jsonb_array_elements_text(v_waiting #> array[v_account_id::text, 'open'])::uuid),
        p_worker, p_claim_id, p_now + make_interval(secs => p_lease_ms / 1000.0), p_late_limit_minutes, p_now);
      if v_item is not null then
        v_items := v_items || v_item;
      end if;
    end loop;
    v_tried := v_tried + v_wanted;
  end loop;

  v_claimed := array(select (item.value ->> 'account_id')::uuid from jsonb_array_elements(v_items) as item (value));
  select min(greatest(future.at, p_now)) into v_next
  from (
    select (waiting.value ->> 'next_at')::timestamptz
    from jsonb_each(v_waiting) as waiting where waiting.key::uuid <> all (v_claimed)
    union all
    -- Those that gave one wait for it, and for the gap: what comes after is looked at again.
    select states.can_go_at
    from public.post_states(
      array(
        select post.id::uuid
        from unnest(v_claimed) as claimed (account_id)
        cross join lateral (
          select jsonb_array_elements_text(v_waiting #> array[claimed.account_id::text, 'open'])
          union all
          select v_waiting #>> array[claimed.account_id::text, 'later']
        ) as post (id)
      ), null, v_until, p_late_limit_minutes, p_now) as states
  ) as future (at)
  where future.at is not null;
  if v_next is null or v_next > v_until then
    -- Far off: what may hold it is looked at when it comes near.
    v_next := least(v_next, (
      select min(post.scheduled_for)
      from public.posts as post
      where post.status = 'scheduled' and post.scheduled_for > v_until
        and (p_account_ids is null or post.linkedin_account_id = any (p_account_ids))
    ));
  end if;
  return jsonb_build_object('now', p_now, 'next_claim_at', v_next, 'items', v_items);
end;
$$;

-- post_take: claims the first of some posts of an account that may go. Part of post_claim, which has locked the account.
create or replace function public.post_take(
  p_account_id uuid,
  p_post_ids uuid[],
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
  v_created_at timestamptz;
  -- The attempt as it would be, had it begun when the database was put back.
  v_sought public.post_attempts;
  v_restored jsonb;
begin
  foreach v_post_id in array p_post_ids loop
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
    select post.created_at into v_created_at from public.posts as post where post.id = v_post_id;
    v_sought := v_attempt;
    v_sought.started_at := public.restore_look_since(v_created_at);
    v_restored := case when v_sought.started_at is null then '[]' else jsonb_build_array(public.post_sought(v_sought)) end;

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
          and earlier.error_type in ('absent', 'settled', 'restored')
      ), '[]'::jsonb) || v_restored,
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
          and other.started_at >= p_attempt.started_at - public.known_ids_span()
        union all
        select theirs.unipile_post_id
        from public.posts as theirs
        where theirs.linkedin_account_id = p_attempt.account_id and theirs.id <> p_attempt.post_id
          and theirs.published_at >= p_attempt.started_at - public.known_ids_span()
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
-- said; one that is not expected to go away by itself holds the post, until a look finds them in order.
-- Answers [{attempt_id, applied, status}] in the order of the results; status is what the post is now, in the words of
-- messages: pending, sending, sent, unknown or failed; null if it is gone.
-- Errors: PO040 results that are not of this form.
create or replace function public.post_record(p_results jsonb, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
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
              or (v_result ->> 'outcome' = 'sent' and length(v_result ->> 'unipile_post_id') between 1 and 200
                and (length(v_result ->> 'share_url') between 1 and 2048) is not true)
            then public.read_back_at(p_now, null, p_now) end,
          http_status = (v_result ->> 'http_status')::integer,
          error_type = left(v_result ->> 'error_type', 100),
          detail = left(v_result ->> 'detail', 500),
          -- An id that is no id is dropped: cut it would be another's, and the result must not be refused for it.
          unipile_post_id = case when length(v_result ->> 'unipile_post_id') between 1 and 200 then v_result ->> 'unipile_post_id' end,
          social_id = case when length(v_result ->> 'social_id') between 1 and 200 then v_result ->> 'social_id' end,
          share_url = case when length(v_result ->> 'share_url') between 1 and 2048 then v_result ->> 'share_url' end
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
set jit = off
as $$
declare
  v_account_ids uuid[];
  v_post_ids uuid[];
begin
  -- As values, as in dm_record: as a join, a plan that was made among few accounts goes through all of them.
  select array_agg(attempt.account_id), array_agg(attempt.post_id) into v_account_ids, v_post_ids
  from public.post_attempts as attempt where attempt.id = any (p_attempt_ids);
  perform from public.account_policies as policy
  where policy.account_id = any (v_account_ids) order by policy.account_id for update;
  perform from public.post_publications as publication
  where publication.post_id = any (v_post_ids) order by publication.post_id for update;
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
  -- A late answer pauses nothing; but what was unknown is not any more, and the account need not wait for its lease.
  perform public.account_hold(p_account_id, case
    when p_late then null
    when v_pause_ms < 0 then 'infinity'
    when v_pause_ms is not null and p_result ->> 'pause_reason' = 'rate_limited'
      then public.account_throttle(p_account_id, v_pause_ms, p_now)
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
set jit = off
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
  -- Somebody else may have closed some of them meanwhile.
  return (
    select count(*)
    from jsonb_array_elements(public.post_record(v_results, p_now)) as answer (value)
    where answer.value ->> 'applied' = 'recorded'
  );
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
set jit = off
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

revoke execute on function
  public.post_prepare, public.post_make_missing, public.post_claim, public.post_take, public.post_sought, public.post_record,
  public.post_lock, public.post_account_settle, public.post_settle, public.post_release, public.post_recover
from public, anon, authenticated;
grant execute on function
  public.post_prepare, public.post_make_missing, public.post_claim, public.post_take, public.post_sought, public.post_record,
  public.post_lock, public.post_account_settle, public.post_settle, public.post_release, public.post_recover
to service_role;
