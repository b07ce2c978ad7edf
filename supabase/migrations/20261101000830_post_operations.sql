-- Posts as people see them: what waits and why, lists, options, the check of media, and actions.

-- post_backlog: what waits, and why: {due, scheduled, by_reason: {reason: count}, next_at, is_complete}; what was missed or is
-- held is in it, since it waits for somebody. p_account_ids: only these accounts; null for all.
-- What is scheduled for later than in a day counts as `scheduled`: what may hold it is looked at when it comes near, as by
-- the claim. is_complete is true: everything is counted.
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
  with near as materialized (
    select states.scheduled_for <= p_now as is_due, states.reason, states.can_go_at
    from public.post_states(null, p_account_ids, p_now + interval '24 hours', p_late_limit_minutes, p_now) as states
    where states.state in ('waiting', 'held', 'missed')
  ), far as materialized (
    select count(*) as count, nullif(min(post.scheduled_for), 'infinity') as first_at
    from public.posts as post
    where post.status = 'scheduled' and post.scheduled_for > p_now + interval '24 hours'
      and (p_account_ids is null or post.linkedin_account_id = any (p_account_ids))
  ), reasons as (
    select counted.reason, sum(counted.count) as count
    from (
      select near.reason, count(*) from near group by near.reason
      union all
      select 'scheduled', far.count from far where far.count > 0
    ) as counted (reason, count)
    group by counted.reason
  )
  select jsonb_build_object(
    'due', (select count(*) from near where near.is_due),
    'scheduled', (select count(*) from near where near.is_due is not true) + (select far.count from far),
    'by_reason', coalesce((select jsonb_object_agg(reasons.reason, reasons.count) from reasons), '{}'::jsonb),
    'next_at', (
      select greatest(min(future.at), p_now)
      from (select near.can_go_at from near union all select far.first_at from far) as future (at)
      having min(future.at) is not null
    ),
    'is_complete', true
  );
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

-- post_filter: a filter of posts as a condition on `post` and `publication`, see filter_literals.
--
-- Fields: ids, state, post_status (RevOS's), account_id, campaign_id, reason, scheduled_from, scheduled_to, created_from, created_to.
create or replace function public.post_filter(p_filter jsonb)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select concat_ws(' and ', 'true',
    'post.id = any (' || (given.value ->> 'ids') || ')',
    'public.post_state_shown(post.id, post.status, post.scheduled_for, publication) = any ('
      || (given.value ->> 'state') || ')',
    'post.status = any (' || (given.value ->> 'post_status') || ')',
    'post.linkedin_account_id = any (' || (given.value ->> 'account_id') || ')',
    'post.campaign_id = any (' || (given.value ->> 'campaign_id') || ')',
    'publication.reason = any (' || (given.value ->> 'reason') || ')',
    'post.scheduled_for >= ' || (given.value ->> 'scheduled_from'),
    'post.scheduled_for < ' || (given.value ->> 'scheduled_to'),
    'post.created_at >= ' || (given.value ->> 'created_from'),
    'post.created_at < ' || (given.value ->> 'created_to'))
  from public.filter_literals(p_filter, '{"ids": "uuids", "state": "texts", "post_status": "texts", "account_id": "uuids",
    "campaign_id": "uuids", "reason": "texts", "scheduled_from": "instant", "scheduled_to": "instant",
    "created_from": "instant", "created_to": "instant"}') as given (value);
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
  v_after constant jsonb := public.cursor_read(p_after, '{timestamptz,uuid}');
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
    'is_literal', coalesce(p_publication.is_literal, false),
    'media_checked_at', p_publication.media_checked_at,
    'media_problem', p_publication.media_problem
  );
$$;

-- post_get: one post: post_json, its text, options and explanation, its latest 100 attempts, oldest first, and how many
-- there are (attempts_total); null if there is none.
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
    'attempts_total', (select count(*) from public.post_attempts as attempt where attempt.post_id = post.id),
    'attempts', coalesce((
      select jsonb_agg(jsonb_build_object(
        'id', attempt.id, 'started_at', attempt.started_at, 'finished_at', attempt.finished_at,
        'outcome', attempt.outcome, 'http_status', attempt.http_status, 'error_type', attempt.error_type,
        'detail', attempt.detail, 'worker', attempt.worker, 'read_backs', attempt.read_backs,
        'next_read_at', attempt.next_read_at, 'unipile_post_id', attempt.unipile_post_id,
        'share_url', attempt.share_url
      ) order by attempt.position)
      from (
        select latest.* from public.post_attempts as latest where latest.post_id = post.id
        order by latest.position desc limit 100
      ) as attempt
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
            or public.text_is_blank(v_value ->> 'name') or v_value ->> 'name' ~ '[{}[:cntrl:]]'
            then 'name must be a name of 1 to 200 characters, without braces'
          when jsonb_typeof(coalesce(v_value -> 'is_company', 'false')) <> 'boolean' then 'is_company must be true or false'
          when jsonb_typeof(v_value -> 'profile_id') is distinct from 'string'
            or v_value ->> 'profile_id' !~ case when (v_value ->> 'is_company')::boolean
              then '^[0-9]{1,40}$' else '^ACo[A-Za-z0-9_-]{1,196}$' end
            then 'profile_id ' || public.provider_id_problem(v_value ->> 'profile_id') || '; a company has its digits'
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
    elsif v_name = 'is_literal' then
      code := 'PO008';
      if jsonb_typeof(v_value) not in ('boolean', 'null') then
        problem := 'must be true or false';
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
-- is_company}] ({{0}} in the text is the first), external_link?, as_organization?, is_literal? (what looks like a mark of a template
-- in the text is meant)}.
-- Errors: PO001 no such post; PO002 not an object, or no option; PO003 bad media; PO004 bad mentions; PO005 a bad link; PO006 a
-- bad organization; PO008 is_literal is no boolean; PO007 a post that is on its way, or was or may have been published.
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
    is_literal = case when p_patch ? 'is_literal' then coalesce((p_patch ->> 'is_literal')::boolean, false) else publication.is_literal end,
    updated_at = p_now
  where publication.post_id = p_post_id
  returning publication.* into v_publication;
  perform public.audit_add(p_actor, 'post.options', p_post_id::text,
    jsonb_build_object('options', (select jsonb_agg(option.name) from jsonb_object_keys(p_patch) as option (name)))
      || case when p_patch ? 'is_literal' then jsonb_build_object('is_literal', v_publication.is_literal) else '{}' end, p_now);
  return public.post_options_json(v_publication);
end;
$$;

-- post_media_due: posts due within a day whose media are to be looked at: not looked at yet; or with a problem, whatever it
-- was, which is looked at again every 15 minutes, and once more when the post is due.
--
-- Answers {now, next_at, items: [{post_id, media}], again: [post_id]}: those not looked at yet first, then those whose look is
-- the oldest; again names those that had a problem; next_at is when the next one is to be looked at that is not yet, null if
-- there is none.
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
  return (
    with looked as materialized (
      select post.id, post.scheduled_for, publication.media, publication.media_checked_at,
        case when publication.media_checked_at is null then '-infinity' else least(
          publication.media_checked_at + interval '15 minutes',
          case when publication.media_checked_at < post.scheduled_for then post.scheduled_for end
        ) end as look_at
      from public.post_publications as publication
      join public.posts as post on post.id = publication.post_id
      where post.status = 'scheduled' and post.scheduled_for <= p_now + interval '24 hours'
        and publication.media <> '[]' and publication.missed_for is distinct from post.scheduled_for
        and publication.state not in ('publishing', 'published', 'unknown')
        and (publication.media_checked_at is null or publication.media_problem is not null)
    )
    select jsonb_build_object(
      'now', p_now,
      'next_at', (select min(looked.look_at) from looked where looked.look_at > p_now),
      'items', coalesce(jsonb_agg(jsonb_build_object('post_id', due.id, 'media', due.media)
        order by due.media_checked_at nulls first, due.scheduled_for, due.id), '[]'::jsonb),
      'again', coalesce(jsonb_agg(due.id) filter (where due.media_checked_at is not null), '[]'::jsonb)
    )
    from (
      select looked.* from looked
      where looked.look_at <= p_now
      order by looked.media_checked_at nulls first, looked.scheduled_for, looked.id
      limit p_limit
    ) as due
  );
end;
$$;

-- post_media_record: what a look at media said. p_results: [{post_id, media (as it was looked at), problem: null | {problem,
-- detail, retryable}}]; media that were changed meanwhile are left for another look. A problem that is not expected to go away
-- by itself holds its post, until a look finds them in order. Answers how many were recorded.
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
  perform public.post_look(coalesce(v_post_ids, '{}'), true, p_late_limit_minutes, p_now);
  return coalesce(cardinality(v_post_ids), 0);
end;
$$;

-- post_act_problem: why an action cannot be done to a post in this state; null if it can.
create or replace function public.post_act_problem(
  p_action text,
  p_args jsonb,
  p_state text,
  p_post_id uuid,
  p_now timestamptz
)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when p_action = 'settle' and p_state <> 'unknown' then 'only what is unknown can be, and it is ' || p_state
    when p_action = 'settle' then public.settle_problem(p_args, (
      select max(attempt.effect_by) from public.post_attempts as attempt
      where attempt.post_id = p_post_id and attempt.outcome = 'unknown'
    ), p_now)
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
-- is due now; settle {decision, reason?, looked_at?}, as in dm_act: a post that is dropped is `failed`.
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
  if p_dry_run is null then
    raise exception 'dry_run must be true or false' using errcode = 'PO064', detail = '{"field":"dry_run"}';
  end if;
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
    select post.id, shown.state, public.post_act_problem(p_action, p_args, shown.state, post.id, p_now) as problem
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
    "settle": ["decision", "reason", "looked_at"]}';
  v_field text;
begin
  if not v_known ? coalesce(p_action, '') then
    raise exception 'an action is cancel, retry, reschedule, publish_now or settle'
      using errcode = 'PO060', detail = '{"field":"action"}';
  end if;
  if jsonb_typeof(coalesce(p_args, '{}')) <> 'object' then
    raise exception 'the arguments of an action are an object' using errcode = 'PO064', detail = '{"field":"args"}';
  end if;
  select argument.name into v_field
  from jsonb_object_keys(coalesce(p_args, '{}')) as argument (name)
  where not (v_known -> p_action) ? argument.name limit 1;
  if v_field is null and p_action = 'reschedule'
    and not (p_args ->> 'scheduled_for' is not null and public.is_instant(p_args ->> 'scheduled_for')) then
    v_field := 'scheduled_for';
  end if;
  if v_field is null and p_action = 'settle' then
    v_field := public.settle_field(p_args);
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
  public.post_backlog, public.post_preview, public.post_state_shown, public.post_filter, public.post_json,
  public.post_list, public.post_explain, public.post_options_json, public.post_get,
  public.post_options_problem, public.post_options_set, public.post_media_due, public.post_media_record,
  public.post_act_problem, public.post_act, public.post_act_check, public.post_act_on,
  public.post_settle_by_hand
from public, anon, authenticated;
grant execute on function
  public.post_backlog, public.post_preview, public.post_state_shown, public.post_filter, public.post_json,
  public.post_list, public.post_explain, public.post_options_json, public.post_get,
  public.post_options_problem, public.post_options_set, public.post_media_due, public.post_media_record,
  public.post_act_problem, public.post_act, public.post_act_check, public.post_act_on,
  public.post_settle_by_hand
to service_role;
