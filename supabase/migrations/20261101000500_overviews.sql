-- What people look at: the accounts, and the messages with why they have not gone out.

-- account_list: every account with its policy and how many of its messages are in each status:
-- [{id, account_name, status, unipile_account_id, policy, messages: {status: count}}], by name.
-- The policy is null until the account's first message is queued.
create or replace function public.account_list(p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', account.id,
    'account_name', account.account_name,
    'status', account.status,
    'unipile_account_id', account.unipile_account_id,
    'policy', case when policy.account_id is null then null else public.account_policy_json(policy)
      -- A pause that is over is none.
      || case when policy.paused_until <= p_now
        then '{"paused_until": null, "pause_reason": null, "paused_at": null}' else '{}' end::jsonb
    end,
    'messages', coalesce(queue.counts, '{}'::jsonb)
  ) order by account.account_name, account.id), '[]'::jsonb)
  from public.linkedin_accounts as account
  left join public.account_policies as policy on policy.account_id = account.id
  left join (
    select counted.account_id, jsonb_object_agg(counted.status, counted.count) as counts
    from (
      select message.linkedin_account_id as account_id, message.status, count(*)
      from public.dm_queue as message
      group by message.linkedin_account_id, message.status
    ) as counted
    group by counted.account_id
  ) as queue on queue.account_id = account.id;
$$;

-- dm_unsent: messages that have not gone out, with why: [{id, account_name, recipient_id, status,
-- reason, can_go_at, error, pause_reason}], what needs a person first, then the earliest first.
--
-- p_limit: 1 to 1,000. Errors: DM050 a limit out of range.
create or replace function public.dm_unsent(p_limit integer default 100, p_now timestamptz default now())
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  if coalesce(p_limit, 0) not between 1 and 1000 then
    raise exception 'limit must be from 1 to 1000' using errcode = 'DM050', detail = '{"field":"limit"}';
  end if;
  return coalesce((
    select jsonb_agg(jsonb_build_object(
      'id', unsent.id,
      'account_name', account.account_name,
      'recipient_id', unsent.recipient_id,
      'status', unsent.status,
      'reason', explanation.value ->> 'reason',
      'can_go_at', explanation.value ->> 'can_go_at',
      'error', unsent.error,
      'pause_reason', explanation.value #>> '{account,pause_reason}'
    ) order by unsent.rank, unsent.due_at, unsent.position)
    from (
      select message.*, array_position('{unknown,failed,sending,pending}', message.status) as rank
      from public.dm_queue as message
      where message.status in ('unknown', 'failed', 'sending', 'pending')
      order by rank, message.due_at, message.position
      limit p_limit
    ) as unsent
    left join public.linkedin_accounts as account on account.id = unsent.linkedin_account_id
    cross join lateral public.dm_explain(unsent.id, p_now) as explanation (value)
  ), '[]'::jsonb);
end;
$$;

revoke execute on function public.account_list, public.dm_unsent from public, anon, authenticated;
grant execute on function public.account_list, public.dm_unsent to service_role;
