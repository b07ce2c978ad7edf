/**
 * The mutations: each takes one guard of the product away, and some simulation must then violate an
 * invariant.
 *
 * Each names its guard as `docs/reliability.md` lists it. The SQL that it replaces must exist, so a
 * guard that changes takes its mutation with it.
 */
import type { Effects } from '@revos/core/effects';
import type { Unipile } from '@revos/core/unipile';
import type { Migration } from '@revos/local-stack';
import type { FaultName } from './plan.ts';

export interface Mutation {
  readonly guard: string;
  /** The faults that the guard is against: only these are injected. */
  readonly faults: readonly FaultName[];
  /** The migration's name, a part of its text, and what replaces it. */
  readonly sql?: ReadonlyArray<readonly [migration: string, original: string, replacement: string]>;
  readonly effects?: (effects: Effects) => Effects;
  readonly unipile?: (unipile: Unipile) => Unipile;
}

/** Records a lost lease as not sent: the same for messages and posts. */
const lostLeaseIsNotSent = (migration: 'dm_queue' | 'post_claims'): NonNullable<Mutation['sql']> => [
  [
    migration,
    `finished_at = p_now, outcome = 'unknown', effect_by = greatest(attempt.lease_until, p_now),`,
    `finished_at = p_now, outcome = 'not_sent',`,
  ],
  [
    migration,
    `'{"outcome":"unknown","error":"the process`,
    `'{"outcome":"not_sent","next_step":"release","error":"the process`,
  ],
];

export const MUTATIONS: readonly Mutation[] = [
  {
    guard: 'a message whose process died is unknown, not unsent',
    faults: ['crash', 'freeze'],
    sql: lostLeaseIsNotSent('dm_queue'),
  },
  {
    guard: 'a post whose process died is unknown, not unpublished',
    faults: ['crash', 'freeze'],
    sql: lostLeaseIsNotSent('post_claims'),
  },
  {
    guard: 'a lost answer is unknown, not a refusal',
    faults: ['answer lost', 'no answer, sent', 'error, sent'],
    unipile: (unipile) => ({
      ...unipile,
      async sendMessage(request) {
        const answer = await unipile.sendMessage(request);
        return answer.ok || answer.kind !== 'ambiguous' ? answer : { ...answer, kind: 'unreachable' };
      },
    }),
  },
  {
    guard: 'an absence is believed after half an hour, not at once',
    faults: ['answer lost', 'visible late'],
    sql: [['read_backs', `p_now >= absent_since + interval '30 minutes'`, 'true']],
  },
  {
    guard: 'a late answer never overwrites a known outcome',
    faults: [
      'freeze',
      'database call delayed',
      'throttled',
      'error, not sent',
      'database answer lost',
      'recipient refused',
    ],
    sql: [
      [
        'dm_queue',
        `when attempt.outcome <> 'sent' and result.result ->> 'outcome' = 'sent' then 'late'\n          else 'ignored'`,
        `else 'late'`,
      ],
    ],
  },
  {
    guard: 'one call in flight per account',
    faults: ['request delayed'],
    sql: [
      [
        'tables',
        'create unique index if not exists dm_attempts_open',
        'create index if not exists dm_attempts_open',
      ],
      ['account_rules', 'message.account_id = policy.account_id and message.finished_at is null', 'false'],
      [
        'dm_queue',
        'when gated.attempt_id is not null then v_lease_until',
        'when gated.attempt_id is not null then p_now',
      ],
    ],
  },
  {
    guard: 'no message is sent while a post of its account is in flight',
    faults: ['request delayed', 'no answer, not sent', 'trigger duplicated'],
    sql: [
      ['account_rules', `and post.outcome is distinct from 'sent' and post.effect_by > p_now`, 'and false'],
    ],
  },
  {
    guard: 'an account waits for the lease of a call whose answer was lost',
    faults: ['connection lost'],
    sql: [
      [
        'account_rules',
        `and message.outcome = 'unknown' and message.effect_by > p_now`,
        `and message.outcome = 'unknown' and false`,
      ],
    ],
  },
  {
    guard: 'no call begins late in its lease, whatever the wall clock says',
    faults: ['freeze', 'request delayed'],
    effects: (effects) => ({ ...effects, monotonicMs: () => 0 }),
  },
  {
    guard: 'no message is sent before its due time',
    faults: [],
    sql: [['dm_queue', 'and due.due_at <= p_now\n          order by', 'order by']],
  },
  {
    guard: 'no post is published before its due time',
    faults: [],
    sql: [
      ['posts', 'timed.gate_reason is null and timed.due_at <= p_now', 'timed.gate_reason is null'],
      // Nor is the due time checked again once the post is locked.
      [
        'post_claims',
        'array[v_post_id], array[p_account_id], p_now, p_late_limit_minutes',
        `array[v_post_id], array[p_account_id], p_now + interval '1 day', p_late_limit_minutes`,
      ],
    ],
  },
  {
    guard: 'the gap between two posts',
    faults: ['post acted on'],
    sql: [
      ['posts', 'policy.account_id = p_account_id), 3600))', 'policy.account_id = p_account_id), 3600) * 0)'],
    ],
  },
  {
    guard: 'nothing is claimed for an inactive account',
    faults: ['account disconnected'],
    sql: [['account_rules', `when account.status is distinct from 'active' then 'account_inactive'`, '']],
  },
  {
    guard: 'a due post is claimed',
    faults: [],
    sql: [['post_claims', 'perform public.post_prepare(', 'perform pg_catalog.concat(']],
  },
  {
    guard: 'an unknown post is reconciled',
    faults: ['answer lost', 'crash'],
    sql: [['post_claims', `public.read_back_at(p_now, null, p_now)`, `null::timestamptz`]],
  },
  {
    guard: 'the limit of a day',
    faults: [],
    sql: [
      [
        'account_rules',
        'v_account.effects[public.account_day_limit(v_policy, v_at)]',
        'v_account.effects[1000]',
      ],
    ],
  },
  {
    guard: 'the limit of 24 hours',
    faults: [],
    sql: [['account_rules', 'v_account.effects[v_policy.dms_per_24h]', 'v_account.effects[1000]']],
  },
  {
    guard: 'the limit of 7 days',
    faults: [],
    sql: [['account_rules', 'v_account.effects[v_policy.dms_per_7d]', 'v_account.effects[1000]']],
  },
  {
    guard: 'an unknown message counts as sent',
    faults: ['answer lost', 'visible late', 'crash'],
    sql: [
      [
        'account_rules',
        `counted.account_id = policy.account_id and counted.outcome is distinct from 'not_sent'`,
        `counted.account_id = policy.account_id and counted.outcome = 'sent'`,
      ],
    ],
  },
  {
    guard: 'the sending hours of an account',
    faults: [],
    sql: [
      [
        'account_rules',
        'return v_local::time >= p_policy.window_start',
        'return true or v_local::time >= p_policy.window_start',
      ],
    ],
  },
  {
    guard: 'the pause of an account',
    faults: ['account paused', 'throttled'],
    sql: [['account_rules', 'if v_policy.paused_until > clear_at then', 'if false then']],
  },
  {
    guard: 'the pause of all sending',
    faults: ['all sending paused'],
    sql: [
      ['dm_queue', 'if public.sending_is_paused(p_now) then', 'if false then'],
      ['account_rules', 'if v_account.all_paused_until >= clear_at then', 'if false then'],
    ],
  },
  {
    guard: 'the gap between two messages',
    faults: [],
    sql: [
      ['account_rules', 'if v_policy.pace_until > clear_at then', 'if false then'],
      // Nor is the account's next claim put off until then.
      ['dm_queue', 'select paced.until, paced.until', `select paced.until, '-infinity'::timestamptz`],
    ],
  },
  {
    guard: 'an unknown message is reconciled',
    faults: ['answer lost'],
    sql: [
      [
        'dm_queue',
        `next_read_at = case given.outcome when 'unknown' then public.read_back_at(p_now, null, p_now) end`,
        'next_read_at = null',
      ],
    ],
  },
  {
    guard: 'an account is claimed for again as soon as it can send',
    faults: [],
    sql: [
      [
        'dm_queue',
        'when gated.clear_at > p_now then gated.clear_at',
        `when gated.clear_at > p_now then gated.clear_at + interval '3 days'`,
      ],
    ],
  },
  {
    guard: 'a run whose process died makes room for the next',
    faults: ['crash'],
    sql: [
      [
        'runs',
        `run.heartbeat_at < p_now - interval '60 seconds'`,
        `run.heartbeat_at < p_now - interval '60 days'`,
      ],
    ],
  },
  {
    guard: 'a message enqueued twice exists once',
    faults: ['enqueued twice'],
    sql: [
      ['dm_queue', 'on conflict (dedupe_key) do nothing', ''],
      ['tables', 'dedupe_key text unique check', 'dedupe_key text check'],
    ],
  },
];

/** The migrations with a mutation applied. @throws if what it replaces is not there */
export function mutate(migrations: readonly Migration[], { guard, sql = [] }: Mutation): Migration[] {
  return migrations.map((migration) => {
    let text = migration.sql;
    for (const [name, original, replacement] of sql) {
      if (name !== migration.name) continue;
      if (!text.includes(original)) throw new Error(`${guard}: not in ${name}: ${original}`);
      text = text.replaceAll(original, replacement);
    }
    return { ...migration, sql: text };
  });
}
