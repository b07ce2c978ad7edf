-- What every list and every action shares: filters, cursors, the audit trail, the pause of all sending.

-- filter_literals: what a filter asks for, checked, each as a literal that a condition may hold: {name: literal}.
--
-- p_kinds: {name: kind}; the kind is `uuids` or `texts` (one or an array), `text`, `instant`, `day` or `boolean`. A list puts
-- its own expressions before these literals: no text of a caller's comes into a statement but as one of them.
-- Errors: SE001 a filter that is no object, a field that does not exist, or a value of the wrong type.
create or replace function public.filter_literals(p_filter jsonb, p_kinds jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_name text;
  v_value jsonb;
  v_kind text;
  v_text text;
  v_texts text[];
  v_literal text;
  v_literals jsonb := '{}';
begin
  if jsonb_typeof(coalesce(p_filter, '{}'::jsonb)) <> 'object' then
    raise exception 'a filter must be an object' using errcode = 'SE001', detail = '{"field":"filter"}';
  end if;
  for v_name, v_value in select * from jsonb_each(coalesce(p_filter, '{}'::jsonb)) loop
    v_kind := p_kinds ->> v_name;
    if v_kind is null or v_kind <> all ('{uuids,texts,text,instant,day,boolean}') then
      raise exception '% is not a field to filter by', left(v_name, 60)
        using errcode = 'SE001', detail = jsonb_build_object('field', left(v_name, 60))::text;
    end if;
    continue when jsonb_typeof(v_value) = 'null';
    v_text := v_value #>> '{}';
    v_texts := array(select jsonb_array_elements_text(
      case jsonb_typeof(v_value) when 'array' then v_value else jsonb_build_array(v_value) end));
    begin
      case v_kind
        when 'uuids' then v_literal := quote_literal(v_texts::uuid[]::text) || '::uuid[]';
        when 'texts' then v_literal := quote_literal(v_texts::text) || '::text[]';
        when 'text' then v_literal := quote_literal(v_text) || '::text';
        when 'instant' then v_literal := quote_literal(v_text::timestamptz::text) || '::timestamptz';
        when 'day' then v_literal := quote_literal(v_text::date::text) || '::date';
        when 'boolean' then v_literal := v_text::boolean::text;
      end case;
    exception when data_exception then
      raise exception '% has a value of the wrong form', v_name
        using errcode = 'SE001', detail = jsonb_build_object('field', v_name)::text;
    end;
    v_literals := v_literals || jsonb_build_object(v_name, v_literal);
  end loop;
  return v_literals;
end;
$$;

-- list_limit: checks how many rows a page may have, 1 to 200.
--
-- Errors: SE002 a limit out of range.
create or replace function public.list_limit(p_limit integer)
returns integer
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if coalesce(p_limit, 0) not between 1 and 200 then
    raise exception 'limit must be from 1 to 200' using errcode = 'SE002', detail = '{"field":"limit"}';
  end if;
  return p_limit;
end;
$$;

-- cursor_of: the place after a row in a list, as opaque text; cursor_read: what it says.
create or replace function public.cursor_of(p_place jsonb)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select translate(encode(convert_to(p_place::text, 'UTF8'), 'base64'), E'+/=\n', '-_');
$$;

-- p_types: the type of each of its parts (bigint, date, text, timestamptz or uuid), so that a forged one is refused here.
-- Errors: SE003 a cursor that no list has given, or another list.
create or replace function public.cursor_read(p_cursor text, p_types text[])
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_text constant text := translate(p_cursor, '-_', '+/');
  v_place jsonb;
  v_part text;
begin
  if p_cursor is null then
    return null;
  end if;
  v_place := convert_from(decode(rpad(v_text, (length(v_text) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb;
  if jsonb_typeof(v_place) <> 'array' or jsonb_array_length(v_place) <> cardinality(p_types) then
    raise data_exception;
  end if;
  for v_index in 1..cardinality(p_types) loop
    v_part := v_place ->> (v_index - 1);
    case p_types[v_index]
      when 'bigint' then perform v_part::bigint;
      when 'date' then perform v_part::date;
      when 'text' then null;
      when 'timestamptz' then perform v_part::timestamptz;
      when 'uuid' then perform v_part::uuid;
      else raise data_exception;
    end case;
    -- No list has a place without a part.
    if v_part is null then
      raise data_exception;
    end if;
  end loop;
  return v_place;
exception when data_exception then
  raise exception 'not a cursor of this list' using errcode = 'SE003', detail = '{"field":"cursor"}';
end;
$$;

-- list_page: rows and the cursor after the last one, from one row more than the page has.
--
-- A page ends early at 1 MB, after one row at least: its reader goes on with the cursor.
create or replace function public.list_page(p_rows jsonb, p_limit integer)
returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  with measured as (
    select row.value, row.ordinality,
      sum(octet_length((row.value -> 'item')::text)) over (order by row.ordinality) as bytes
    from jsonb_array_elements(p_rows) with ordinality as row (value, ordinality)
  ), page as (
    select jsonb_agg(measured.value -> 'item' order by measured.ordinality) as items, count(*)::integer as count
    from measured
    where measured.ordinality <= p_limit and (measured.ordinality = 1 or measured.bytes <= 1048576)
  )
  select jsonb_build_object(
    'items', coalesce(page.items, '[]'::jsonb),
    'next_cursor', case when jsonb_array_length(p_rows) > page.count
      then public.cursor_of(p_rows -> (page.count - 1) -> 'place') end
  )
  from page;
$$;

-- settle_field: the argument of `settle` that is missing or wrong; null if none is.
create or replace function public.settle_field(p_args jsonb)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case
    when (p_args ->> 'decision' in ('sent', 'resend', 'drop')) is not true then 'decision'
    when not public.is_instant(p_args ->> 'looked_at') then 'looked_at'
  end;
end;
$$;

-- settle_problem: why a person cannot say yet that a call had no effect; null if that can be said.
--
-- What was looked at must be the end of the call: a look before it says nothing about what came after it.
-- p_args: those of `settle`; `looked_at` is when somebody looked, p_now unless it is given. p_effect_by: the latest
-- instant at which the call can have had its effect; null without a call.
create or replace function public.settle_problem(p_args jsonb, p_effect_by timestamptz, p_now timestamptz)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select 'it may have reached LinkedIn until ' || to_char(p_effect_by at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ', after somebody looked: look again'
  where p_args ->> 'decision' = 'resend'
    and p_effect_by > least((p_args ->> 'looked_at')::timestamptz, p_now);
$$;

-- audit_brief: a value in brief: of a list, or of an object with many names, how many there are and the first
-- p_sample of them ({count, sample}); of a text the first p_text characters; of what is nested deeply, how many.
create or replace function public.audit_brief(p_value jsonb, p_sample integer, p_text integer, p_depth integer default 0)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_type constant text := jsonb_typeof(p_value);
  v_count integer;
  v_sample jsonb;
begin
  if v_type = 'string' then
    return case when length(p_value #>> '{}') > p_text then to_jsonb(left(p_value #>> '{}', p_text) || '…') else p_value end;
  elsif v_type = 'array' then
    v_count := jsonb_array_length(p_value);
    if p_depth < 4 then
      select jsonb_agg(public.audit_brief(p_value -> n, p_sample, p_text, p_depth + 1) order by n) into v_sample
      from generate_series(0, least(v_count, p_sample) - 1) as n;
    end if;
  elsif v_type = 'object' then
    select count(*) into v_count from jsonb_object_keys(p_value);
    if p_depth < 4 then
      select jsonb_object_agg(left(first.name, 60), public.audit_brief(first.value, p_sample, p_text, p_depth + 1))
      into v_sample
      from (select member.key, member.value from jsonb_each(p_value) as member limit p_sample) as first (name, value);
    end if;
  else
    return p_value;
  end if;
  if v_count = 0 or (v_count <= p_sample and v_sample is not null) then
    return coalesce(v_sample, p_value);
  end if;
  return jsonb_strip_nulls(jsonb_build_object('count', v_count, 'sample', v_sample));
end;
$$;

-- audit_params: what an entry of the audit trail keeps of its parameters, at most 16 KB: lists may be of 10,000.
create or replace function public.audit_params(p_params jsonb)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_brief jsonb := public.audit_brief(coalesce(p_params, '{}'::jsonb), 20, 500);
begin
  if octet_length(v_brief::text) > 16384 then
    v_brief := public.audit_brief(p_params, 3, 60);
  end if;
  if octet_length(v_brief::text) > 16384 then
    return jsonb_build_object('bytes', octet_length(p_params::text));
  end if;
  return v_brief;
end;
$$;

-- audit_add: puts a person's action into the audit trail, in brief; nothing where no person acts.
create or replace function public.audit_add(
  p_actor text,
  p_action text,
  p_subject text,
  p_params jsonb,
  p_now timestamptz default now()
)
returns void
language sql
security invoker
set search_path = ''
as $$
  insert into public.audit_log (at, actor, action, subject, params)
  select p_now, p_actor, p_action, p_subject, public.audit_params(jsonb_strip_nulls(p_params))
  where p_actor is not null;
$$;

-- audit_list: what people did, newest first: {items: [{id, at, actor, action, subject, params}], next_cursor}.
--
-- p_filter: actor, action, subject, from, to. Errors: SE001 to SE003.
create or replace function public.audit_list(
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
  v_given constant jsonb := public.filter_literals(p_filter,
    '{"actor": "texts", "action": "texts", "subject": "text", "from": "instant", "to": "instant"}');
  v_rows jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object('item', to_jsonb(page), 'place', jsonb_build_array(page.id))
      order by page.id desc), '[]')
    from (
      select entry.* from public.audit_log as entry
      where %s and ($1 is null or entry.id < $1)
      order by entry.id desc limit $2
    ) as page
  $sql$, concat_ws(' and ', 'true',
    'entry.actor = any (' || (v_given ->> 'actor') || ')',
    'entry.action = any (' || (v_given ->> 'action') || ')',
    'entry.subject = ' || (v_given ->> 'subject'),
    'entry.at >= ' || (v_given ->> 'from'),
    'entry.at < ' || (v_given ->> 'to')))
  into v_rows
  using (v_after ->> 0)::bigint, public.list_limit(p_limit) + 1;
  return public.list_page(v_rows, p_limit);
end;
$$;

-- sending_is_paused: whether all sending is paused. The claims ask it before anything else.
create or replace function public.sending_is_paused(p_now timestamptz default now())
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select exists (select from public.sending_pause as pause where pause.paused_until > p_now);
$$;

-- sending_status: {paused, reason, paused_at, paused_until, paused_by, due}; paused_until is null without an end.
-- due: messages whose time has come, which a pause holds and a resume releases; counted up to 100,000.
create or replace function public.sending_status(p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'paused', pause.reason is not null,
    'reason', pause.reason,
    'paused_at', pause.paused_at,
    'paused_until', nullif(pause.paused_until, 'infinity'),
    'paused_by', pause.paused_by,
    'due', (
      select count(*)
      from (
        select from public.dm_queue as message
        where message.status = 'pending' and message.due_at <= p_now
        limit 100000
      ) as due
    )
  )
  from (select 1) as always
  left join public.sending_pause as pause on pause.paused_until > p_now;
$$;

-- sending_pause_set: pauses all sending, of messages and of posts, until an instant or until it is resumed
-- (null). What is on its way already is not called back. Answers as sending_status.
--
-- Errors: SE004 a pause without a reason, or without a name; RS003 a pause that ends by itself, while a restore is not marked whole.
create or replace function public.sending_pause_set(
  p_reason text,
  p_until timestamptz default null,
  p_actor text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if coalesce(btrim(p_reason), '') = '' then
    raise exception 'a pause needs a reason' using errcode = 'SE004', detail = '{"field":"reason"}';
  end if;
  if p_until is not null then
    perform public.restore_whole();
  end if;
  insert into public.sending_pause (paused_until, reason, paused_at, paused_by)
  values (coalesce(p_until, 'infinity'), left(btrim(p_reason), 200), p_now, coalesce(p_actor, 'sql'))
  on conflict (only_one) do update
  set paused_until = excluded.paused_until, reason = excluded.reason, paused_at = excluded.paused_at,
    paused_by = excluded.paused_by;
  perform public.audit_add(p_actor, 'sending.pause', null,
    jsonb_build_object('reason', left(btrim(p_reason), 200), 'until', p_until), p_now);
  return public.sending_status(p_now);
end;
$$;

-- sending_resume: ends the pause of all sending. Answers as sending_status. Errors: RS003 a restore is not marked whole.
create or replace function public.sending_resume(p_actor text default null, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  perform public.restore_whole();
  -- It stays as one that is over: what waited for it is late from its end on.
  update public.sending_pause as pause set paused_until = p_now where pause.paused_until > p_now;
  perform public.audit_add(p_actor, 'sending.resume', null, '{}', p_now);
  return public.sending_status(p_now);
end;
$$;

revoke execute on function
  public.filter_literals, public.list_limit, public.cursor_of, public.cursor_read, public.list_page, public.audit_brief,
  public.audit_params, public.audit_add,
  public.audit_list, public.settle_field, public.settle_problem, public.sending_is_paused, public.sending_status,
  public.sending_pause_set, public.sending_resume
from public, anon, authenticated;
grant execute on function
  public.filter_literals, public.list_limit, public.cursor_of, public.cursor_read, public.list_page, public.audit_brief,
  public.audit_params, public.audit_add,
  public.audit_list, public.settle_field, public.settle_problem, public.sending_is_paused, public.sending_status,
  public.sending_pause_set, public.sending_resume
to service_role;
