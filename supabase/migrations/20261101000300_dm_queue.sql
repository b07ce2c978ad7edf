-- dm_queue: enqueue, claim, record, recover, explain.
--
-- The functions that run for every message have enable_seqscan off. Their plans are made once a
-- session, often while the tables are small, and a scan that was right then grows with the history:
-- claims of 100 went from 29 ms to 183 ms within 38 calls, and stay at 24 ms with it.

-- What is wrong with a message, field by field; no rows if nothing is. The one place of these rules:
-- an insert by plain SQL and dm_enqueue both ask here.
create or replace function public.dm_problems(
  p_account_id uuid,
  p_recipient_id text,
  p_message text,
  p_chat_id text,
  p_dedupe_key text,
  p_priority integer
)
returns table (code text, field text, problem text)
language sql
stable
security invoker
set search_path = ''
as $$
  select 'DM001', 'linkedin_account_id', 'names no account'
  where not exists (select from public.linkedin_accounts as account where account.id = p_account_id)
  union all
  select 'DM002', 'recipient_id', 'must be a LinkedIn provider id such as ACoAAB…, not a profile link or name'
  where coalesce(p_recipient_id, '') !~ '^A(Co|Cw|E)[A-Za-z0-9_-]{1,196}$'
  union all
  select 'DM003', 'message', 'is empty'
  where coalesce(p_message, '') !~ '[^[:space:]]'
  union all
  select 'DM004', 'message', format('is too long: %s characters, of 8000 at most', length(p_message))
  where length(p_message) > 8000
  union all
  select 'DM005', 'message', 'has a placeholder that was not filled in: ' || left((regexp_match(p_message, '\{\{[^{}]*\}?\}?|\}\}'))[1], 60)
  where p_message ~ '\{\{|\}\}'
  union all
  select 'DM006', field.name, format('is too long: %s characters, of 200 at most', length(field.value))
  from (values ('chat_id', p_chat_id), ('dedupe_key', p_dedupe_key)) as field (name, value)
  where length(field.value) > 200
  union all
  select 'DM006', field.name, 'is empty'
  from (values ('chat_id', p_chat_id), ('dedupe_key', p_dedupe_key)) as field (name, value)
  where field.value = ''
  union all
  select 'DM007', 'priority', 'must be a whole number from 0 to 9'
  where coalesce(p_priority, -1) not between 0 and 9;
$$;

-- Guards every write to dm_queue, whoever makes it.
--
-- Errors: DM001 to DM007 as dm_problems; DM008 a new row that is not pending; DM009 a message that
-- would be sent again although it was, or may have been, sent; DM010 a change to what was sent; DM011 a
-- message taken out of `sending` while its call is out; and, after the statement, DM012 one put into it.
create or replace function public.dm_queue_before_write()
returns trigger
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_problem record;
begin
  if tg_op = 'INSERT' then
    new.status := coalesce(new.status, 'pending');
    new.send_at := coalesce(new.send_at, now());
    new.priority := coalesce(new.priority, 0);
    if new.status <> 'pending' then
      raise exception 'status must be pending in a new message'
        using errcode = 'DM008', detail = '{"field":"status"}';
    end if;
    new.attempts := 0;
    new.sent_at := null;
    new.unipile_message_id := null;
  else
    new.updated_at := now();
    if new.status = 'pending' and old.status <> 'pending' and exists (
      select from public.dm_attempts as attempt
      where attempt.message_id = new.id and attempt.outcome is distinct from 'not_sent'
    ) then
      raise exception 'message % was sent, or may have been: it is not sent again', new.id
        using errcode = 'DM009', detail = '{"field":"status"}';
    end if;
    if old.status = 'sending' and new.status <> 'sending' and exists (
      select from public.dm_attempts as attempt
      where attempt.message_id = new.id and attempt.finished_at is null
    ) then
      raise exception 'message % is on its way: what became of it decides', new.id
        using errcode = 'DM011', detail = '{"field":"status"}';
    end if;
    if (new.message, new.recipient_id, new.linkedin_account_id)
        is distinct from (old.message, old.recipient_id, old.linkedin_account_id)
      and (old.status in ('sending', 'sent', 'unknown') or exists (
        -- It once was unknown, and is looked for by what it says right before it goes out again.
        select from public.dm_attempts as attempt
        where attempt.message_id = new.id and attempt.error_type in ('absent', 'settled')
      )) then
      raise exception 'message % is %: its text, recipient and account stand', new.id, old.status
        using errcode = 'DM010';
    end if;
  end if;

  if tg_op = 'INSERT'
    or (new.message, new.recipient_id, new.linkedin_account_id, new.chat_id, new.priority)
      is distinct from (old.message, old.recipient_id, old.linkedin_account_id, old.chat_id, old.priority) then
    for v_problem in
      select * from public.dm_problems(
        new.linkedin_account_id, new.recipient_id, new.message, new.chat_id, new.dedupe_key, new.priority)
    loop
      raise exception '% %', v_problem.field, v_problem.problem
        using errcode = v_problem.code, detail = jsonb_build_object('field', v_problem.field)::text;
    end loop;
  end if;
  return new;
end;
$$;

create or replace trigger dm_queue_before_write
  before insert or update on public.dm_queue
  for each row execute function public.dm_queue_before_write();

-- account_wake: lets the claim look at accounts no later than given instants; an account without a
-- policy gets one with the defaults.
--
-- p_account_ids: in the order of the ids, each once; null for none. p_ats: the instant of each.
-- Rows are locked in that order, as everywhere, so that bulk enqueues cannot deadlock.
create or replace function public.account_wake(p_account_ids uuid[], p_ats timestamptz[])
returns void
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
begin
  if p_account_ids is null then
    return;
  end if;
  insert into public.account_policies (account_id)
  select unnest(p_account_ids)
  on conflict do nothing;

  perform from public.account_policies as policy
  where policy.account_id = any (p_account_ids)
  order by policy.account_id
  for update;

  update public.account_policies as policy
  set next_claim_at = wake.at
  from unnest(p_account_ids, p_ats) as wake (account_id, at)
  where policy.account_id = wake.account_id and policy.next_claim_at > wake.at;
end;
$$;

-- New messages make their account's policy, and wake it.
create or replace function public.dm_queue_after_insert()
returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_account_ids uuid[];
  v_ats timestamptz[];
begin
  select array_agg(due.account_id order by due.account_id), array_agg(due.at order by due.account_id)
  into v_account_ids, v_ats
  from (
    select inserted.linkedin_account_id, min(inserted.due_at) from inserted group by inserted.linkedin_account_id
  ) as due (account_id, at);
  perform public.account_wake(v_account_ids, v_ats);
  return null;
end;
$$;

create or replace trigger dm_queue_after_insert
  after insert on public.dm_queue
  referencing new table as inserted
  for each statement execute function public.dm_queue_after_insert();

-- A message that becomes pending, or due at another time, wakes its account too.
create or replace function public.dm_queue_after_update()
returns trigger
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_account_ids uuid[];
  v_ats timestamptz[];
begin
  select array_agg(due.account_id order by due.account_id), array_agg(due.at order by due.account_id)
  into v_account_ids, v_ats
  from (
    select updated.linkedin_account_id, min(updated.due_at)
    from updated
    join previous on previous.id = updated.id
    where updated.status = 'pending'
      and (previous.status, previous.due_at, previous.linkedin_account_id)
        is distinct from (updated.status, updated.due_at, updated.linkedin_account_id)
    group by updated.linkedin_account_id
  ) as due (account_id, at);
  perform public.account_wake(v_account_ids, v_ats);

  -- Looked at here, where the attempt that the same claim wrote can be seen.
  if exists (
    select from updated
    join previous on previous.id = updated.id
    where updated.status = 'sending' and previous.status <> 'sending' and not exists (
      select from public.dm_attempts as attempt
      where attempt.message_id = updated.id and attempt.finished_at is null
    )
  ) then
    raise exception 'a message becomes sending by dm_claim alone'
      using errcode = 'DM012', detail = '{"field":"status"}';
  end if;
  return null;
end;
$$;

create or replace trigger dm_queue_after_update
  after update on public.dm_queue
  referencing old table as previous new table as updated
  for each statement execute function public.dm_queue_after_update();

-- dm_enqueue: queues many messages, all or none.
--
-- p_rows: an array of up to 10,000 objects {linkedin_account_id, recipient_id, message, chat_id?,
-- send_at?, priority?, dedupe_key?, campaign_id?, lead_id?}. A row whose dedupe_key is queued already
-- is not queued again. Answers {enqueued, existing, messages: [{row, id, is_new}]}, rows counted from 0.
-- Errors: DM020 not an array, or too many rows; DM021 bad rows, all of them listed in the detail
-- as [{row, field, problem}]: then nothing is queued.
create or replace function public.dm_enqueue(
  p_rows jsonb,
  p_actor text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_problems jsonb;
  v_ids uuid[];
  v_positions bigint[];
  v_new_ids uuid[];
  v_answer jsonb;
begin
  if jsonb_typeof(p_rows) is distinct from 'array' or jsonb_array_length(p_rows) > 10000 then
    raise exception 'rows must be an array of at most 10000 messages' using errcode = 'DM020';
  end if;

  with given as materialized (
    select row.ordinality - 1 as row, row.value
    from jsonb_array_elements(p_rows) with ordinality as row (value, ordinality)
  ), no_object as (
    select given.row, null::text as field, 'must be an object' as problem
    from given where jsonb_typeof(given.value) <> 'object'
  ), shaped as materialized (
    select given.* from given where jsonb_typeof(given.value) = 'object'
  ), bad_shape as materialized (
    select shaped.row, field.key as field, 'is not a field of a message' as problem
    from shaped cross join lateral jsonb_object_keys(shaped.value) as field (key)
    where field.key <> all (array['linkedin_account_id', 'recipient_id', 'message', 'chat_id', 'send_at',
      'priority', 'dedupe_key', 'campaign_id', 'lead_id'])
    union all
    select shaped.row, field.name, 'must be a UUID'
    from shaped cross join (values ('linkedin_account_id'), ('campaign_id'), ('lead_id')) as field (name)
    where (field.name = 'linkedin_account_id' or shaped.value ->> field.name is not null)
      and coalesce(shaped.value ->> field.name, '') !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    union all
    select shaped.row, 'send_at', 'must be an ISO 8601 instant with a zone, such as 2026-03-01T09:30:00Z'
    from shaped where not public.is_instant(shaped.value ->> 'send_at')
    union all
    select shaped.row, field.name, 'must be text'
    from shaped cross join (values ('recipient_id'), ('message'), ('chat_id'), ('dedupe_key')) as field (name)
    where jsonb_typeof(shaped.value -> field.name) not in ('string', 'null')
    union all
    select shaped.row, 'priority', 'must be a whole number from 0 to 9'
    from shaped where coalesce(shaped.value ->> 'priority', '0') !~ '^[0-9]$'
  ), bad_content as (
    select shaped.row, problem.field, problem.problem
    from shaped
    cross join lateral (
      select
        exists (select from bad_shape where bad_shape.row = shaped.row and bad_shape.field = 'linkedin_account_id'),
        exists (select from bad_shape where bad_shape.row = shaped.row and bad_shape.field = 'priority')
    ) as bad (id, priority)
    cross join lateral public.dm_problems(
      -- What cannot be read is named above; here it is left out.
      case when bad.id then null else (shaped.value ->> 'linkedin_account_id')::uuid end,
      shaped.value ->> 'recipient_id', shaped.value ->> 'message', shaped.value ->> 'chat_id',
      shaped.value ->> 'dedupe_key',
      case when bad.priority then 0 else coalesce((shaped.value ->> 'priority')::integer, 0) end
    ) as problem
    where not (bad.id and problem.field = 'linkedin_account_id')
  ), bad_rows as (
    select * from no_object union all select * from bad_shape union all select * from bad_content
  )
  select jsonb_agg(
    jsonb_build_object('row', bad_rows.row, 'field', bad_rows.field, 'problem', bad_rows.problem)
    order by bad_rows.row, bad_rows.field)
  into v_problems
  from bad_rows;
  if v_problems is not null then
    raise exception '% problem(s) in the rows; nothing was queued', jsonb_array_length(v_problems)
      using errcode = 'DM021', detail = v_problems::text;
  end if;

  -- Rows are inserted in the order of their keys, so that two calls with the same keys cannot deadlock;
  -- their positions keep the order in which they were given.
  select array_agg(gen_random_uuid()), array_agg(nextval('public.dm_queue_position_seq'))
  into v_ids, v_positions
  from jsonb_array_elements(p_rows);
  with given as materialized (
    select row.ordinality as row, v_ids[row.ordinality] as id, row.value
    from jsonb_array_elements(p_rows) with ordinality as row (value, ordinality)
  ), inserted as (
    insert into public.dm_queue (id, linkedin_account_id, recipient_id, message, chat_id, send_at, priority,
      dedupe_key, campaign_id, lead_id, created_at, updated_at, position)
    overriding system value
    select given.id, (given.value ->> 'linkedin_account_id')::uuid, given.value ->> 'recipient_id',
      given.value ->> 'message', given.value ->> 'chat_id',
      coalesce((given.value ->> 'send_at')::timestamptz, p_now),
      coalesce((given.value ->> 'priority')::smallint, 0), given.value ->> 'dedupe_key',
      (given.value ->> 'campaign_id')::uuid, (given.value ->> 'lead_id')::uuid, p_now, p_now, v_positions[given.row]
    from given
    order by given.value ->> 'dedupe_key', given.row
    on conflict (dedupe_key) do nothing
    returning id
  )
  select array_agg(inserted.id) into v_new_ids from inserted;

  -- A statement of its own: it sees the row of another session that the insert waited for.
  select jsonb_build_object(
      'enqueued', count(inserted.id),
      'existing', count(*) - count(inserted.id),
      'messages', coalesce(jsonb_agg(jsonb_build_object(
        'row', given.row - 1,
        'id', coalesce(inserted.id, existing.id),
        'is_new', inserted.id is not null
      ) order by given.row), '[]'::jsonb)
    ) into v_answer
    from jsonb_array_elements(p_rows) with ordinality as given (value, row)
    left join unnest(v_new_ids) as inserted (id) on inserted.id = v_ids[given.row]
    left join public.dm_queue as existing on existing.dedupe_key = given.value ->> 'dedupe_key';
  perform public.audit_add(p_actor, 'message.enqueue', null, v_answer - 'messages', p_now);
  return v_answer;
end;
$$;

-- is_instant: whether text is null, or an instant with a zone that Postgres can read.
create or replace function public.is_instant(p_text text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_text is null then
    return true;
  end if;
  if p_text !~ '^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}(:?\d{2})?)$' then
    return false;
  end if;
  perform p_text::timestamptz;
  return true;
exception when data_exception then
  return false;
end;
$$;

-- dm_next_due: the account's next due message, highest priority first, then the longest due.
--
-- One index probe a priority, however many wait. A row that somebody else is writing is passed over.
create or replace function public.dm_next_due(p_account_id uuid, p_now timestamptz)
returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_id uuid;
begin
  for v_priority in reverse 9..0 loop
    select message.id into v_id
    from public.dm_queue as message
    where message.linkedin_account_id = p_account_id
      and message.status = 'pending'
      and message.priority = v_priority
      and message.due_at <= p_now
    order by message.due_at, message.position
    limit 1
    for update skip locked;
    if found then
      return v_id;
    end if;
  end loop;
  return null;
end;
$$;

-- dm_next_due_at: when the account's next message becomes due; infinity if none waits.
create or replace function public.dm_next_due_at(p_account_id uuid)
returns timestamptz
language sql
stable
security invoker
set search_path = ''
set enable_seqscan = off
as $$
  select coalesce(min(earliest.due_at), 'infinity')
  from generate_series(0, 9) as level (priority)
  cross join lateral (
    select message.due_at
    from public.dm_queue as message
    where message.linkedin_account_id = p_account_id
      and message.status = 'pending'
      and message.priority = level.priority
    order by message.due_at
    limit 1
  ) as earliest;
$$;

-- dm_claim: claims up to p_limit messages, at most one an account, and only where every limit,
-- window, pause and gap allows it.
--
-- Writes the attempt, sets the message `sending` and moves the account on by a random gap, all in
-- one transaction, before any call is made. Safe under races: account rows are locked `skip locked`,
-- and looked at only afterwards, so any number of workers may call it at once. Its cost depends on
-- what it returns and on the accounts whose time has come, never on how many messages wait.
--
-- p_lease_ms: the time after which an attempt without a result counts as lost; longer than a call.
-- p_claim_id: names this call, so that dm_release can give back what a lost answer claimed.
-- p_draw: uniform in [0, 1); decides the gaps. p_account_ids: only these accounts; null for all.
-- Answers {now, next_claim_at, items: [{attempt_id, message_id, account_id, unipile_account_id, recipient_id,
-- chat_id, message, attempts, was_unknown_since, known_message_ids, lease_until}]}; next_claim_at is null if
-- nothing waits for a known instant. Nothing is given while all sending is paused.
-- Errors: DM030 an argument out of range.
create or replace function public.dm_claim(
  p_worker text,
  p_limit integer,
  p_lease_ms integer,
  p_claim_id uuid default gen_random_uuid(),
  p_draw double precision default random(),
  p_account_ids uuid[] default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_lease_until constant timestamptz := p_now + make_interval(secs => p_lease_ms / 1000.0);
  v_messages jsonb := '[]';
  v_batch jsonb;
  v_account_ids uuid[];
  v_next timestamptz;
begin
  if (p_limit between 1 and 1000 and p_lease_ms between 1000 and 3600000
    and p_draw >= 0 and p_draw < 1 and length(p_worker) between 1 and 200) is not true then
    raise exception 'limit must be 1 to 1000, lease_ms 1000 to 3600000, draw in [0, 1), worker 1 to 200 characters'
      using errcode = 'DM030';
  end if;
  perform public.dm_recover(p_now);
  if public.sending_is_paused(p_now) then
    return jsonb_build_object(
      'now', p_now,
      'next_claim_at', (
        select nullif(pause.paused_until, 'infinity')
        from public.sending_pause as pause where pause.paused_until > p_now
      ),
      'items', v_messages
    );
  end if;

  -- An account that turns out to be blocked is moved on and costs one look; then the next ones are
  -- tried. Bounded: the rest waits for the next call.
  for v_round in 1..50 loop
    exit when jsonb_array_length(v_messages) >= p_limit;

    select array_agg(ready.account_id order by ready.account_id) into v_account_ids
    from (
      select policy.account_id
      from public.account_policies as policy
      where policy.next_claim_at <= p_now
        and (p_account_ids is null or policy.account_id = any (p_account_ids))
      order by policy.next_claim_at, policy.account_id
      limit p_limit - jsonb_array_length(v_messages)
      for update skip locked
    ) as ready;
    exit when v_account_ids is null;

    -- A statement of its own: its snapshot is younger than the locks.
    with gated as materialized (
      select policy.account_id, gate.reason, gate.clear_at,
        policy.gap_min_s, policy.gap_max_s,
        case when gate.reason is null then public.dm_next_due(policy.account_id, p_now) end as message_id
      from public.account_policies as policy
      cross join lateral public.account_gate(policy, p_now) as gate
      where policy.account_id = any (v_account_ids)
    ), attempt as (
      insert into public.dm_attempts (id, message_id, account_id, recipient_id, claim_id, worker, started_at,
        lease_until, effect_by)
      select gen_random_uuid(), message.id, gated.account_id, message.recipient_id, p_claim_id, p_worker, p_now,
        v_lease_until, v_lease_until
      from gated
      join public.dm_queue as message on message.id = gated.message_id
      returning id, message_id, account_id
    ), sending as (
      update public.dm_queue as message
      set status = 'sending', reason = null, error = null
      from attempt
      where message.id = attempt.message_id
      returning attempt.id as attempt_id, message.id, message.linkedin_account_id, message.recipient_id,
        message.chat_id, message.message, message.attempts, message.priority, message.due_at,
        message.position
    ), moved as (
      update public.account_policies as policy
      set
        blocked_by = case when gated.reason like 'account%' then gated.reason end,
        pace_until = case
          when attempt.id is null then policy.pace_until
          else p_now + make_interval(secs => gated.gap_min_s + (gated.gap_max_s - gated.gap_min_s) * (
            -- One draw a call, turned by the account: each account's gap is uniform.
            (p_draw + abs(hashtext(gated.account_id::text)::bigint) / 2147483648.0)
            - floor(p_draw + abs(hashtext(gated.account_id::text)::bigint) / 2147483648.0)
          ))
        end,
        next_claim_at = case
          when attempt.id is not null then v_lease_until
          -- Whoever ends the pause of all sending cannot see what this claim puts off.
          when gated.reason = 'all_paused' then p_now + interval '1 second'
          when gated.clear_at > p_now then gated.clear_at
          when gated.reason is null and next_due.at > p_now then next_due.at
          -- It is due, but somebody else is writing its row or its attempt: looked at again soon.
          else p_now + interval '1 second'
        end
      from gated
      left join attempt on attempt.account_id = gated.account_id
      left join lateral (
        select public.dm_next_due_at(gated.account_id) where gated.reason is null and attempt.id is null
      ) as next_due (at) on true
      where policy.account_id = gated.account_id
      returning policy.account_id
    )
    select coalesce(jsonb_agg(jsonb_build_object(
      'attempt_id', sending.attempt_id,
      'message_id', sending.id,
      'account_id', sending.linkedin_account_id,
      'unipile_account_id', account.unipile_account_id,
      'recipient_id', sending.recipient_id,
      'chat_id', sending.chat_id,
      'message', sending.message,
      'attempts', sending.attempts,
      'was_unknown_since', earlier.started_at,
      'known_message_ids', case when earlier.started_at is null then '[]'::jsonb
        else public.dm_known_ids(sending.linkedin_account_id, sending.recipient_id, sending.id, earlier.started_at) end,
      'lease_until', v_lease_until
    ) order by sending.priority desc, sending.due_at, sending.position), '[]'::jsonb) into v_batch
    from sending
    join public.linkedin_accounts as account on account.id = sending.linkedin_account_id
    cross join lateral (
      select min(attempt.started_at) as started_at
      from public.dm_attempts as attempt
      where attempt.message_id = sending.id and attempt.outcome = 'not_sent'
        and attempt.error_type in ('absent', 'settled')
    ) as earlier;

    v_messages := v_messages || v_batch;
  end loop;

  select min(policy.next_claim_at) into v_next
  from public.account_policies as policy
  where p_account_ids is null or policy.account_id = any (p_account_ids);
  return jsonb_build_object(
    'now', p_now,
    'next_claim_at', nullif(greatest(v_next, p_now), 'infinity'),
    'items', v_messages
  );
end;
$$;

-- dm_record: closes attempts with what became of them, in bulk.
--
-- p_results: [{attempt_id, outcome, next_step?, reason?, error?, retry_after_ms?, http_status?, error_type?,
-- detail?, unipile_message_id?, chat_id?, sent_at?, is_strike?, pause_ms?, pause_reason?}].
-- `outcome` is sent, not_sent or unknown. For not_sent, next_step says what next: `release` (never
-- dispatched), `wait` (again after retry_after_ms, nothing burned), `retry` (the same, one attempt
-- burned, at most 5), `restart` (again without the stored chat) or `fail`. pause_ms -1 is without end.
--
-- Fenced by the attempt: an attempt that was closed before is not closed again, so a result recorded
-- twice changes nothing, and a late answer never overwrites newer truth and never makes a message
-- go out again. A late `sent` is the truth whatever was thought before: it is put into the ledger,
-- and settles a message that is unknown, would have been tried again, or was given up.
-- Answers [{attempt_id, applied, status}]; applied is recorded, late, ignored or missing.
-- Errors: DM040 results that are not of this form.
create or replace function public.dm_record(p_results jsonb, p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_result record;
  v_attempt public.dm_attempts;
  v_answers jsonb := '[]';
  v_applied text;
  v_status text;
  v_late boolean;
begin
  if jsonb_typeof(p_results) is distinct from 'array' or jsonb_array_length(p_results) > 1000 then
    raise exception 'results must be an array of at most 1000' using errcode = 'DM040';
  end if;
  if exists (
    select from jsonb_array_elements(p_results) as result (value)
    where coalesce(result.value ->> 'outcome', '') not in ('sent', 'not_sent', 'unknown')
      or (result.value ->> 'outcome' = 'not_sent'
        and coalesce(result.value ->> 'next_step', '') not in ('release', 'wait', 'retry', 'restart', 'fail'))
  ) then
    raise exception 'a result has no known outcome, or no known next_step' using errcode = 'DM040';
  end if;

  perform from public.account_policies as policy
  where policy.account_id in (
    select attempt.account_id
    from jsonb_to_recordset(p_results) as result (attempt_id uuid)
    join public.dm_attempts as attempt on attempt.id = result.attempt_id
  )
  order by policy.account_id
  for update;

  for v_result in
    select result.*
    from jsonb_to_recordset(p_results) as result (
      attempt_id uuid, outcome text, next_step text, reason text, error text, retry_after_ms bigint,
      http_status integer, error_type text, detail text, unipile_message_id text, chat_id text, sent_at timestamptz,
      is_strike boolean, pause_ms bigint, pause_reason text)
  loop
    v_status := null;
    select attempt.* into v_attempt
    from public.dm_attempts as attempt where attempt.id = v_result.attempt_id for update;

    if not found then
      v_applied := 'missing';
    else
      v_late := v_attempt.finished_at is not null;
      if v_late and not (v_attempt.outcome <> 'sent' and v_result.outcome = 'sent') then
        v_applied := 'ignored';
      else
        v_applied := case when v_late then 'late' else 'recorded' end;
        update public.dm_attempts as attempt set
          finished_at = p_now,
          outcome = v_result.outcome,
          -- The effect lies before the answer. Without an answer it can come until the lease ends.
          effect_by = case v_result.outcome when 'sent' then p_now else greatest(attempt.lease_until, p_now) end,
          strike = coalesce(v_result.is_strike, false) and not v_late,
          next_read_at = case v_result.outcome when 'unknown' then public.read_back_at(p_now, null, p_now) end,
          http_status = v_result.http_status,
          error_type = left(v_result.error_type, 100),
          detail = left(v_result.detail, 500),
          unipile_message_id = left(v_result.unipile_message_id, 200),
          unipile_chat_id = left(v_result.chat_id, 200)
        where attempt.id = v_attempt.id;
        perform public.dm_message_settle(v_attempt.message_id, v_late, to_jsonb(v_result), p_now);
        perform public.account_settle(v_attempt.account_id, v_late, to_jsonb(v_result), p_now);
      end if;
      select message.status into v_status from public.dm_queue as message where message.id = v_attempt.message_id;
    end if;
    v_answers := v_answers || jsonb_build_object(
      'attempt_id', v_result.attempt_id, 'applied', v_applied, 'status', v_status);
  end loop;
  return v_answers;
end;
$$;

-- dm_message_settle: what a result means for its message. Part of dm_record and dm_recover.
create or replace function public.dm_message_settle(
  p_message_id uuid,
  p_late boolean,
  p_result jsonb,
  p_now timestamptz
)
returns void
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_outcome constant text := p_result ->> 'outcome';
  v_next_step constant text := p_result ->> 'next_step';
  v_not_before constant timestamptz :=
    p_now + make_interval(secs => (p_result ->> 'retry_after_ms')::bigint / 1000.0);
  v_attempts integer;
begin
  if v_outcome = 'sent' then
    update public.dm_queue as message set
      status = 'sent', sent_at = least(coalesce((p_result ->> 'sent_at')::timestamptz, p_now), p_now), reason = null, error = null,
      unipile_message_id = left(p_result ->> 'unipile_message_id', 200),
      chat_id = coalesce(left(p_result ->> 'chat_id', 200), message.chat_id)
    where message.id = p_message_id
      and message.status = any (case when p_late then '{unknown,pending,failed,cancelled}' else '{sending}' end::text[]);
    return;
  end if;

  -- An earlier attempt turned out to be sent while this one was under way: it is not tried again.
  update public.dm_queue as message set
    status = 'sent', sent_at = earlier.finished_at, reason = null, error = null,
    unipile_message_id = earlier.unipile_message_id,
    chat_id = coalesce(earlier.unipile_chat_id, message.chat_id)
  from public.dm_attempts as earlier
  where message.id = p_message_id and message.status = 'sending'
    and earlier.message_id = message.id and earlier.outcome = 'sent';
  if found then
    return;
  end if;

  if v_outcome = 'unknown' then
    update public.dm_queue as message set
      status = 'unknown', reason = 'answer_lost', error = left(p_result ->> 'error', 500)
    where message.id = p_message_id and message.status = 'sending';

  elsif v_next_step = 'fail' then
    update public.dm_queue as message set
      status = 'failed', reason = p_result ->> 'reason', error = left(p_result ->> 'error', 500)
    where message.id = p_message_id and message.status = 'sending';

  elsif v_next_step = 'release' then
    update public.dm_queue as message set status = 'pending'
    where message.id = p_message_id and message.status = 'sending';

  else
    select message.attempts + case when v_next_step = 'wait' then 0 else 1 end into v_attempts
    from public.dm_queue as message where message.id = p_message_id;
    update public.dm_queue as message set
      -- Five retries after the first attempt.
      status = case when v_attempts > 5 then 'failed' else 'pending' end,
      reason = case when v_attempts > 5 then 'retries_exhausted' else p_result ->> 'reason' end,
      error = left(p_result ->> 'error', 500),
      attempts = v_attempts,
      not_before = case when v_attempts > 5 then message.not_before else coalesce(v_not_before, message.not_before) end,
      chat_id = case when v_next_step = 'restart' then null else message.chat_id end
    where message.id = p_message_id and message.status = 'sending';
  end if;
end;
$$;

-- account_settle: what a result means for its account: pace, pause, breaker. Part of dm_record.
--
-- The breaker: three recipients in a row that failed, with no success between, pause the account for
-- 30 minutes. Then one message is tried; a further failure pauses it again, a success closes it.
create or replace function public.account_settle(
  p_account_id uuid,
  p_late boolean,
  p_result jsonb,
  p_now timestamptz
)
returns void
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_policy public.account_policies;
  v_until timestamptz;
  v_reason text := p_result ->> 'pause_reason';
  v_pause_ms constant bigint := (p_result ->> 'pause_ms')::bigint;
  v_strikes integer;
begin
  if p_late then
    -- What was unknown is not any more: the account need not wait for its lease.
    perform public.account_hold(p_account_id, null, null, p_now);
    return;
  end if;
  select policy.* into v_policy from public.account_policies as policy where policy.account_id = p_account_id;

  if v_pause_ms is not null then
    v_until := case when v_pause_ms < 0 then 'infinity'
      else p_now + make_interval(secs => v_pause_ms / 1000.0) end;
  elsif (p_result ->> 'is_strike')::boolean then
    select count(distinct recent.recipient_id) into v_strikes
    from (
      select attempt.recipient_id, attempt.strike,
        -- Attempts younger than this one that were sent; a strike before a success no longer counts.
        count(*) filter (where attempt.outcome = 'sent') over (order by attempt.started_at desc, attempt.position desc) as successes
      from public.dm_attempts as attempt
      where attempt.account_id = p_account_id and attempt.started_at >= v_policy.strikes_from
      order by attempt.started_at desc, attempt.position desc
      limit 50
    ) as recent
    where recent.strike and recent.successes = 0;
    if v_strikes >= 3 then
      v_until := p_now + interval '30 minutes';
      v_reason := 'breaker';
    end if;
  end if;

  update public.account_policies as policy set
    pace_until = case
      when p_result ->> 'next_step' = 'release' then policy.pace_until
      else greatest(policy.pace_until, p_now + make_interval(secs => policy.gap_min_s)) end,
    next_claim_at = '-infinity'
  where policy.account_id = p_account_id;
  if v_until is not null then
    perform public.account_hold(p_account_id, v_until, v_reason, p_now);
  end if;
end;
$$;

-- dm_release: gives back what one call of dm_claim claimed and its caller never dispatched, because
-- the answer to the call was lost. Answers how many.
create or replace function public.dm_release(p_claim_id uuid, p_worker text, p_now timestamptz default now())
returns integer
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_results jsonb;
begin
  select jsonb_agg(jsonb_build_object('attempt_id', attempt.id, 'outcome', 'not_sent', 'next_step', 'release'))
  into v_results
  from public.dm_attempts as attempt
  where attempt.finished_at is null and attempt.claim_id = p_claim_id and attempt.worker = p_worker;
  if v_results is null then
    return 0;
  end if;
  -- Somebody else may have closed some of them meanwhile.
  return (
    select count(*)
    from jsonb_array_elements(public.dm_record(v_results, p_now)) as answer (value)
    where answer.value ->> 'applied' = 'recorded'
  );
end;
$$;

-- dm_recover: closes attempts whose lease has ended without a result as `unknown`, and looks whether
-- accounts that were missing, inactive or disconnected are in order again. Answers {lost, returned}.
--
-- A row that somebody else is at is left for the next call, so it never waits.
create or replace function public.dm_recover(p_now timestamptz default now())
returns jsonb
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_account_ids uuid[];
  v_attempt record;
  v_lost integer := 0;
  v_returned integer;
begin
  select array_agg(locked.account_id) into v_account_ids
  from (
    select policy.account_id
    from public.account_policies as policy
    where policy.account_id in (
      select attempt.account_id
      from public.dm_attempts as attempt
      where attempt.finished_at is null and attempt.lease_until <= p_now
      order by attempt.lease_until
      limit 1000
    )
    order by policy.account_id
    for update skip locked
  ) as locked;

  for v_attempt in
    with lost as materialized (
      select attempt.id, attempt.message_id
      from public.dm_attempts as attempt
      where attempt.finished_at is null and attempt.lease_until <= p_now and attempt.account_id = any (v_account_ids)
    ), free as materialized (
      select message.id
      from public.dm_queue as message
      where message.id in (select lost.message_id from lost)
      order by message.id
      for update skip locked
    )
    update public.dm_attempts as attempt
    set finished_at = p_now, outcome = 'unknown', effect_by = greatest(attempt.lease_until, p_now),
      error_type = 'lease_expired', next_read_at = public.read_back_at(p_now, null, p_now)
    from lost
    where attempt.id = lost.id and (
      lost.message_id in (select free.id from free)
      -- Somebody deleted the message; the ledger stays.
      or not exists (select from public.dm_queue as message where message.id = lost.message_id)
    )
    returning attempt.account_id, attempt.message_id
  loop
    v_lost := v_lost + 1;
    perform public.dm_message_settle(
      v_attempt.message_id, false,
      '{"outcome":"unknown","error":"the process that sent it went away before it had an answer"}', p_now);
    perform public.account_settle(v_attempt.account_id, false, '{"outcome":"unknown"}', p_now);
  end loop;

  -- Seen out of order during its pause: so its return can end the pause.
  with seen as (
    select policy.account_id
    from public.account_policies as policy
    left join public.linkedin_accounts as account on account.id = policy.account_id
    where policy.pause_reason in ('account_disconnected', 'account_restricted', 'account_missing')
      and policy.paused_until > p_now and not policy.seen_inactive
      and (account.status is distinct from 'active' or account.unipile_account_id is null)
    order by policy.account_id
    for update of policy skip locked
  )
  update public.account_policies as policy set seen_inactive = true
  from seen
  where policy.account_id = seen.account_id;

  with back as (
    select policy.account_id
    from public.account_policies as policy
    join public.linkedin_accounts as account on account.id = policy.account_id
    where account.status = 'active' and account.unipile_account_id is not null
      and (policy.blocked_by is not null
        or (policy.pause_reason in ('account_disconnected', 'account_restricted', 'account_missing') and policy.seen_inactive))
    order by policy.account_id
    for update of policy skip locked
  ), returned as (
    update public.account_policies as policy set
      blocked_by = null,
      paused_until = case when policy.seen_inactive then null else policy.paused_until end,
      pause_reason = case when policy.seen_inactive then null else policy.pause_reason end,
      paused_at = case when policy.seen_inactive then null else policy.paused_at end,
      seen_inactive = false,
      next_claim_at = '-infinity'
    from back
    where policy.account_id = back.account_id
    returning policy.account_id
  )
  select count(*) into v_returned from returned;

  return jsonb_build_object('lost', v_lost, 'returned', v_returned);
end;
$$;

-- dm_explain: why a message has not gone out, and the earliest instant at which it can.
--
-- Answers {id, status, reason, can_go_at, ahead, error, next_read_at, account: {paused_until, pause_reason}}; null if there is no such
-- message. The reasons are the closed list of docs/reasons.md. It asks the gate that the claim asks.
-- can_go_at is null where no instant is known; `ahead` counts due messages that go first, up to 1,000.
create or replace function public.dm_explain(p_id uuid, p_now timestamptz default now())
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_message public.dm_queue;
  v_policy public.account_policies;
  v_reason text;
  v_at timestamptz;
  v_ahead integer := 0;
begin
  select message.* into v_message from public.dm_queue as message where message.id = p_id;
  if not found then
    return null;
  end if;
  select policy.* into v_policy
  from public.account_policies as policy where policy.account_id = v_message.linkedin_account_id;

  if v_message.status <> 'pending' then
    v_reason := coalesce(v_message.reason, v_message.status);
  else
    select gate.reason, gate.clear_at into v_reason, v_at from public.account_gate(v_policy, p_now) as gate;
    if v_message.due_at > p_now and (v_reason is null or v_message.due_at > v_at) then
      v_reason := case when v_message.not_before > v_message.send_at then coalesce(v_message.reason, 'retry_later') else 'scheduled' end;
      v_at := public.account_opens_at(v_policy, v_message.due_at);
    end if;
    select count(*) into v_ahead
    from (
      select from public.dm_queue as other
      where other.linkedin_account_id = v_message.linkedin_account_id and other.status = 'pending'
        and other.due_at <= p_now and other.id <> v_message.id
        and (other.priority > v_message.priority
          or (other.priority = v_message.priority and (other.due_at, other.position) < (v_message.due_at, v_message.position)))
      limit 1000
    ) as first;
    if v_reason is null then
      v_reason := case
        -- Nothing of the account's stands in its way; the key does, until somebody changes it.
        when v_message.reason = 'platform_key_refused' then v_message.reason
        when v_ahead > 0 then 'queued_behind'
        else 'ready'
      end;
      v_at := p_now;
    end if;
  end if;

  return jsonb_build_object(
    'id', v_message.id,
    'status', v_message.status,
    'reason', v_reason,
    'can_go_at', nullif(v_at, 'infinity'),
    'ahead', v_ahead,
    'error', v_message.error,
    'next_read_at', (
      select min(attempt.next_read_at) from public.dm_attempts as attempt where attempt.message_id = v_message.id
    ),
    'account', case when v_policy.paused_until > p_now
      then jsonb_build_object('paused_until', v_policy.paused_until, 'pause_reason', v_policy.pause_reason)
      else '{"paused_until": null, "pause_reason": null}'
    end
  );
end;
$$;

-- dm_backlog: what waits, and why: {due, scheduled, by_reason: {reason: count}, next_at}.
--
-- p_account_ids: only these accounts; null for all. Reasons of due messages are their account's; a due message of an open account is `ready`, unless the
-- platform key was refused when it was tried.
create or replace function public.dm_backlog(p_account_ids uuid[] default null, p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
  with waiting as materialized (
    select message.linkedin_account_id as account_id,
      count(*) filter (where message.due_at <= p_now) as due,
      count(*) filter (where message.due_at <= p_now and message.reason = 'platform_key_refused') as refused,
      count(*) filter (where message.due_at > p_now) as scheduled,
      min(message.due_at) as first_due_at
    from public.dm_queue as message
    where message.status = 'pending'
      and (p_account_ids is null or message.linkedin_account_id = any (p_account_ids))
    group by message.linkedin_account_id
  ), gated as materialized (
    select waiting.*, gate.reason, gate.clear_at
    from waiting
    join public.account_policies as policy on policy.account_id = waiting.account_id
    cross join lateral public.account_gate(policy, p_now) as gate
  ), reasons as (
    select coalesce(gated.reason, 'ready') as reason,
      sum(case when gated.reason is null then gated.due - gated.refused else gated.due end) as count
    from gated group by 1 having sum(case when gated.reason is null then gated.due - gated.refused else gated.due end) > 0
    union all
    select 'platform_key_refused', sum(gated.refused)
    from gated where gated.reason is null having sum(gated.refused) > 0
    union all
    select 'scheduled', sum(gated.scheduled) from gated having sum(gated.scheduled) > 0
  )
  select jsonb_build_object(
    'due', coalesce((select sum(gated.due) from gated), 0),
    'scheduled', coalesce((select sum(gated.scheduled) from gated), 0),
    'by_reason', coalesce((select jsonb_object_agg(reasons.reason, reasons.count) from reasons), '{}'::jsonb),
    'next_at', (
      select nullif(min(greatest(coalesce(gated.clear_at, p_now), gated.first_due_at)), 'infinity') from gated
    )
  );
$$;

-- dm_preview: what a run would do now, without doing it: dm_backlog, and the ids of what could be claimed at
-- once, at most one an account, up to 50.
create or replace function public.dm_preview(p_account_ids uuid[] default null, p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
  select public.dm_backlog(p_account_ids, p_now) || jsonb_build_object('would_send', coalesce((
    select jsonb_agg(open.message_id)
    from (
      select first.id as message_id
      from public.account_policies as policy
      cross join lateral public.account_gate(policy, p_now) as gate
      cross join lateral (
        select message.id
        from public.dm_queue as message
        where message.linkedin_account_id = policy.account_id and message.status = 'pending'
          and message.due_at <= p_now
        order by message.priority desc, message.due_at, message.position
        limit 1
      ) as first
      where gate.reason is null and (p_account_ids is null or policy.account_id = any (p_account_ids))
      order by policy.account_id
      limit 50
    ) as open
  ), '[]'::jsonb));
$$;

-- dm_counts: how many messages are in each status.
create or replace function public.dm_counts(p_now timestamptz default now())
returns jsonb
language sql
stable
security invoker
set search_path = ''
set statement_timeout = '60s'
as $$
  select coalesce(jsonb_object_agg(counted.status, counted.count), '{}'::jsonb)
  from (select message.status, count(*) from public.dm_queue as message group by message.status) as counted;
$$;

revoke execute on function
  public.dm_problems, public.dm_queue_before_write, public.account_wake, public.dm_queue_after_insert,
  public.dm_queue_after_update, public.dm_enqueue, public.is_instant, public.dm_next_due, public.dm_next_due_at,
  public.dm_claim, public.dm_record, public.dm_message_settle, public.account_settle, public.dm_release,
  public.dm_recover, public.dm_explain, public.dm_backlog, public.dm_preview, public.dm_counts
from public, anon, authenticated;
grant execute on function
  public.dm_problems, public.dm_queue_before_write, public.account_wake, public.dm_queue_after_insert,
  public.dm_queue_after_update, public.dm_enqueue, public.is_instant, public.dm_next_due, public.dm_next_due_at,
  public.dm_claim, public.dm_record, public.dm_message_settle, public.account_settle, public.dm_release,
  public.dm_recover, public.dm_explain, public.dm_backlog, public.dm_preview, public.dm_counts
to service_role;
