-- Read-backs: what may have been sent is looked for on LinkedIn, and settled by what is seen.
-- The schedule and the verdict are the same for messages and for posts.

alter table public.dm_attempts
  -- How often it was looked for.
  add column if not exists read_backs integer not null default 0 check (read_backs >= 0),
  -- When it is looked for next; null if it is not.
  add column if not exists next_read_at timestamptz,
  -- Since when it has not been on LinkedIn, as seen by an account in order; see read_back_verdict.
  add column if not exists absent_since timestamptz;

create index if not exists dm_attempts_unread on public.dm_attempts (next_read_at) where next_read_at is not null;

-- read_back_at: when an attempt that ended as unknown at p_ended_at is to be looked for after p_now;
-- null once a week has passed, and nobody is going to find it.
--
-- 15 s, 1 min, 5 min, 30 min and 2 h after its end, then every 2 h; and exactly when an absence has
-- lasted for the 30 minutes after which it is believed.
create or replace function public.read_back_at(
  p_ended_at timestamptz,
  p_absent_since timestamptz,
  p_now timestamptz
)
returns timestamptz
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(
    (
      select min(candidate.at)
      from unnest(array[
        p_ended_at + interval '15 seconds', p_ended_at + interval '1 minute', p_ended_at + interval '5 minutes',
        p_ended_at + interval '30 minutes', p_ended_at + interval '2 hours', p_absent_since + interval '30 minutes'
      ]) as candidate (at)
      where candidate.at > p_now
    ),
    case when p_now < p_ended_at + interval '7 days' then p_now + interval '2 hours' end
  );
$$;

-- known_ids_span: how far back, before an attempt, ids on LinkedIn are known to belong to other attempts: longer than the
-- week for which what is unknown is looked for.
create or replace function public.known_ids_span()
returns interval
language sql
immutable
security invoker
set search_path = ''
as $$
  select interval '8 days';
$$;

-- text_seen: a text as a reader sees it, to tell whether two are the same; as seenText in same-text.ts, which looks at what
-- LinkedIn shows. A row of white space is one space, or one line end if it has any; what shows nothing is left out, but for the
-- tags that make a flag a country's; letters are composed.
create or replace function public.text_seen(p_text text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select btrim(normalize(
    regexp_replace(regexp_replace(regexp_replace(regexp_replace(p_text,
      '\r\n?|[\u0085\u2028\u2029]', E'\n', 'g'),
      '(\U0001F3F4[\U000E0020-\U000E007E]+\U000E007F)|[\u0001-\u0008\u000E-\u001F\u007F-\u0084\u0086-\u009F'
        '\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\uFE00-\uFE0F\uFEFF'
        '\uFFF0-\uFFF8\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]', '\1', 'g'),
      '[\t\v\f \u00A0\u1680\u2000-\u200A\u202F\u205F\u2800\u3000\u3164\uFFA0]+', ' ', 'g'),
      ' *\n[ \n]*', E'\n', 'g'),
    NFC), E' \n');
$$;

-- read_back_verdict: what one look at LinkedIn means for an unknown attempt.
--
-- p_found: sent, absent, unreadable or account_out_of_order. An absence is believed once it has lasted for
-- 30 minutes since the effect can have come at the latest; an account that was out of order in between
-- may not have been told everything, and the 30 minutes begin anew.
-- p_may_resend: the policy allows another try, and there was none yet for the same reason.
-- verdict: sent, waiting (try once more), held (a person decides) or unknown (look again at next_read_at).
create or replace function public.read_back_verdict(
  p_found text,
  p_ended_at timestamptz,
  p_effect_by timestamptz,
  p_absent_since timestamptz,
  p_may_resend boolean,
  p_now timestamptz,
  out verdict text,
  out absent_since timestamptz,
  out next_read_at timestamptz
)
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_found = 'sent' then
    verdict := 'sent';
    return;
  end if;
  absent_since := case p_found
    when 'absent' then coalesce(p_absent_since, greatest(p_now, p_effect_by))
    when 'unreadable' then p_absent_since
  end;
  if p_found = 'absent' and p_now >= absent_since + interval '30 minutes' then
    verdict := case when p_may_resend then 'waiting' else 'held' end;
    return;
  end if;
  next_read_at := public.read_back_at(p_ended_at, absent_since, p_now);
  verdict := case when next_read_at is null then 'held' else 'unknown' end;
end;
$$;

-- dm_unknowns: messages that may have been sent and whose time to be looked for has come. Each is given to
-- one asker a minute, so a look that dies is made again.
--
-- Answers {now, next_read_at, items: [{attempt_id, message_id, account_id, unipile_account_id, recipient_id,
-- chat_id, message, started_at, known_message_ids}]}; next_read_at is null if nothing is to be read.
-- Errors: DM070 a limit out of range.
create or replace function public.dm_unknowns(p_limit integer, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_items jsonb;
begin
  if (p_limit between 1 and 1000) is not true then
    raise exception 'limit must be from 1 to 1000' using errcode = 'DM070', detail = '{"field":"limit"}';
  end if;
  with due as materialized (
    select attempt.id
    from public.dm_attempts as attempt
    where attempt.next_read_at <= p_now
    order by attempt.next_read_at
    limit p_limit
    for update skip locked
  ), taken as (
    update public.dm_attempts as attempt
    set next_read_at = case when exists (
      select from public.dm_queue as message where message.id = attempt.message_id and message.status = 'unknown'
    ) then p_now + interval '1 minute' end
    from due
    where attempt.id = due.id
    returning attempt.*
  )
  select jsonb_agg(jsonb_build_object(
    'attempt_id', taken.id,
    'message_id', message.id,
    'account_id', taken.account_id,
    'unipile_account_id', account.unipile_account_id,
    'recipient_id', taken.recipient_id,
    'chat_id', message.chat_id,
    'message', message.message,
    'started_at', taken.started_at,
    'known_message_ids', public.dm_known_ids(taken.account_id, taken.recipient_id, taken.message_id, taken.started_at)
  ) order by taken.started_at)
  into v_items
  from taken
  join public.dm_queue as message on message.id = taken.message_id and message.status = 'unknown'
  left join public.linkedin_accounts as account on account.id = taken.account_id;

  return jsonb_build_object(
    'now', p_now,
    'next_read_at', (select min(attempt.next_read_at) from public.dm_attempts as attempt where attempt.next_read_at is not null),
    'items', coalesce(v_items, '[]'::jsonb)
  );
end;
$$;

-- dm_known_ids: ids on LinkedIn that belong to other messages of the account to the recipient: what is found under one
-- of them is not the message looked for. Also of those tried in the week before p_since, as long as what is unknown is
-- looked for: one of them may have been found in a message that was sent since.
create or replace function public.dm_known_ids(
  p_account_id uuid,
  p_recipient_id text,
  p_message_id uuid,
  p_since timestamptz
)
returns jsonb
language sql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
  select coalesce(jsonb_agg(other.unipile_message_id), '[]'::jsonb)
  from public.dm_attempts as other
  where other.account_id = p_account_id and other.started_at >= p_since - public.known_ids_span()
    and other.recipient_id = p_recipient_id and other.message_id <> p_message_id
    and other.unipile_message_id is not null;
$$;

-- dm_resolve: settles unknown messages by what was seen on LinkedIn.
--
-- p_results: [{attempt_id, found, unipile_message_id?, chat_id?, sent_at?, detail?}]; found as in
-- read_back_verdict. p_policy: resend-when-absent or hold. Fenced: an attempt that is not unknown any
-- more is left alone. A message is tried again for an absence only once; then a person decides.
-- Answers [{attempt_id, resolution}]: sent, waiting, held, unknown, or ignored.
-- Errors: DM071 results or a policy that are not of this form.
create or replace function public.dm_resolve(p_results jsonb, p_policy text, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
  v_account_ids uuid[];
  v_result record;
  v_attempt public.dm_attempts;
  v_read record;
  v_found text;
  v_is_twin boolean;
  v_resolution text;
  v_answers jsonb := '[]';
begin
  if jsonb_typeof(p_results) is distinct from 'array' or jsonb_array_length(p_results) > 1000
    or (p_policy in ('resend-when-absent', 'hold')) is not true
    or exists (
      select from jsonb_array_elements(p_results) as result (value)
      where coalesce(result.value ->> 'found', '') not in ('sent', 'absent', 'unreadable', 'account_out_of_order')
        or (result.value ->> 'found' = 'sent' and coalesce(result.value ->> 'unipile_message_id', '') = '')
    ) then
    raise exception 'results must be an array of at most 1000, each with what was found; the policy resend-when-absent or hold'
      using errcode = 'DM071';
  end if;

  -- First which accounts, one by one, as values: as a join, a plan that was made among few goes through all that there are.
  v_account_ids := array(
    select (select attempt.account_id from public.dm_attempts as attempt where attempt.id = result.attempt_id)
    from jsonb_to_recordset(p_results) as result (attempt_id uuid)
  );
  perform from public.account_policies as policy
  where policy.account_id = any (v_account_ids)
  order by policy.account_id
  for update;

  for v_result in
    select result.*
    from jsonb_to_recordset(p_results) as result (
      attempt_id uuid, found text, unipile_message_id text, chat_id text, sent_at timestamptz, detail text)
  loop
    select attempt.* into v_attempt
    from public.dm_attempts as attempt where attempt.id = v_result.attempt_id for update;
    if v_attempt.outcome is distinct from 'unknown' or v_attempt.next_read_at is null then
      v_answers := v_answers || jsonb_build_object('attempt_id', v_result.attempt_id, 'resolution', 'ignored');
      continue;
    end if;

    v_found := case when v_result.found = 'sent' and exists (
      -- Another message's, recorded since it was asked for: it is looked for again, without that one.
      select from public.dm_attempts as other
      where other.account_id = v_attempt.account_id and other.started_at >= v_attempt.started_at - public.known_ids_span()
        and other.id <> v_attempt.id and other.unipile_message_id = v_result.unipile_message_id
    ) or v_result.found = 'sent' and exists (
      -- Or that of a call to the same person whose answer is not there yet: only the answer says whose it is.
      select from public.dm_attempts as other
      where other.account_id = v_attempt.account_id and other.finished_at is null
        and other.recipient_id = v_attempt.recipient_id
    ) then 'unreadable' else v_result.found end;
    -- A person said of its twin that it was sent, and not which one on LinkedIn it is: a person decides on this one too.
    v_is_twin := v_found = 'sent' and exists (
      select from public.dm_attempts as twin
      join public.dm_queue as theirs on theirs.id = twin.message_id
      join public.dm_queue as ours on ours.id = v_attempt.message_id
      where twin.account_id = v_attempt.account_id and twin.started_at >= v_attempt.started_at - public.known_ids_span()
        and twin.id <> v_attempt.id and twin.recipient_id = v_attempt.recipient_id
        and twin.outcome = 'sent' and twin.unipile_message_id is null and public.text_seen(theirs.message) = public.text_seen(ours.message)
    );
    select * into v_read from public.read_back_verdict(
      v_found, v_attempt.finished_at, v_attempt.effect_by, v_attempt.absent_since,
      -- What was suspected after a restore was no try.
      p_policy = 'resend-when-absent' and (v_attempt.worker = 'restored' or not exists (
        select from public.dm_attempts as earlier
        where earlier.message_id = v_attempt.message_id and earlier.outcome = 'not_sent' and earlier.error_type = 'absent'
      )), p_now);
    if v_is_twin then
      v_read.verdict := 'held';
    end if;

    update public.dm_attempts as attempt set
      read_backs = attempt.read_backs + 1,
      absent_since = v_read.absent_since,
      next_read_at = v_read.next_read_at,
      outcome = case v_read.verdict when 'sent' then 'sent' when 'waiting' then 'not_sent' else 'unknown' end,
      strike = attempt.strike and v_read.verdict <> 'sent',
      error_type = case when v_read.verdict = 'waiting' and attempt.worker <> 'restored' then 'absent' else attempt.error_type end,
      detail = coalesce(left(v_result.detail, 500), attempt.detail),
      unipile_message_id = case when v_read.verdict = 'sent' and length(v_result.unipile_message_id) <= 200
        then v_result.unipile_message_id end,
      unipile_chat_id = case when v_read.verdict = 'sent' and length(v_result.chat_id) between 1 and 200
        then v_result.chat_id end
    where attempt.id = v_attempt.id;
    if v_read.verdict = 'sent' and v_attempt.worker = 'restored' then
      perform public.restore_found(v_attempt.id, v_result.sent_at, p_now);
    end if;
    v_resolution := public.dm_read_settle(v_attempt, v_read.verdict, to_jsonb(v_result), p_now);
    v_answers := v_answers || jsonb_build_object('attempt_id', v_result.attempt_id, 'resolution', v_resolution);
  end loop;
  return v_answers;
end;
$$;

-- dm_read_settle: what a verdict means for its message and account. Part of dm_resolve and dm_act.
create or replace function public.dm_read_settle(
  p_attempt public.dm_attempts,
  p_verdict text,
  p_result jsonb,
  p_now timestamptz
)
returns text
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
begin
  if p_verdict = 'sent' then
    perform public.dm_message_settle(jsonb_build_array(jsonb_build_object(
      'message_id', p_attempt.message_id, 'is_late', true, 'result', p_result || '{"outcome":"sent"}')), p_now);
  elsif p_verdict = 'waiting' then
    update public.dm_queue as message
    set status = 'pending', error = null, not_before = null,
      reason = case when p_attempt.worker <> 'restored' then 'absent_on_linkedin' end
    where message.id = p_attempt.message_id and message.status = 'unknown';
  elsif p_verdict = 'held' then
    update public.dm_queue as message set reason = 'unknown_held'
    where message.id = p_attempt.message_id and message.status = 'unknown';
  end if;
  if p_verdict in ('sent', 'waiting') then
    -- What counts against the limits has changed.
    perform public.account_hold(p_attempt.account_id, null, null, p_now);
  end if;
  return p_verdict;
end;
$$;

revoke execute on function
  public.read_back_at, public.known_ids_span, public.text_seen, public.read_back_verdict, public.dm_unknowns, public.dm_known_ids, public.dm_resolve,
  public.dm_read_settle
from public, anon, authenticated;
grant execute on function
  public.read_back_at, public.known_ids_span, public.text_seen, public.read_back_verdict, public.dm_unknowns, public.dm_known_ids, public.dm_resolve,
  public.dm_read_settle
to service_role;
