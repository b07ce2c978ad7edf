/**
 * What the tables must agree about at any moment, whatever led to it: a message and a post is what
 * its attempts say, and an account has one call under way.
 */
import type { SqlQuery } from '@revos/core/rpc';

const CONTRADICTIONS = `
  with thing as (
    select 'message' as kind, id, linkedin_account_id as account_id, status as state, reason from dm_queue
    union all
    select 'post', post_id, null, case state when 'publishing' then 'sending' when 'published' then 'sent'
      when 'failed' then case reason when 'dropped' then 'cancelled' else 'failed' end
      when 'unknown' then 'unknown' else 'pending' end, reason
    from post_publications
  ), attempt as (
    select 'message' as kind, message_id as id, account_id, coalesce(outcome, 'open') as outcome, lease_until, next_read_at
    from dm_attempts
    union all
    select 'post', post_id, account_id, coalesce(outcome, 'open'), lease_until, next_read_at from post_attempts
  ), judged as (
    select thing.*,
      count(*) filter (where outcome = 'open') as open,
      count(*) filter (where outcome = 'sent') as sent,
      count(*) filter (where outcome = 'unknown') as unknown,
      count(*) filter (where outcome = 'unknown' and next_read_at is not null) as sought
    from thing left join attempt using (kind, id)
    group by 1, 2, 3, 4, 5
  )
  select format('account %s has %s calls under way', account_id, count(*)) as line
  from attempt where outcome = 'open' and lease_until > $1 group by account_id having count(*) > 1
  union all
  select format('%s %s is %s (%s) with attempts: %s open, %s sent, %s unknown, %s of them sought',
    kind, id, state, reason, open, sent, unknown, sought)
  from judged
  where case state
    when 'sending' then open <> 1
    when 'sent' then open > 0 or sent = 0
    when 'unknown' then open > 0 or sent > 0 or unknown = 0 or (sought = 0 and reason is distinct from 'unknown_held')
    -- Given up by a person, with what may have been sent.
    when 'cancelled' then open > 0 or sent > 0 or sought > 0
    else open + sent + unknown > 0
  end`;

/**
 * One line for each; none if all is well. A call whose lease is over is as good as lost, though
 * nobody has noticed yet.
 */
export async function findContradictions(query: SqlQuery, now: Date): Promise<string[]> {
  return (await query(CONTRADICTIONS, [now.toISOString()])).map(({ line }) => String(line));
}
