/** Situations of an account's messages, and what can happen in each: claims, answers, people, RevOS. */
import type { DmResult } from '@revos/core/dm';
import {
  accountId,
  act,
  after,
  at,
  claim,
  claimOne,
  LEASE_MS,
  MINUTE_MS,
  message,
  openAccount,
} from '../support/builders.ts';
import type { Session } from '../support/database.ts';
import type { Situation, Step } from '../support/orders.ts';

const NOW = at('2026-03-02T10:00:00Z');
const ACCOUNT = accountId(1);

/** Two messages, named by their text, and the attempts that were made for the first. */
export interface Messages {
  readonly first: string;
  readonly second: string;
  readonly attempts: string[];
  readonly claimId: string;
}
type MessageStep = Step<Messages>;
type Ending = Omit<DmResult, 'attempt_id'>;

export const SENT: Ending = { outcome: 'sent', unipile_message_id: 'm1', chat_id: 'c1' };
export const UNKNOWN: Ending = { outcome: 'unknown', error: 'no answer' };
export const RETRY: Ending = {
  outcome: 'not_sent',
  next_step: 'retry',
  reason: 'unreachable',
  retry_after_ms: 1_000,
};
export const FAIL: Ending = { outcome: 'not_sent', next_step: 'fail', reason: 'rejected' };
const PAUSE: Ending = {
  outcome: 'not_sent',
  next_step: 'wait',
  reason: 'account_disconnected',
  pause_ms: -1,
  pause_reason: 'account_disconnected',
};

async function record(session: Session, attempt: string | undefined, ending: Ending): Promise<unknown> {
  const [answer] = await session.dm.record([{ attempt_id: String(attempt), ...ending }]);
  return answer?.applied;
}

const claims: MessageStep = {
  name: 'claim',
  nothing: [],
  run: async (session) => (await claim(session, { limit: 5 })).map((claimed) => claimed.message),
};
export const recovers: MessageStep = {
  name: 'recover',
  nothing: { lost: 0, returned: 0 },
  run: (session) => session.rpc.call('dm_recover'),
};
const asksForUnknowns: MessageStep = {
  name: 'ask for unknowns',
  nothing: [],
  run: async (session) => {
    const { items } = await session.rpc.call<{ items: { message: string }[] }>('dm_unknowns', { limit: 5 });
    return items.map((item) => item.message);
  },
};
/** An answer to the first attempt, or to the second. */
export const records = (what: string, ending: Ending, nth = 0): MessageStep => ({
  name: `record ${what}${nth > 0 ? ' of the second' : ''}`,
  run: (session, { attempts }) => record(session, attempts[nth], ending),
});
export const resolves = (found: 'sent' | 'absent' | 'unreadable'): MessageStep => ({
  name: `resolve ${found}`,
  run: async (session, { attempts }) => {
    const result = { attempt_id: attempts.at(-1), found, unipile_message_id: 'm2' };
    const args = { results: [result], policy: 'resend-when-absent' };
    const [answer] = await session.rpc.call<{ resolution: string }[]>('dm_resolve', args);
    return answer?.resolution;
  },
});
export const acts = (
  action: string,
  on: 'first' | 'second',
  args: Readonly<Record<string, unknown>> = {},
): MessageStep => ({
  name: [action, ...Object.values(args), on].join(' '),
  run: async (session, world) => (await act(session, action, [world[on]], args)).changed,
});
const sets = (name: string, call: string, args: Readonly<Record<string, unknown>>): MessageStep => ({
  name,
  run: async (session) => {
    await session.rpc.call(call, args);
  },
});
const revos = (name: string, statement: string): MessageStep => ({
  name: `RevOS ${name}`,
  run: async (session) => {
    await session.query(statement, []);
  },
});

const releases: MessageStep = {
  name: 'release',
  run: (session, { claimId }) => session.rpc.call('dm_release', { claim_id: claimId, worker: 'worker-1' }),
};
const enqueues: MessageStep = {
  name: 'enqueue',
  run: async (session) =>
    (await session.dm.enqueue([message(ACCOUNT, { message: 'third', dedupe_key: 'k' })])).enqueued,
};
const limits = sets('limit to one', 'account_policy_set', { account_id: ACCOUNT, patch: { dms_per_day: 1 } });
const pauses = sets('pause', 'account_pause', { account_id: ACCOUNT, reason: 'tired' });
const resumes = sets('resume', 'account_resume', { account_id: ACCOUNT });
const pausesAll = sets('pause all', 'sending_pause_set', { reason: 'stop', actor: 'ada' });
const resumesAll = sets('resume all', 'sending_resume', { actor: 'ada' });
const disconnects = revos('disconnects', `update linkedin_accounts set status = 'expired'`);
const prioritises = revos('prioritises second', `update dm_queue set priority = 5 where message = 'second'`);

export async function waiting(session: Session): Promise<Messages> {
  session.clock.now = NOW;
  await session.reset();
  const account = await openAccount(session, 1);
  const { messages } = await session.dm.enqueue([
    message(account, { message: 'first' }),
    message(account, { message: 'second' }),
  ]);
  const [first = '', second = ''] = messages.map(({ id }) => id);
  return { first, second, attempts: [], claimId: crypto.randomUUID() };
}

export async function underWay(session: Session): Promise<Messages> {
  const world = await waiting(session);
  world.attempts.push((await claimOne(session, { claimId: world.claimId })).attempt_id);
  return world;
}

export async function leaseOver(session: Session): Promise<Messages> {
  const world = await underWay(session);
  session.clock.now = after(NOW, LEASE_MS);
  return world;
}

/** Lost, and not on LinkedIn for half an hour: the next look decides. */
export async function unknown(session: Session): Promise<Messages> {
  const world = await leaseOver(session);
  await recovers.run(session, world);
  await resolves('absent').run(session, world);
  session.clock.now = after(NOW, LEASE_MS + 31 * MINUTE_MS);
  return world;
}

export async function secondTry(session: Session): Promise<Messages> {
  const world = await unknown(session);
  await resolves('absent').run(session, world);
  world.attempts.push((await claimOne(session, { claimId: world.claimId })).attempt_id);
  session.clock.now = after(session.clock.now, LEASE_MS);
  return world;
}

export async function failed(session: Session): Promise<Messages> {
  const world = await underWay(session);
  await record(session, world.attempts[0], FAIL);
  return world;
}

async function paused(session: Session): Promise<Messages> {
  const world = await underWay(session);
  await record(session, world.attempts[0], PAUSE);
  await session.query(`update linkedin_accounts set status = 'expired'`, []);
  await session.rpc.call('dm_recover');
  await session.query(`update linkedin_accounts set status = 'active'`, []);
  return world;
}

async function allPaused(session: Session): Promise<Messages> {
  const world = await waiting(session);
  await pausesAll.run(session, world);
  return world;
}

export const SITUATIONS: readonly Situation<Messages>[] = [
  {
    name: 'messages wait',
    make: waiting,
    steps: [
      claims,
      acts('cancel', 'first'),
      acts('reschedule', 'first', { send_at: '2026-03-02T12:00:00Z' }),
      enqueues,
      limits,
      pauses,
      pausesAll,
      disconnects,
      prioritises,
    ],
  },
  {
    name: 'a call is under way',
    make: underWay,
    steps: [
      claims,
      recovers,
      records('sent', SENT),
      records('retry', RETRY),
      records('unknown', UNKNOWN),
      records('disconnected', PAUSE),
      releases,
      acts('cancel', 'first'),
      acts('cancel', 'second'),
      enqueues,
      limits,
      pauses,
    ],
  },
  {
    name: 'the lease of a call is over',
    make: leaseOver,
    steps: [
      claims,
      recovers,
      records('sent', SENT),
      records('retry', RETRY),
      releases,
      resolves('sent'),
      resolves('absent'),
      acts('settle', 'first', { decision: 'resend' }),
      acts('cancel', 'second'),
      enqueues,
      limits,
      pausesAll,
    ],
  },
  {
    name: 'a message may have been sent',
    make: unknown,
    steps: [
      claims,
      asksForUnknowns,
      records('late sent', SENT),
      records('late fail', FAIL),
      resolves('sent'),
      resolves('absent'),
      resolves('unreadable'),
      acts('settle', 'first', { decision: 'sent' }),
      acts('settle', 'first', { decision: 'resend' }),
      acts('settle', 'first', { decision: 'drop' }),
      acts('cancel', 'second'),
      limits,
    ],
  },
  {
    name: 'a second try is under way',
    make: secondTry,
    steps: [
      claims,
      recovers,
      records('late sent', SENT),
      records('sent', SENT, 1),
      records('unknown', UNKNOWN, 1),
      records('retry', RETRY, 1),
      releases,
      acts('cancel', 'first'),
      acts('settle', 'first', { decision: 'resend' }),
    ],
  },
  {
    name: 'a message has failed',
    make: failed,
    steps: [
      claims,
      acts('retry', 'first'),
      records('late sent', SENT),
      records('late fail', FAIL),
      acts('cancel', 'second'),
      enqueues,
      pauses,
    ],
  },
  {
    name: 'an account is paused, and back',
    make: paused,
    steps: [claims, recovers, resumes, pauses, limits, enqueues, disconnects, records('late sent', SENT)],
  },
  {
    name: 'all sending is paused',
    make: allPaused,
    steps: [claims, resumesAll, pausesAll, pauses, acts('cancel', 'first'), enqueues],
  },
];

const READ = `
  select jsonb_build_object(
    'messages', (select jsonb_agg(jsonb_build_array(message, status, reason, error, attempts, sent_at, send_at, not_before,
      priority, unipile_message_id) order by position) from dm_queue),
    'attempts', (select jsonb_agg(jsonb_build_array(message.message, outcome, started_at, finished_at, effect_by, error_type,
      read_backs, next_read_at, absent_since, attempt.unipile_message_id) order by attempt.position)
      from dm_attempts as attempt left join dm_queue as message on message.id = message_id),
    'policies', (select jsonb_agg(jsonb_build_array(dms_per_day, paused_until, pause_reason, paused_at, seen_inactive,
      strikes_from, pace_until)) from account_policies),
    'pause', (select paused_until from sending_pause)
  ) as world`;

export async function readMessages(session: Session): Promise<unknown> {
  const [row] = await session.query(READ, []);
  return row?.world;
}

/** Nobody is put to sleep: the claim gives what it gives when it looks at every account. */
export async function sleepers(session: Session): Promise<string[]> {
  const { now } = session.clock;
  session.clock.now = after(now, 2_000);
  const claimed: unknown[] = [];
  for (const wake of ['select', `update account_policies set next_claim_at = '-infinity'`]) {
    await session.query('begin', []);
    await session.query(wake, []);
    claimed.push(await claims.run(session, {} as Messages));
    await session.query('rollback', []);
  }
  session.clock.now = now;
  const [asleep, awake] = claimed.map((messages) => JSON.stringify(messages));
  return asleep === awake ? [] : [`${awake} could go, and ${asleep} do`];
}
