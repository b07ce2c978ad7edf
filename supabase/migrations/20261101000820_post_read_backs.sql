-- Posts that may have been published: what to look for on LinkedIn, and what is made of what was seen.

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
set jit = off
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
set jit = off
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
set jit = off
as $$
declare
  v_share_url constant text := case when length(p_result ->> 'share_url') between 1 and 2048 then p_result ->> 'share_url' end;
  v_attempt public.post_attempts;
  v_found text;
  v_is_twin boolean;
  v_read record;
begin
  v_found := case when p_result ->> 'found' = 'sent' and exists (
    -- Another post's, recorded since it was asked for: it is looked for again, without that one.
    select from public.post_attempts as other
    where other.account_id = p_attempt.account_id and other.started_at >= p_attempt.started_at - public.known_ids_span()
      and other.id <> p_attempt.id
      and (other.unipile_post_id = p_result ->> 'unipile_post_id' or other.social_id = p_result ->> 'social_id')
  ) or p_result ->> 'found' = 'sent' and exists (
    -- Or that of a post whose answer is not there yet.
    select from public.post_attempts as other
    where other.account_id = p_attempt.account_id and other.finished_at is null
  ) then 'unreadable' else p_result ->> 'found' end;
  -- Its twin was published, and nobody knows which one on LinkedIn it is: a person decides on this one.
  v_is_twin := v_found = 'sent' and exists (
    select from public.post_attempts as twin
    where twin.account_id = p_attempt.account_id and twin.started_at >= p_attempt.started_at - public.known_ids_span()
      and twin.post_id <> p_attempt.post_id and twin.outcome = 'sent'
      and twin.unipile_post_id is null and twin.social_id is null
      and public.text_seen(public.post_text_shown(twin.text, twin.mentions, twin.external_link))
        = public.text_seen(public.post_text_shown(p_attempt.text, p_attempt.mentions, p_attempt.external_link))
  );
  select * into v_read from public.read_back_verdict(
    v_found, p_attempt.finished_at, p_attempt.effect_by, p_attempt.absent_since,
    -- What was suspected after a restore was no try.
    p_policy = 'resend-when-absent' and (p_attempt.worker = 'restored' or not exists (
      select from public.post_attempts as earlier
      where earlier.post_id = p_attempt.post_id and earlier.outcome = 'not_sent' and earlier.error_type = 'absent'
    )), p_now);
  if v_is_twin then
    v_read.verdict := 'held';
  end if;

  update public.post_attempts as attempt set
    read_backs = attempt.read_backs + 1,
    absent_since = v_read.absent_since,
    next_read_at = case
      when v_read.verdict = 'sent' and v_share_url is null then public.read_back_at(p_now, null, p_now)
      else v_read.next_read_at end,
    outcome = case v_read.verdict when 'sent' then 'sent' when 'waiting' then 'not_sent' else 'unknown' end,
    -- It was suspected after a restore: the gap is counted from when it was published.
    effect_by = case when v_read.verdict = 'sent' and attempt.worker = 'restored'
      then least(coalesce((p_result ->> 'sent_at')::timestamptz, attempt.effect_by), p_now) else attempt.effect_by end,
    error_type = case when v_read.verdict = 'waiting' and attempt.worker <> 'restored' then 'absent' else attempt.error_type end,
    detail = coalesce(left(p_result ->> 'detail', 500), attempt.detail),
    unipile_post_id = case when v_read.verdict = 'sent' and length(p_result ->> 'unipile_post_id') <= 200
      then p_result ->> 'unipile_post_id' end,
    social_id = case when v_read.verdict = 'sent' and length(p_result ->> 'social_id') between 1 and 200
      then p_result ->> 'social_id' end,
    share_url = case when v_read.verdict = 'sent' then v_share_url end
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
    set state = 'waiting', error = null, not_before = null, updated_at = p_now,
      reason = case when p_attempt.worker <> 'restored' then 'absent_on_linkedin' end
    where publication.post_id = p_attempt.post_id and publication.state = 'unknown';
  elsif p_verdict = 'held' then
    update public.post_publications as publication set reason = 'unknown_held', updated_at = p_now
    where publication.post_id = p_attempt.post_id and publication.state = 'unknown';
  end if;
  if p_verdict in ('sent', 'waiting') then
    -- Messages of the account need not wait for its lease.
    perform public.account_hold(p_attempt.account_id, null, null, p_now);
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
  v_share_url constant text := case when length(p_result ->> 'share_url') between 1 and 2048 then p_result ->> 'share_url' end;
  v_social_id constant text := case when length(p_result ->> 'social_id') between 1 and 200 then p_result ->> 'social_id' end;
begin
  update public.post_attempts as attempt set
    read_backs = attempt.read_backs + 1,
    social_id = coalesce(v_social_id, attempt.social_id),
    share_url = v_share_url,
    next_read_at = case when v_share_url is null and attempt.read_backs < 4
      then public.read_back_at(attempt.finished_at, null, p_now) end
  where attempt.id = p_attempt.id;
  if v_share_url is not null then
    update public.post_publications as publication set
      share_url = v_share_url,
      social_id = coalesce(v_social_id, publication.social_id),
      updated_at = p_now
    where publication.post_id = p_attempt.post_id and publication.state = 'published';
    update public.posts as post set post_url = v_share_url, updated_at = p_now where post.id = p_attempt.post_id;
  end if;
  return 'ignored';
end;
$$;

revoke execute on function
  public.post_unknowns, public.post_resolve, public.post_resolve_unknown, public.post_read_settle,
  public.post_resolve_address
from public, anon, authenticated;
grant execute on function
  public.post_unknowns, public.post_resolve, public.post_resolve_unknown, public.post_read_settle,
  public.post_resolve_address
to service_role;
