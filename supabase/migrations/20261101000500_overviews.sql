-- What people look at: the accounts, and the messages with why they have not gone out.

-- account_json: an account with its policy and how many of its messages are in each status:
-- {id, account_name, status, unipile_account_id, policy, messages: {status: count}}.
-- The policy is null until the account's first message is queued.
create or replace function public.account_json(p_account public.linkedin_accounts, p_now timestamptz)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'id', p_account.id,
    'account_name', p_account.account_name,
    'status', p_account.status,
    'unipile_account_id', p_account.unipile_account_id,
    'policy', (
      select public.account_policy_json(policy)
        -- A pause that is over is none.
        || case when policy.paused_until <= p_now
          then '{"paused_until": null, "pause_reason": null, "paused_at": null}' else '{}' end::jsonb
      from public.account_policies as policy where policy.account_id = p_account.id
    ),
    'messages', coalesce((
      select jsonb_object_agg(counted.status, counted.count)
      from (
        select message.status, count(*) from public.dm_queue as message
        where message.linkedin_account_id = p_account.id group by message.status
      ) as counted
    ), '{}'::jsonb)
  );
$$;

-- account_list: accounts by name: {items: [account_json], next_cursor}.
--
-- p_filter: status, paused (true or false), name (exactly), names (an array). Errors: SE001 to SE003.
create or replace function public.account_list(
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
set statement_timeout = '60s'
as $$
declare
  v_after constant jsonb := public.cursor_read(p_after, '{text,uuid}');
  v_given constant jsonb := public.filter_literals(p_filter,
    '{"status": "texts", "name": "text", "names": "texts", "paused": "boolean"}');
  v_rows jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object(
      'item', public.account_json(page, $4), 'place', jsonb_build_array(page.account_name, page.id)
    ) order by page.account_name, page.id), '[]')
    from (
      select account.* from public.linkedin_accounts as account
      where %s and ($1 is null or (account.account_name, account.id) > ($1, $2))
      order by account.account_name, account.id limit $3
    ) as page
  $sql$, concat_ws(' and ', 'true',
    'account.status = any (' || (v_given ->> 'status') || ')',
    'account.account_name = ' || (v_given ->> 'name'),
    'account.account_name = any (' || (v_given ->> 'names') || ')',
    'exists (select from public.account_policies as policy
      where policy.account_id = account.id and policy.paused_until > $4) is ' || (v_given ->> 'paused')))
  into v_rows
  using v_after ->> 0, (v_after ->> 1)::uuid, public.list_limit(p_limit) + 1, p_now;
  return public.list_page(v_rows, p_limit);
end;
$$;

-- account_get: account_json with what its limits allow: usage {day, day_limit, last_24h, limit_24h, last_7d,
-- limit_7d}, counted as the gate counts, and the gate itself {reason, clear_at}, for messages. Null if there
-- is no such account; usage and gate are null until it has a policy.
create or replace function public.account_get(p_id uuid, p_now timestamptz default now())
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_account public.linkedin_accounts;
  v_policy public.account_policies;
  v_usage jsonb;
  v_gate record;
begin
  select account.* into v_account from public.linkedin_accounts as account where account.id = p_id;
  if not found then
    return null;
  end if;
  select policy.* into v_policy from public.account_policies as policy where policy.account_id = p_id;
  if not found then
    return public.account_json(v_account, p_now) || '{"usage": null, "gate": null}';
  end if;
  select jsonb_build_object(
    'day', count(*) filter (where (counted.effect_by at time zone v_policy.time_zone)::date
      >= (p_now at time zone v_policy.time_zone)::date),
    'day_limit', public.account_day_limit(v_policy, p_now),
    'last_24h', count(*) filter (where counted.effect_by > p_now - interval '24 hours'),
    'limit_24h', v_policy.dms_per_24h,
    'last_7d', count(*) filter (where counted.effect_by > p_now - interval '7 days'),
    'limit_7d', v_policy.dms_per_7d
  ) into v_usage
  from public.dm_attempts as counted
  where counted.account_id = p_id and counted.outcome is distinct from 'not_sent'
    and counted.effect_by > p_now - interval '7 days';
  select * into v_gate from public.account_gates(array[p_id], p_now);
  return public.account_json(v_account, p_now) || jsonb_build_object(
    'usage', v_usage,
    'gate', jsonb_build_object('reason', v_gate.reason, 'clear_at', nullif(v_gate.clear_at, 'infinity')));
end;
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

revoke execute on function
  public.account_json, public.account_list, public.account_get, public.dm_unsent
from public, anon, authenticated;
grant execute on function
  public.account_json, public.account_list, public.account_get, public.dm_unsent
to service_role;
