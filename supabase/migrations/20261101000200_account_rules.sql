-- The rules of an account: when a message may leave it. The claim and the explanation both ask here.

-- account_is_open: whether the account's window is open at an instant: hours, work days, holidays,
-- all on the local clock.
create or replace function public.account_is_open(p_policy public.account_policies, p_at timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_local constant timestamp := p_at at time zone p_policy.time_zone;
begin
  return v_local::time >= p_policy.window_start
    and v_local::time < p_policy.window_end
    and extract(isodow from v_local)::smallint = any (p_policy.work_days)
    and v_local::date <> all (p_policy.holidays);
end;
$$;

-- account_opens_at: the first instant at or after p_from at which the window is open; infinity if
-- none comes within eight years, which outlast 400 holidays on the only work day of their weeks.
--
-- Exact over clock changes. On an ordinary day the window opens where the local clock shows its
-- start. On a day with a clock change that time may come twice, or never, so every quarter of an
-- hour of that day is looked at too: all clock changes in use fall on one.
create or replace function public.account_opens_at(p_policy public.account_policies, p_from timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_zone constant text := p_policy.time_zone;
  v_day date;
  v_start timestamptz;
  v_before timestamptz;
  v_after timestamptz;
  v_opens timestamptz;
begin
  if p_from = 'infinity' or public.account_is_open(p_policy, p_from) then
    return p_from;
  end if;

  for v_offset in 0..2900 loop
    v_day := (p_from at time zone v_zone)::date + v_offset;
    continue when extract(isodow from v_day)::smallint <> all (p_policy.work_days)
      or v_day = any (p_policy.holidays);

    v_start := (v_day + p_policy.window_start) at time zone v_zone;
    v_before := v_day::timestamp at time zone v_zone - interval '3 hours';
    v_after := (v_day + 1)::timestamp at time zone v_zone + interval '3 hours';

    if v_before at time zone v_zone - v_before at time zone 'UTC'
       = v_after at time zone v_zone - v_after at time zone 'UTC' then
      if v_start >= p_from and public.account_is_open(p_policy, v_start) then
        return v_start;
      end if;
    else
      select min(candidate.at) into v_opens
      from (
        select generate_series(date_trunc('hour', v_before), v_after, interval '15 minutes')
        union all
        select unnest(array[
          v_start, v_start - interval '30 minutes', v_start - interval '1 hour', v_start - interval '2 hours'
        ])
      ) as candidate (at)
      where candidate.at >= p_from and public.account_is_open(p_policy, candidate.at)
        -- The next day has a start of its own, which may lie between two quarters.
        and (candidate.at at time zone v_zone)::date <= v_day;
      if v_opens is not null then
        return v_opens;
      end if;
    end if;
  end loop;

  return 'infinity';
end;
$$;

-- account_day_starts_at: the first instant whose local date is p_day or later. Where midnight comes
-- twice or never, that is not simply midnight.
create or replace function public.account_day_starts_at(p_zone text, p_day date)
returns timestamptz
language sql
stable
security invoker
set search_path = ''
as $$
  select min(candidate.at)
  from (select p_day::timestamp at time zone p_zone) as midnight (at)
  cross join lateral unnest(array[
    midnight.at - interval '1 hour', midnight.at - interval '30 minutes', midnight.at
  ]) as candidate (at)
  where candidate.at at time zone p_zone >= p_day::timestamp;
$$;

-- account_day_limit: messages allowed on the local day of p_now, with the warm-up.
--
-- 20 % on its first day, in equal steps to 100 % on its 14th; never less than 1.
create or replace function public.account_day_limit(p_policy public.account_policies, p_now timestamptz)
returns integer
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_day constant integer := (p_now at time zone p_policy.time_zone)::date - p_policy.warm_up_from;
begin
  return case
    when v_day is null then p_policy.dms_per_day
    -- 20 % + 80 % × day / 13, in whole numbers: a fraction rounded down would cost a message.
    else greatest(1, p_policy.dms_per_day * (26 + 8 * least(greatest(v_day, 0), 13)) / 130)
  end;
end;
$$;

-- account_gates: of each account whether a message may leave it now; if not, for which reason, and the
-- earliest instant at which that can change (never late; infinity if no instant is known).
--
-- Reason and instant are null where the gate is open. Limits are counted from the ledger: what is in
-- flight or unknown counts as used, at the latest instant its effect can have had.
-- Call it with the policy rows locked, in a statement of its own: then it has seen every attempt.
-- Every message passes here, so the tables are asked once for all accounts: beginning a statement costs as much as ten
-- accounts do.
-- p_account_ids: those without a policy are passed over.
create or replace function public.account_gates(p_account_ids uuid[], p_now timestamptz)
returns table (account_id uuid, reason text, clear_at timestamptz)
language plpgsql
stable
security invoker
-- Few, for those who join it: by default it is 1,000, for which a claim would go through the whole queue.
rows 10
set search_path = ''
set enable_seqscan = off
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_account record;
  v_policy public.account_policies;
  v_zone text;
  v_today date;
  v_day date;
  v_at timestamptz;
begin
  for v_account in
    select
      policy,
      case
        when account.id is null then 'account_missing'
        when account.status is distinct from 'active' then 'account_inactive'
        when account.unipile_account_id is null then 'account_not_connected'
      end as disorder,
      (
        -- A call whose answer was lost may still be under way, up to the end of its lease. `is distinct from 'not_sent'` is
        -- the index's condition: without it every attempt of the account is read.
        select max(open.until)
        from (
          select message.lease_until as until
          from public.dm_attempts as message
          where message.account_id = policy.account_id and message.finished_at is null
          union all
          -- The latest is what counts; asked for as that, the index is gone through from its end.
          (select message.effect_by
          from public.dm_attempts as message
          where message.account_id = policy.account_id and message.outcome is distinct from 'not_sent'
            and message.outcome = 'unknown' and message.effect_by > p_now
          order by message.effect_by desc limit 1)
          union all
          -- A post whose lease has ended is recovered by its own claim; messages do not wait for that.
          (select post.effect_by
          from public.post_attempts as post
          where post.account_id = policy.account_id and post.outcome is distinct from 'not_sent'
            and post.outcome is distinct from 'sent' and post.effect_by > p_now
          order by post.effect_by desc limit 1)
        ) as open
      ) as in_flight_until,
      (select pause.paused_until from public.sending_pause as pause where pause.paused_until > p_now) as all_paused_until,
      -- What counts against the limits, latest first, as far as one of them can reach.
      array(
        select counted.effect_by
        from public.dm_attempts as counted
        where counted.account_id = policy.account_id and counted.outcome is distinct from 'not_sent'
          and counted.effect_by > p_now - interval '168 hours'
        order by counted.effect_by desc
        limit greatest(policy.dms_per_day, policy.dms_per_24h, policy.dms_per_7d)
      ) as effects
    from public.account_policies as policy
    left join public.linkedin_accounts as account on account.id = policy.account_id
    where policy.account_id = any (p_account_ids)
  loop
    v_policy := v_account.policy;
    account_id := v_policy.account_id;
    reason := v_account.disorder;
    if reason is not null then
      clear_at := 'infinity';
      return next;
      continue;
    end if;

    -- Each rule says until when it blocks; the one that blocks longest is the reason.
    clear_at := p_now;

    if v_policy.paused_until > clear_at then
      reason := 'paused';
      clear_at := v_policy.paused_until;
    end if;

    if v_account.in_flight_until is not null and (v_account.in_flight_until > clear_at or reason is null) then
      reason := 'in_flight';
      clear_at := greatest(v_account.in_flight_until, clear_at);
    end if;

    if v_account.all_paused_until >= clear_at then
      reason := 'all_paused';
      clear_at := v_account.all_paused_until;
    end if;

    -- A limit of n blocks until the n-th latest counted attempt has left the period. An effect that
    -- may come after midnight counts for tomorrow too, and tomorrow's limit may be higher (warm-up):
    -- so the days are asked one by one, of which a lease can reach the next.
    v_zone := v_policy.time_zone;
    v_today := (p_now at time zone v_zone)::date;
    v_day := v_today;
    v_at := p_now;
    for v_step in 1..3 loop
      exit when (
        (v_account.effects[public.account_day_limit(v_policy, v_at)] at time zone v_zone)::date >= v_day
      ) is not true;
      v_day := v_day + 1;
      v_at := public.account_day_starts_at(v_zone, v_day);
    end loop;
    if v_at > clear_at then
      reason := 'day_limit';
      clear_at := v_at;
    end if;

    v_at := v_account.effects[v_policy.dms_per_24h] + interval '24 hours';
    if v_at > clear_at then
      reason := 'rolling_24h_limit';
      clear_at := v_at;
    end if;

    v_at := v_account.effects[v_policy.dms_per_7d] + interval '168 hours';
    if v_at > clear_at then
      reason := 'rolling_7d_limit';
      clear_at := v_at;
    end if;

    if v_policy.pace_until > clear_at then
      reason := 'gap';
      clear_at := v_policy.pace_until;
    end if;

    v_at := public.account_opens_at(v_policy, p_now);
    if v_at > clear_at then
      reason := case
        when extract(isodow from v_today)::smallint = any (v_policy.work_days)
          and v_today <> all (v_policy.holidays) then 'outside_hours'
        else 'day_off'
      end;
    end if;
    -- Whatever blocks, nothing leaves before the window is open at that time.
    clear_at := case when reason is not null then public.account_opens_at(v_policy, clear_at) end;
    return next;
  end loop;
end;
$$;

-- time_zone_problem: why a text is no time zone for a policy, with names that are near; null if it is one.
--
-- Only what names a place, and UTC: Postgres takes much more, and abbreviations first, so that IST is Israel's, and EST never changes its
-- clocks. The names are read from files, which takes a moment: it is asked where a zone is set, and for nothing else.
create or replace function public.time_zone_problem(p_time_zone text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- What people mean by abbreviations; which place has one at the moment says little.
  v_meant constant jsonb := '{"UTC": ["UTC"], "GMT": ["UTC", "Europe/London"], "BST": ["Europe/London"], "IST": ["Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"],
    "WET": ["Europe/Lisbon"], "CET": ["Europe/Paris", "Europe/Berlin"], "EET": ["Europe/Athens", "Europe/Helsinki"], "MSK": ["Europe/Moscow"],
    "EST": ["America/New_York", "America/Panama"], "CST": ["America/Chicago", "Asia/Shanghai", "America/Havana"], "MST": ["America/Denver", "America/Phoenix"],
    "PST": ["America/Los_Angeles", "Asia/Manila"], "AST": ["America/Halifax", "Asia/Riyadh"], "JST": ["Asia/Tokyo"], "KST": ["Asia/Seoul"],
    "SGT": ["Asia/Singapore"], "HKT": ["Asia/Hong_Kong"], "GST": ["Asia/Dubai"], "PKT": ["Asia/Karachi"], "AEST": ["Australia/Sydney", "Australia/Brisbane"],
    "ACST": ["Australia/Adelaide"], "AWST": ["Australia/Perth"], "NZST": ["Pacific/Auckland"], "SAST": ["Africa/Johannesburg"], "BRT": ["America/Sao_Paulo"],
    "ET": ["America/New_York"], "CT": ["America/Chicago"], "MT": ["America/Denver"], "PT": ["America/Los_Angeles"], "Z": ["UTC"]}';
  -- Of summer too.
  v_short constant text := regexp_replace(upper(p_time_zone), '^([A-Z]+)DT$|^(CE|EE|WE)ST$', '\1\2' || case when upper(p_time_zone) ~ 'DT$' then 'ST' else 'T' end);
  v_near text[];
begin
  if p_time_zone = 'UTC' or strpos(p_time_zone, '/') > 0 and exists (
    select from pg_catalog.pg_timezone_names as zone where zone.name = p_time_zone and zone.name !~ '^(posix|right|SystemV)/'
  ) then
    return null;
  end if;
  v_near := (
    select array_agg(meant.name order by meant.ordinality)
    from jsonb_array_elements_text(v_meant -> v_short) with ordinality as meant (name, ordinality)
  );
  if v_near is null then
    with zone as materialized (
      select known.name, lower(known.name) as low, known.abbrev, known.utc_offset, known.is_dst
      from pg_catalog.pg_timezone_names as known where known.name !~ '^(posix|right|SystemV|Etc)/'
    ), place as (
      select zone.*, regexp_replace(zone.low, '^.*/', '') as last from zone where strpos(zone.name, '/') > 0
    ), given as (
      select low.text, regexp_replace(low.text, '^.*/', '') as last
      from (select left(replace(lower(btrim(p_time_zone)), ' ', '_'), 64) as text) as low
    ), ranked as (
      select place.name, case
          when place.low = given.text then 0
          when place.last = given.last then 1
          -- Another name of the same zone, such as Japan.
          when exists (
            select from zone as alias
            where alias.low = given.text and (alias.abbrev, alias.utc_offset, alias.is_dst) = (place.abbrev, place.utc_offset, place.is_dst)
          ) then 2
          when length(given.last) >= 3 and (strpos(place.last, given.last) > 0 or strpos(given.last, place.last) > 0) then 3
          -- Most pairs of letters are the same: mistyped.
          when length(given.last) >= 4 and (
            select count(*) from generate_series(1, length(given.last) - 1) as pair (at)
            where strpos(place.last, substr(given.last, pair.at, 2)) > 0
          ) * 10 >= 6 * greatest(length(given.last), length(place.last)) - 6 then 4
        end as rank
      from place cross join given
    )
    select array_agg(near.name order by near.rank, near.name) into v_near
    from (select ranked.name, ranked.rank from ranked where ranked.rank is not null order by ranked.rank, ranked.name limit 5) as near;
  end if;
  return 'must be the name of a place, such as Europe/Berlin, or UTC'
    || coalesce('; near it: ' || array_to_string(v_near, ', '), '');
end;
$$;

-- A policy that changes may let a message go earlier: the next claim looks again. The zone is
-- checked here, since only the database knows which it knows.
--
-- Errors: AC001 a time zone that is none.
create or replace function public.account_policies_before_write()
returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_problem text;
begin
  -- Null is left to the column.
  if new.time_zone is not null and (tg_op = 'INSERT' or new.time_zone <> old.time_zone) then
    v_problem := public.time_zone_problem(new.time_zone);
    if v_problem is not null then
      raise exception 'time_zone %', v_problem using errcode = 'AC001', detail = '{"field":"time_zone"}';
    end if;
  end if;

  if tg_op = 'UPDATE' then
    if (new.dms_per_day, new.dms_per_24h, new.dms_per_7d, new.gap_min_s, new.gap_max_s, new.time_zone,
        new.window_start, new.window_end, new.work_days, new.holidays, new.warm_up_from, new.paused_until)
       is distinct from
       (old.dms_per_day, old.dms_per_24h, old.dms_per_7d, old.gap_min_s, old.gap_max_s, old.time_zone,
        old.window_start, old.window_end, old.work_days, old.holidays, old.warm_up_from, old.paused_until) then
      new.next_claim_at := '-infinity';
      new.updated_at := now();
    end if;
  end if;
  return new;
end;
$$;

-- Not for what only the claim writes: it writes that for every message.
create or replace trigger account_policies_before_write
  before insert or update of dms_per_day, dms_per_24h, dms_per_7d, gap_min_s, gap_max_s, time_zone, window_start, window_end,
    work_days, holidays, warm_up_from, paused_until
  on public.account_policies
  for each row execute function public.account_policies_before_write();

-- account_policy_json: a policy as callers see it.
create or replace function public.account_policy_json(p_policy public.account_policies)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select to_jsonb(p_policy) - '{returns,seen_inactive,seen_account,pause_beneath,returned_at,strikes_from,throttles,throttled_until,pace_until,blocked_by,next_claim_at}'::text[];
$$;

-- account_policy_rule: what a field of a policy must be, in words; null for what is no field that can be set.
create or replace function public.account_policy_rule(p_field text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when p_field in ('dms_per_day', 'dms_per_24h') then 'must be a whole number from 1 to 50'
    when p_field = 'dms_per_7d' then 'must be a whole number from 1 to 350'
    when p_field in ('gap_min_s', 'gap_max_s', 'post_gap_s') then 'must be a whole number of seconds from 0 to 86400'
    when p_field = 'time_zone' then 'must be the name of a place, such as Europe/Berlin, or UTC'
    when p_field in ('window_start', 'window_end') then 'must be a time of the day, such as 09:00; 24:00 is its end'
    when p_field = 'work_days' then 'must be a list of 1 to 7 days of the week, from 1 (Monday) to 7'
    when p_field = 'holidays' then 'must be a list of at most 400 days, such as 2026-12-25'
    when p_field = 'warm_up_from' then 'must be a day, such as 2026-12-25, or null'
    when p_field = 'no_repeat_days' then 'must be a whole number of days from 0 to 90'
  end;
$$;

-- account_policy_problem: the first field of a policy that is out of its bounds, and the rule; null if none is. The bounds are
-- those of the table, which refuses by the names of its constraints.
--
-- p_patch: what is being changed. Of two fields that do not go together it is the one that changes, the later if both do.
create or replace function public.account_policy_problem(
  p_policy public.account_policies,
  p_patch jsonb,
  out field text,
  out problem text
)
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  field := case
    when (p_policy.dms_per_day between 1 and 50) is not true then 'dms_per_day'
    when (p_policy.dms_per_24h between 1 and 50) is not true then 'dms_per_24h'
    when (p_policy.dms_per_7d between 1 and 350) is not true then 'dms_per_7d'
    when (p_policy.gap_min_s between 0 and 86400) is not true then 'gap_min_s'
    when (p_policy.gap_max_s between 0 and 86400) is not true then 'gap_max_s'
    when (p_policy.post_gap_s between 0 and 86400) is not true then 'post_gap_s'
    when (p_policy.no_repeat_days between 0 and 90) is not true then 'no_repeat_days'
    when (length(p_policy.time_zone) <= 64) is not true then 'time_zone'
    when p_policy.window_start is null then 'window_start'
    when p_policy.window_end is null then 'window_end'
    when (cardinality(p_policy.work_days) between 1 and 7 and array_ndims(p_policy.work_days) = 1
      and p_policy.work_days <@ '{1,2,3,4,5,6,7}'::smallint[]) is not true then 'work_days'
    when (cardinality(p_policy.holidays) <= 400 and coalesce(array_ndims(p_policy.holidays), 1) = 1) is not true
      or exists (select from unnest(p_policy.holidays) as holiday (day) where isfinite(holiday.day) is not true) then 'holidays'
    when isfinite(p_policy.warm_up_from) is false then 'warm_up_from'
  end;
  if field is not null then
    problem := public.account_policy_rule(field);
  elsif p_policy.gap_min_s > p_policy.gap_max_s then
    field := case when p_patch ? 'gap_max_s' then 'gap_max_s' else 'gap_min_s' end;
    problem := case field when 'gap_max_s' then format('must not be below gap_min_s (%s)', p_policy.gap_min_s)
      else format('must not be above gap_max_s (%s)', p_policy.gap_max_s) end;
  elsif p_policy.window_start >= p_policy.window_end then
    field := case when p_patch ? 'window_end' then 'window_end' else 'window_start' end;
    problem := case field when 'window_end' then 'must be after window_start (' || regexp_replace(p_policy.window_start::text, '^(..:..):00$', '\1')
      else 'must be before window_end (' || regexp_replace(p_policy.window_end::text, '^(..:..):00$', '\1') end
      || '): a window over midnight is not possible';
  end if;
end;
$$;

-- account_policy_set: changes some fields of an account's policy, within their bounds.
--
-- p_patch: an object of the fields to change. Makes the policy first if the account has none.
-- Errors: AC002 no such account; AC003 a field that does not exist or may not be set here;
-- AC004 a value out of its bounds, by its field and rule; AC001 a bad time zone.
create or replace function public.account_policy_set(
  p_account_id uuid,
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
  v_policy public.account_policies;
  v_field text;
  v_wrong record;
begin
  perform public.account_policy_ensure(p_account_id);
  if jsonb_typeof(p_patch) is distinct from 'object' then
    raise exception 'a policy patch must be an object' using errcode = 'AC003', detail = '{"field":"patch"}';
  end if;
  for v_field in select jsonb_object_keys(p_patch) loop
    if public.account_policy_rule(v_field) is null then
      raise exception '% is not a field of a policy that can be set', left(v_field, 60)
        using errcode = 'AC003', detail = jsonb_build_object('field', left(v_field, 60))::text;
    end if;
  end loop;

  select policy.* into v_policy
  from public.account_policies as policy where policy.account_id = p_account_id for update;
  for v_field in select jsonb_object_keys(p_patch) loop
    begin
      v_policy := jsonb_populate_record(v_policy, jsonb_build_object(v_field, p_patch -> v_field));
    exception when data_exception then
      raise exception '% %', v_field, public.account_policy_rule(v_field)
        using errcode = 'AC004', detail = jsonb_build_object('field', v_field)::text;
    end;
  end loop;
  select * into v_wrong from public.account_policy_problem(v_policy, p_patch) as wrong;
  if v_wrong.field is not null then
    raise exception '% %', v_wrong.field, v_wrong.problem
      using errcode = 'AC004', detail = jsonb_build_object('field', v_wrong.field)::text;
  end if;
  update public.account_policies as policy set
    dms_per_day = v_policy.dms_per_day,
    dms_per_24h = v_policy.dms_per_24h,
    dms_per_7d = v_policy.dms_per_7d,
    gap_min_s = v_policy.gap_min_s,
    gap_max_s = v_policy.gap_max_s,
    time_zone = v_policy.time_zone,
    window_start = v_policy.window_start,
    window_end = v_policy.window_end,
    work_days = v_policy.work_days,
    holidays = v_policy.holidays,
    warm_up_from = v_policy.warm_up_from,
    post_gap_s = v_policy.post_gap_s,
    no_repeat_days = v_policy.no_repeat_days
  where policy.account_id = p_account_id
  returning policy.* into v_policy;
  perform public.audit_add(p_actor, 'account.policy', p_account_id::text, p_patch, p_now);
  return public.account_policy_json(v_policy);
end;
$$;

-- account_policy_ensure: the account's policy row, made with the defaults if there is none.
--
-- Errors: AC002 no such account.
create or replace function public.account_policy_ensure(p_account_id uuid)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if not exists (select from public.linkedin_accounts as account where account.id = p_account_id) then
    raise exception 'no such account: %', p_account_id using errcode = 'AC002', detail = '{"field":"account_id"}';
  end if;
  insert into public.account_policies (account_id) values (p_account_id) on conflict do nothing;
end;
$$;

-- account_pause: holds an account back until an instant, or until it is resumed ('infinity' or null).
--
-- A pause that is on already is replaced: the latest word of a person counts, and only a person ends it. Without an actor it is
-- the machine's, and ends as one: see account_hold.
-- Errors: AC002 no such account; AC005 a pause without a reason.
create or replace function public.account_pause(
  p_account_id uuid,
  p_reason text,
  p_until timestamptz default 'infinity',
  p_actor text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_policy public.account_policies;
begin
  if coalesce(btrim(p_reason), '') = '' then
    raise exception 'a pause needs a reason' using errcode = 'AC005', detail = '{"field":"reason"}';
  end if;
  perform public.account_policy_ensure(p_account_id);
  update public.account_policies as policy
  set paused_until = coalesce(p_until, 'infinity'), pause_reason = left(btrim(p_reason), 200), paused_at = p_now,
    returns = p_actor is null and btrim(p_reason) in ('account_disconnected', 'account_missing'),
    seen_inactive = false, seen_account = public.account_seen(p_account_id), pause_beneath = null
  where policy.account_id = p_account_id
  returning policy.* into v_policy;
  perform public.audit_add(p_actor, 'account.pause', p_account_id::text,
    jsonb_build_object('reason', v_policy.pause_reason, 'until', nullif(v_policy.paused_until, 'infinity')), p_now);
  return public.account_policy_json(v_policy);
end;
$$;

-- account_seen: what RevOS's row of an account says by now, to be compared with it later: {unipile_account_id, updated_at, upkeep,
-- rest}; null if there is none. upkeep is a digest of what is written without anybody connecting the account, rest of all else.
create or replace function public.account_seen(p_account_id uuid)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'unipile_account_id', account.unipile_account_id,
    'updated_at', whole.row -> 'updated_at',
    'upkeep', md5(jsonb_build_array(
      whole.row -> 'account_name', whole.row -> 'user_id', whole.row -> 'last_sync_at', whole.row -> 'rate_limit_reset_at',
      whole.row -> 'daily_dm_count', whole.row -> 'daily_post_count'
    )::text),
    'rest', md5((whole.row
      - '{updated_at,status,account_name,user_id,last_sync_at,rate_limit_reset_at,daily_dm_count,daily_post_count}'::text[]
    )::text)
  )
  from public.linkedin_accounts as account
  cross join lateral (select to_jsonb(account)) as whole (row)
  where account.id = p_account_id;
$$;

-- account_was_connected: whether what RevOS says of an account is newer than what was seen: another Unipile account, or a write
-- after which it is in order, and which is not mere upkeep. It was set out of order and in order again, or its session was
-- renewed.
create or replace function public.account_was_connected(p_seen jsonb, p_now_seen jsonb)
returns boolean
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(
    p_now_seen ->> 'unipile_account_id' is distinct from p_seen ->> 'unipile_account_id'
      or p_now_seen -> 'rest' <> p_seen -> 'rest'
      or (p_now_seen -> 'updated_at' <> p_seen -> 'updated_at' and p_now_seen -> 'upkeep' = p_seen -> 'upkeep'),
    false)
  where p_seen is not null and p_now_seen is not null;
$$;

-- account_hold: holds an account back for a reason of its own making, and lets the next claim look again.
--
-- A longer pause stands: a person's is never shortened by a machine. Without p_until it only wakes the account.
-- A pause for account_disconnected or account_missing ends by itself once the account is in order anew (dm_recover), unless it
-- comes within a day after one that ended so: then only a person ends it. What it replaced lasts as long as it would have.
create or replace function public.account_hold(
  p_account_id uuid,
  p_until timestamptz,
  p_reason text,
  p_now timestamptz default now()
)
returns void
language sql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
  update public.account_policies as policy set
    paused_until = case when longer.is_so then p_until else policy.paused_until end,
    pause_reason = case when longer.is_so then p_reason else policy.pause_reason end,
    paused_at = case when longer.is_so then p_now else policy.paused_at end,
    returns = case when longer.is_so then longer.returns else policy.returns end,
    seen_inactive = case
      when longer.is_so then longer.returns and not coalesce((
        select account.status = 'active' and account.unipile_account_id is not null
        from public.linkedin_accounts as account where account.id = p_account_id), false)
      else policy.seen_inactive end,
    seen_account = case
      when not longer.is_so then policy.seen_account when longer.returns then public.account_seen(p_account_id) end,
    pause_beneath = case
      when not longer.is_so then policy.pause_beneath
      when longer.returns and policy.paused_until > p_now then
        jsonb_build_object('until', policy.paused_until, 'reason', policy.pause_reason, 'at', policy.paused_at)
    end,
    next_claim_at = '-infinity'
  from (
    select (p_until > coalesce(held.paused_until, '-infinity')) is true,
      (p_reason in ('account_disconnected', 'account_missing') and p_until = 'infinity'
        and (held.returned_at > p_now - interval '1 day') is not true) is true
    from public.account_policies as held where held.account_id = p_account_id
  ) as longer (is_so, returns)
  where policy.account_id = p_account_id;
$$;

-- account_throttle: notes that an account has met a limit, and says until when it rests.
--
-- p_asked_ms: how long the answer asks for, in milliseconds. It is held within a minute and a day, and doubled, up to a day, for
-- each limit since the account was last without one for a day: whoever writes again too early is asked to wait for longer.
-- Call it with the policy's row locked, in whatever process: the count is in the row. Null if the account has no policy.
create or replace function public.account_throttle(
  p_account_id uuid,
  p_asked_ms bigint,
  p_now timestamptz default now()
)
returns timestamptz
language sql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
  update public.account_policies as policy set
    -- The eleventh doubling of a minute is more than a day.
    throttles = least(earlier.count + 1, 11),
    throttled_until = p_now + make_interval(
      secs => least(86400000, least(greatest(p_asked_ms, 60000), 86400000) * (1 << earlier.count)) / 1000.0)
  from (
    select case when held.throttled_until > p_now - interval '24 hours' then held.throttles else 0 end
    from public.account_policies as held where held.account_id = p_account_id
  ) as earlier (count)
  where policy.account_id = p_account_id
  returning policy.throttled_until;
$$;

-- account_resume: ends a pause, forgives strikes and limits, and says how many due messages that releases.
--
-- Errors: AC002 no such account.
create or replace function public.account_resume(
  p_account_id uuid,
  p_actor text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_policy public.account_policies;
  v_due bigint;
begin
  perform public.account_policy_ensure(p_account_id);
  update public.account_policies as policy
  set paused_until = null, pause_reason = null, paused_at = null, returns = false, seen_inactive = false, seen_account = null,
      pause_beneath = null, returned_at = null, strikes_from = p_now, throttles = null, throttled_until = null,
      next_claim_at = '-infinity'
  where policy.account_id = p_account_id
  returning policy.* into v_policy;
  select count(*) into v_due
  from public.dm_queue as message
  where message.linkedin_account_id = p_account_id and message.status = 'pending' and message.due_at <= p_now;
  perform public.audit_add(p_actor, 'account.resume', p_account_id::text, jsonb_build_object('due', v_due), p_now);
  return public.account_policy_json(v_policy) || jsonb_build_object('due', v_due);
end;
$$;

revoke execute on function
  public.account_is_open, public.account_opens_at, public.account_day_starts_at, public.account_day_limit,
  public.account_gates, public.time_zone_problem, public.account_policies_before_write, public.account_policy_json,
  public.account_policy_rule, public.account_policy_problem,
  public.account_policy_set, public.account_policy_ensure, public.account_pause, public.account_seen, public.account_was_connected,
  public.account_hold, public.account_throttle, public.account_resume
from public, anon, authenticated;
grant execute on function
  public.account_is_open, public.account_opens_at, public.account_day_starts_at, public.account_day_limit,
  public.account_gates, public.time_zone_problem, public.account_policies_before_write, public.account_policy_json,
  public.account_policy_rule, public.account_policy_problem,
  public.account_policy_set, public.account_policy_ensure, public.account_pause, public.account_seen, public.account_was_connected,
  public.account_hold, public.account_throttle, public.account_resume
to service_role;
