-- Alerts: what people are told of, once when it begins and once when it ends (packages/core/src/alerts).

-- alert_incidents: something that the verdict found, from when it was first seen until it was gone.
create table if not exists public.alert_incidents (
  id uuid primary key default gen_random_uuid(),
  -- Of the finding, in docs/alerts.md.
  code text not null check (code ~ '^[a-z][a-z_]{0,47}$'),
  -- Of the verdict, such as `needs_a_person`.
  state text not null check (length(state) between 1 and 32),
  -- What it is about, as it began: names of jobs, or ids of accounts, messages or posts. `open_subjects` are those it still is.
  subjects text[] not null check (cardinality(subjects) between 1 and 1000),
  open_subjects text[] not null,
  -- As it began, for people.
  sentence text not null check (length(sentence) between 1 and 500),
  why text check (length(why) <= 2000),
  what_to_do text check (length(what_to_do) <= 2000),
  -- Since when it was so; `opened_at` is when that was noticed.
  since timestamptz,
  opened_at timestamptz not null,
  seen_at timestamptz not null,
  ended_at timestamptz
);
create index if not exists alert_incidents_open on public.alert_incidents (code) where ended_at is null;
create index if not exists alert_incidents_opened on public.alert_incidents (opened_at desc, id desc);
create index if not exists alert_incidents_ended on public.alert_incidents (ended_at) where ended_at is not null;

-- alert_deliveries: who is to be told of what, and whether they were.
create table if not exists public.alert_deliveries (
  incident_id uuid not null references public.alert_incidents (id) on delete cascade,
  event text not null check (event in ('opened', 'ended')),
  channel text not null check (channel in ('webhook', 'slack', 'sentry')),
  created_at timestamptz not null,
  attempts smallint not null default 0,
  -- When it is tried, or, while one process tries, when another one may. Null once it is over.
  next_at timestamptz,
  delivered_at timestamptz,
  -- Why the last attempt failed: a status, or the code of a socket.
  error text check (length(error) <= 200),
  primary key (incident_id, event, channel)
);
create index if not exists alert_deliveries_next on public.alert_deliveries (next_at) where next_at is not null;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['alert_incidents', 'alert_deliveries'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
end;
$$;

-- alert_json: an incident as people and programs read it, with what became of telling it.
create or replace function public.alert_json(p_incident public.alert_incidents)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'id', p_incident.id, 'code', p_incident.code, 'state', p_incident.state,
    'subjects', to_jsonb(p_incident.subjects), 'open_subjects', to_jsonb(p_incident.open_subjects),
    'sentence', p_incident.sentence, 'why', p_incident.why, 'what_to_do', p_incident.what_to_do,
    'since', p_incident.since, 'opened_at', p_incident.opened_at, 'ended_at', p_incident.ended_at,
    'deliveries', coalesce((
      select jsonb_agg(jsonb_build_object(
        'event', delivery.event, 'channel', delivery.channel, 'attempts', delivery.attempts,
        'status', case
          when delivery.delivered_at is not null then 'delivered' when delivery.next_at is null then 'given_up' else 'waiting'
        end,
        'delivered_at', delivery.delivered_at, 'error', delivery.error
      ) order by delivery.created_at, delivery.event desc, delivery.channel)
      from public.alert_deliveries as delivery where delivery.incident_id = p_incident.id
    ), '[]'::jsonb)
  );
$$;

-- alerts_observe: keeps what was found. Answers {opened: [alert], ended: [alert]}, as alert_json.
--
-- p_found: [{code, state, subjects, is_partial, sentence, why, what_to_do, since}], one a code, up to 50; p_looked_at: the codes that were
-- looked for: one that is not among them is left as it is. Whoever has a channel takes up what begins (alerts_claim); an end is told
-- through every channel that the beginning is or was to be told through.
-- Subjects that no open incident of the code has make a new one, at most one a code in ten minutes: those that come between are in the
-- next one. An incident ends when none of its subjects was found for two minutes; where is_partial, what is not named is not gone.
-- Whoever comes while another process observes has nothing to do. What ended 90 days ago is deleted, 500 at a time.
-- Errors: SE005 what was found has another form.
create or replace function public.alerts_observe(
  p_found jsonb,
  p_looked_at text[],
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_found jsonb;
  v_subjects text[];
  v_incident public.alert_incidents;
  v_opened jsonb := '[]';
  v_ended jsonb := '[]';
begin
  if (jsonb_typeof(p_found) = 'array' and jsonb_array_length(p_found) <= 50 and cardinality(p_looked_at) <= 50) is not true then
    raise exception 'found must be a list of 50 at most' using errcode = 'SE005', detail = '{"field":"found"}';
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('alerts_observe', 0)) then
    return jsonb_build_object('opened', v_opened, 'ended', v_ended);
  end if;

  for v_found in select each.value from jsonb_array_elements(p_found) as each where each.value ->> 'code' = any (p_looked_at) loop
    v_subjects := array(select jsonb_array_elements_text(v_found -> 'subjects'));
    update public.alert_incidents as incident
    set seen_at = p_now, open_subjects = case
      when (v_found ->> 'is_partial')::boolean then incident.open_subjects
      else array(select kept.subject from unnest(incident.open_subjects) as kept (subject) where kept.subject = any (v_subjects))
    end
    where incident.code = v_found ->> 'code' and incident.ended_at is null
      and ((v_found ->> 'is_partial')::boolean or incident.open_subjects && v_subjects);

    v_subjects := array(
      select given.subject from unnest(v_subjects) with ordinality as given (subject, place)
      where not exists (
        select from public.alert_incidents as known
        where known.code = v_found ->> 'code' and known.ended_at is null and given.subject = any (known.open_subjects)
      )
      order by given.place
      limit 1000
    );
    continue when cardinality(v_subjects) = 0 or exists (
      select from public.alert_incidents as recent
      where recent.code = v_found ->> 'code' and recent.opened_at > p_now - interval '10 minutes'
    );
    insert into public.alert_incidents (
      code, state, subjects, open_subjects, sentence, why, what_to_do, since, opened_at, seen_at
    ) values (
      v_found ->> 'code', v_found ->> 'state', v_subjects, v_subjects, left(v_found ->> 'sentence', 500),
      left(v_found ->> 'why', 2000), left(v_found ->> 'what_to_do', 2000), (v_found ->> 'since')::timestamptz, p_now, p_now
    )
    returning * into v_incident;
    v_opened := v_opened || public.alert_json(v_incident);
  end loop;

  for v_incident in
    update public.alert_incidents as incident
    set ended_at = p_now, open_subjects = '{}'
    where incident.ended_at is null and incident.code = any (p_looked_at) and incident.seen_at <= p_now - interval '2 minutes'
    returning *
  loop
    insert into public.alert_deliveries (incident_id, event, channel, created_at, next_at)
    select begun.incident_id, 'ended', begun.channel, p_now, p_now
    from public.alert_deliveries as begun where begun.incident_id = v_incident.id and begun.event = 'opened'
    on conflict do nothing;
    v_ended := v_ended || public.alert_json(v_incident);
  end loop;

  delete from public.alert_incidents as old
  where old.id in (
    select past.id from public.alert_incidents as past where past.ended_at <= p_now - interval '90 days' limit 500
  );
  return jsonb_build_object('opened', v_opened, 'ended', v_ended);
end;
$$;

-- alerts_claim: what is to be told now, through channels that the caller has: [{event, channel, attempt, is_given_up, alert}], the oldest
-- first; and, with is_given_up, what will not be.
--
-- Every incident that lasts, or ended within the last hour, is to be told through each of them: whoever observed it may have had none.
-- Each is the caller's for a minute. An end is told after its beginning. One that was claimed twelve times is given up, whether or not
-- those who claimed it lived to say what became of it. p_limit: 1 to 100.
-- Errors: SE002 a limit out of range.
create or replace function public.alerts_claim(p_channels text[], p_limit integer default 20, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_limit constant integer := public.list_limit(p_limit);
  v_given_up jsonb;
  v_claimed jsonb;
begin
  -- What has ended meanwhile is told from its beginning.
  insert into public.alert_deliveries (incident_id, event, channel, created_at, next_at)
  select incident.id, told.event, given.channel, p_now, p_now
  from public.alert_incidents as incident
  cross join (select distinct each.channel from unnest(p_channels) as each (channel)) as given
  cross join lateral unnest(case when incident.ended_at is null then '{opened}' else '{opened,ended}'::text[] end) as told (event)
  where (incident.ended_at is null or incident.ended_at > p_now - interval '1 hour')
    and not exists (
      select from public.alert_deliveries as known
      where known.incident_id = incident.id and known.event = told.event and known.channel = given.channel
    )
  on conflict do nothing;

  with given_up as (
    update public.alert_deliveries as delivery
    set next_at = null, error = coalesce(delivery.error, 'no answer was recorded')
    where delivery.next_at <= p_now and delivery.attempts >= 12
    returning delivery.*
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'event', given_up.event, 'channel', given_up.channel, 'attempt', given_up.attempts, 'is_given_up', true,
    'alert', public.alert_json(incident)
  )), '[]'::jsonb)
  into v_given_up
  from given_up join public.alert_incidents as incident on incident.id = given_up.incident_id;

  with claimed as (
    update public.alert_deliveries as delivery
    set attempts = delivery.attempts + 1, next_at = p_now + interval '1 minute'
    from (
      select waiting.incident_id, waiting.event, waiting.channel
      from public.alert_deliveries as waiting
      where waiting.next_at <= p_now and waiting.channel = any (p_channels)
        and (waiting.event = 'opened' or not exists (
          select from public.alert_deliveries as before
          where before.incident_id = waiting.incident_id and before.channel = waiting.channel
            and before.event = 'opened' and before.next_at is not null
        ))
      order by waiting.next_at
      limit v_limit
      for update skip locked
    ) as next
    where delivery.incident_id = next.incident_id and delivery.event = next.event and delivery.channel = next.channel
    returning delivery.*
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'event', claimed.event, 'channel', claimed.channel, 'attempt', claimed.attempts, 'is_given_up', false,
    'alert', public.alert_json(incident)
  ) order by claimed.created_at, claimed.event desc, claimed.channel), '[]'::jsonb)
  into v_claimed
  from claimed join public.alert_incidents as incident on incident.id = claimed.incident_id;
  return v_given_up || v_claimed;
end;
$$;

-- alerts_record: what became of telling. p_error: null if it was delivered. Answers {status}: `delivered`, `waiting` or `given_up`.
--
-- What failed is tried again after 10 s, and twice as long each time, up to an hour, or after p_retry_after_s where that is longer, a
-- day at most; the twelfth failure is the last. An attempt that was taken over meanwhile changes nothing but by having delivered.
create or replace function public.alerts_record(
  p_incident_id uuid,
  p_event text,
  p_channel text,
  p_attempt integer,
  p_error text default null,
  p_retry_after_s integer default null,
  p_now timestamptz default now()
)
returns jsonb
language sql
security invoker
set search_path = ''
as $$
  with recorded as (
    update public.alert_deliveries as delivery
    set error = left(p_error, 200),
      delivered_at = case when p_error is null then p_now end,
      next_at = case when p_error is not null and delivery.attempts < 12 then p_now + make_interval(secs => greatest(
        least(10 * 2 ^ (delivery.attempts - 1), 3600), least(coalesce(p_retry_after_s, 0), 86400))) end
    where delivery.incident_id = p_incident_id and delivery.event = p_event and delivery.channel = p_channel
      and delivery.next_at is not null and (p_error is null or delivery.attempts = p_attempt)
    returning delivery.delivered_at, delivery.next_at
  )
  select jsonb_build_object('status', coalesce((
    select case when recorded.delivered_at is not null then 'delivered' when recorded.next_at is null then 'given_up' else 'waiting' end
    from recorded
  ), 'waiting'));
$$;

-- alert_list: incidents, the latest first: {items, next_cursor}, each as alert_json.
--
-- p_filter: open, code, state, subject, from, to (by when they began). Errors: SE001 to SE003.
create or replace function public.alert_list(
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
  v_given constant jsonb := public.filter_literals(p_filter,
    '{"open": "boolean", "code": "texts", "state": "texts", "subject": "text", "from": "instant", "to": "instant"}');
  v_rows jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object('item', public.alert_json(page), 'place', jsonb_build_array(page.opened_at, page.id))
      order by page.opened_at desc, page.id desc), '[]')
    from (
      select incident.* from public.alert_incidents as incident
      where %s and ($1 is null or (incident.opened_at, incident.id) < ($1, $2))
      order by incident.opened_at desc, incident.id desc limit $3
    ) as page
  $sql$, concat_ws(' and ', 'true',
    '(incident.ended_at is null) is ' || (v_given ->> 'open'),
    'incident.code = any (' || (v_given ->> 'code') || ')',
    'incident.state = any (' || (v_given ->> 'state') || ')',
    'incident.subjects @> array[' || (v_given ->> 'subject') || ']',
    'incident.opened_at >= ' || (v_given ->> 'from'),
    'incident.opened_at < ' || (v_given ->> 'to')))
  into v_rows
  using (v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid, public.list_limit(p_limit) + 1;
  return public.list_page(v_rows, p_limit);
end;
$$;

revoke execute on function
  public.alert_json, public.alerts_observe, public.alerts_claim, public.alerts_record, public.alert_list
from public, anon, authenticated;
grant execute on function
  public.alert_json, public.alerts_observe, public.alerts_claim, public.alerts_record, public.alert_list
to service_role;
