-- Functions whose parameters have changed, dropped as they were: `create or replace` would leave the
-- old one beside the new one, and a caller would get whichever fits.

drop function if exists
  public.account_list(timestamptz),
  public.account_pause(uuid, text, timestamptz, timestamptz),
  public.account_policy_set(uuid, jsonb, timestamptz),
  public.account_resume(uuid, timestamptz),
  public.dm_backlog(timestamptz),
  public.dm_cancel(uuid[], text, timestamptz),
  public.dm_claim(text, integer, integer, uuid, double precision, timestamptz),
  public.dm_enqueue(jsonb, timestamptz),
  public.run_list(text, text, integer, timestamptz),
  public.run_start(text, text, timestamptz, text, timestamptz, timestamptz);

-- Replaced by job_runs_active_normal: a run asked for with parameters stands beside the normal one.
drop index if exists public.job_runs_active;
