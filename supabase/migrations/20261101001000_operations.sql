-- What operators do with messages: list, look at, and act on many at once.

-- dm_filter: a filter of messages as a condition on `message`, see filter_literals.
--
-- Fields: ids, status, account_id, campaign_id, lead_id, reason, recipient_id, dedupe_key, created_from,
-- created_to, due_before.
create or replace function public.dm_filter(p_filter jsonb)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select concat_ws(' and ', 'true',
    'message.id = any (' || (given.value ->> 'ids') || ')',
    'message.status = any (' || (given.value ->> 'status') || ')',
    'message.linkedin_account_id = any (' || (given.value ->> 'account_id') || ')',
    'message.campaign_id = any (' || (given.value ->> 'campaign_id') || ')',
    'message.lead_id = any (' || (given.value ->> 'lead_id') || ')',
    'message.reason = any (' || (given.value ->> 'reason') || ')',
    'message.recipient_id = any (' || (given.value ->> 'recipient_id') || ')',
    'message.dedupe_key = any (' || (given.value ->> 'dedupe_key') || ')',
    'message.created_at >= ' || (given.value ->> 'created_from'),
    'message.created_at < ' || (given.value ->> 'created_to'),
    'message.due_at < ' || (given.value ->> 'due_before'))
  from public.filter_literals(p_filter, '{"ids": "uuids", "status": "texts", "account_id": "uuids", "campaign_id": "uuids",
    "lead_id": "uuids", "reason": "texts", "recipient_id": "texts", "dedupe_key": "texts", "created_from": "instant",
    "created_to": "instant", "due_before": "instant"}') as given (value);
$$;

-- dm_json: a message as lists show it, without its text.
create or replace function public.dm_json(p_message public.dm_queue)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select to_jsonb(p_message) - 'message' - 'position' - 'due_at' - 'text_key' || jsonb_build_object('account_name', (
    select account.account_name from public.linkedin_accounts as account
    where account.id = p_message.linkedin_account_id
  ));
$$;

-- dm_list: messages, the last queued first: {items: [dm_json], next_cursor}. p_filter as dm_filter.
--
-- Errors: SE001 to SE003.
create or replace function public.dm_list(
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
  v_after constant jsonb := public.cursor_read(p_after, '{bigint}');
  v_rows jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object(
      'item', public.dm_json(page), 'place', jsonb_build_array(page.position)
    ) order by page.position desc), '[]')
    from (
      select message.* from public.dm_queue as message
      where %s and ($1 is null or message.position < $1)
      order by message.position desc limit $2
    ) as page
  $sql$, public.dm_filter(p_filter))
  into v_rows
  using (v_after ->> 0)::bigint, public.list_limit(p_limit) + 1;
  return public.list_page(v_rows, p_limit);
end;
$$;

-- dm_get: one message with its text, why it has not gone out, its latest 100 attempts, oldest first, and how many there are
-- (attempts_total); null if there is none.
create or replace function public.dm_get(p_id uuid, p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select public.dm_json(queued) || jsonb_build_object(
    'message', queued.message,
    'explanation', public.dm_explain(queued.id, p_now),
    'attempts_total', (select count(*) from public.dm_attempts as attempt where attempt.message_id = queued.id),
    'attempts', coalesce((
      select jsonb_agg(jsonb_build_object(
        'id', attempt.id, 'started_at', attempt.started_at, 'finished_at', attempt.finished_at,
        'outcome', attempt.outcome, 'http_status', attempt.http_status, 'error_type', attempt.error_type,
        'detail', attempt.detail, 'worker', attempt.worker, 'read_backs', attempt.read_backs,
        'next_read_at', attempt.next_read_at, 'unipile_message_id', attempt.unipile_message_id
      ) order by attempt.started_at, attempt.position)
      from (
        select latest.* from public.dm_attempts as latest where latest.message_id = queued.id
        order by latest.started_at desc, latest.position desc limit 100
      ) as attempt
    ), '[]'::jsonb)
  )
  from public.dm_queue as queued where queued.id = p_id;
$$;

-- selection_filter: what an action is done to, as a condition: {ids: [...]} or {filter: {...}}.
--
-- p_errors: the letters of the SQLSTATEs. Errors: …061 a selection that is neither; …063 more than 10,000 ids.
create or replace function public.selection_filter(p_selection jsonb, p_errors text)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if jsonb_typeof(p_selection) = 'object' and (select count(*) from jsonb_object_keys(p_selection)) = 1 then
    if jsonb_typeof(p_selection -> 'ids') = 'array' then
      if jsonb_array_length(p_selection -> 'ids') > 10000 then
        raise exception 'more than 10000 ids: select fewer'
          using errcode = p_errors || '063', detail = '{"field":"selection"}';
      end if;
      return p_selection;
    elsif jsonb_typeof(p_selection -> 'filter') = 'object' then
      return p_selection -> 'filter';
    end if;
  end if;
  raise exception 'a selection must be {ids: [...]} or {filter: {...}}'
    using errcode = p_errors || '061', detail = '{"field":"selection"}';
end;
$$;

-- selection_check: whether an action may be carried out on as many rows as were selected.
--
-- A filter selects what matches when it is carried out, which may not be what its author saw: so it needs a dry
-- run first, and the number that one told. Errors: …062 another number matches now ({matched}); …063 more than
-- 10,000; …065 a filter without a dry run.
create or replace function public.selection_check(
  p_selection jsonb,
  p_matched integer,
  p_dry_run boolean,
  p_expected_count integer,
  p_errors text
)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_matched > 10000 then
    raise exception 'more than 10000 match: select fewer' using errcode = p_errors || '063', detail = '{"field":"selection"}';
  end if;
  if p_dry_run then
    return;
  end if;
  if p_selection ? 'filter' and p_expected_count is null then
    raise exception 'run with dry_run first and pass its `matched` as expected_count'
      using errcode = p_errors || '065', detail = '{"field":"expected_count"}';
  end if;
  if p_expected_count <> p_matched then
    raise exception '% match now, not %', p_matched, p_expected_count
      using errcode = p_errors || '062',
        detail = jsonb_build_object('field', 'expected_count', 'matched', p_matched)::text;
  end if;
end;
$$;

-- dm_act_problem: why an action cannot be done to a message; null if it can.
create or replace function public.dm_act_problem(
  p_action text,
  p_args jsonb,
  p_message public.dm_queue,
  p_now timestamptz
)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when p_action in ('cancel', 'reschedule') and p_message.status <> 'pending' then 'only what is pending can be, and it is ' || p_message.status
    when p_action = 'retry' and p_message.status <> 'failed' then 'only what has failed can be, and it is ' || p_message.status
    when p_action = 'retry' and exists (
      select from public.dm_attempts as attempt
      where attempt.message_id = p_message.id and attempt.outcome is distinct from 'not_sent'
    ) then 'it may have been sent'
    when p_action = 'settle' and p_message.status <> 'unknown' then 'only what is unknown can be, and it is ' || p_message.status
    when p_action = 'settle' then public.settle_problem(p_args, (
      select max(attempt.effect_by) from public.dm_attempts as attempt
      where attempt.message_id = p_message.id and attempt.outcome = 'unknown'
    ), p_now)
  end;
$$;

-- dm_act: does one thing to many messages.
--
-- p_action and p_args: cancel {reason?}; retry: what failed is pending again, with all its tries;
-- reschedule {send_at}; settle {decision, reason?, looked_at?} what is unknown: `sent` (a person saw it on LinkedIn),
-- `resend` (a person saw that it is not there, at looked_at, once the call was over) or `drop` (it is given up; it
-- still counts against the limits).
-- p_selection: {ids: [...]} or {filter: {...}}, see selection_check. p_dry_run: says what it would do, and changes nothing.
-- Answers {action, dry_run, matched, changed, refused: [{id, status, problem}] (100 at most), sample: [20 ids at most]}.
-- Errors: DM060 no such action; DM061 to DM065 as selection_filter and selection_check, DM064 bad arguments; SE001.
create or replace function public.dm_act(
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
  perform public.dm_act_check(p_action, p_args);
  if p_dry_run is null then
    raise exception 'dry_run must be true or false' using errcode = 'DM064', detail = '{"field":"dry_run"}';
  end if;
  execute format($sql$
    select array_agg(matching.id) from (select message.id from public.dm_queue as message where %s limit 10001) as matching
  $sql$, public.dm_filter(public.selection_filter(p_selection, 'DM'))) into v_ids;
  perform public.selection_check(
    p_selection, coalesce(cardinality(v_ids), 0), p_dry_run, p_expected_count, 'DM');

  if not p_dry_run then
    -- Accounts first, in the order of their ids, and then the messages: the order of dm_record.
    perform from public.account_policies as policy
    where policy.account_id in (select message.linkedin_account_id from public.dm_queue as message where message.id = any (v_ids))
    order by policy.account_id
    for update;
    perform from public.dm_queue as message where message.id = any (v_ids) order by message.id for update;
  end if;

  select array_agg(judged.id order by judged.position) filter (where judged.problem is null),
    jsonb_agg(jsonb_build_object('id', judged.id, 'status', judged.status, 'problem', judged.problem) order by judged.position)
      filter (where judged.problem is not null)
  into v_can, v_refused
  from (
    select queued.id, queued.status, queued.position, public.dm_act_problem(p_action, p_args, queued, p_now) as problem
    from public.dm_queue as queued where queued.id = any (v_ids)
    union all
    select named.id::uuid, null, null, 'there is no such message'
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
    perform public.dm_act_on(p_action, coalesce(v_can, '{}'), p_args, p_now);
    perform public.audit_add(p_actor, 'message.' || p_action,
      case when cardinality(v_can) = 1 then v_can[1]::text end,
      jsonb_build_object('selection', p_selection, 'args', p_args, 'matched', v_answer -> 'matched', 'changed', v_answer -> 'changed'),
      p_now);
  end if;
  return v_answer;
end;
$$;

-- dm_act_check: refuses an action that does not exist, and arguments it does not take. Part of dm_act.
create or replace function public.dm_act_check(p_action text, p_args jsonb)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_known constant jsonb := '{"cancel": ["reason"], "retry": [], "reschedule": ["send_at"], "settle": ["decision", "reason", "looked_at"]}';
  v_field text;
begin
  if not v_known ? coalesce(p_action, '') then
    raise exception 'an action is cancel, retry, reschedule or settle' using errcode = 'DM060', detail = '{"field":"action"}';
  end if;
  if jsonb_typeof(coalesce(p_args, '{}')) <> 'object' then
    raise exception 'the arguments of an action are an object' using errcode = 'DM064', detail = '{"field":"args"}';
  end if;
  select argument.name into v_field
  from jsonb_object_keys(coalesce(p_args, '{}')) as argument (name)
  where not (v_known -> p_action) ? argument.name limit 1;
  if v_field is null and p_action = 'reschedule'
    and not (p_args ->> 'send_at' is not null and public.is_instant(p_args ->> 'send_at')) then
    v_field := 'send_at';
  end if;
  if v_field is null and p_action = 'settle' then
    v_field := public.settle_field(p_args);
  end if;
  if v_field is not null then
    raise exception '% is missing, wrong, or not an argument of %', left(v_field, 60), p_action
      using errcode = 'DM064', detail = jsonb_build_object('field', left(v_field, 60))::text;
  end if;
end;
$$;

-- dm_act_on: carries out an action on messages that are locked and can take it. Part of dm_act.
create or replace function public.dm_act_on(p_action text, p_ids uuid[], p_args jsonb, p_now timestamptz)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_attempt public.dm_attempts;
begin
  if p_action = 'cancel' then
    update public.dm_queue as message
    set status = 'cancelled', reason = 'cancelled', error = left(p_args ->> 'reason', 500)
    where message.id = any (p_ids);
  elsif p_action = 'retry' then
    update public.dm_queue as message
    set status = 'pending', reason = null, error = null, attempts = 0, not_before = null
    where message.id = any (p_ids);
  elsif p_action = 'reschedule' then
    update public.dm_queue as message
    set send_at = (p_args ->> 'send_at')::timestamptz, not_before = null
    where message.id = any (p_ids);
  elsif p_args ->> 'decision' = 'drop' then
    update public.dm_attempts as attempt set next_read_at = null
    where attempt.message_id = any (p_ids) and attempt.outcome = 'unknown';
    update public.dm_queue as message
    set status = 'cancelled', reason = 'dropped', error = left(p_args ->> 'reason', 500)
    where message.id = any (p_ids);
  else
    for v_attempt in
      update public.dm_attempts as attempt set
        outcome = case p_args ->> 'decision' when 'sent' then 'sent' else 'not_sent' end,
        strike = attempt.strike and p_args ->> 'decision' <> 'sent',
        error_type = 'settled',
        next_read_at = null
      where attempt.message_id = any (p_ids) and attempt.outcome = 'unknown'
      returning attempt.*
    loop
      perform public.dm_read_settle(v_attempt, case p_args ->> 'decision' when 'sent' then 'sent' else 'waiting' end,
        jsonb_build_object('sent_at', v_attempt.started_at), p_now);
    end loop;
  end if;
end;
$$;

revoke execute on function
  public.dm_filter, public.dm_json, public.dm_list, public.dm_get, public.selection_filter, public.selection_check,
  public.dm_act_problem, public.dm_act, public.dm_act_check, public.dm_act_on
from public, anon, authenticated;
grant execute on function
  public.dm_filter, public.dm_json, public.dm_list, public.dm_get, public.selection_filter, public.selection_check,
  public.dm_act_problem, public.dm_act, public.dm_act_check, public.dm_act_on
to service_role;
