/** The invariants that the database alone can check: they hold after every transaction. */
import type { Session } from '../support/session.ts';

/** Rows whose state and ledger contradict each other. $1 is now. */
const VIOLATIONS = `
  with ledger as (
    select message_id as row_id, account_id, started_at, lease_until, finished_at, outcome from public.dm_attempts
    union all select post_id, account_id, started_at, lease_until, finished_at, outcome from public.post_attempts
  ),
  tally as (
    select row_id,
      count(*) filter (where finished_at is null) as open,
      count(*) filter (where outcome = 'unknown') as unknown,
      count(*) filter (where outcome = 'sent') as sent
    from ledger group by row_id
  ),
  item as (
    select id, message as text, status as state, reason from public.dm_queue
    union all
    select publication.post_id, post.content, publication.state, publication.reason
    from public.post_publications as publication join public.posts as post on post.id = publication.post_id
  )
  select format('%s is %s with %s open, %s unknown and %s sent attempts', item.text, item.state, coalesce(tally.open, 0),
    coalesce(tally.unknown, 0), coalesce(tally.sent, 0)) as violation
  from item left join tally on tally.row_id = item.id
  where case
    when item.state in ('sending', 'publishing') then coalesce(tally.open, 0) <> 1 or tally.unknown + tally.sent > 0
    when item.state = 'unknown' then coalesce(tally.unknown, 0) <> 1 or tally.open > 0
    when item.state in ('sent', 'published') then coalesce(tally.sent, 0) < 1 or tally.open > 0
    -- It may still go out, so nothing of it may have been sent.
    when item.state in ('pending', 'waiting') then tally.open + tally.unknown + tally.sent > 0
    when item.state = 'failed' and item.reason <> 'dropped' then tally.open + tally.unknown + tally.sent > 0
    else false
  end
  union all
  select format('%s is %s without a reason', text, state) from item
  where state in ('failed', 'unknown', 'cancelled', 'held', 'missed') and reason is null
  union all
  select format('%s calls of account %s in flight', count(*), account_id) from ledger
  where finished_at is null and lease_until > $1 group by account_id having count(*) > 1
  union all
  select format('account %s was claimed for while it was paused', attempt.account_id)
  from public.dm_attempts as attempt join public.account_policies as policy using (account_id)
  where attempt.started_at = $1 and policy.paused_until > $1 and attempt.finished_at is null
  union all
  select 'a message was claimed while all sending was paused'
  where public.sending_is_paused($1) and exists (
    select from ledger where started_at = $1 and finished_at is null)`;

/** Every message and post: {id: [state, text]}. */
const STATES = `
  select jsonb_object_agg(id, jsonb_build_array(state, text)) as states
  from (
    select id, case when status = 'cancelled' and reason = 'dropped' then 'dropped' else status end as state, message as text
    from public.dm_queue
    union all
    select post.id, case when publication.reason = 'dropped' then 'dropped' else coalesce(publication.state, 'waiting') end,
      post.content
    from public.posts as post left join public.post_publications as publication on publication.post_id = post.id
  ) as item`;

const prepared = new WeakSet<Session>();

/**
 * The statement that answers {violations: text[] or null, states}. It runs after most steps, so it
 * is prepared once for a session.
 */
export async function checkStatement(session: Session, now: Date): Promise<string> {
  if (!prepared.has(session)) {
    await session.query(
      `prepare check_invariants (timestamptz) as
       select
         (select jsonb_agg(violation) from (${VIOLATIONS}) as found) as violations,
         (${STATES}) as states`,
      [],
    );
    prepared.add(session);
  }
  return `execute check_invariants ('${now.toISOString()}')`;
}
