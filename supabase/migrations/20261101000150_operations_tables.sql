-- What operators do: the audit trail, the pause of all sending, and runs with parameters.

-- audit_log: every action of a person, in the transaction that carried it out.
create table if not exists public.audit_log (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  -- The name of the ops token.
  actor text not null check (length(actor) between 1 and 100),
  -- `subject.verb`, e.g. account.pause.
  action text not null check (length(action) between 1 and 64),
  -- What it was done to: an id, or null for what concerns everything.
  subject text check (length(subject) <= 200),
  -- What was asked for, and what came of it, in brief (audit_params); never a message's text.
  params jsonb not null default '{}'::jsonb check (octet_length(params::text) <= 16384)
);
create index if not exists audit_log_subject on public.audit_log (subject, id desc);

-- sending_pause: the last pause of all sending, which may be over. There is one at most.
create table if not exists public.sending_pause (
  only_one boolean primary key default true check (only_one),
  -- 'infinity' waits for a person.
  paused_until timestamptz not null,
  reason text not null check (length(reason) between 1 and 200),
  paused_at timestamptz not null,
  paused_by text not null check (length(paused_by) between 1 and 100)
);

alter table public.job_runs
  add column if not exists params jsonb not null default '{}'::jsonb,
  add column if not exists priority smallint not null default 0 check (priority between 0 and 9);

-- At most one active run a job, of those that were asked for without parameters.
create unique index if not exists job_runs_active_normal
  on public.job_runs (job) where status in ('queued', 'running') and params = '{}'::jsonb;

-- For lists, newest first.
create unique index if not exists dm_queue_position on public.dm_queue (position);
create index if not exists dm_queue_account on public.dm_queue (linkedin_account_id, position);
-- Few, if any: for dm_backlog.
create index if not exists dm_queue_refused
  on public.dm_queue (linkedin_account_id) where status = 'pending' and reason = 'platform_key_refused';
create index if not exists dm_queue_attention
  on public.dm_queue (status, position) where status in ('failed', 'unknown', 'sending');

do $$
declare
  v_table text;
begin
  foreach v_table in array array['audit_log', 'sending_pause'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
  revoke all on sequence public.audit_log_id_seq from public, anon, authenticated;
end;
$$;
