-- Analytics: what went out, day by day, counted from the rows themselves.
--
-- Nothing here is counted up: a day is recounted as a whole, so that a rerun gives the same numbers. A day is the
-- account's own, by the clock of its policy, and UTC where it has none. docs/analytics.md says what each column counts.

-- analytics_daily: one row a day, account, client and campaign for which anything happened. The truth for charts.
create table if not exists public.analytics_daily (
  -- The account's local day.
  day date not null,
  account_id uuid not null,
  client_id uuid,
  campaign_id uuid,

  queued integer not null,
  sent integer not null,
  failed integer not null,
  -- {reason: messages}; they add up to `failed`.
  failed_by_reason jsonb not null,
  unknown integer not null,
  posts_published integer not null,
  posts_failed integer not null,
  posts_missed integer not null,

  -- Whole seconds from the time that was asked for to the call that succeeded, of messages and posts, shortest
  -- first. All of them, so that the percentiles of any sum of rows are exact; the limits keep them few.
  lateness_s integer[] not null,
  -- By nearest rank; null where nothing went out.
  lateness_p50_s integer generated always as (lateness_s[(cardinality(lateness_s) * 50 + 99) / 100]) stored,
  lateness_p95_s integer generated always as (lateness_s[(cardinality(lateness_s) * 95 + 99) / 100]) stored,

  -- Attempts that count against the account's limit of the day.
  counted integer not null,
  -- That limit, by the policy as it is now; null without one. The same in each row of a day and account.
  day_limit integer,
  computed_at timestamptz not null,

  unique nulls not distinct (day, account_id, client_id, campaign_id)
);
create index if not exists analytics_daily_account on public.analytics_daily (account_id, day);
create index if not exists analytics_daily_unsettled on public.analytics_daily (day) where unknown > 0;

-- analytics_cache: what was expensive to compute. Losing it costs time and nothing else.
create table if not exists public.analytics_cache (
  key text primary key check (length(key) between 1 and 200),
  payload jsonb not null,
  computed_at timestamptz not null
);
create index if not exists analytics_cache_age on public.analytics_cache (computed_at);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['analytics_daily', 'analytics_cache'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
end;
$$;

-- A recount reads some days of tables that are written in the order of time. Rows that were written again lie out
-- of that order: several ranges a block keep them from widening it to everything.
create index if not exists dm_queue_by_time on public.dm_queue
  using brin (created_at timestamptz_minmax_multi_ops) with (pages_per_range = 32, autosummarize = on);
create index if not exists dm_attempts_by_time on public.dm_attempts
  using brin (started_at timestamptz_minmax_multi_ops, effect_by timestamptz_minmax_multi_ops)
  with (pages_per_range = 32, autosummarize = on);
create index if not exists post_attempts_by_time on public.post_attempts
  using brin (started_at timestamptz_minmax_multi_ops) with (pages_per_range = 32, autosummarize = on);
create index if not exists post_publications_missed on public.post_publications (missed_for) where state = 'missed';
create index if not exists post_publications_failed on public.post_publications (created_at) where state = 'failed';

-- analytics_lateness: whole seconds from the time asked for to what happened; 0 if that was earlier, null if there
-- was no such time, as that of a deleted message.
create or replace function public.analytics_lateness(p_asked_for timestamptz, p_at timestamptz)
returns integer
language sql
immutable
security invoker
set search_path = ''
as $$
  select case when isfinite(p_asked_for)
    then least(greatest(floor(extract(epoch from p_at - p_asked_for)), 0), 2147483647)::integer end;
$$;

-- analytics_events: everything that is counted of an interval, one row each, straight from the rows themselves.
--
-- Its cost depends on the interval, not on the tables: each part starts at an index on time, and goes on by id. For
-- that the other ways to join are off: for a long day the planner would read a whole table (seen: all of 300,000
-- messages, twice, for a day of 3,000).
-- A message or post that was deleted leaves its attempts, which count without a campaign.
create or replace function public.analytics_events(p_from timestamptz, p_to timestamptz)
returns table (
  kind text, account_id uuid, campaign_id uuid, at timestamptz, reason text, lateness_s integer
)
language sql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  select 'queued', message.linkedin_account_id, message.campaign_id, message.created_at, null::text, null::integer
  from public.dm_queue as message
  where message.created_at >= p_from and message.created_at < p_to

  union all
  select attempt.outcome, attempt.account_id, message.campaign_id, attempt.started_at, null,
    case when attempt.outcome = 'sent' then public.analytics_lateness(message.send_at, attempt.started_at) end
  from public.dm_attempts as attempt
  left join public.dm_queue as message on message.id = attempt.message_id
  where attempt.started_at >= p_from and attempt.started_at < p_to and attempt.outcome in ('sent', 'unknown')
    -- Those that may have been sent before a restore count against the limits, and are nobody's.
    and attempt.error_type is distinct from 'assumed'

  union all
  -- A message fails with its last attempt.
  select 'failed', attempt.account_id, message.campaign_id, attempt.started_at,
    coalesce(message.reason, 'unspecified'), null
  from public.dm_attempts as attempt
  -- From the attempts, one by one: `offset` keeps the planner from beginning with everything that ever failed.
  cross join lateral (
    select failed.id, failed.campaign_id, failed.reason from public.dm_queue as failed
    where failed.id = attempt.message_id and failed.status = 'failed' offset 0
  ) as message
  where attempt.started_at >= p_from and attempt.started_at < p_to
    and attempt.id = (
      select last.id from public.dm_attempts as last
      where last.message_id = message.id order by last.started_at desc, last.position desc limit 1)

  union all
  select 'failed', message.linkedin_account_id, message.campaign_id, message.created_at,
    coalesce(message.reason, 'unspecified'), null
  from public.dm_queue as message
  where message.created_at >= p_from and message.created_at < p_to and message.status = 'failed'
    and (select attempt.id from public.dm_attempts as attempt where attempt.message_id = message.id limit 1) is null

  union all
  -- As the limits count: by the latest instant of the effect, and whatever is not provably not sent.
  select 'counted', attempt.account_id, message.campaign_id, attempt.effect_by, null, null
  from public.dm_attempts as attempt
  left join public.dm_queue as message on message.id = attempt.message_id
  where attempt.effect_by >= p_from and attempt.effect_by < p_to and attempt.outcome is distinct from 'not_sent'

  union all
  select 'post_published', attempt.account_id, post.campaign_id, attempt.started_at, null,
    public.analytics_lateness(post.scheduled_for, attempt.started_at)
  from public.post_attempts as attempt
  left join public.posts as post on post.id = attempt.post_id
  where attempt.started_at >= p_from and attempt.started_at < p_to and attempt.outcome = 'sent'

  union all
  select 'post_failed', attempt.account_id, post.campaign_id, attempt.started_at, null, null
  from public.post_attempts as attempt
  cross join lateral (
    select failed.post_id from public.post_publications as failed
    where failed.post_id = attempt.post_id and failed.state = 'failed' offset 0
  ) as publication
  left join public.posts as post on post.id = attempt.post_id
  where attempt.started_at >= p_from and attempt.started_at < p_to
    and attempt.id = (
      select last.id from public.post_attempts as last
      where last.post_id = publication.post_id order by last.position desc limit 1)

  union all
  select 'post_failed', post.linkedin_account_id, post.campaign_id, publication.created_at, null, null
  from public.post_publications as publication
  join public.posts as post on post.id = publication.post_id
  where publication.created_at >= p_from and publication.created_at < p_to and publication.state = 'failed'
    and (select attempt.id from public.post_attempts as attempt where attempt.post_id = publication.post_id limit 1) is null

  union all
  -- One that RevOS has put to another time since is not missed any more.
  select 'post_missed', post.linkedin_account_id, post.campaign_id, post.scheduled_for, null, null
  from public.post_publications as publication
  join public.posts as post on post.id = publication.post_id and post.scheduled_for = publication.missed_for
  where publication.missed_for >= p_from and publication.missed_for < p_to and publication.state = 'missed';
$$;

-- analytics_clients: the client of each pair of an account and a campaign, in their order.
--
-- Clients, campaigns and users are RevOS's, and may not be there, or not as we know them. A campaign's client is its
-- own; where it has none, that of the account's user; else nobody's.
create or replace function public.analytics_clients(p_account_ids uuid[], p_campaign_ids uuid[])
returns uuid[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_has_campaigns boolean;
  v_has_users boolean;
  v_ids uuid[];
begin
  select count(*) filter (where has.attrelid = to_regclass('public.campaigns')) = 2,
    count(*) filter (where has.attrelid = to_regclass('public.users')) = 2
      and count(*) filter (where has.attrelid = to_regclass('public.linkedin_accounts')) = 1
  into v_has_campaigns, v_has_users
  from pg_catalog.pg_attribute as has
  where has.atttypid = 'uuid'::regtype and not has.attisdropped
    and (has.attrelid in (to_regclass('public.campaigns'), to_regclass('public.users'))
        and has.attname in ('id', 'client_id')
      or has.attrelid = to_regclass('public.linkedin_accounts') and has.attname = 'user_id');

  execute format('select array_agg(coalesce(%s, %s) order by pair.n)
    from unnest($1, $2) with ordinality as pair (account_id, campaign_id, n)',
    case when v_has_campaigns then '(
      select campaign.client_id from public.campaigns as campaign where campaign.id = pair.campaign_id limit 1)'
    else 'null::uuid' end,
    case when v_has_users then '(
      select owner.client_id
      from public.linkedin_accounts as account join public.users as owner on owner.id = account.user_id
      where account.id = pair.account_id limit 1)'
    else 'null::uuid' end)
  into v_ids
  using p_account_ids, p_campaign_ids;
  return v_ids;
end;
$$;

-- analytics_check_range: refuses what is no range of days.
--
-- Errors: AN001 a first or last day that is missing, not of the years 1000 to 2999, in the wrong order, or more than 400
-- days apart.
create or replace function public.analytics_check_range(p_from date, p_to date)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if (p_from between date '1000-01-01' and date '2999-12-31') is not true then
    raise exception 'a range has a first day, of the years 1000 to 2999' using errcode = 'AN001', detail = '{"field":"from"}';
  end if;
  if (p_to between date '1000-01-01' and date '2999-12-31') is not true then
    raise exception 'a range has a last day, of the years 1000 to 2999' using errcode = 'AN001', detail = '{"field":"to"}';
  end if;
  if p_to < p_from or p_to - p_from >= 400 then
    raise exception 'a range has 1 to 400 days' using errcode = 'AN001', detail = '{"field":"to"}';
  end if;
end;
$$;

-- analytics_check_days: refuses a number of days out of range. Errors: AN002 days below 1 or over 400.
create or replace function public.analytics_check_days(p_days integer)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if coalesce(p_days, 0) not between 1 and 400 then
    raise exception 'days must be from 1 to 400' using errcode = 'AN002', detail = '{"field":"days"}';
  end if;
end;
$$;

-- analytics_days: which days a run recounts, the latest first: {days}.
--
-- p_from, p_to: these days; without p_to, through the present one. Otherwise the last p_days (3 by default). The
-- present day is the one that has begun anywhere. Without any of them also the days of the last four weeks that hold
-- unknown messages: what became of those may be known by now. Their rows are all there; see history_first_day.
-- Errors: AN001, AN002; AN003 a number of days together with a range, or a last day without a first; AN006.
create or replace function public.analytics_days(
  p_days integer default null,
  p_from date default null,
  p_to date default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_today constant date := (p_now at time zone 'UTC')::date;
  v_last constant date := coalesce(p_to, (p_now at time zone 'UTC' + interval '14 hours')::date);
  v_first date;
begin
  if (p_days is not null and (p_from is not null or p_to is not null)) or (p_from is null and p_to is not null) then
    raise exception 'give either days, or from and to'
      using errcode = 'AN003', detail = jsonb_build_object('field', case when p_days is null then 'from' else 'days' end)::text;
  end if;
  perform public.analytics_check_days(coalesce(p_days, 3));
  v_first := coalesce(p_from, v_today + 1 - coalesce(p_days, 3));
  if p_days is null then
    perform public.analytics_check_range(v_first, v_last);
  end if;
  if p_days is not null or p_from is not null then
    perform public.history_check_day(v_first);
  end if;
  return jsonb_build_object('days', (
    select jsonb_agg(counted.day order by counted.day desc)
    from (
      select v_first + n as day from generate_series(0, v_last - v_first) as n
      union
      select unsettled.day from public.analytics_daily as unsettled
      where p_days is null and p_from is null
        and unsettled.unknown > 0 and unsettled.day >= v_today - 28 and unsettled.day < v_first
    ) as counted
  ));
end;
$$;

-- analytics_refresh: recounts days, from p_from to p_to, both included, and replaces their rows: {days, rows}.
--
-- Safe under races: who recounts a day holds its lock until the end of the transaction, and days are locked in
-- their order; so two recounts of a day come one after the other, and give what one gives.
-- One day takes well under a second; callers with many call it for one after the other.
-- Errors: AN001 no range of 1 to 400 days; AN006 days whose rows are partly gone.
create or replace function public.analytics_refresh(p_from date, p_to date, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set statement_timeout = '60s'
as $$
declare
  -- Local days lie within this of those of UTC: zones go from -12 to +14 hours.
  v_from timestamptz;
  v_to timestamptz;
  v_rows integer;
begin
  perform public.analytics_check_range(p_from, p_to);
  v_from := p_from::timestamp at time zone 'UTC' - interval '15 hours';
  v_to := (p_to + 1)::timestamp at time zone 'UTC' + interval '15 hours';
  perform pg_advisory_xact_lock(hashtext('public.analytics_daily'), day.n)
  from generate_series(p_from - date '2000-01-01', p_to - date '2000-01-01') as day (n);
  -- Nothing that is counted here is deleted before the end.
  perform from public.history_mark for share;
  perform public.history_check_day(p_from);
  -- A statement of its own, and so are the next: they see what the holder before has written.
  delete from public.analytics_daily as daily where daily.day between p_from and p_to;

  with counts as materialized (
    select row_number() over (order by local.day, event.account_id, event.campaign_id) as n,
      local.day, event.account_id, event.campaign_id,
      count(*) filter (where event.kind = 'queued') as queued,
      count(*) filter (where event.kind = 'sent') as sent,
      count(*) filter (where event.kind = 'failed') as failed,
      array_agg(event.reason) filter (where event.kind = 'failed') as reasons,
      count(*) filter (where event.kind = 'unknown') as unknown,
      count(*) filter (where event.kind = 'post_published') as posts_published,
      count(*) filter (where event.kind = 'post_failed') as posts_failed,
      count(*) filter (where event.kind = 'post_missed') as posts_missed,
      array_agg(event.lateness_s order by event.lateness_s) filter (where event.lateness_s is not null) as lateness_s,
      count(*) filter (where event.kind = 'counted') as counted
    from public.analytics_events(v_from, v_to) as event
    left join public.account_policies as policy on policy.account_id = event.account_id
    -- By its date, not between two midnights: in some zones midnight comes twice, or never.
    cross join lateral (
      select (event.at at time zone coalesce(policy.time_zone, 'UTC'))::date
    ) as local (day)
    -- A post without an account has no local day.
    where local.day between p_from and p_to and event.account_id is not null
    group by local.day, event.account_id, event.campaign_id
  ), clients as materialized (
    select public.analytics_clients(
      array_agg(counts.account_id order by counts.n), array_agg(counts.campaign_id order by counts.n)) as ids
    from counts
  )
  insert into public.analytics_daily (day, account_id, client_id, campaign_id, queued, sent, failed, failed_by_reason,
    unknown, posts_published, posts_failed, posts_missed, lateness_s, counted, day_limit, computed_at)
  select counts.day, counts.account_id, clients.ids[counts.n], counts.campaign_id, counts.queued, counts.sent,
    counts.failed, coalesce((
      select jsonb_object_agg(by_reason.reason, by_reason.messages)
      from (
        select failed.reason, count(*) as messages from unnest(counts.reasons) as failed (reason) group by failed.reason
      ) as by_reason
    ), '{}'),
    counts.unknown, counts.posts_published, counts.posts_failed, counts.posts_missed,
    coalesce(counts.lateness_s, '{}'), counts.counted,
    case when policy.account_id is not null then
      -- Noon is in the day in every zone.
      public.account_day_limit(policy, (counts.day + time '12:00') at time zone policy.time_zone) end,
    p_now
  from counts
  cross join clients
  left join public.account_policies as policy on policy.account_id = counts.account_id;
  get diagnostics v_rows = row_count;
  return jsonb_build_object('days', p_to - p_from + 1, 'rows', v_rows);
end;
$$;

-- analytics_platform_daily: the days of the whole platform. Refreshed by analytics_views_refresh, so that a page
-- reads as many rows as it shows days.
create materialized view if not exists public.analytics_platform_daily as
with account_days as (
  select daily.day, daily.account_id, sum(daily.counted) as counted, max(daily.day_limit) as day_limit,
    sum(daily.sent + daily.posts_published) as went_out
  from public.analytics_daily as daily
  group by daily.day, daily.account_id
), accounts as (
  select account_days.day, sum(account_days.day_limit) as capacity,
    count(*) filter (where account_days.went_out > 0) as accounts_active,
    count(*) filter (where account_days.counted >= account_days.day_limit) as accounts_at_cap
  from account_days
  group by account_days.day
), lateness as (
  select daily.day, array_agg(late.s order by late.s) as s
  from public.analytics_daily as daily
  cross join unnest(daily.lateness_s) as late (s)
  group by daily.day
), reasons as (
  select by_reason.day, jsonb_object_agg(by_reason.reason, by_reason.messages) as messages
  from (
    select daily.day, failed.key as reason, sum(failed.value::integer) as messages
    from public.analytics_daily as daily
    cross join jsonb_each_text(daily.failed_by_reason) as failed
    group by daily.day, failed.key
  ) as by_reason
  group by by_reason.day
), sums as (
  select daily.day, sum(daily.queued) as queued, sum(daily.sent) as sent, sum(daily.failed) as failed,
    sum(daily.unknown) as unknown, sum(daily.posts_published) as posts_published,
    sum(daily.posts_failed) as posts_failed, sum(daily.posts_missed) as posts_missed,
    sum(daily.counted) as counted, max(daily.computed_at) as computed_at
  from public.analytics_daily as daily
  group by daily.day
)
select sums.day, sums.queued, sums.sent, sums.failed, coalesce(reasons.messages, '{}') as failed_by_reason, sums.unknown,
  sums.posts_published, sums.posts_failed, sums.posts_missed,
  lateness.s[(cardinality(lateness.s) * 50 + 99) / 100] as lateness_p50_s,
  lateness.s[(cardinality(lateness.s) * 95 + 99) / 100] as lateness_p95_s,
  sums.counted,
  -- The limits of the accounts for which anything happened that day.
  coalesce(accounts.capacity, 0) as capacity,
  accounts.accounts_active, accounts.accounts_at_cap, sums.computed_at
from sums
join accounts on accounts.day = sums.day
left join lateness on lateness.day = sums.day
left join reasons on reasons.day = sums.day;

create unique index if not exists analytics_platform_daily_day on public.analytics_platform_daily (day);
revoke all on public.analytics_platform_daily from public, anon, authenticated, service_role;
grant select on public.analytics_platform_daily to service_role;

-- analytics_views_refresh: brings the materialized views up to the rollup, while they are read: {views}.
--
-- The one function that runs as its owner: only a view's owner may refresh it, before Postgres 17 anyway, and it shall
-- not be service_role's. It takes nothing that it uses, does one thing, and service_role alone may call it. Its path says
-- where pg_temp stands, last: where it is not named, and the path is empty, Postgres looks there first for types and
-- tables, and a caller's own `regclass` in pg_temp would run its checks as the owner.
-- A view that holds nothing yet, as after a restore, cannot be refreshed beside its readers; it has none.
create or replace function public.analytics_views_refresh(p_now timestamptz default now())
returns jsonb
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set statement_timeout = '60s'
as $$
begin
  if (select view.relispopulated from pg_catalog.pg_class as view
      where view.oid = 'public.analytics_platform_daily'::pg_catalog.regclass) then
    refresh materialized view concurrently public.analytics_platform_daily;
  else
    refresh materialized view public.analytics_platform_daily;
  end if;
  return pg_catalog.jsonb_build_object('views', pg_catalog.jsonb_build_array('analytics_platform_daily'));
end;
$$;

-- analytics_daily_list: rows of the rollup, the latest day first: {items, next_cursor}.
--
-- p_filter: from, to (days, both included), account_id, client_id, campaign_id. Errors: SE001 to SE003.
create or replace function public.analytics_daily_list(
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
  v_after constant jsonb := public.cursor_read(p_after, '{date,uuid,uuid}');
  v_given constant jsonb := public.filter_literals(p_filter,
    '{"from": "day", "to": "day", "account_id": "uuids", "client_id": "uuids", "campaign_id": "uuids"}');
  v_rows jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object(
      'item', to_jsonb(page) - 'lateness_s' - 'place',
      'place', jsonb_build_array(page.day, page.account_id, page.place)
    ) order by page.day desc, page.account_id, page.place), '[]')
    from (
      select daily.*, coalesce(daily.campaign_id, '00000000-0000-0000-0000-000000000000') as place
      from public.analytics_daily as daily
      where %s and ($1 is null or daily.day < $1 or (daily.day = $1
        and (daily.account_id, coalesce(daily.campaign_id, '00000000-0000-0000-0000-000000000000')) > ($2, $3)))
      order by daily.day desc, daily.account_id, place
      limit $4
    ) as page
  $sql$, concat_ws(' and ', 'true',
    'daily.day >= ' || (v_given ->> 'from'),
    'daily.day <= ' || (v_given ->> 'to'),
    'daily.account_id = any (' || (v_given ->> 'account_id') || ')',
    'daily.client_id = any (' || (v_given ->> 'client_id') || ')',
    'daily.campaign_id = any (' || (v_given ->> 'campaign_id') || ')'))
  into v_rows
  using (v_after ->> 0)::date, (v_after ->> 1)::uuid, (v_after ->> 2)::uuid, public.list_limit(p_limit) + 1;
  return public.list_page(v_rows, p_limit);
end;
$$;

-- analytics_summary: sums of the rollup over days, by day, account, client or campaign, or all in one.
--
-- Answers {from, to, group_by, truncated, items: [{key, accounts, queued, … , counted, capacity}]}: days in their order,
-- anything else by what was sent, the most first, 1,000 at most. `capacity` is what the limits of the group's accounts
-- add up to on the days on which they did anything; percentiles are exact.
-- Errors: AN001 no range of 1 to 400 days; AN004 not a way to group.
create or replace function public.analytics_summary(
  p_from date,
  p_to date,
  p_group_by text default 'none',
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_items jsonb;
begin
  perform public.analytics_check_range(p_from, p_to);
  if coalesce(p_group_by, '') not in ('day', 'account', 'client', 'campaign', 'none') then
    raise exception 'group_by must be day, account, client, campaign or none'
      using errcode = 'AN004', detail = '{"field":"group_by"}';
  end if;

  with daily as materialized (
    select source.*, case p_group_by
      when 'day' then source.day::text
      when 'account' then source.account_id::text
      when 'client' then source.client_id::text
      when 'campaign' then source.campaign_id::text
    end as key
    from public.analytics_daily as source
    where source.day between p_from and p_to
  ), sums as (
    select daily.key, count(distinct daily.account_id) as accounts, sum(daily.queued) as queued,
      sum(daily.sent) as sent, sum(daily.failed) as failed, sum(daily.unknown) as unknown,
      sum(daily.posts_published) as posts_published, sum(daily.posts_failed) as posts_failed,
      sum(daily.posts_missed) as posts_missed, sum(daily.counted) as counted, max(daily.computed_at) as computed_at,
      row_number() over (order by case p_group_by when 'day' then 0 else -sum(daily.sent) end, daily.key) as rank
    from daily
    group by daily.key
  ), capacities as (
    select account_days.key, sum(account_days.day_limit) as capacity
    from (
      select daily.key, max(daily.day_limit) as day_limit from daily group by daily.key, daily.day, daily.account_id
    ) as account_days
    group by account_days.key
  ), lateness as (
    select daily.key, array_agg(late.s order by late.s) as s
    from daily cross join unnest(daily.lateness_s) as late (s)
    group by daily.key
  ), reasons as (
    select by_reason.key, jsonb_object_agg(by_reason.reason, by_reason.messages) as messages
    from (
      select daily.key, failed.key as reason, sum(failed.value::integer) as messages
      from daily cross join jsonb_each_text(daily.failed_by_reason) as failed
      group by daily.key, failed.key
    ) as by_reason
    group by by_reason.key
  )
  select jsonb_agg(to_jsonb(sums) - 'rank' || jsonb_build_object(
    'failed_by_reason', coalesce(reasons.messages, '{}'),
    'lateness_p50_s', lateness.s[(cardinality(lateness.s) * 50 + 99) / 100],
    'lateness_p95_s', lateness.s[(cardinality(lateness.s) * 95 + 99) / 100],
    'capacity', coalesce(capacities.capacity, 0)
  ) order by sums.rank)
  into v_items
  from sums
  -- Nobody's key is '': nulls are found, and the joins stay joins of equals.
  left join capacities on coalesce(capacities.key, '') = coalesce(sums.key, '')
  left join lateness on coalesce(lateness.key, '') = coalesce(sums.key, '')
  left join reasons on coalesce(reasons.key, '') = coalesce(sums.key, '')
  where sums.rank <= 1001;

  return jsonb_build_object('from', p_from, 'to', p_to, 'group_by', p_group_by,
    'truncated', coalesce(jsonb_array_length(v_items), 0) > 1000,
    'items', coalesce(v_items - 1000, '[]'));
end;
$$;

-- analytics_platform: the platform's last p_days days, the present one of UTC among them, and their totals:
-- {as_of, from, to, days: [{day, queued, … , accounts_active, accounts_at_cap}], totals}.
--
-- Every day is there, also one on which nothing happened. as_of: when the latest of them was counted; null if none was.
-- totals are those of analytics_summary. Errors: AN002 days out of range.
create or replace function public.analytics_platform(p_days integer default 30, p_now timestamptz default now())
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_to constant date := (p_now at time zone 'UTC')::date;
  v_from date;
  v_answer jsonb;
begin
  perform public.analytics_check_days(p_days);
  v_from := v_to + 1 - p_days;
  select jsonb_build_object('as_of', max(daily.computed_at), 'from', v_from, 'to', v_to, 'days', jsonb_agg(
    jsonb_build_object(
      'day', v_from + n,
      'queued', coalesce(daily.queued, 0),
      'sent', coalesce(daily.sent, 0),
      'failed', coalesce(daily.failed, 0),
      'failed_by_reason', coalesce(daily.failed_by_reason, '{}'),
      'unknown', coalesce(daily.unknown, 0),
      'posts_published', coalesce(daily.posts_published, 0),
      'posts_failed', coalesce(daily.posts_failed, 0),
      'posts_missed', coalesce(daily.posts_missed, 0),
      'lateness_p50_s', daily.lateness_p50_s,
      'lateness_p95_s', daily.lateness_p95_s,
      'counted', coalesce(daily.counted, 0),
      'capacity', coalesce(daily.capacity, 0),
      'accounts_active', coalesce(daily.accounts_active, 0),
      'accounts_at_cap', coalesce(daily.accounts_at_cap, 0)
    ) order by n))
  into v_answer
  from generate_series(0, p_days - 1) as n
  left join public.analytics_platform_daily as daily on daily.day = v_from + n;
  return v_answer || jsonb_build_object('totals', coalesce(
    public.analytics_summary(v_from, v_to, 'none', p_now) -> 'items' -> 0,
    '{"key": null, "accounts": 0, "queued": 0, "sent": 0, "failed": 0, "failed_by_reason": {}, "unknown": 0,
      "posts_published": 0, "posts_failed": 0, "posts_missed": 0, "lateness_p50_s": null, "lateness_p95_s": null,
      "counted": 0, "capacity": 0, "computed_at": null}'));
end;
$$;

-- analytics_cache_get: what was put under a key: {payload, computed_at}; null if nothing was.
create or replace function public.analytics_cache_get(p_key text, p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object('payload', cached.payload, 'computed_at', cached.computed_at)
  from public.analytics_cache as cached where cached.key = p_key;
$$;

-- analytics_cache_put: keeps an answer under a key, and drops some that nobody has renewed for a week.
-- Answers as analytics_cache_get.
--
-- Errors: AN005 a key that is not of 1 to 200 characters.
create or replace function public.analytics_cache_put(p_key text, p_payload jsonb, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if coalesce(length(p_key), 0) not between 1 and 200 then
    raise exception 'key must have 1 to 200 characters' using errcode = 'AN005', detail = '{"field":"key"}';
  end if;
  insert into public.analytics_cache as cached (key, payload, computed_at)
  -- JSON's null reaches a parameter as SQL's.
  values (p_key, coalesce(p_payload, 'null'), p_now)
  on conflict (key) do update
  set payload = excluded.payload, computed_at = excluded.computed_at
  -- Two that computed at the same time: the later one stays.
  where excluded.computed_at >= cached.computed_at;
  -- Last, and never waiting: so no two callers can wait for each other.
  delete from public.analytics_cache as cached
  where cached.key in (
    select old.key from public.analytics_cache as old
    where old.computed_at < p_now - interval '7 days'
    order by old.computed_at limit 100
    for update skip locked
  );
  return jsonb_build_object('payload', coalesce(p_payload, 'null'), 'computed_at', p_now);
end;
$$;

revoke execute on function
  public.analytics_lateness, public.analytics_events, public.analytics_clients, public.analytics_check_range,
  public.analytics_check_days, public.analytics_days, public.analytics_refresh, public.analytics_views_refresh,
  public.analytics_daily_list, public.analytics_summary, public.analytics_platform, public.analytics_cache_get,
  public.analytics_cache_put
from public, anon, authenticated;
grant execute on function
  public.analytics_lateness, public.analytics_events, public.analytics_clients, public.analytics_check_range,
  public.analytics_check_days, public.analytics_days, public.analytics_refresh, public.analytics_views_refresh,
  public.analytics_daily_list, public.analytics_summary, public.analytics_platform, public.analytics_cache_get,
  public.analytics_cache_put
to service_role;
