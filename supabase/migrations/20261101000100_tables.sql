-- The tables of the background jobs.
--
-- Row-level security is on and there is no policy: only service_role reads or writes them, and it
-- writes through the SQL functions. Grants are spelled out, since Supabase gives none by itself.

-- dm_queue: one row a message.
--
-- pending → sending → sent | failed | unknown | cancelled. `unknown` is a message whose answer was
-- lost: it may have reached LinkedIn, and is never sent again before that is settled.
create table if not exists public.dm_queue (
  id uuid primary key default gen_random_uuid(),
  linkedin_account_id uuid not null,
  -- LinkedIn provider id (`ACo…`), as the sending account sees the person.
  recipient_id text not null check (length(recipient_id) <= 200),
  chat_id text check (length(chat_id) <= 200),
  message text not null check (length(message) <= 8000),
  status text not null default 'pending'
    check (status in ('pending', 'sending', 'sent', 'failed', 'unknown', 'cancelled')),
  -- 0 (default) to 9; a higher one goes first.
  priority smallint not null default 0 check (priority between 0 and 9),
  send_at timestamptz not null default now(),
  -- Set by a retry or a wait; the message is due once both instants have passed.
  not_before timestamptz,
  due_at timestamptz generated always as (greatest(send_at, not_before)) stored,
  sent_at timestamptz,
  -- What Unipile said, for people; at most 500 characters.
  error text check (length(error) <= 500),
  -- Why it has not gone out, from the closed list in docs/reasons.md.
  reason text check (length(reason) <= 64),
  -- Attempts that were burned: provably not sent, and worth another try.
  attempts integer not null default 0 check (attempts >= 0),
  -- The order in which messages were queued; it decides between messages due at the same instant.
  position bigint generated always as identity,
  dedupe_key text unique check (length(dedupe_key) <= 200),
  campaign_id uuid,
  lead_id uuid,
  -- Its author says that what looks like a mark of a template in the text is meant.
  is_literal boolean not null default false,
  -- What is said to whom, to find it again: the same for the same text to the same person.
  text_key bigint generated always as (hashtextextended(recipient_id || E'\n' || message, 0)) stored,
  unipile_message_id text check (length(unipile_message_id) <= 200),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- The claim's index: the next due message of an account, priority by priority. History is not in it.
create index if not exists dm_queue_pending
  on public.dm_queue (linkedin_account_id, priority, due_at, position)
  where status = 'pending';

-- dm_attempts: the ledger. One row for each call to Unipile, written with the claim, before the call.
--
-- Limits and recovery are computed from here and from nothing else. No foreign key: the ledger
-- outlives the message it is about.
create table if not exists public.dm_attempts (
  id uuid primary key default gen_random_uuid(),
  message_id uuid not null,
  account_id uuid not null,
  recipient_id text not null,
  -- The call of dm_claim that made it, and the process that called.
  claim_id uuid not null,
  worker text not null check (length(worker) <= 200),
  started_at timestamptz not null,
  lease_until timestamptz not null,
  finished_at timestamptz,
  -- Null while in flight.
  outcome text check (outcome in ('sent', 'not_sent', 'unknown')),
  -- The latest instant at which LinkedIn can have shown the effect; limits are counted by it.
  effect_by timestamptz not null,
  -- A failure that speaks of the account rather than of the message; three open the breaker.
  strike boolean not null default false,
  -- The order of the attempts, also of those that began at the same instant.
  position bigint generated always as identity,
  http_status integer,
  error_type text check (length(error_type) <= 100),
  detail text check (length(detail) <= 500),
  unipile_message_id text check (length(unipile_message_id) <= 200),
  unipile_chat_id text check (length(unipile_chat_id) <= 200),
  -- The message's, which may be gone.
  text_key bigint,
  check ((finished_at is null) = (outcome is null))
);

-- One call in flight per account, whoever claims.
create unique index if not exists dm_attempts_open
  on public.dm_attempts (account_id) where finished_at is null;
-- `outcome is null` says the same; in other words, so that no look at one account goes through all that is in flight.
create index if not exists dm_attempts_leased
  on public.dm_attempts (lease_until) where outcome is null;
-- What counts against the limits, latest first.
create index if not exists dm_attempts_counted
  on public.dm_attempts (account_id, effect_by desc) where outcome is distinct from 'not_sent';
create index if not exists dm_attempts_account
  on public.dm_attempts (account_id, started_at desc, position desc);
create index if not exists dm_attempts_message
  on public.dm_attempts (message_id, started_at desc);

-- account_policies: one row an account, made with its first message. The only place of its limits.
create table if not exists public.account_policies (
  account_id uuid primary key,

  dms_per_day integer not null default 20 check (dms_per_day between 1 and 50),
  dms_per_24h integer not null default 50 check (dms_per_24h between 1 and 50),
  dms_per_7d integer not null default 150 check (dms_per_7d between 1 and 350),

  -- Seconds between two messages, drawn anew for each.
  gap_min_s integer not null default 60 check (gap_min_s between 0 and 86400),
  gap_max_s integer not null default 180 check (gap_max_s between 0 and 86400),

  -- Days in which the same text does not go to the same person twice; 0 lets it, and the ledger knows 90.
  no_repeat_days integer not null default 0 check (no_repeat_days between 0 and 90),

  -- IANA name. The day of the limits and the hours of the window are those of this zone.
  time_zone text not null default 'UTC' check (length(time_zone) <= 64),
  -- Half-open: from window_start up to, and without, window_end; 24:00 is the end of the day.
  window_start time not null default '09:00',
  window_end time not null default '18:00',
  -- ISO days of the week, 1 (Monday) to 7.
  work_days smallint[] not null default '{1,2,3,4,5}'
    check (cardinality(work_days) between 1 and 7 and work_days <@ '{1,2,3,4,5,6,7}'::smallint[]),
  holidays date[] not null default '{}'
    check (cardinality(holidays) <= 400 and array_position(holidays, null) is null),

  -- The day on which the warm-up began: 20 % of dms_per_day, rising to all of it on the 14th day.
  warm_up_from date,

  -- 'infinity' waits for a person, or for the account to be connected again.
  paused_until timestamptz,
  pause_reason text check (length(pause_reason) between 1 and 200),
  paused_at timestamptz,
  -- The pause ends by itself when the account is in order again: see account_hold.
  returns boolean not null default false,
  -- The account was seen out of order during the pause, so its return ends the pause.
  seen_inactive boolean not null default false,
  -- Its row in RevOS as it was seen last during such a pause: see account_seen.
  seen_account jsonb,
  -- The pause that such a one replaced, {until, reason, at}: it is put back if it still lasts by then.
  pause_beneath jsonb,
  -- When a pause last ended by itself for that reason.
  returned_at timestamptz,
  -- Strikes before this instant are forgiven.
  strikes_from timestamptz not null default '-infinity',
  -- Limits met, each before the account had been without one for a day, and until when the last one let it rest; see account_throttle.
  -- Null while there is none: the row is read for every message, and a column that is null takes no room in it.
  throttles smallint check (throttles >= 0),
  throttled_until timestamptz,

  -- The earliest next claim by the pace alone.
  pace_until timestamptz not null default '-infinity',
  -- The account itself forbids a claim: missing, not active, or not connected.
  blocked_by text,
  -- The earliest instant at which a claim can succeed. It may be early, never late.
  next_claim_at timestamptz not null default 'infinity',

  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  -- Whoever meets one of these by plain SQL reads its name.
  constraint gap_min_s_up_to_gap_max_s check (gap_min_s <= gap_max_s),
  constraint window_start_before_window_end check (window_start < window_end),
  constraint warm_up_from_is_a_day check (isfinite(warm_up_from)),
  check ((paused_until is null) = (pause_reason is null))
) with (fillfactor = 70);

create index if not exists account_policies_next_claim
  on public.account_policies (next_claim_at, account_id);
-- Those that wait for the account itself to be in order, in an order that has nothing to do with their ids: see dm_recover.
create index if not exists account_policies_returning
  on public.account_policies (md5(account_id::text))
  where blocked_by is not null or returns;

-- What says the same, of what waits and of what may have gone out.
create index if not exists dm_queue_text on public.dm_queue (text_key) where status = 'pending';
create index if not exists dm_attempts_text on public.dm_attempts (text_key, effect_by desc) where outcome is distinct from 'not_sent';
-- Whose chat is whose.
create index if not exists dm_attempts_chat on public.dm_attempts (unipile_chat_id, recipient_id)
  where outcome = 'sent' and unipile_chat_id is not null;

-- job_runs: one row a run. docs/run-lifecycle.md draws its states.
create table if not exists public.job_runs (
  id uuid primary key default gen_random_uuid(),
  job text not null check (length(job) between 1 and 64),
  scheduled_for timestamptz,
  trigger text not null check (trigger in ('vercel-cron', 'ops', 'worker', 'catch-up')),
  status text not null default 'queued'
    check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'interrupted')),
  requested_at timestamptz not null,
  started_at timestamptz,
  heartbeat_at timestamptz not null,
  finished_at timestamptz,
  -- The run works on while something can be claimed before this instant.
  horizon_at timestamptz not null,
  cancel_requested_at timestamptz,
  stats jsonb not null default '{}'::jsonb,
  error text check (length(error) <= 2000),
  requested_by text not null check (length(requested_by) <= 100),
  worker text check (length(worker) <= 200),
  unique (job, scheduled_for)
);

create index if not exists job_runs_recent on public.job_runs (requested_at desc, id);
create index if not exists job_runs_recent_by_job on public.job_runs (job, requested_at desc, id);

-- job_slots: which run a slot was answered with: its own, or the one that was still active.
create table if not exists public.job_slots (
  job text not null,
  scheduled_for timestamptz not null,
  run_id uuid not null references public.job_runs (id) on delete cascade,
  created_at timestamptz not null,
  primary key (job, scheduled_for)
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['dm_queue', 'dm_attempts', 'account_policies', 'job_runs', 'job_slots'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
  revoke all on sequence public.dm_queue_position_seq, public.dm_attempts_position_seq from public, anon, authenticated;
  -- dm_enqueue draws positions by itself.
  grant usage on sequence public.dm_queue_position_seq to service_role;
end;
$$;
