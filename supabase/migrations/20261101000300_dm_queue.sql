-- dm_queue: enqueue, claim, record, recover, explain.
--
-- What runs for every message is planned once a session (plan_cache_mode): planning it anew took ten times as long as
-- doing it. The session may do so while the tables are small, and a scan that was right then grows with the history
-- (claims of 100 went from 29 ms to 183 ms within 38 calls): so enable_seqscan is off, and so are the joins that go through
-- a whole index where a batch is joined with a table, and keeping one at hand (enable_material).
--
-- Before Postgres 18 what is forbidden and done all the same, as reading a table of one row, costs ten thousand million: dear
-- enough for such a statement to be compiled, each time (a claim of 5: 394 ms instead of 4, on Postgres 15). So jit is
-- off wherever one of these is.

-- What is wrong with a message, field by field: [{code, field, problem}]; null if nothing is. The one place of these rules:
-- an insert by plain SQL and dm_enqueue both ask here; those of its text are text_problems'. Null, not an empty set: that costs
-- a tenth of it. Whether its account is one is asked of many messages at once (dm_missing_account).
create or replace function public.dm_problems(
  p_recipient_id text,
  p_message text,
  p_chat_id text,
  p_dedupe_key text,
  p_priority integer,
  p_is_literal boolean
)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_text_problems constant jsonb := public.text_problems(p_message, 8000, p_is_literal);
  v_problems jsonb[];
begin
  -- Its length is looked at apart: a bound within the pattern takes ten times as long.
  if coalesce(p_recipient_id, '') !~ '^ACo[A-Za-z0-9_-]+$' or length(p_recipient_id) > 199 then
    v_problems := v_problems || jsonb_build_object('code', 'DM002', 'field', 'recipient_id',
      'problem', public.provider_id_problem(p_recipient_id));
  end if;
  if v_text_problems is not null then
    select v_problems || array_agg(jsonb_build_object(
      'code', case wrong.rule when 'empty' then 'DM003' when 'too_long' then 'DM004' when 'placeholder' then 'DM005' else 'DM014' end,
      'field', 'message',
      'problem', wrong.problem || case wrong.rule when 'placeholder' then '; if it is meant, set is_literal' else '' end))
    into v_problems
    from jsonb_to_recordset(v_text_problems) as wrong (rule text, problem text);
  end if;
  if length(p_chat_id) not between 1 and 200 then
    v_problems := v_problems || jsonb_build_object('code', 'DM006', 'field', 'chat_id',
      'problem', case p_chat_id when '' then 'is empty'
        else format('is too long: %s characters, of 200 at most', length(p_chat_id)) end);
  end if;
  if length(p_dedupe_key) not between 1 and 200 then
    v_problems := v_problems || jsonb_build_object('code', 'DM006', 'field', 'dedupe_key',
      'problem', case p_dedupe_key when '' then 'is empty'
        else format('is too long: %s characters, of 200 at most', length(p_dedupe_key)) end);
  end if;
  -- Two keys, or chats, of which the same was lost would be one.
  if strpos(p_chat_id, U&'\FFFD') > 0 then
    v_problems := v_problems || jsonb_build_object('code', 'DM014', 'field', 'chat_id',
      'problem', 'has characters that could not be read (U+FFFD)');
  end if;
  if strpos(p_dedupe_key, U&'\FFFD') > 0 then
    v_problems := v_problems || jsonb_build_object('code', 'DM014', 'field', 'dedupe_key',
      'problem', 'has characters that could not be read (U+FFFD)');
  end if;
  if coalesce(p_priority, -1) not between 0 and 9 then
    v_problems := v_problems || jsonb_build_object('code', 'DM007', 'field', 'priority',
      'problem', 'must be a whole number from 0 to 9');
  end if;
  return to_jsonb(v_problems);
end;
$$;

-- provider_id_problem: what is wrong with what should be a person's LinkedIn provider id. Ids of Sales Navigator and Recruiter are ids
-- of the same person that no ordinary message reaches.
create or replace function public.provider_id_problem(p_id text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when p_id ~ '^ACw[A-Za-z0-9_-]+$'
      then 'is an id of Sales Navigator (ACw…): the person’s classic provider id is wanted, which begins with ACo'
    when p_id ~ '^AE[A-Za-z0-9_-]+$'
      then 'is an id of Recruiter (AE…): the person’s classic provider id is wanted, which begins with ACo'
    else 'must be a LinkedIn provider id such as ACoAAB…, not a profile link or name'
  end;
$$;

-- dm_chat_of_another: whether the ledger knows a chat, and only as that of other recipients: whoever writes into it is read there by them.
-- Known as this one's too, it is by Unipile's own word: a person can have two ids.
create or replace function public.dm_chat_of_another(p_chat_id text, p_recipient_id text)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return coalesce((
    select bool_and(attempt.recipient_id <> p_recipient_id) from public.dm_attempts as attempt
    where attempt.unipile_chat_id = p_chat_id and attempt.outcome = 'sent'
  ), false);
end;
$$;

-- dm_digest: what a message is, for the key it spent: its account, recipient and text.
create or replace function public.dm_digest(p_account_id uuid, p_recipient_id text, p_message text)
returns bytea
language sql
stable
security invoker
set search_path = ''
as $$
  select sha256(convert_to(p_account_id || E'\n' || p_recipient_id || E'\n' || p_message, 'UTF8'));
$$;

-- dm_difference: in what two messages of one dedupe key differ, in words; null if in nothing.
create or replace function public.dm_difference(
  p_account_differs boolean,
  p_recipient_differs boolean,
  p_message_differs boolean
)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select 'another ' || nullif(concat_ws(' and ', case when p_account_differs then 'account' end,
    case when p_recipient_differs then 'recipient' end, case when p_message_differs then 'text' end), '');
$$;

-- dm_missing_account: one of the given ids that is no account's; null if there is none.
create or replace function public.dm_missing_account(p_account_ids uuid[])
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
begin
  return (
    select given.id from unnest(p_account_ids) as given (id)
    where (select account.id from public.linkedin_accounts as account where account.id = given.id) is null
    limit 1
  );
end;
$$;

-- Guards every write to dm_queue, whoever makes it.
--
-- Errors: DM002 to DM007 and DM014 as dm_problems; DM001 an account that is none, in a new message after the statement; DM008 a
-- new row that is not pending; DM009 a message that would be sent again although it was, or may have been, sent; DM010 a
-- change to what was sent; DM015 a chat of another recipient; DM016 a dedupe key of another message, also where the insert
-- would pass over what exists; and, after the statement, DM011 a message taken out of `sending` while its call is out, and
-- DM012 one put into it.
create or replace function public.dm_queue_before_write()
returns trigger
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_problem jsonb;
  v_twin record;
  v_difference text;
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
    -- What has no need of a table is asked first, and by itself: it costs a hundredth of a look.
    if new.status = 'pending' and old.status <> 'pending' then
      if exists (
        select from public.dm_attempts as attempt
        where attempt.message_id = new.id and attempt.outcome is distinct from 'not_sent'
      ) then
        raise exception 'message % was sent, or may have been: it is not sent again', new.id
          using errcode = 'DM009', detail = '{"field":"status"}';
      end if;
    end if;
    if (new.message, new.recipient_id, new.linkedin_account_id)
      is distinct from (old.message, old.recipient_id, old.linkedin_account_id) then
      if old.status in ('sending', 'sent', 'unknown') or exists (
        -- It once was unknown, and is looked for by what it says right before it goes out again.
        select from public.dm_attempts as attempt
        where attempt.message_id = new.id and attempt.error_type in ('absent', 'settled', 'restored')
      ) then
        raise exception 'message % is %: its text, recipient and account stand', new.id, old.status
          using errcode = 'DM010';
      end if;
    end if;
  end if;

  if tg_op = 'INSERT'
    or (new.message, new.recipient_id, new.linkedin_account_id, new.priority, new.is_literal)
      is distinct from (old.message, old.recipient_id, old.linkedin_account_id, old.priority, old.is_literal)
    -- Every message that was sent has a chat from then on: it is looked at by itself.
    or length(new.chat_id) not between 1 and 200 then
    v_problem := public.dm_problems(
      new.recipient_id, new.message, new.chat_id, new.dedupe_key, new.priority, new.is_literal) -> 0;
    if v_problem is not null then
      raise exception '% %', v_problem ->> 'field', v_problem ->> 'problem'
        using errcode = v_problem ->> 'code', detail = jsonb_build_object('field', v_problem -> 'field')::text;
    end if;
  end if;
  if tg_op = 'UPDATE' and new.linkedin_account_id is distinct from old.linkedin_account_id
    and public.dm_missing_account(array[new.linkedin_account_id]) is not null then
    raise exception 'linkedin_account_id names no account'
      using errcode = 'DM001', detail = '{"field":"linkedin_account_id"}';
  end if;
  -- What Unipile answered is written down as it is; only what still has to go is judged.
  if new.status = 'pending' and new.chat_id is not null and (tg_op = 'INSERT'
    or (new.chat_id, new.recipient_id) is distinct from (old.chat_id, old.recipient_id))
    and public.dm_chat_of_another(new.chat_id, new.recipient_id) then
    raise exception 'chat_id is the chat of another recipient'
      using errcode = 'DM015', detail = '{"field":"chat_id"}';
  end if;
  -- Here, where the row is seen that an insert which ignores duplicates passes over; also one of the same statement.
  if tg_op = 'INSERT' and new.dedupe_key is not null then
    if current_setting('revos.is_enqueue', true) is distinct from 'on' then
      -- What another session has not committed cannot be seen, and would be passed over as well: its end is waited for.
      perform pg_advisory_xact_lock(hashtext('public.dm_queue.dedupe_key'));
    end if;
    select message.id, message.linkedin_account_id, message.recipient_id, message.message into v_twin
    from public.dm_queue as message where message.dedupe_key = new.dedupe_key;
    if v_twin.id is not null then
      v_difference := public.dm_difference(v_twin.linkedin_account_id <> new.linkedin_account_id,
        v_twin.recipient_id <> new.recipient_id, v_twin.message <> new.message);
      if v_difference is not null then
        raise exception 'dedupe_key is that of message %, with %', v_twin.id, v_difference
          using errcode = 'DM016', detail = jsonb_build_object('field', 'dedupe_key', 'twin_id', v_twin.id)::text;
      end if;
    end if;
  end if;
  return new;
end;
$$;

drop trigger if exists dm_queue_before_write on public.dm_queue;

create or replace trigger dm_queue_before_insert
  before insert on public.dm_queue
  for each row execute function public.dm_queue_before_write();

-- Not for what a claim or an answer changes: they keep updated_at by themselves, and it would be run for every message twice.
create or replace trigger dm_queue_before_update
  before update on public.dm_queue
  for each row
  when (
    new.updated_at is not distinct from old.updated_at
    or new.status = 'pending' and old.status <> 'pending'
    or (new.message, new.recipient_id, new.linkedin_account_id, new.priority, new.is_literal)
      is distinct from (old.message, old.recipient_id, old.linkedin_account_id, old.priority, old.is_literal)
    or length(new.chat_id) not between 1 and 200
    or new.status = 'pending' and new.chat_id is distinct from old.chat_id
  )
  execute function public.dm_queue_before_write();

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
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set plan_cache_mode = force_generic_plan
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
  -- As values too: a plan that was made among few accounts would go through all of them.
  where policy.account_id = wake.account_id and policy.account_id = any (p_account_ids) and policy.next_claim_at > wake.at;
end;
$$;

-- dm_repeats: what the given texts repeat, of which waits or may have gone out what says the same to the same person, from whatever
-- account or campaign: [{key, message_id, at}], at is null for what waits. `key` is that of text_key. As far back as the ledger goes.
--
-- Asked key by key, each of two indexes.
create or replace function public.dm_repeats(p_text_keys bigint[])
returns table (key bigint, message_id uuid, at timestamptz)
language plpgsql
stable
security invoker
rows 10
set search_path = ''
set enable_seqscan = off
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  select given.key, coalesce(waiting.id, gone.message_id), case when waiting.id is null then gone.effect_by end
  from (select distinct every.key from unnest(p_text_keys) as every (key)) as given
  left join lateral (
    select message.id from public.dm_queue as message
    where message.text_key = given.key and message.status = 'pending'
    limit 1
  ) as waiting on true
  left join lateral (
    select attempt.message_id, attempt.effect_by from public.dm_attempts as attempt
    where waiting.id is null and attempt.text_key = given.key and attempt.outcome is distinct from 'not_sent'
    order by attempt.effect_by desc
    limit 1
  ) as gone on true
  where waiting.id is not null or gone.message_id is not null;
end;
$$;

-- New messages make their account's policy, and wake it. One whose dedupe key was used by a message that has ended and is
-- gone by now is refused: it would go out twice. So is one that repeats what its account may not repeat (no_repeat_days): looked
-- at once the account's policy is locked, so that of two calls the second sees the first.
--
-- Errors: DM001 an account that is none; DM013 such a key, DM016 one of another message; DM017 a repetition.
create or replace function public.dm_queue_after_insert()
returns trigger
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
  v_account_ids uuid[];
  v_ats timestamptz[];
  v_spent record;
begin
  -- After the rows: also a message that was going while they waited for its key is seen. Asked key by key, as a value: as a
  -- join it may read all the keys there ever were.
  select used.message_id, used.is_other into v_spent
  from inserted
  cross join lateral (
    select spent.message_id, spent.digest <>
      public.dm_digest(inserted.linkedin_account_id, inserted.recipient_id, inserted.message) as is_other
    from public.dm_spent_keys as spent where spent.dedupe_key = inserted.dedupe_key
    limit 1
  ) as used
  limit 1;
  if v_spent.is_other then
    raise exception 'dedupe_key is that of a message that has ended, with another account, recipient or text'
      using errcode = 'DM016', detail = jsonb_build_object('field', 'dedupe_key', 'twin_id', v_spent.message_id)::text;
  elsif v_spent.message_id is not null then
    raise exception 'the dedupe key is that of a message that has ended'
      using errcode = 'DM013', detail = '{"field":"dedupe_key"}';
  end if;
  select array_agg(due.account_id order by due.account_id), array_agg(due.at order by due.account_id)
  into v_account_ids, v_ats
  from (
    select inserted.linkedin_account_id, min(inserted.due_at) from inserted group by inserted.linkedin_account_id
  ) as due (account_id, at);
  if public.dm_missing_account(v_account_ids) is not null then
    raise exception 'linkedin_account_id names no account'
      using errcode = 'DM001', detail = '{"field":"linkedin_account_id"}';
  end if;
  perform public.account_wake(v_account_ids, v_ats);
  if exists (
    select from public.account_policies as policy where policy.account_id = any (v_account_ids) and policy.no_repeat_days > 0
  ) then
    perform public.dm_refuse_repeats((select array_agg(inserted.id) from inserted));
  end if;
  return null;
end;
$$;

-- dm_refuse_repeats: refuses messages, just inserted, that repeat what their account may not repeat. Part of dm_queue_after_insert.
--
-- Errors: DM017.
create or replace function public.dm_refuse_repeats(p_ids uuid[])
returns void
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
  v_twin_id uuid;
begin
  select twin.id into v_twin_id
  from unnest(p_ids) as given (id)
  join public.dm_queue as message on message.id = given.id
  join public.account_policies as policy on policy.account_id = message.linkedin_account_id
  cross join lateral (
    (select waiting.id
    from public.dm_queue as waiting
    where waiting.text_key = message.text_key and waiting.status = 'pending' and waiting.id <> message.id
      -- Of those of one statement, the first is no repetition.
      and (waiting.position < message.position or waiting.id <> all (p_ids))
    limit 1)
    union all
    (select attempt.message_id
    from public.dm_attempts as attempt
    where attempt.text_key = message.text_key and attempt.outcome is distinct from 'not_sent'
      and attempt.effect_by > message.created_at - make_interval(days => policy.no_repeat_days)
    limit 1)
  ) as twin
  where policy.no_repeat_days > 0
  limit 1;
  if v_twin_id is not null then
    raise exception 'message says the same to the same person as message %, which its account may not do', v_twin_id
      using errcode = 'DM017', detail = jsonb_build_object('field', 'message', 'twin_id', v_twin_id)::text;
  end if;
end;
$$;

create or replace trigger dm_queue_after_insert
  after insert on public.dm_queue
  referencing new table as inserted
  for each statement execute function public.dm_queue_after_insert();

-- A message that becomes pending, or due at another time, wakes its account too. And what its status says of its call is
-- so: looked at here, where an attempt that the same statement wrote can be seen.
--
-- Errors: DM011, DM012 as dm_queue_before_write.
create or replace function public.dm_queue_after_update()
returns trigger
language plpgsql
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
-- A person may change 10,000 at once: old and new are joined by a hash, whoever calls.
set enable_hashjoin = on
set plan_cache_mode = force_generic_plan
as $$
declare
  v_account_ids uuid[];
  v_ats timestamptz[];
  v_escaped uuid;
  v_intruder uuid;
begin
  with changed as materialized (
    select updated.id, updated.linkedin_account_id as account_id, updated.due_at, updated.status,
      case
        -- A count, so that it is asked by the account, which has one at most: as a join it goes through all that is in flight,
        -- for each.
        when (updated.status = 'sending') <> (previous.status = 'sending') then (
          select count(*) from public.dm_attempts as attempt
          where attempt.account_id = updated.linkedin_account_id and attempt.finished_at is null
            and attempt.message_id = updated.id
        ) > 0
      end as is_under_way
    from updated
    join previous on previous.id = updated.id
    where (previous.status, previous.due_at, previous.linkedin_account_id)
      is distinct from (updated.status, updated.due_at, updated.linkedin_account_id)
  ), due as (
    select changed.account_id, min(changed.due_at) as at
    from changed where changed.status = 'pending' group by changed.account_id
  )
  select
    (select changed.id from changed where changed.status <> 'sending' and changed.is_under_way limit 1),
    (select changed.id from changed where changed.status = 'sending' and not changed.is_under_way limit 1),
    array_agg(due.account_id order by due.account_id),
    array_agg(due.at order by due.account_id)
  into v_escaped, v_intruder, v_account_ids, v_ats
  from due;

  if v_escaped is not null then
    raise exception 'message % is on its way: what became of it decides', v_escaped
      using errcode = 'DM011', detail = '{"field":"status"}';
  end if;
  if v_intruder is not null then
    raise exception 'a message becomes sending by dm_claim alone'
      using errcode = 'DM012', detail = '{"field":"status"}';
  end if;
  if v_account_ids is not null then
    perform public.account_wake(v_account_ids, v_ats);
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
-- p_rows: an array of up to 10,000 objects {linkedin_account_id, recipient_id, message, chat_id?, send_at?, priority?, dedupe_key?,
-- campaign_id?, lead_id?, is_literal?}. A row whose dedupe_key is queued already, or was and has ended, however long ago, is not
-- queued again. Answers {enqueued, existing, messages: [{row, id, is_new}], repeated, warnings: [{row, field, problem,
-- twin_row | twin_id}]}, rows counted from 0; `repeated` are the rows that say the same to the same person as another one, and the
-- warnings name the first 1,000 of them.
-- Errors: DM020 not an array, or too many rows; DM021 bad rows, all of them listed in the detail
-- as [{row, field, problem, twin_row?, twin_id?}]: then nothing is queued. A twin is the row, or the message, that it cannot stand beside.
create or replace function public.dm_enqueue(
  p_rows jsonb,
  p_actor text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
security invoker
set search_path = ''
-- What is looked up by a key, for each row, stays so however few there were when it was planned.
set enable_seqscan = off
set jit = off
as $$
declare
  v_problems jsonb;
  v_twins jsonb;
  v_ids uuid[];
  v_positions bigint[];
  v_new_ids uuid[];
  v_answer jsonb;
begin
  if jsonb_typeof(p_rows) is distinct from 'array' or jsonb_array_length(p_rows) > 10000 then
    raise exception 'rows must be an array of at most 10000 messages' using errcode = 'DM020';
  end if;

  -- As dm_queue_before_write, but calls of this function do not wait for each other: what an insert passes over is looked at below.
  perform pg_advisory_xact_lock_shared(hashtext('public.dm_queue.dedupe_key'));
  v_problems := public.dm_row_problems(p_rows);
  v_twins := public.dm_row_twins(p_rows, p_now);
  if v_problems is not null or v_twins ? 'problems' then
    perform public.dm_refuse_rows(coalesce(v_problems, '[]') || coalesce(v_twins -> 'problems', '[]'));
  end if;

  -- Rows are inserted in the order of their keys, so that two calls with the same keys cannot deadlock;
  -- their positions keep the order in which they were given.
  select array_agg(gen_random_uuid()), array_agg(nextval('public.dm_queue_position_seq'))
  into v_ids, v_positions
  from jsonb_array_elements(p_rows);
  perform set_config('revos.is_enqueue', 'on', true);
  with given as materialized (
    select row.ordinality as row, v_ids[row.ordinality] as id, row.value
    from jsonb_array_elements(p_rows) with ordinality as row (value, ordinality)
    -- One that is spent between is refused after the insert.
    where not (v_twins -> 'has_spent')::boolean or (
      select spent.message_id from public.dm_spent_keys as spent where spent.dedupe_key = row.value ->> 'dedupe_key'
    ) is null
  ), inserted as (
    insert into public.dm_queue (id, linkedin_account_id, recipient_id, message, chat_id, send_at, priority,
      dedupe_key, campaign_id, lead_id, is_literal, created_at, updated_at, position)
    overriding system value
    select given.id, (given.value ->> 'linkedin_account_id')::uuid, given.value ->> 'recipient_id',
      given.value ->> 'message', given.value ->> 'chat_id',
      coalesce((given.value ->> 'send_at')::timestamptz, p_now),
      coalesce((given.value ->> 'priority')::smallint, 0), given.value ->> 'dedupe_key',
      (given.value ->> 'campaign_id')::uuid, (given.value ->> 'lead_id')::uuid,
      coalesce((given.value ->> 'is_literal')::boolean, false), p_now, p_now, v_positions[given.row]
    from given
    order by given.value ->> 'dedupe_key' collate "C", given.row
    on conflict (dedupe_key) do nothing
    returning id
  )
  select array_agg(inserted.id) into v_new_ids from inserted;
  perform set_config('revos.is_enqueue', 'off', true);

  if cardinality(v_new_ids) = jsonb_array_length(p_rows) then
    select jsonb_build_object('enqueued', count(*), 'existing', 0, 'messages',
      jsonb_agg(jsonb_build_object('row', new.row - 1, 'id', new.id, 'is_new', true) order by new.row))
    into v_answer
    from unnest(v_ids) with ordinality as new (id, row);
  else
    -- A statement of its own: it sees the row of another session that the insert waited for, and whether it is the same message.
    select jsonb_build_object(
        'enqueued', count(given.new_id),
        'existing', count(*) - count(given.new_id),
        'messages', coalesce(jsonb_agg(jsonb_build_object(
          'row', given.row - 1,
          'id', coalesce(given.new_id, existing.id,
            (select spent.message_id from public.dm_spent_keys as spent
            where given.new_id is null and existing.id is null and spent.dedupe_key = given.value ->> 'dedupe_key')),
          'is_new', given.new_id is not null
        ) order by given.row), '[]'::jsonb)
      ), jsonb_agg(jsonb_build_object(
        'row', given.row - 1, 'field', 'dedupe_key',
        'problem', 'is that of a message that was queued before, with ' || existing.difference, 'twin_id', existing.id
      ) order by given.row) filter (where existing.difference is not null)
      into v_answer, v_problems
      from (
        select row.value, row.ordinality as row, inserted.id as new_id
        from jsonb_array_elements(p_rows) with ordinality as row (value, ordinality)
        left join unnest(v_new_ids) as inserted (id) on inserted.id = v_ids[row.ordinality]
      ) as given
      left join lateral (
        select message.id, public.dm_difference(message.linkedin_account_id <> (given.value ->> 'linkedin_account_id')::uuid,
          message.recipient_id <> given.value ->> 'recipient_id', message.message <> given.value ->> 'message') as difference
        from public.dm_queue as message
        where given.new_id is null and message.dedupe_key = given.value ->> 'dedupe_key'
      ) as existing on true;
    if v_problems is not null then
      perform public.dm_refuse_rows(v_problems);
    end if;
  end if;
  perform public.audit_add(p_actor, 'message.enqueue', null, v_answer - 'messages'
    || case when (v_twins -> 'literal')::integer > 0 then jsonb_build_object('literal', v_twins -> 'literal') else '{}' end, p_now);
  return v_answer || (v_twins - array['problems', 'has_spent', 'literal']);
end;
$$;

-- dm_refuse_rows: refuses a call, naming what is wrong with its rows. Part of dm_enqueue. Errors: DM021.
create or replace function public.dm_refuse_rows(p_problems jsonb)
returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  raise exception '% problem(s) in the rows; nothing was queued', jsonb_array_length(p_problems)
    using errcode = 'DM021', detail = (
      select jsonb_agg(problem.value order by (problem.value ->> 'row')::integer, problem.value ->> 'field')::text
      from jsonb_array_elements(p_problems) as problem (value)
    );
end;
$$;

-- dm_row_problems: what is wrong with rows by themselves: [{row, field, problem}]; null if nothing is. Part of dm_enqueue.
--
-- Every row is judged alone, so that wrong rows take as long as right ones: what is known of many at once (instants, accounts) is looked
-- up in an object, never joined. Of fields that are none, a row's first ten are named, and the rest counted.
create or replace function public.dm_row_problems(p_rows jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
  v_fields constant text[] := array['linkedin_account_id', 'recipient_id', 'message', 'chat_id', 'send_at', 'priority', 'dedupe_key',
    'campaign_id', 'lead_id', 'is_literal'];
  v_bad_instants jsonb;
  v_known_accounts jsonb;
begin
  -- Most rows of a batch have the same instant, and few accounts.
  select coalesce(jsonb_object_agg(instant.text, true) filter (where not public.is_instant(instant.text)), '{}')
  into v_bad_instants
  from (
    select distinct row.value ->> 'send_at' as text from jsonb_array_elements(p_rows) as row (value)
    where jsonb_typeof(row.value) = 'object'
  ) as instant
  where instant.text is not null;
  select coalesce(jsonb_object_agg(account.text, true) filter (
    where public.dm_missing_account(array[account.text::uuid]) is null
  ), '{}')
  into v_known_accounts
  from (
    select distinct row.value ->> 'linkedin_account_id' as text from jsonb_array_elements(p_rows) as row (value)
    where jsonb_typeof(row.value) = 'object'
  ) as account
  where public.is_uuid(account.text);

  return (
    select jsonb_agg(jsonb_build_object('row', wrong.row, 'field', wrong.field, 'problem', wrong.problem))
    from (
      select row.ordinality - 1 as row, null as field, 'must be an object' as problem
      from jsonb_array_elements(p_rows) with ordinality as row (value, ordinality)
      where jsonb_typeof(row.value) <> 'object'
      union all
      select shaped.row, found.field, found.problem
      from (
        select row.ordinality - 1 as row, row.value, row.value - v_fields as others,
          row.value ->> 'linkedin_account_id' as account, row.value ->> 'campaign_id' as campaign, row.value ->> 'lead_id' as lead,
          row.value ->> 'priority' as priority, row.value ->> 'send_at' as send_at,
          row.value ->> 'recipient_id' as recipient, row.value ->> 'message' as message, row.value ->> 'chat_id' as chat,
          row.value ->> 'dedupe_key' as key, row.value ->> 'is_literal' as literal
        from jsonb_array_elements(p_rows) with ordinality as row (value, ordinality)
        where jsonb_typeof(row.value) = 'object'
        -- Each is taken out once.
        offset 0
      ) as shaped
      cross join lateral (
        select public.dm_problems(shaped.recipient, shaped.message, shaped.chat, shaped.key,
          -- What cannot be read is named below; here it is left out.
          case when shaped.priority ~ '^[0-9]$' then shaped.priority::integer else 0 end,
          shaped.literal = 'true') as problems,
          -- What most rows have nothing of is asked at once, and only then one by one.
          shaped.others = '{}' and v_known_accounts ? shaped.account
            and (shaped.campaign is null or public.is_uuid(shaped.campaign)) and (shaped.lead is null or public.is_uuid(shaped.lead))
            and (shaped.send_at is null or not v_bad_instants ? shaped.send_at)
            and (shaped.priority is null or shaped.priority ~ '^[0-9]$') and shaped.literal is null
            and jsonb_typeof(shaped.value -> 'recipient_id') = 'string' and jsonb_typeof(shaped.value -> 'message') = 'string'
            and (shaped.chat is null or jsonb_typeof(shaped.value -> 'chat_id') = 'string')
            and (shaped.key is null or jsonb_typeof(shaped.value -> 'dedupe_key') = 'string') as is_in_shape
        offset 0
      ) as content
      cross join lateral (
        select wrong.field, wrong.problem
        from jsonb_to_recordset(content.problems) as wrong (field text, problem text)
        where content.problems is not null
        union all
        select 'linkedin_account_id', case when not public.is_uuid(shaped.account) then 'must be a UUID' else 'names no account' end
        where (v_known_accounts ? shaped.account) is not true
        union all
        select 'campaign_id', 'must be a UUID' where shaped.campaign is not null and not public.is_uuid(shaped.campaign)
        union all
        select 'lead_id', 'must be a UUID' where shaped.lead is not null and not public.is_uuid(shaped.lead)
        union all
        select 'send_at', 'must be an ISO 8601 instant with a zone, such as 2026-03-01T09:30:00Z'
        where v_bad_instants ? shaped.send_at
        union all
        select 'priority', 'must be a whole number from 0 to 9' where shaped.priority !~ '^[0-9]$'
        union all
        select 'is_literal', 'must be true or false'
        where shaped.literal is not null and jsonb_typeof(shaped.value -> 'is_literal') <> 'boolean'
        union all
        select text.name, 'must be text'
        from unnest(array['recipient_id', 'message', 'chat_id', 'dedupe_key']) as text (name)
        where jsonb_typeof(shaped.value -> text.name) not in ('string', 'null')
        union all
        (select left(other.name, 60), 'is not a field of a message'
        from jsonb_object_keys(shaped.others) as other (name)
        where shaped.others <> '{}'
        limit 10)
        union all
        select null, format('has %s more fields that are not of a message', other.count - 10)
        from (select count(*) from jsonb_object_keys(shaped.others) as every (name)) as other
        where shaped.others <> '{}' and other.count > 10
      ) as found
      where content.problems is not null or content.is_in_shape is not true
    ) as wrong
  );
end;
$$;

-- is_uuid: whether text is a UUID, as it is usually written. In three steps: one pattern with bounds takes several times as long.
create or replace function public.is_uuid(p_text text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return (p_text like '________-____-____-____-____________' and length(replace(p_text, '-', '')) = 32
    and p_text !~ '[^0-9a-fA-F-]') is true;
end;
$$;

-- dm_row_twins: which rows cannot stand beside another row, or beside what is queued, was sent, or has ended: a dedupe key of another
-- message, a chat of another recipient, a repetition where the account's policy forbids it; and which say the same to the same person
-- all the same. {problems?: [{row, field, problem, twin_row | twin_id}], repeated, warnings: [the same], has_spent, literal}: whether a key
-- is that of a message that has ended, and how many rows are literal. Part of dm_enqueue.
create or replace function public.dm_row_twins(p_rows jsonb, p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
  v_strict jsonb;
  v_repeats jsonb;
begin
  -- Their texts are looked up all at once, since most say nothing twice.
  select coalesce(jsonb_object_agg(repeated.key::text, jsonb_build_object('id', repeated.message_id, 'at', repeated.at)), '{}')
  into v_repeats
  from public.dm_repeats((
    select array_agg(hashtextextended((row.value ->> 'recipient_id') || E'\n' || (row.value ->> 'message'), 0))
    from jsonb_array_elements(p_rows) as row (value)
  )) as repeated;
  select coalesce(jsonb_object_agg(policy.account_id::text, policy.no_repeat_days) filter (where policy.no_repeat_days > 0), '{}')
  into v_strict
  from (
    select distinct lower(row.value ->> 'linkedin_account_id') as text from jsonb_array_elements(p_rows) as row (value)
  ) as account
  cross join lateral (
    select known.account_id, known.no_repeat_days from public.account_policies as known
    where known.account_id = case when public.is_uuid(account.text) then account.text::uuid end
    offset 0
  ) as policy;

  return (
    with given as materialized (
      select row.ordinality - 1 as row, lower(row.value ->> 'linkedin_account_id') as account, row.value ->> 'recipient_id' as recipient,
        -- Not the texts themselves: they would be carried from step to step.
        hashtextextended(row.value ->> 'message', 0) as message_key, row.value ->> 'dedupe_key' as key, row.value ->> 'chat_id' as chat,
        hashtextextended((row.value ->> 'recipient_id') || E'\n' || (row.value ->> 'message'), 0) as text_key,
        row.value -> 'is_literal' = 'true' as is_literal
      from jsonb_array_elements(p_rows) with ordinality as row (value, ordinality)
    ), placed as materialized (
      -- Beside each row, the first one of its key, of its chat, and of its text.
      select given.*,
        first_value(given.row) over by_key as key_row, first_value(given.account) over by_key as key_account,
        first_value(given.recipient) over by_key as key_recipient, first_value(given.message_key) over by_key as key_message_key,
        first_value(given.row) over by_chat as chat_row, first_value(given.recipient) over by_chat as chat_recipient,
        first_value(given.row) over by_text as text_row
      from given
      -- Numbers are put in order several times as fast as texts.
      window by_key as (partition by hashtextextended(given.key, 0) order by given.row),
        by_chat as (partition by hashtextextended(given.chat, 0) order by given.row),
        by_text as (partition by given.text_key order by given.row)
    ), known as materialized (
      select placed.*, stored.id as stored_id, stored.difference as stored_difference,
        spent.message_id as spent_id, spent.is_other as spent_is_other
      from placed
      left join lateral (
        select message.id, public.dm_difference(message.linkedin_account_id::text <> placed.account,
          message.recipient_id <> placed.recipient, hashtextextended(message.message, 0) <> placed.message_key) as difference
        from public.dm_queue as message where message.dedupe_key = placed.key
        offset 0
      ) as stored on true
      left join lateral (
        select ended.message_id, ended.digest <> public.dm_digest(
          case when public.is_uuid(placed.account) then placed.account::uuid end, placed.recipient,
          p_rows -> placed.row::integer ->> 'message') as is_other
        from public.dm_spent_keys as ended where ended.dedupe_key = placed.key
        offset 0
      ) as spent on true
    ), told as materialized (
      select known.row, 'dedupe_key' as field, false as is_warning,
        'is that of a message that was queued before, with ' || known.stored_difference as problem,
        null::bigint as twin_row, known.stored_id as twin_id
      from known where known.stored_difference is not null
      union all
      select known.row, 'dedupe_key', false, 'is that of a message that has ended, with another account, recipient or text',
        null, known.spent_id
      from known where known.spent_is_other
      union all
      select known.row, 'dedupe_key', false, 'is that of another row, with ' || twin.difference, known.key_row, null
      from known
      cross join lateral (
        select public.dm_difference(known.account <> known.key_account, known.recipient <> known.key_recipient,
          known.message_key <> known.key_message_key)
        where known.key is not null and known.key_row < known.row
        offset 0
      ) as twin (difference)
      where twin.difference is not null
      union all
      select known.row, 'chat_id', false, 'is the chat of another recipient', null, null
      from known where known.chat is not null and public.dm_chat_of_another(known.chat, known.recipient)
      union all
      select known.row, 'chat_id', false, 'is the chat of another recipient, of another row', known.chat_row, null
      from known where known.chat is not null and known.chat_recipient <> known.recipient
      union all
      select known.row, 'message',
        not coalesce(case
          when known.text_row < known.row or repeated.at is null then v_strict ? known.account
          else repeated.at > p_now - make_interval(days => (v_strict ->> known.account)::integer)
        end, false),
        'says the same to the same person as ' || case
          when known.text_row < known.row then 'another row'
          when repeated.at is null then 'a message that waits'
          else 'a message that was sent, or may have been' end,
        case when known.text_row < known.row then known.text_row end,
        case when known.text_row = known.row then repeated.id end
      from known
      cross join lateral (
        select (v_repeats -> known.text_key::text ->> 'id')::uuid, (v_repeats -> known.text_key::text ->> 'at')::timestamptz
        offset 0
      ) as repeated (id, at)
      -- One that exists already is no second one.
      where known.text_key is not null and known.stored_id is null and known.spent_id is null
        and (known.key is null or known.key_row = known.row)
        and (known.text_row < known.row or repeated.id is not null)
    ), listed as (
      select told.row, told.is_warning, jsonb_strip_nulls(jsonb_build_object('row', told.row, 'field', told.field,
        'problem', told.problem, 'twin_row', told.twin_row, 'twin_id', told.twin_id)) as entry
      from told
    )
    select jsonb_build_object(
      'has_spent', exists (select from known where known.spent_id is not null),
      'literal', (select count(*) from given where given.is_literal),
      'repeated', count(*) filter (where listed.is_warning),
      'warnings', coalesce((
        select jsonb_agg(first.entry order by first.row)
        from (select listed.row, listed.entry from listed where listed.is_warning order by listed.row limit 1000) as first
      ), '[]')
    ) || coalesce((
      select jsonb_build_object('problems', jsonb_agg(refused.entry)) from listed as refused where not refused.is_warning having count(*) > 0
    ), '{}')
    from listed
  );
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

-- dm_next_due_at: when the account's next message becomes due; infinity if none waits.
create or replace function public.dm_next_due_at(p_account_id uuid)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return (
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
    ) as earliest
  );
end;
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
-- nothing waits for a known instant. Nothing is given while all sending is paused. A message that must not go out as it is, into the
-- chat of another recipient or as a repetition, ends as failed, with its reason.
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
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_lease_until constant timestamptz := p_now + make_interval(secs => p_lease_ms / 1000.0);
  v_messages jsonb := '[]';
  v_batch jsonb;
  v_account_ids uuid[];
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

    v_account_ids := public.dm_ready(p_limit - jsonb_array_length(v_messages), p_account_ids, p_now);
    exit when v_account_ids is null;

    -- A statement of its own: its snapshot is younger than the locks.
    with gated as materialized (
      select gate.account_id, gate.reason, gate.clear_at, due.message_id, due.recipient_id, due.text_key, refused.reason as refusal,
        case when due.message_id is not null and refused.reason is null then gen_random_uuid() end as attempt_id
      from public.account_gates(v_account_ids, p_now) as gate
      left join lateral (
        -- The account's next due message: two looks into the index for each priority that waits, from the highest down, however
        -- many wait. A row that somebody else is writing is passed over.
        select message.id as message_id, message.recipient_id, message.chat_id, message.text_key
        from (values (9), (8), (7), (6), (5), (4), (3), (2), (1), (0)) as level (priority)
        cross join lateral (
          select due.id, due.recipient_id, due.chat_id, due.text_key
          from public.dm_queue as due
          where due.linkedin_account_id = gate.account_id and due.status = 'pending'
            and due.priority = level.priority and due.due_at <= p_now
          order by due.due_at, due.position
          limit 1
          for update skip locked
        ) as message
        where level.priority <= (
          select max(waiting.priority) from public.dm_queue as waiting
          -- Said here, where it keeps the rest from being looked at, and locked.
          where gate.reason is null and waiting.linkedin_account_id = gate.account_id and waiting.status = 'pending'
        )
        limit 1
      ) as due on true
      cross join lateral (
        -- What was in order when it was queued need not be now: other messages have gone out since.
        select case
          when due.chat_id is not null and public.dm_chat_of_another(due.chat_id, due.recipient_id) then 'chat_of_another'
          when due.message_id is not null and public.dm_is_repeat(gate.account_id, due.message_id, due.text_key, p_now) then 'repeated'
        end
        offset 0
      ) as refused (reason)
    ), attempt as (
      insert into public.dm_attempts (id, message_id, account_id, recipient_id, claim_id, worker, started_at,
        lease_until, effect_by, text_key)
      select gated.attempt_id, gated.message_id, gated.account_id, gated.recipient_id, p_claim_id, p_worker, p_now,
        v_lease_until, v_lease_until, gated.text_key
      from gated
      where gated.attempt_id is not null
    ), sending as (
      update public.dm_queue as message
      set
        status = case when gated.refusal is null then 'sending' else 'failed' end,
        reason = gated.refusal,
        error = case gated.refusal
          when 'chat_of_another' then 'chat_id is the chat of another recipient; without it, it can be queued again'
          when 'repeated' then 'the same was sent to the same person within the no_repeat_days of the account, or waits' end,
        updated_at = now()
      from gated
      where message.id = gated.message_id
      returning gated.attempt_id, message.id, message.linkedin_account_id, message.recipient_id,
        message.chat_id, message.message, message.attempts, message.priority, message.due_at,
        message.position, message.created_at
    ), moved as (
      update public.account_policies as policy
      set
        blocked_by = case when gated.reason like 'account%' then gated.reason end,
        pace_until = case
          when gated.attempt_id is null then policy.pace_until
          else p_now + make_interval(secs => policy.gap_min_s + (policy.gap_max_s - policy.gap_min_s) * (
            -- One draw a call, turned by the account: each account's gap is uniform.
            (p_draw + abs(hashtext(gated.account_id::text)::bigint) / 2147483648.0)
            - floor(p_draw + abs(hashtext(gated.account_id::text)::bigint) / 2147483648.0)
          ))
        end,
        next_claim_at = case
          when gated.attempt_id is not null then v_lease_until
          -- Whoever ends the pause of all sending cannot see what this claim puts off.
          when gated.reason = 'all_paused' then p_now + interval '1 second'
          when gated.clear_at > p_now then gated.clear_at
          -- Refused: the account's next one is looked at right away.
          when gated.refusal is not null then p_now
          when next_due.at > p_now then next_due.at
          -- It is due, but somebody else is writing its row or its attempt: looked at again soon.
          else p_now + interval '1 second'
        end
      from gated
      cross join lateral (
        select case when gated.reason is null and gated.message_id is null then public.dm_next_due_at(gated.account_id) end
      ) as next_due (at)
      -- As values too: a plan that was made among few accounts would go through all of them.
      where policy.account_id = gated.account_id and policy.account_id = any (v_account_ids)
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
      -- As a filter: as a condition, the least is sought in the index by time, through the whole ledger.
      select least(min(attempt.started_at) filter (
        where attempt.outcome = 'not_sent' and attempt.error_type in ('absent', 'settled', 'restored')
      ), public.restore_look_since(sending.created_at)) as started_at
      from public.dm_attempts as attempt
      where attempt.message_id = sending.id
    ) as earlier
    where sending.attempt_id is not null;

    v_messages := v_messages || v_batch;
  end loop;

  return jsonb_build_object(
    'now', p_now,
    'next_claim_at', nullif(greatest(public.dm_next_claim_at(p_account_ids), p_now), 'infinity'),
    'items', v_messages
  );
end;
$$;

-- dm_is_repeat: whether what a message says went out to the same person within the days in which its account does not repeat
-- itself, or may have, or waits in a message that was queued before it. Part of dm_claim.
--
-- Of two that are claimed at once, whoever claims them, the later one sees that the other waits.
create or replace function public.dm_is_repeat(p_account_id uuid, p_message_id uuid, p_text_key bigint, p_now timestamptz)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_days constant integer := (
    select policy.no_repeat_days from public.account_policies as policy where policy.account_id = p_account_id
  );
begin
  return v_days > 0 and (
    select count(*) from public.dm_attempts as attempt
    where attempt.text_key = p_text_key and attempt.outcome is distinct from 'not_sent'
      and attempt.effect_by > p_now - make_interval(days => v_days) and attempt.message_id <> p_message_id
  ) + (
    select count(*) from public.dm_queue as waiting
    where waiting.text_key = p_text_key and waiting.status = 'pending'
      and waiting.position < (select message.position from public.dm_queue as message where message.id = p_message_id)
  ) > 0;
end;
$$;

-- dm_ready: locks accounts whose time has come, those that wait longest first, and gives their ids in order; null if
-- there is none. What somebody else holds is passed over. Part of dm_claim.
--
-- With accounts named it goes by their ids, planned for each call; without, by the time.
create or replace function public.dm_ready(p_limit integer, p_account_ids uuid[], p_now timestamptz)
returns uuid[]
language plpgsql
volatile
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_account_ids uuid[];
begin
  if p_account_ids is null then
    return (
      select array_agg(ready.account_id order by ready.account_id)
      from (
        select policy.account_id
        from public.account_policies as policy
        where policy.next_claim_at <= p_now
        order by policy.next_claim_at, policy.account_id
        limit p_limit
        for update skip locked
      ) as ready
    );
  end if;
  execute $sql$
    select array_agg(ready.account_id order by ready.account_id)
    from (
      select policy.account_id
      from public.account_policies as policy
      where policy.next_claim_at <= $1 and policy.account_id = any ($2)
      order by policy.next_claim_at, policy.account_id
      limit $3
      for update skip locked
    ) as ready
  $sql$ into v_account_ids using p_now, p_account_ids, p_limit;
  return v_account_ids;
end;
$$;

-- dm_next_claim_at: the earliest instant at which a claim can succeed; null without accounts. Planned as dm_ready is.
create or replace function public.dm_next_claim_at(p_account_ids uuid[])
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_at timestamptz;
begin
  if p_account_ids is null then
    return (select min(policy.next_claim_at) from public.account_policies as policy);
  end if;
  -- Apart: else the earliest is sought in the index by time, through every account that is not named.
  execute $sql$
    select min(named.next_claim_at)
    from (select policy.next_claim_at from public.account_policies as policy where policy.account_id = any ($1) offset 0) as named
  $sql$ into v_at using p_account_ids;
  return v_at;
end;
$$;

-- dm_record: closes attempts with what became of them, in bulk.
--
-- p_results: [{attempt_id, outcome, next_step?, reason?, error?, retry_after_ms?, http_status?, error_type?,
-- detail?, unipile_message_id?, chat_id?, sent_at?, is_strike?, pause_ms?, pause_reason?}].
-- `outcome` is sent, not_sent or unknown. For not_sent, next_step says what next: `release` (never
-- dispatched), `wait` (again after retry_after_ms, nothing burned), `retry` (the same, one attempt
-- burned, at most 5), `restart` (again without the stored chat) or `fail`. pause_ms -1 is without end; one for
-- rate_limited is as long as account_throttle says. An id of Unipile's that is empty or too long is dropped.
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
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_account_ids uuid[];
  -- Rows that this round leaves to the next; null for none.
  v_left bigint[];
  v_settled jsonb;
  v_attempt_ids uuid[];
  v_message_ids uuid[];
  v_applied text[];
  v_answered bigint[];
  v_rows bigint[] := '{}';
  v_answers jsonb := '[]';
begin
  if jsonb_typeof(p_results) is distinct from 'array' or jsonb_array_length(p_results) > 1000 then
    raise exception 'results must be an array of at most 1000' using errcode = 'DM040';
  end if;
  -- A path looks into arrays by itself, and only type() does not.
  if jsonb_path_exists(p_results, '$[*].type() ? (@ != "object")')
    or jsonb_path_exists(p_results, '$[*] ? (@.outcome.type() != "string"
      || !exists (@.outcome ? (@ == "sent" || @ == "not_sent" || @ == "unknown"))
      || @.outcome == "not_sent" && (@.next_step.type() != "string"
        || !exists (@.next_step ? (@ == "release" || @ == "wait" || @ == "retry" || @ == "restart" || @ == "fail"))))') then
    raise exception 'a result has no known outcome, or no known next_step' using errcode = 'DM040';
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

  -- All at once, but for results of one account or of one message: those keep their order, and go in rounds.
  loop
    with found as materialized (
      select result.row, result.result, (result.result ->> 'attempt_id')::uuid as given_id,
        attempt.id, attempt.message_id, attempt.account_id, attempt.finished_at is not null as is_late,
        case
          when attempt.id is null then 'missing'
          when attempt.finished_at is null then 'recorded'
          when attempt.outcome <> 'sent' and result.result ->> 'outcome' = 'sent' then 'late'
          else 'ignored'
        end as applied,
        attempt.id is null or (
          row_number() over (partition by attempt.account_id order by result.row) = 1
          and row_number() over (partition by attempt.message_id order by result.row) = 1
        ) as is_of_round
      from jsonb_array_elements(p_results) with ordinality as result (result, row)
      left join public.dm_attempts as attempt on attempt.id = (result.result ->> 'attempt_id')::uuid
      where v_left is null or result.row = any (v_left)
    ), closed as (
      update public.dm_attempts as attempt set
        finished_at = p_now,
        outcome = given.outcome,
        -- The effect lies before the answer. Without an answer it can come until the lease ends.
        effect_by = case given.outcome when 'sent' then p_now else greatest(attempt.lease_until, p_now) end,
        strike = coalesce(given.is_strike, false) and not found.is_late,
        next_read_at = case given.outcome when 'unknown' then public.read_back_at(p_now, null, p_now) end,
        http_status = given.http_status,
        error_type = left(given.error_type, 100),
        detail = left(given.detail, 500),
        -- An id that is no id is dropped: cut it would be another's, and the result must not be refused for it.
        unipile_message_id = case when length(given.unipile_message_id) between 1 and 200 then given.unipile_message_id end,
        unipile_chat_id = case when length(given.chat_id) between 1 and 200 then given.chat_id end
      from found
      cross join lateral jsonb_to_record(found.result) as given (
        outcome text, http_status integer, error_type text, detail text, unipile_message_id text, chat_id text, is_strike boolean)
      where attempt.id = found.id and found.is_of_round and found.applied in ('recorded', 'late')
    )
    select
      jsonb_agg(jsonb_build_object(
        'message_id', found.message_id, 'account_id', found.account_id, 'is_late', found.is_late, 'result', found.result
      )) filter (where found.is_of_round and found.applied in ('recorded', 'late')),
      array_agg(found.row) filter (where found.is_of_round),
      array_agg(found.given_id) filter (where found.is_of_round),
      array_agg(found.message_id) filter (where found.is_of_round),
      array_agg(found.applied) filter (where found.is_of_round),
      array_agg(found.row) filter (where not found.is_of_round)
    into v_settled, v_answered, v_attempt_ids, v_message_ids, v_applied, v_left
    from (select found.* from found order by found.row) as found;

    perform public.dm_message_settle(v_settled, p_now);
    perform public.account_settle(v_settled, p_now);

    v_answers := v_answers || (
      select coalesce(jsonb_agg(
        jsonb_build_object('attempt_id', answer.attempt_id, 'applied', answer.applied, 'status', message.status)
        order by answer.row), '[]')
      from unnest(v_answered, v_attempt_ids, v_message_ids, v_applied) as answer (row, attempt_id, message_id, applied)
      left join public.dm_queue as message on message.id = answer.message_id
    );
    v_rows := v_rows || v_answered;
    exit when v_left is null;
  end loop;

  if cardinality(v_rows) > cardinality(v_answered) then
    return (
      select jsonb_agg(answer.value order by answer.row)
      from rows from (jsonb_array_elements(v_answers), unnest(v_rows)) as answer (value, row)
    );
  end if;
  return v_answers;
end;
$$;

-- dm_message_settle: what results mean for their messages. Part of dm_record, dm_recover and dm_resolve.
--
-- p_closed: [{message_id, is_late, result}], a message once; the attempts are closed already. result: as dm_record takes it.
create or replace function public.dm_message_settle(p_closed jsonb, p_now timestamptz)
returns void
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
begin
  with ended as materialized (
    select closed.message_id, given.next_step, given.reason, left(given.error, 500) as error,
      p_now + make_interval(secs => given.retry_after_ms / 1000.0) as not_before,
      case when closed.is_late and given.outcome = 'sent' then '{unknown,pending,failed,cancelled}' else '{sending}' end::text[]
        as from_status,
      case
        when given.outcome = 'sent' or earlier.finished_at is not null then 'sent'
        when given.outcome = 'unknown' then 'unknown'
        when given.next_step in ('fail', 'release') then given.next_step
        -- Five retries after the first attempt. Without its chat a message is still to be tried once.
        when given.next_step = 'retry'
          and (select message.attempts from public.dm_queue as message where message.id = closed.message_id) + burned.count > 5
          then 'exhausted'
        else 'again'
      end as end,
      burned.count as burned,
      case when given.outcome = 'sent' then least(coalesce(given.sent_at, p_now), p_now) else earlier.finished_at end as sent_at,
      case
        when given.outcome <> 'sent' then earlier.unipile_message_id
        when length(given.unipile_message_id) between 1 and 200 then given.unipile_message_id
      end as unipile_message_id,
      case
        when given.outcome <> 'sent' then earlier.unipile_chat_id
        when length(given.chat_id) between 1 and 200 then given.chat_id
      end as chat_id
    from jsonb_to_recordset(p_closed) as closed (message_id uuid, is_late boolean, result jsonb)
    cross join lateral jsonb_to_record(closed.result) as given (outcome text, next_step text, reason text, error text,
      retry_after_ms bigint, unipile_message_id text, chat_id text, sent_at timestamptz)
    cross join lateral (
      select case when given.outcome = 'not_sent' and given.next_step in ('retry', 'restart') then 1 else 0 end
    ) as burned (count)
    left join lateral (
      -- An earlier attempt turned out to be sent while this one was under way: it is not tried again.
      select attempt.finished_at, attempt.unipile_message_id, attempt.unipile_chat_id
      from public.dm_attempts as attempt
      where given.outcome <> 'sent' and attempt.message_id = closed.message_id and attempt.outcome = 'sent'
      limit 1
    ) as earlier on true
    -- All of them have one; the planner takes it to be rare, and so looks for each message by its id, and not through the queue.
    where closed.result ? 'outcome'
  )
  update public.dm_queue as message set
    status = case ended.end
      when 'sent' then 'sent' when 'unknown' then 'unknown' when 'fail' then 'failed' when 'exhausted' then 'failed' else 'pending' end,
    reason = case ended.end
      when 'sent' then null when 'unknown' then 'answer_lost' when 'exhausted' then 'retries_exhausted'
      when 'release' then message.reason else ended.reason end,
    error = case ended.end when 'sent' then null when 'release' then message.error else ended.error end,
    attempts = message.attempts + case when ended.end in ('again', 'exhausted') then ended.burned else 0 end,
    not_before = case ended.end when 'again' then coalesce(ended.not_before, message.not_before) else message.not_before end,
    sent_at = case ended.end when 'sent' then ended.sent_at else message.sent_at end,
    unipile_message_id = case ended.end when 'sent' then ended.unipile_message_id else message.unipile_message_id end,
    chat_id = case
      when ended.end = 'sent' then coalesce(ended.chat_id, message.chat_id)
      when ended.end = 'again' and ended.next_step = 'restart' then null
      else message.chat_id end,
    updated_at = now()
  from ended
  where message.id = ended.message_id and message.status = any (ended.from_status);
end;
$$;

-- account_settle: what results mean for their accounts: pace, pause, breaker. Part of dm_record and dm_recover.
--
-- p_closed: [{account_id, is_late, result}], an account once; as in dm_message_settle.
-- The breaker: three recipients in a row that failed, with no success between, pause the account for
-- 30 minutes. Then one message is tried; a further failure pauses it again, a success closes it.
create or replace function public.account_settle(p_closed jsonb, p_now timestamptz)
returns void
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
  v_account_ids uuid[];
  v_paced_ids uuid[];
  v_ended record;
  v_strikes integer;
begin
  -- As values: as a join, a plan that was made among few accounts goes through all of them.
  select array_agg(closed.account_id),
    array_agg(closed.account_id) filter (where (closed.is_late or closed.result ->> 'next_step' = 'release') is not true)
  into v_account_ids, v_paced_ids
  from jsonb_to_recordset(p_closed) as closed (account_id uuid, is_late boolean, result jsonb);

  update public.account_policies as policy set
    -- Before that the pace forbids a claim. And what was unknown may not be any more: it need not wait for its lease.
    (pace_until, next_claim_at) = (
      select paced.until, paced.until
      from (
        select case when policy.account_id = any (v_paced_ids)
          then greatest(policy.pace_until, p_now + make_interval(secs => policy.gap_min_s)) else policy.pace_until end
      ) as paced (until)
    )
  where policy.account_id = any (v_account_ids);

  -- Mostly there is none, and asking so begins no statement.
  if not jsonb_path_exists(p_closed, '$[*].result ? (
      exists (@.pause_ms) || exists (@.is_strike ? (@.type() != "boolean" || @ == true)))') then
    return;
  end if;
  for v_ended in
    select closed.account_id, policy.strikes_from, given.*
    from jsonb_to_recordset(p_closed) as closed (account_id uuid, is_late boolean, result jsonb)
    cross join lateral jsonb_to_record(closed.result) as given (is_strike boolean, pause_ms bigint, pause_reason text)
    join public.account_policies as policy on policy.account_id = closed.account_id
    where not closed.is_late and (given.pause_ms is not null or given.is_strike)
  loop
    if v_ended.pause_ms is not null then
      perform public.account_hold(v_ended.account_id, case
        when v_ended.pause_ms < 0 then 'infinity'
        when v_ended.pause_reason = 'rate_limited' then public.account_throttle(v_ended.account_id, v_ended.pause_ms, p_now)
        else p_now + make_interval(secs => v_ended.pause_ms / 1000.0) end, v_ended.pause_reason, p_now);
      continue;
    end if;
    select count(distinct recent.recipient_id) into v_strikes
    from (
      select latest.recipient_id, latest.strike,
        -- Attempts younger than this one that were sent; a strike before a success no longer counts.
        count(*) filter (where latest.outcome = 'sent') over (order by latest.started_at desc, latest.position desc) as successes
      from (
        select attempt.recipient_id, attempt.strike, attempt.outcome, attempt.started_at, attempt.position
        from public.dm_attempts as attempt
        where attempt.account_id = v_ended.account_id and attempt.started_at >= v_ended.strikes_from
        order by attempt.started_at desc, attempt.position desc
        limit 50
      ) as latest
    ) as recent
    where recent.strike and recent.successes = 0;
    if v_strikes >= 3 then
      perform public.account_hold(v_ended.account_id, p_now + interval '30 minutes', 'breaker', p_now);
    end if;
  end loop;
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
-- A pause that ends by itself (account_hold) needs something newer than itself: the account seen out of order, or RevOS's row
-- written anew. Another unipile_account_id alone is enough.
--
-- A row that somebody else is at is left for the next call, so it never waits.
create or replace function public.dm_recover(p_now timestamptz default now())
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
  v_account_ids uuid[];
  v_lost jsonb;
  v_returned integer := 0;
begin
  -- Mostly there is nothing to do, and every claim asks.
  if exists (select from public.dm_attempts as attempt where attempt.outcome is null and attempt.lease_until <= p_now) then
    select array_agg(locked.account_id) into v_account_ids
    from (
      select policy.account_id
      from public.account_policies as policy
      where policy.account_id in (
        select attempt.account_id
        from public.dm_attempts as attempt
        where attempt.outcome is null and attempt.lease_until <= p_now
        order by attempt.lease_until
        limit 1000
      )
      order by policy.account_id
      for update skip locked
    ) as locked;
  end if;

  if v_account_ids is not null then
    with lost as materialized (
      select attempt.id, attempt.message_id
      from public.dm_attempts as attempt
      where attempt.outcome is null and attempt.lease_until <= p_now and attempt.account_id = any (v_account_ids)
    ), free as materialized (
      select message.id
      from public.dm_queue as message
      where message.id in (select lost.message_id from lost)
      order by message.id
      for update skip locked
    ), closed as (
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
    )
    select jsonb_agg(jsonb_build_object('account_id', closed.account_id, 'message_id', closed.message_id, 'is_late', false,
      'result', '{"outcome":"unknown","error":"the process that sent it went away before it had an answer"}'::jsonb))
    into v_lost
    from closed;
    if v_lost is not null then
      perform public.dm_message_settle(v_lost, p_now);
      perform public.account_settle(v_lost, p_now);
    end if;
  end if;

  if exists (select from public.account_policies as policy where policy.blocked_by is not null or policy.returns) then
    -- Of the accounts that wait to be in order, 100 are looked at: they stand in a circle, and each call begins elsewhere.
    -- So a call costs the same however many wait, and where few do, it looks at all of them.
    with looked as materialized (
      select slice.account_id
      from (
        (select policy.account_id, 1 as turn from public.account_policies as policy
          where (policy.blocked_by is not null or policy.returns) and md5(policy.account_id::text) >= md5(p_now::text)
          order by md5(policy.account_id::text) limit 100)
        union all
        (select policy.account_id, 2 from public.account_policies as policy
          where (policy.blocked_by is not null or policy.returns) and md5(policy.account_id::text) < md5(p_now::text)
          order by md5(policy.account_id::text) limit 100)
      ) as slice
      order by slice.turn, md5(slice.account_id::text)
      limit 100
    ), judged as materialized (
      select policy.account_id, account_is.in_order,
        -- Out of order was seen; or it is plain from the row that there was something since, however short it was.
        policy.returns and account_is.in_order
          and (policy.seen_inactive or public.account_was_connected(policy.seen_account, account_is.seen) is true) as is_back,
        account_is.in_order and policy.blocked_by is not null as is_unblocked,
        account_is.seen,
        -- What was paused for longer than this took stays so.
        case when (policy.pause_beneath ->> 'until')::timestamptz > p_now then policy.pause_beneath end as beneath
      from public.account_policies as policy
      left join public.linkedin_accounts as account on account.id = policy.account_id
      cross join lateral (
        select (account.status = 'active' and account.unipile_account_id is not null) is true,
          case when policy.returns then public.account_seen(policy.account_id) end
      ) as account_is (in_order, seen)
      where policy.account_id in (select looked.account_id from looked)
        and case when account_is.in_order
          then policy.blocked_by is not null or policy.seen_inactive or policy.seen_account is distinct from account_is.seen
          -- Seen out of order during its pause: so its return can end the pause.
          else policy.returns and policy.paused_until > p_now and not policy.seen_inactive end
      order by policy.account_id
      for update of policy skip locked
    ), changed as (
      update public.account_policies as policy set
        blocked_by = case when not judged.in_order then policy.blocked_by end,
        paused_until = case when judged.is_back then (judged.beneath ->> 'until')::timestamptz else policy.paused_until end,
        pause_reason = case when judged.is_back then judged.beneath ->> 'reason' else policy.pause_reason end,
        paused_at = case when judged.is_back then (judged.beneath ->> 'at')::timestamptz else policy.paused_at end,
        returns = policy.returns and not judged.is_back,
        seen_inactive = policy.returns and not judged.in_order,
        seen_account = case when policy.returns and not judged.is_back then judged.seen end,
        pause_beneath = case when not judged.is_back then policy.pause_beneath end,
        returned_at = case when judged.is_back then p_now else policy.returned_at end,
        next_claim_at = case when judged.is_back or judged.is_unblocked then '-infinity' else policy.next_claim_at end
      from judged
      where policy.account_id = judged.account_id
      returning judged.is_back or judged.is_unblocked as is_returned
    )
    select count(*) filter (where changed.is_returned) into v_returned from changed;
  end if;

  return jsonb_build_object('lost', coalesce(jsonb_array_length(v_lost), 0), 'returned', v_returned);
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
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
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
    select gate.reason, gate.clear_at into v_reason, v_at from public.account_gates(array[v_policy.account_id], p_now) as gate;
    if not found then
      v_reason := 'account_missing';
      v_at := 'infinity';
    end if;
    if v_message.due_at > p_now and (v_reason is null or v_message.due_at > v_at) then
      v_reason := case when v_message.not_before > v_message.send_at then coalesce(v_message.reason, 'retry_later') else 'scheduled' end;
      v_at := public.account_opens_at(v_policy, v_message.due_at);
    end if;
    -- Priority by priority, so that what is not due yet is not gone through.
    select count(*) into v_ahead
    from (
      select
      from generate_series(v_message.priority, 9) as level (priority)
      cross join lateral (
        select from public.dm_queue as other
        where other.linkedin_account_id = v_message.linkedin_account_id and other.status = 'pending'
          and other.priority = level.priority and other.due_at <= p_now
          and (level.priority > v_message.priority
            or (other.due_at, other.position) < (v_message.due_at, v_message.position))
        order by other.due_at, other.position
        limit 1000
      ) as first
      limit 1000
    ) as counted;
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

-- dm_backlog: what waits, and why: {due, scheduled, by_reason: {reason: count}, next_at, is_complete}.
--
-- p_account_ids: only these accounts; null for all. Reasons of due messages are their account's; a due message of an open account is `ready`, unless the
-- platform key was refused when it was tried.
-- It looks at 50,000 messages of 2,000 accounts at most, so that it costs a run nothing to ask. Where more wait, is_complete is
-- false: the counts are of those it looked at, and next_at is when the next claim may succeed, which can be early.
create or replace function public.dm_backlog(p_account_ids uuid[] default null, p_now timestamptz default now())
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_custom_plan
set statement_timeout = '60s'
as $$
declare
  v_answer jsonb;
begin
  with looked as materialized (
    select message.linkedin_account_id as account_id, message.due_at
    from public.dm_queue as message
    where message.status = 'pending'
      and (p_account_ids is null or message.linkedin_account_id = any (p_account_ids))
    order by message.linkedin_account_id
    limit 50001
  ), waiting as materialized (
    select counted.account_id,
      count(*) filter (where counted.due_at <= p_now) as due,
      count(*) filter (where counted.due_at > p_now) as scheduled,
      min(counted.due_at) as first_due_at
    from (select looked.* from looked limit 50000) as counted
    group by counted.account_id
    order by counted.account_id
    limit 2001
  ), first as materialized (
    select waiting.* from waiting order by waiting.account_id limit 2000
  ), gated as materialized (
    select first.due, first.scheduled, first.first_due_at, gate.reason, gate.clear_at,
      case when gate.reason is null then (
        select count(*)
        from public.dm_queue as message
        where message.linkedin_account_id = first.account_id and message.status = 'pending' and message.due_at <= p_now
          and message.reason = 'platform_key_refused'
      ) else 0 end as refused
    from first
    join public.account_gates(array(select first.account_id from first), p_now) as gate on gate.account_id = first.account_id
  ), reasons as (
    select coalesce(gated.reason, 'ready') as reason, sum(gated.due - least(gated.refused, gated.due)) as count
    from gated group by 1 having sum(gated.due - least(gated.refused, gated.due)) > 0
    union all
    select 'platform_key_refused', sum(least(gated.refused, gated.due))
    from gated having sum(least(gated.refused, gated.due)) > 0
    union all
    select 'scheduled', sum(gated.scheduled) from gated having sum(gated.scheduled) > 0
  )
  select jsonb_build_object(
    'due', coalesce((select sum(gated.due) from gated), 0),
    'scheduled', coalesce((select sum(gated.scheduled) from gated), 0),
    'by_reason', coalesce((select jsonb_object_agg(reasons.reason, reasons.count) from reasons), '{}'::jsonb),
    'next_at', (
      select nullif(min(greatest(coalesce(gated.clear_at, p_now), gated.first_due_at)), 'infinity') from gated
    ),
    'is_complete', (select count(*) from looked) <= 50000 and (select count(*) from waiting) <= 2000
  ) into v_answer;
  if not (v_answer ->> 'is_complete')::boolean then
    v_answer := v_answer
      || jsonb_build_object('next_at', nullif(greatest(public.dm_next_claim_at(p_account_ids), p_now), 'infinity'));
  end if;
  return v_answer;
end;
$$;

-- dm_preview: what a run would do now, without doing it: dm_backlog, and the ids of what could be claimed at
-- once, at most one an account, up to 50. It looks at as many accounts as a claim does, and no more.
create or replace function public.dm_preview(p_account_ids uuid[] default null, p_now timestamptz default now())
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_custom_plan
set statement_timeout = '60s'
as $$
begin
  return public.dm_backlog(p_account_ids, p_now) || jsonb_build_object('would_send', coalesce((
    select jsonb_agg(open.message_id)
    from (
      select first.id as message_id
      from (
        (select policy.account_id
        from public.account_policies as policy
        where policy.next_claim_at <= p_now
          and (p_account_ids is null or policy.account_id = any (p_account_ids))
        order by policy.next_claim_at, policy.account_id
        limit 1000)
        union all
        -- A claim sees first whether they are in order again.
        (select policy.account_id
        from public.account_policies as policy
        where policy.blocked_by is not null and policy.next_claim_at > p_now
          and (p_account_ids is null or policy.account_id = any (p_account_ids))
        order by md5(policy.account_id::text)
        limit 200)
      ) as candidate
      -- One by one, so that the rest need not be looked at once there are 50.
      cross join lateral public.account_gates(array[candidate.account_id], p_now) as gate
      cross join lateral (
        select due.id
        from generate_series(0, 9) as level (priority)
        cross join lateral (
          select message.id, message.priority
          from public.dm_queue as message
          where message.linkedin_account_id = candidate.account_id and message.status = 'pending'
            and message.priority = level.priority and message.due_at <= p_now
          order by message.due_at, message.position
          limit 1
        ) as due
        order by due.priority desc
        limit 1
      ) as first
      where gate.reason is null
      limit 50
    ) as open
  ), '[]'::jsonb));
end;
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
  public.dm_problems, public.provider_id_problem, public.dm_chat_of_another, public.dm_digest, public.dm_difference, public.dm_repeats,
  public.dm_refuse_repeats, public.dm_refuse_rows, public.dm_row_problems, public.dm_row_twins, public.is_uuid, public.dm_is_repeat,
  public.dm_missing_account, public.dm_queue_before_write, public.account_wake, public.dm_queue_after_insert,
  public.dm_queue_after_update, public.dm_enqueue, public.is_instant, public.dm_next_due_at,
  public.dm_claim, public.dm_ready, public.dm_next_claim_at, public.dm_record, public.dm_message_settle,
  public.account_settle, public.dm_release, public.dm_recover, public.dm_explain, public.dm_backlog, public.dm_preview, public.dm_counts
from public, anon, authenticated;
grant execute on function
  public.dm_problems, public.provider_id_problem, public.dm_chat_of_another, public.dm_digest, public.dm_difference, public.dm_repeats,
  public.dm_refuse_repeats, public.dm_refuse_rows, public.dm_row_problems, public.dm_row_twins, public.is_uuid, public.dm_is_repeat,
  public.dm_missing_account, public.dm_queue_before_write, public.account_wake, public.dm_queue_after_insert,
  public.dm_queue_after_update, public.dm_enqueue, public.is_instant, public.dm_next_due_at,
  public.dm_claim, public.dm_ready, public.dm_next_claim_at, public.dm_record, public.dm_message_settle,
  public.account_settle, public.dm_release, public.dm_recover, public.dm_explain, public.dm_backlog, public.dm_preview, public.dm_counts
to service_role;
