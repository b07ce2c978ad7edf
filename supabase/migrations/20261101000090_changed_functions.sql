-- Functions whose parameters have changed, dropped as they were: `create or replace` would leave the
-- old one beside the new one, and a caller would get whichever fits.

drop function if exists
  public.account_list(timestamptz),
  public.account_pause(uuid, text, timestamptz, timestamptz),
  public.account_policy_set(uuid, jsonb, timestamptz),
  public.account_resume(uuid, timestamptz),
  public.account_settle(uuid, boolean, jsonb, timestamptz),
  public.alert_enqueue(uuid, text, text[], timestamptz),
  public.alerts_observe(jsonb, text[], text[], timestamptz),
  public.dm_backlog(timestamptz),
  public.dm_cancel(uuid[], text, timestamptz),
  public.dm_claim(text, integer, integer, uuid, double precision, timestamptz),
  public.dm_enqueue(jsonb, timestamptz),
  public.dm_message_settle(uuid, boolean, jsonb, timestamptz),
  public.dm_next_due(uuid, timestamptz),
  public.dm_problems(text, text, text, text, integer),
  public.dm_problems(uuid, text, text, text, text, integer),
  public.dm_spent_by(text),
  public.filter_where(jsonb, jsonb),
  public.history_delete_attempts(text, text, integer, jsonb, timestamptz),
  public.post_act_problem(text, text, uuid),
  public.post_look(uuid[], integer, timestamptz),
  public.post_text_problem(text, jsonb, text),
  public.post_take(uuid, text, uuid, timestamptz, integer, timestamptz),
  public.run_begin(uuid, text, timestamptz),
  public.run_finish(uuid, text, text, jsonb, text, timestamptz, timestamptz),
  public.run_heartbeat(uuid, text, jsonb, timestamptz),
  public.run_list(text, text, integer, timestamptz),
  public.run_start(text, text, timestamptz, text, timestamptz, timestamptz),
  public.waiting_json(bigint, integer, timestamptz),
  public.waiting_json(bigint, integer, timestamptz, uuid[]);

-- Replaced by job_runs_active_normal: a run asked for with parameters stands beside the normal one.
drop index if exists public.job_runs_active;

-- Replaced by dm_attempts_leased and account_policies_returning.
drop index if exists
  public.dm_attempts_lease, public.account_policies_blocked, public.account_policies_paused_for_account,
  public.account_policies_out_of_order;

-- The same for parameters that are rows of tables which there may not be yet.
do $$
begin
  if to_regclass('public.post_publications') is not null then
    drop function if exists public.post_verdict(
      public.post_publications, uuid, uuid, text, timestamptz, text, integer, timestamptz);
  end if;
  if to_regclass('public.dm_queue') is not null then
    drop function if exists public.dm_act_problem(text, public.dm_queue);
  end if;
  if to_regclass('public.account_policies') is not null then
    drop function if exists public.account_gate(public.account_policies, timestamptz);
  end if;
end;
$$;
