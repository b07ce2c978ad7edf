/**
 * A random concurrent workload: sessions in parallel that do everything which can be done to
 * messages and posts.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { RecordedResult } from '@revos/core/sending';
import { DAY_MS, HOUR_MS, MINUTE_MS, message, openAccount, recipientId } from '../support/builders.ts';
import type { Session } from '../support/database.ts';
import { findContradictions } from '../support/ledger.ts';
import { createRandom, type Random } from '../support/random.ts';
import type { Tally } from './campaign.ts';
import { type Bounds, type Call, type Kind, LinkedIn } from './linkedin.ts';
import { SharedClock } from './shared-clock.ts';

const START_MS = Date.UTC(2026, 2, 2, 10);
const PHASES = 4;
const STEPS = 14;
const DRAIN_ROUNDS_MAX = 200;
const LATE_LIMIT_MINUTES = 525_600;

interface Stage {
  readonly clock: SharedClock;
  readonly linkedIn: LinkedIn;
  readonly bounds: ReadonlyMap<string, Bounds>;
  /** Ids of everything that was queued or scheduled. */
  readonly things: Record<Kind, string[]>;
  /** Claimed, and not reported yet. */
  readonly hand: Call[];
  readonly tally: Tally;
}

/** Everything that was broken, a line each. */
export async function runConcurrentWorkload(
  sessions: readonly Session[],
  seed: number,
  tally: Tally,
): Promise<string[]> {
  const random = createRandom(seed);
  const [first] = sessions;
  if (!first) throw new RangeError('a workload needs a session');
  const stage = await setUp(first, random, tally);
  const { linkedIn, clock } = stage;
  const wrong = async (): Promise<string[]> => [
    ...linkedIn.violations,
    ...linkedIn.excesses(stage.bounds),
    ...(await findContradictions(first.query, new Date(clock.nowMs))),
    ...(await sentAgain(first)),
  ];

  for (let phase = 0; phase < PHASES; phase += 1) {
    await Promise.all(
      sessions.map((session, index) =>
        work(session, stage, createRandom(seed * 1_000 + phase * 100 + index)),
      ),
    );
    const found = await wrong();
    if (found.length > 0) return found;
    await clock.advance(
      random.pick([MINUTE_MS, 20 * MINUTE_MS, 3 * HOUR_MS, DAY_MS]) * (0.5 + random.next()),
    );
  }
  return [...(await drain(first, stage, random)), ...(await wrong())];
}

const count = (tally: Tally, name: string, by = 1): void => {
  tally[name] = (tally[name] ?? 0) + by;
};

async function setUp(session: Session, random: Random, tally: Tally): Promise<Stage> {
  await session.reset();
  const clock = new SharedClock(START_MS);
  session.clock.now = new Date(clock.nowMs);
  const bounds = new Map<string, Bounds>();
  for (const n of [1, 2, 3]) {
    const bound = {
      dmsPerDay: random.integer(2, 5),
      dmsPer24h: random.integer(3, 6),
      postGapMs: random.pick([0, 5, 60]) * MINUTE_MS,
    };
    const policy = { dms_per_day: bound.dmsPerDay, dms_per_24h: bound.dmsPer24h };
    const id = await openAccount(session, n, policy);
    await session.rpc.call('account_policy_set', {
      account_id: id,
      patch: { post_gap_s: bound.postGapMs / 1_000 },
    });
    bounds.set(id, bound);
  }
  const stage: Stage = {
    clock,
    bounds,
    linkedIn: new LinkedIn(),
    things: { message: [], post: [] },
    hand: [],
    tally,
  };
  for (let n = 0; n < 3; n += 1) await STEPS_OF.enqueue(session, stage, random);
  for (let n = 0; n < 6; n += 1) await STEPS_OF.schedule(session, stage, random, clock.nowMs);
  return stage;
}

async function work(session: Session, stage: Stage, random: Random): Promise<void> {
  for (let step = 0; step < STEPS; step += 1) {
    for (let turns = random.integer(0, 2); turns > 0; turns -= 1) await turn();
    const name = random.pick(OFTEN);
    if (name === 'advance') {
      const ms = random.pick([1, 1_000, 20_000, 2 * MINUTE_MS, 6 * MINUTE_MS, 31 * MINUTE_MS]);
      await stage.clock.advance(ms * (0.5 + random.next()));
      continue;
    }
    count(stage.tally, name);
    await stage.clock.during(async (nowMs) => {
      session.clock.now = new Date(nowMs);
      await STEPS_OF[name](session, stage, random, nowMs);
    });
  }
}

type Do = (session: Session, stage: Stage, random: Random, nowMs: number) => Promise<unknown>;

const prefixOf = (kind: Kind): string => (kind === 'message' ? 'dm' : 'post');
const someAccount = ({ bounds }: Stage, random: Random): string => random.pick([...bounds.keys()]);
const someKind = (random: Random): Kind => random.pick(['message', 'post']);

interface Claimed {
  readonly attempt_id: string;
  readonly message_id?: string;
  readonly post_id?: string;
  readonly account_id: string;
}

const claim =
  (kind: Kind): Do =>
  async (session, { linkedIn, hand, tally }, random, nowMs) => {
    const leaseMs = random.pick([20_000, 120_000, 300_000]);
    const claimId = crypto.randomUUID();
    const { items } = await session.rpc.call<{ items: Claimed[] }>(`${prefixOf(kind)}_claim`, {
      worker: 'worker',
      limit: random.pick([1, 2, 5]),
      lease_ms: leaseMs,
      claim_id: claimId,
      ...(kind === 'post' ? { late_limit_minutes: LATE_LIMIT_MINUTES } : { draw: random.next() }),
    });
    count(tally, `${kind} claimed`, items.length);
    for (const item of items) {
      const call: Call = {
        kind,
        claimId,
        thingId: String(item.message_id ?? item.post_id),
        attemptId: item.attempt_id,
        accountId: item.account_id,
        claimMs: nowMs,
        leaseUntilMs: nowMs + leaseMs,
        hasEffect: random.chance(0.5),
        isReported: false,
        isAnswered: false,
        settlers: 0,
        isOver: false,
      };
      linkedIn.claimed(call);
      hand.push(call);
    }
  };

/** What a worker says: the truth, as far as it has learnt it. */
function endingOf(call: Call, random: Random): Readonly<Record<string, unknown>> {
  if (random.chance(0.3)) return { outcome: 'unknown', error: 'no answer' };
  if (call.hasEffect) return { outcome: 'sent', ...idsOf(call.kind, call.attemptId) };
  const next_step = random.pick(['release', 'wait', 'retry', 'retry', 'fail']);
  return { outcome: 'not_sent', next_step, reason: 'unreachable', retry_after_ms: 1_000 };
}

const idsOf = (kind: Kind, id: string): Readonly<Record<string, string>> =>
  kind === 'message'
    ? { unipile_message_id: id }
    : { unipile_post_id: id, social_id: `urn:${id}`, share_url: `https://a.example/${id}` };

const act =
  (action: string, argsOf: (random: Random, nowMs: number) => object = () => ({})): Do =>
  async (session, { things }, random, nowMs) => {
    const kind = someKind(random);
    const name = kind === 'message' && action === 'publish_now' ? 'retry' : action;
    const at = argsOf(random, nowMs);
    await session.rpc.call(`${prefixOf(kind)}_act`, {
      action: name,
      selection: { ids: [random.pick(things[kind]), random.pick(things[kind])] },
      args: name === 'reschedule' && kind === 'message' ? { send_at: Object.values(at)[0] } : at,
      dry_run: false,
      actor: 'ada',
    });
  };

/**
 * A person looks on LinkedIn, and says what is there: maybe a while later, and of whatever is
 * unknown by then.
 */
async function settle(
  session: Session,
  { linkedIn, tally }: Stage,
  random: Random,
  { kind, thingId: id }: Pick<Call, 'kind' | 'thingId'>,
  nowMs: number,
): Promise<void> {
  const decision = linkedIn.find(id) !== null ? 'sent' : random.pick(['resend', 'resend', 'drop']);
  // That it is not there is not believed before the lease has ended.
  const ended = decision === 'sent' ? linkedIn.calls.filter(({ thingId }) => thingId === id) : [];
  for (const call of ended) {
    call.settlers += 1;
    call.isOver ||= call.isReported;
  }
  const { changed } = await session.rpc.call<{ changed: number }>(`${prefixOf(kind)}_act`, {
    action: 'settle',
    selection: { ids: [id] },
    args: { decision, looked_at: new Date(nowMs).toISOString() },
    dry_run: false,
    actor: 'ada',
  });
  for (const call of ended) call.settlers -= 1;
  count(tally, `settled as ${decision}`, changed);
}

const reconcile =
  (kind: Kind, isClear: (random: Random) => boolean): Do =>
  async (session, { linkedIn, tally }, random) => {
    const { items } = await session.rpc.call<{ items: Claimed[] }>(`${prefixOf(kind)}_unknowns`, {
      limit: 5,
    });
    for (const item of items) {
      const id = linkedIn.find(String(item.message_id ?? item.post_id));
      const found = isClear(random) ? (id === null ? 'absent' : 'sent') : 'unreadable';
      // An absence is not believed before the lease has ended.
      for (const call of linkedIn.calls)
        call.isOver ||= found === 'sent' && call.attemptId === item.attempt_id;
      const results = [{ attempt_id: item.attempt_id, found, ...(id === null ? {} : idsOf(kind, id)) }];
      const policy = random.pick(['resend-when-absent', 'resend-when-absent', 'hold']);
      const [answer] = await session.rpc.call<{ resolution: string }[]>(`${prefixOf(kind)}_resolve`, {
        results,
        policy,
      });
      count(tally, `resolved as ${answer?.resolution}`);
    }
  };

async function report(
  session: Session,
  { tally }: Stage,
  call: Call,
  ending: Readonly<Record<string, unknown>>,
): Promise<void> {
  // Once it is unknown, that it was not sent is not believed any more; of two reports at once,
  // either may be the first.
  call.isOver ||=
    call.settlers > 0 || ending.outcome === 'sent' || (ending.outcome === 'not_sent' && !call.isAnswered);
  call.isReported = true;
  const results = [{ attempt_id: call.attemptId, ...ending }];
  const [answer] = await session.rpc.call<RecordedResult[]>(`${prefixOf(call.kind)}_record`, { results });
  call.isAnswered = true;
  count(tally, `answer ${answer?.applied}`);
}

const STEPS_OF = {
  'claim messages': claim('message'),
  'claim posts': claim('post'),
  record: async (session, stage, random) => {
    const [call] = stage.hand.splice(random.integer(0, stage.hand.length), 1);
    if (call) await report(session, stage, call, endingOf(call, random));
  },
  'record again': async (session, stage, random) => {
    const call = stage.linkedIn.calls[random.integer(0, stage.linkedIn.calls.length)];
    if (call?.isReported) await report(session, stage, call, endingOf(call, random));
  },
  release: async (session, { hand, linkedIn }, random) => {
    const call = hand.find(({ hasEffect }) => !hasEffect);
    if (!call || random.chance(0.3)) return;
    const claimed = linkedIn.calls.filter(({ claimId }) => claimId === call.claimId);
    // What the same call claimed and had an effect is not given back: its caller knows it was dispatched.
    if (claimed.some(({ hasEffect }) => hasEffect)) return;
    for (const other of claimed) {
      other.isReported = true;
      other.isOver = true;
    }
    await session.rpc.call(`${prefixOf(call.kind)}_release`, { claim_id: call.claimId, worker: 'worker' });
  },
  recover: (session, _stage, random) => session.rpc.call(`${prefixOf(someKind(random))}_recover`),
  'read back messages': reconcile('message', (random) => random.chance(0.85)),
  'read back posts': reconcile('post', (random) => random.chance(0.85)),
  cancel: act('cancel'),
  retry: act('retry'),
  reschedule: act('reschedule', (random, nowMs) => ({
    scheduled_for: new Date(nowMs + random.pick([-1, 0, 60]) * MINUTE_MS).toISOString(),
  })),
  'publish now': act('publish_now'),
  settle: async (session, stage, random, nowMs) => {
    const call = stage.linkedIn.calls[random.integer(0, stage.linkedIn.calls.length)];
    if (call) await settle(session, stage, random, call, nowMs);
  },
  pause: (session, stage, random, nowMs) =>
    session.rpc.call('account_pause', {
      account_id: someAccount(stage, random),
      reason: 'tired',
      until: new Date(nowMs + 10 * MINUTE_MS).toISOString(),
    }),
  resume: (session, stage, random) =>
    session.rpc.call('account_resume', { account_id: someAccount(stage, random) }),
  'pause all': (session, _stage, _random, nowMs) =>
    session.rpc.call('sending_pause_set', {
      reason: 'stop',
      until: new Date(nowMs + MINUTE_MS).toISOString(),
    }),
  'resume all': (session) => session.rpc.call('sending_resume'),
  'edit a policy': async (session, stage, random) => {
    const account_id = someAccount(stage, random);
    const { dmsPerDay = 1 } = stage.bounds.get(account_id) ?? {};
    const patch = { dms_per_day: random.integer(1, dmsPerDay), gap_max_s: random.pick([0, 30]) };
    await session.rpc.call('account_policy_set', { account_id, patch });
  },
  enqueue: async (session, stage, random) => {
    const accounts = [...stage.bounds.keys()];
    const rows = Array.from({ length: random.integer(1, 4) }, () => {
      // One key is one message: with another account, recipient or text it is refused.
      const key = random.integer(0, 40);
      return message(String(accounts[key % accounts.length]), {
        recipient_id: recipientId(key),
        dedupe_key: `k${key}`,
      });
    });
    const { messages } = await session.dm.enqueue(rows);
    stage.things.message.push(...messages.filter(({ is_new }) => is_new).map(({ id }) => id));
  },
  schedule: async (session, stage, random, nowMs) => {
    const [row] = await session.query(
      `insert into posts (linkedin_account_id, content, status, scheduled_for) values ($1, 'Hello', 'scheduled', $2) returning id`,
      [someAccount(stage, random), new Date(nowMs + random.pick([-1, 0, 5]) * MINUTE_MS).toISOString()],
    );
    stage.things.post.push(String(row?.id));
  },
  'RevOS schedules again': (session, { things }, random) =>
    session.query(`update posts set status = 'scheduled' where id = $1`, [random.pick(things.post)]),
} satisfies Record<string, Do>;

/** Every step, those that carry the work more often. */
const OFTEN: readonly (keyof typeof STEPS_OF | 'advance')[] = [
  ...(Object.keys(STEPS_OF) as (keyof typeof STEPS_OF)[]),
  ...Array<keyof typeof STEPS_OF>(6).fill('claim messages'),
  ...Array<keyof typeof STEPS_OF>(6).fill('claim posts'),
  ...Array<keyof typeof STEPS_OF>(7).fill('record'),
  ...Array<keyof typeof STEPS_OF>(2).fill('recover'),
  ...Array<keyof typeof STEPS_OF>(2).fill('settle'),
  ...Array<keyof typeof STEPS_OF>(2).fill('read back messages'),
  ...Array<keyof typeof STEPS_OF>(2).fill('read back posts'),
  ...Array<'advance'>(5).fill('advance'),
];

/**
 * Attempts after one that is not proven to have had no effect; an unknown one only by a look, or by
 * a person.
 */
async function sentAgain(session: Session): Promise<string[]> {
  const rows = await session.query(
    `with attempt as (
       select message_id as thing_id, position, outcome, error_type, absent_since, finished_at from dm_attempts
       union all
       select post_id, position, outcome, error_type, absent_since, finished_at from post_attempts
     )
     select thing_id, earlier.outcome from attempt as earlier
     where outcome is distinct from 'not_sent'
       and exists (select from attempt as later where later.thing_id = earlier.thing_id and later.position > earlier.position)`,
    [],
  );
  return rows.map(
    ({ thing_id, outcome }) => `${thing_id} was claimed again after an attempt that is ${outcome}`,
  );
}

/** Everything comes to an end that can be explained, once nothing stands in its way. */
async function drain(session: Session, stage: Stage, random: Random): Promise<string[]> {
  const { clock, linkedIn, hand } = stage;
  const always = () => true;
  for (let round = 0; round < DRAIN_ROUNDS_MAX; round += 1) {
    session.clock.now = new Date(clock.nowMs);
    await session.rpc.call('sending_resume');
    for (const account_id of stage.bounds.keys()) await session.rpc.call('account_resume', { account_id });
    for (const kind of ['message', 'post'] as const) {
      await claim(kind)(session, stage, random, clock.nowMs);
      for (const call of hand.splice(0)) await report(session, stage, call, endingOf(call, random));
      await reconcile(kind, always)(session, stage, random, clock.nowMs);
    }
    for (const { kind, id } of await waitingFor(session)) {
      await settle(session, stage, random, { kind, thingId: id }, clock.nowMs);
    }
    if ((await openThings(session)).length === 0) return unexplained(session, linkedIn);
    await clock.advance(6 * HOUR_MS);
  }
  return (await openThings(session)).map((line) => `never came to an end: ${line}`);
}

/** What waits for a person. */
async function waitingFor(session: Session): Promise<{ kind: Kind; id: string }[]> {
  const rows = await session.query(
    `select 'message' as kind, id from dm_queue where reason = 'unknown_held' and status = 'unknown'
     union all select 'post', post_id from post_publications where reason = 'unknown_held' and state = 'unknown'`,
    [],
  );
  return rows.map(({ kind, id }) => ({ kind: kind as Kind, id: String(id) }));
}

async function openThings(session: Session): Promise<string[]> {
  const rows = await session.query(
    `select format('message %s is %s', id, status) as line from dm_queue where status in ('pending', 'sending', 'unknown')
     union all
     select format('post %s is %s', post.id, publication.state)
     from posts as post left join post_publications as publication on publication.post_id = post.id
     where publication.state in ('publishing', 'unknown')
       or (post.status = 'scheduled' and coalesce(publication.state, 'waiting') not in ('published', 'failed'))`,
    [],
  );
  return rows.map(({ line }) => String(line));
}

/** What is said to be sent was seen, and nothing else was, unless a person gave it up. */
async function unexplained(session: Session, linkedIn: LinkedIn): Promise<string[]> {
  const rows = await session.query(
    `select id, status as state, reason from dm_queue
     union all
     select post_id, case state when 'published' then 'sent' else state end, reason from post_publications`,
    [],
  );
  return rows
    .filter(({ id, state, reason }) => {
      const isThere = linkedIn.find(String(id)) !== null;
      return (state === 'sent') !== isThere && !(isThere && reason === 'dropped');
    })
    .map(
      ({ id, state, reason }) =>
        `${id} is ${state} (${reason}), and LinkedIn has ${linkedIn.find(String(id))}`,
    );
}
