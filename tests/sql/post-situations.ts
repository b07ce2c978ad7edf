/** Situations of an account's posts, with a message beside them, and what can happen in each. */
import { accountId, after, at, claim, claimOne, LEASE_MS, MINUTE_MS, message } from '../support/builders.ts';
import type { Session } from '../support/database.ts';
import type { Situation, Step } from '../support/orders.ts';
import {
  actOnPosts,
  claimPost,
  claimPosts,
  FAIL,
  insertPost,
  LATE_LIMIT_MINUTES,
  POST_LEASE_MS,
  type PostEnding,
  postingAccount,
  RETRY,
  recordPost,
  revosSets,
  SENT,
  UNKNOWN,
} from '../support/posts.ts';

const NOW = at('2026-03-02T10:00:00Z');
const ACCOUNT = accountId(1);

/** Two posts, named by their text, a message, and the attempts that were made for the first post. */
export interface Posts {
  readonly first: string;
  readonly second: string;
  readonly attempts: string[];
  readonly claimId: string;
}
type PostStep = Step<Posts>;

const claims: PostStep = {
  name: 'claim',
  nothing: [],
  run: async (session) => (await claimPosts(session, { limit: 5 })).map((claimed) => claimed.text),
};
const claimsMessages: PostStep = {
  name: 'claim messages',
  nothing: [],
  run: async (session) => (await claim(session, { limit: 5 })).map((claimed) => claimed.message),
};
export const recovers: PostStep = {
  name: 'recover',
  nothing: { lost: 0 },
  run: (session) => session.rpc.call('post_recover'),
};
const asksForUnknowns: PostStep = {
  name: 'ask for unknowns',
  nothing: [],
  run: async (session) => {
    const { items } = await session.rpc.call<{ items: { text: string }[] }>('post_unknowns', { limit: 5 });
    return items.map((item) => item.text);
  },
};
/** An answer to the first attempt, or to the second. */
export const records = (what: string, ending: PostEnding, nth = 0): PostStep => ({
  name: `record ${what}${nth > 0 ? ' of the second' : ''}`,
  run: async (session, { attempts }) =>
    (await recordPost(session, { attempt_id: String(attempts[nth]) }, ending))?.applied,
});
export const resolves = (found: 'sent' | 'absent' | 'unreadable'): PostStep => ({
  name: `resolve ${found}`,
  run: async (session, { attempts }) => {
    const result = {
      attempt_id: attempts.at(-1),
      found,
      unipile_post_id: 'p2',
      share_url: 'https://lnkd.in/p2',
    };
    const args = { results: [result], policy: 'resend-when-absent' };
    const [answer] = await session.rpc.call<{ resolution: string }[]>('post_resolve', args);
    return answer?.resolution;
  },
});
export const acts = (
  action: string,
  on: 'first' | 'second',
  args: Readonly<Record<string, unknown>> = {},
): PostStep => ({
  name: [action, ...Object.values(args), on].join(' '),
  run: async (session, world) => (await actOnPosts(session, action, [world[on]], args)).changed,
});
const sets = (name: string, call: string, args: Readonly<Record<string, unknown>>): PostStep => ({
  name,
  run: async (session) => {
    await session.rpc.call(call, args);
  },
});
const revos = (
  verb: string,
  on: 'first' | 'second',
  fields: Readonly<Record<string, unknown>>,
): PostStep => ({
  name: `RevOS ${verb} ${on}`,
  run: (session, world) => revosSets(session, world[on], fields),
});

const releases: PostStep = {
  name: 'release',
  run: (session, { claimId }) => session.rpc.call('post_release', { claim_id: claimId, worker: 'worker-1' }),
};
const enqueues: PostStep = {
  name: 'enqueue a message',
  run: async (session) => (await session.dm.enqueue([message(ACCOUNT, { message: 'another' })])).enqueued,
};
const widensGap = sets('widen the gap', 'account_policy_set', {
  account_id: ACCOUNT,
  patch: { post_gap_s: 86_400 },
});
const pauses = sets('pause', 'account_pause', { account_id: ACCOUNT, reason: 'tired' });
const resumes = sets('resume', 'account_resume', { account_id: ACCOUNT });
const pausesAll = sets('pause all', 'sending_pause_set', { reason: 'stop', actor: 'ada' });
const resumesAll = sets('resume all', 'sending_resume', { actor: 'ada' });
const setsOptions: PostStep = {
  name: 'set options of second',
  run: async (session, { second }) => {
    await session.rpc.call('post_options_set', {
      post_id: second,
      patch: { external_link: 'https://a.example' },
    });
  },
};

export async function waiting(session: Session): Promise<Posts> {
  session.clock.now = NOW;
  await session.reset();
  const account = await postingAccount(session, 1);
  const post = (content: string, ageMs: number) =>
    insertPost(session, { linkedin_account_id: account, content, scheduled_for: after(NOW, -ageMs) });
  const world: Posts = {
    first: await post('first', 2_000),
    second: await post('second', 1_000),
    attempts: [],
    claimId: crypto.randomUUID(),
  };
  await session.dm.enqueue([message(account, { message: 'message' })]);
  return world;
}

export async function underWay(session: Session): Promise<Posts> {
  const world = await waiting(session);
  world.attempts.push((await claimPost(session, { claimId: world.claimId })).attempt_id);
  return world;
}

export async function leaseOver(session: Session): Promise<Posts> {
  const world = await underWay(session);
  session.clock.now = after(NOW, POST_LEASE_MS);
  return world;
}

/** Lost, and not on LinkedIn for half an hour: the next look decides. */
export async function unknown(session: Session): Promise<Posts> {
  const world = await leaseOver(session);
  await recovers.run(session, world);
  await resolves('absent').run(session, world);
  session.clock.now = after(NOW, POST_LEASE_MS + 31 * MINUTE_MS);
  return world;
}

export async function secondTry(session: Session): Promise<Posts> {
  const world = await unknown(session);
  await resolves('absent').run(session, world);
  world.attempts.push((await claimPost(session, { claimId: world.claimId })).attempt_id);
  session.clock.now = after(session.clock.now, POST_LEASE_MS);
  return world;
}

export async function failed(session: Session): Promise<Posts> {
  const world = await underWay(session);
  await records('fail', FAIL).run(session, world);
  return world;
}

async function allPaused(session: Session): Promise<Posts> {
  const world = await waiting(session);
  await pausesAll.run(session, world);
  await pauses.run(session, world);
  return world;
}

/** A message's call is under way, and its lease over: posts of the account wait for it. */
async function messageUnderWay(session: Session): Promise<Posts> {
  const world = await waiting(session);
  world.attempts.push((await claimOne(session)).attempt_id);
  session.clock.now = after(NOW, LEASE_MS);
  return world;
}

const recordsMessage: PostStep = {
  name: 'record the message',
  run: async (session, { attempts }) => {
    const result = { attempt_id: String(attempts[0]), outcome: 'sent', unipile_message_id: 'm1' } as const;
    return (await session.dm.record([result]))[0]?.applied;
  },
};
const recoversMessages: PostStep = {
  name: 'recover messages',
  nothing: { lost: 0, returned: 0 },
  run: (session) => session.rpc.call('dm_recover'),
};

export const SITUATIONS: readonly Situation<Posts>[] = [
  {
    name: 'posts wait',
    make: waiting,
    steps: [
      claims,
      claimsMessages,
      acts('cancel', 'first'),
      acts('reschedule', 'first', { scheduled_for: '2026-03-02T12:00:00Z' }),
      acts('publish_now', 'second'),
      revos('edits', 'second', { content: 'edited' }),
      revos('unschedules', 'first', { status: 'draft' }),
      setsOptions,
      widensGap,
      pauses,
      pausesAll,
      enqueues,
    ],
  },
  {
    name: 'a call is under way',
    make: underWay,
    steps: [
      claims,
      claimsMessages,
      recovers,
      records('sent', SENT),
      records('retry', RETRY),
      records('unknown', UNKNOWN),
      releases,
      acts('cancel', 'first'),
      acts('cancel', 'second'),
      revos('unschedules', 'first', { status: 'draft' }),
      pauses,
    ],
  },
  {
    name: 'the lease of a call is over',
    make: leaseOver,
    steps: [
      claims,
      claimsMessages,
      recovers,
      records('sent', SENT),
      records('fail', FAIL),
      releases,
      resolves('sent'),
      resolves('absent'),
      acts('settle', 'first', { decision: 'resend' }),
      acts('cancel', 'second'),
    ],
  },
  {
    name: 'a post may have been published',
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
      revos('unschedules', 'first', { status: 'draft' }),
    ],
  },
  {
    name: 'a second try is under way',
    make: secondTry,
    steps: [
      claims,
      recovers,
      records('late sent', SENT),
      records('sent', { ...SENT, unipile_post_id: 'p3', social_id: 'urn:li:activity:p3' }, 1),
      records('unknown', UNKNOWN, 1),
      records('retry', RETRY, 1),
      releases,
      acts('settle', 'first', { decision: 'resend' }),
    ],
  },
  {
    name: 'a post has failed',
    make: failed,
    steps: [
      claims,
      acts('retry', 'first'),
      records('late sent', SENT),
      records('late fail', FAIL),
      acts('cancel', 'second'),
      revos('reschedules', 'first', { status: 'scheduled' }),
    ],
  },
  {
    name: 'a message’s call is under way',
    make: messageUnderWay,
    steps: [claims, claimsMessages, recoversMessages, recordsMessage, acts('cancel', 'first'), pauses],
  },
  {
    name: 'everything is paused',
    make: allPaused,
    steps: [claims, resumesAll, pausesAll, resumes, pauses, acts('cancel', 'first')],
  },
];

const READ = `
  select jsonb_build_object(
    'posts', (select jsonb_agg(jsonb_build_array(content, status, scheduled_for, published_at, unipile_post_id, post_url)
      order by created_at, content) from posts),
    'publications', (select jsonb_agg(jsonb_build_array(state, reason, error, attempts, not_before, missed_for,
      publication.published_at, publication.unipile_post_id, social_id, share_url, external_link) order by post.created_at, post_id)
      from post_publications as publication join posts as post on post.id = post_id
      -- One that nobody has looked at is as good as one that says nothing.
      where (state, external_link) is distinct from ('waiting', null)),
    'attempts', (select jsonb_agg(jsonb_build_array(text, outcome, started_at, finished_at, effect_by, error_type, read_backs,
      next_read_at, absent_since, unipile_post_id) order by position) from post_attempts),
    'messages', (select jsonb_agg(jsonb_build_array(message, status, reason, sent_at) order by position) from dm_queue),
    'policies', (select jsonb_agg(jsonb_build_array(post_gap_s, paused_until, pause_reason, strikes_from)) from account_policies),
    'pause', (select paused_until from sending_pause)
  ) as world`;

export async function readPosts(session: Session): Promise<unknown> {
  const [row] = await session.query(READ, []);
  return row?.world;
}

/** The posts that are due and free, by the tables alone: what a claim is made of has no part in it. */
const FREE = `
  select post.content from posts as post
  join linkedin_accounts as account on account.id = post.linkedin_account_id
  left join post_publications as publication on publication.post_id = post.id
  left join account_policies as policy on policy.account_id = account.id
  where post.status = 'scheduled' and post.unipile_post_id is null
    and post.scheduled_for between $1::timestamptz - make_interval(mins => $2) and $1
    and post.scheduled_for is distinct from publication.missed_for
    and coalesce(publication.not_before, '-infinity') <= $1
    and account.status = 'active' and account.unipile_account_id is not null
    and coalesce(policy.paused_until, '-infinity') <= $1
    and not exists (select from sending_pause where paused_until > $1)
    and not exists (select from post_attempts where post_id = post.id and outcome is distinct from 'not_sent')
    -- Nothing of the account is under way, or may be, and its gap is over.
    and not exists (select from (
      select outcome, lease_until, effect_by, 0 as gap_s from dm_attempts where account_id = account.id
      union all
      select outcome, lease_until, effect_by, policy.post_gap_s from post_attempts where account_id = account.id
    ) as attempt where (outcome is null and lease_until > $1) or (outcome = 'unknown' and effect_by > $1)
      or (outcome is distinct from 'not_sent' and gap_s > 0 and effect_by + make_interval(secs => gap_s) > $1))`;

/** Nobody is put to sleep: where a post is due and free, a claim finds one. */
export async function sleepers(session: Session): Promise<string[]> {
  const { now } = session.clock;
  session.clock.now = after(now, 2_000);
  const free = await session.query(FREE, [session.clock.now.toISOString(), LATE_LIMIT_MINUTES]);
  await session.query('begin', []);
  const claimed = await claims.run(session, {} as Posts);
  await session.query('rollback', []);
  session.clock.now = now;
  const isAsleep = free.length > 0 && Array.isArray(claimed) && claimed.length === 0;
  return isAsleep ? [`${free.map(({ content }) => content).join(', ')} could go, and nothing does`] : [];
}
