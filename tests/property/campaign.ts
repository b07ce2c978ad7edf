/** One random campaign: sessions that really work in parallel, and the history that they leave. */
import { setImmediate as turn } from 'node:timers/promises';
import type { ClaimedMessage, DmResult, Enqueued } from '@revos/core/dm';
import type { Claim as ClaimOf, RecordedResult } from '@revos/core/sending';
import { DAY_MS, HOUR_MS, MINUTE_MS, message, recipientId } from '../support/builders.ts';
import type { Session } from '../support/database.ts';
import { createRandom, type Random } from '../support/random.ts';
import { AccountHistory, type Attempt, closingReport, latest, type Report } from './history.ts';
import { type Block, blocksOf } from './oracle.ts';
import { SharedClock } from './shared-clock.ts';
import { randomPolicy, type WorldPlan } from './world.ts';

type Claim = ClaimOf<ClaimedMessage>;

/** How often each thing happened, so that a test can tell that it did. */
export type Tally = Record<string, number>;

export interface Campaign {
  readonly accounts: readonly AccountHistory[];
  readonly violations: string[];
}

interface Stage {
  readonly plan: WorldPlan;
  readonly clock: SharedClock;
  readonly accounts: ReadonlyMap<string, AccountHistory>;
  readonly tally: Tally;
  readonly zones: readonly string[];
  readonly violations: string[];
  /** Claimed, and not reported yet. */
  readonly hand: Attempt[];
  /** Reported by nobody: its process went away, or is slow beyond its lease. */
  readonly lost: Attempt[];
  readonly reported: Array<{ attempt: Attempt; result: DmResult }>;
  /** Changes of one account's settings, one after the other, so that their order is known. */
  readonly settings: Map<string, Promise<void>>;
  hintMs: number | null;
  seq: number;
}

const PHASES = 7;
const STEPS = 22;

export async function runCampaign(
  sessions: readonly Session[],
  plan: WorldPlan,
  zones: readonly string[],
  seed: number,
  tally: Tally,
): Promise<Campaign> {
  const random = createRandom(seed);
  const stage: Stage = {
    plan,
    zones,
    tally,
    clock: new SharedClock(plan.startMs),
    accounts: new Map(
      plan.accounts.map(({ id, isActive, policy }) => [id, new AccountHistory(id, isActive, policy)]),
    ),
    violations: [],
    hand: [],
    lost: [],
    reported: [],
    settings: new Map(),
    hintMs: null,
    seq: 0,
  };
  const [first] = sessions;
  if (!first) throw new RangeError('a campaign needs a session');
  await setUp(first, stage, random);

  for (let phase = 0; phase < PHASES; phase += 1) {
    await Promise.all(
      sessions.map((session, index) =>
        work(session, stage, createRandom(seed * 1_000 + phase * 100 + index)),
      ),
    );
    await expectNothingLeft(sessions, stage, random);
    while (stage.hand.length > 0 && random.chance(0.9)) await reportSome(first, stage, random);
    await stage.clock.advance(jumpBetweenPhases(stage, random));
  }
  return { accounts: [...stage.accounts.values()], violations: stage.violations };
}

const count = (tally: Tally, name: string, by = 1): void => {
  tally[name] = (tally[name] ?? 0) + by;
};

async function setUp(session: Session, { plan, clock }: Stage, random: Random): Promise<void> {
  await session.reset();
  for (const { id, policy, isActive } of plan.accounts) {
    await session.query(
      `insert into linkedin_accounts (id, account_name, unipile_account_id, status) values ($1::uuid, $1::text, $1::text, $2)`,
      [id, isActive ? 'active' : 'expired'],
    );
    await call(session, clock.nowMs, 'account_policy_set', { account_id: id, patch: policy });
    const rows = Array.from({ length: random.integer(5, 40) }, (_, index) =>
      message(id, { recipient_id: recipientId(index), priority: random.pick([0, 0, 0, 5, 9]) }),
    );
    await call(session, clock.nowMs, 'dm_enqueue', { rows });
  }
}

/** Calls a SQL function at an instant of the shared clock. */
function call<Result>(
  session: Session,
  nowMs: number,
  name: string,
  args: Record<string, unknown>,
): Promise<Result> {
  session.clock.now = new Date(nowMs);
  return session.rpc.call<Result>(name, args);
}

/** A session's life in one phase: what it does is random, and so is whom it meets. */
async function work(session: Session, stage: Stage, random: Random): Promise<void> {
  for (let step = 0; step < STEPS; step += 1) {
    for (let turns = random.integer(0, 2); turns > 0; turns -= 1) await turn();
    const action = random.next();
    if (action < 0.36) await claimSome(session, stage, random);
    else if (action < 0.7) await reportSome(session, stage, random);
    else if (action < 0.74) await reportLate(session, stage, random);
    else if (action < 0.77) await reportAgain(session, stage, random);
    else if (action < 0.8) await enqueueSome(session, stage, random);
    else if (action < 0.83) await stage.clock.during((nowMs) => call(session, nowMs, 'dm_recover', {}));
    else if (action < 0.84) await changeSettings(session, stage, random);
    else if (action < 0.93) await stage.clock.advance(jump(stage, random));
  }
}

function jump({ clock, hintMs }: Stage, random: Random): number {
  const toHint = hintMs === null ? 0 : hintMs - clock.nowMs;
  if (toHint > 0 && toHint < HOUR_MS && random.chance(0.5)) return toHint - random.pick([0, 0, 1]);
  return random.pick([1, 100, 1_000, 5_000, 20_000, 30_000, 2 * MINUTE_MS]) * (0.5 + random.next());
}

function jumpBetweenPhases({ clock, hintMs }: Stage, random: Random): number {
  const toHint = hintMs === null ? 0 : hintMs - clock.nowMs;
  if (toHint > 0 && toHint < 8 * DAY_MS && random.chance(0.5))
    return toHint - random.pick([0, 0, 1, MINUTE_MS]);
  return (
    random.pick([10 * MINUTE_MS, 2 * HOUR_MS, 9 * HOUR_MS, 23 * HOUR_MS, 24 * HOUR_MS, 3 * DAY_MS]) *
    (0.8 + 0.4 * random.next())
  );
}

async function claimSome(session: Session, stage: Stage, random: Random): Promise<Claim> {
  const { clock } = stage;
  return clock.during(async (clockMs) => {
    // Now and then a session whose transaction began a moment ago.
    const nowMs = random.chance(0.2) ? clockMs - random.integer(0, 1_000) : clockMs;
    return claimAt(session, stage, random, nowMs);
  });
}

async function claimAt(session: Session, stage: Stage, random: Random, nowMs: number): Promise<Claim> {
  const leaseMs = random.pick([20_000, 120_000, 300_000, 900_000]);
  const claimSentSeq = ++stage.seq;
  const claim = await call<Claim>(session, nowMs, 'dm_claim', {
    worker: 'worker',
    limit: random.pick([1, 2, 5, 20]),
    lease_ms: leaseMs,
    draw: random.next(),
  });
  const claimSeq = ++stage.seq;
  stage.hintMs = claim.next_claim_at === null ? null : Date.parse(claim.next_claim_at);
  count(stage.tally, 'claims', claim.items.length);
  for (const claimed of claim.items) {
    const attempt: Attempt = {
      id: claimed.attempt_id,
      messageId: claimed.message_id,
      accountId: claimed.account_id,
      claimMs: nowMs,
      claimSentSeq,
      claimSeq,
      leaseUntilMs: nowMs + leaseMs,
      reports: [],
    };
    stage.accounts.get(claimed.account_id)?.attempts.push(attempt);
    if (random.chance(0.07)) stage.lost.push(attempt);
    else stage.hand.push(attempt);
  }
  return claim;
}

type Ending = Omit<DmResult, 'attempt_id'>;
const ENDINGS: ReadonlyArray<readonly [number, Ending]> = [
  [0.5, { outcome: 'sent', unipile_message_id: 'm', chat_id: 'c' }],
  [0.12, { outcome: 'unknown', error: 'no answer' }],
  [0.06, { outcome: 'not_sent', next_step: 'release' }],
  [0.06, { outcome: 'not_sent', next_step: 'wait', reason: 'rate_limited', retry_after_ms: 90_000 }],
  [0.08, { outcome: 'not_sent', next_step: 'retry', reason: 'unreachable', retry_after_ms: 1_000 }],
  [0.03, { outcome: 'not_sent', next_step: 'restart', reason: 'chat_missing' }],
  [0.07, { outcome: 'not_sent', next_step: 'fail', reason: 'rejected' }],
  [
    0.04,
    {
      outcome: 'not_sent',
      next_step: 'wait',
      reason: 'rate_limited',
      pause_ms: 600_000,
      pause_reason: 'rate_limited',
    },
  ],
  [
    0.04,
    {
      outcome: 'not_sent',
      next_step: 'wait',
      reason: 'account_disconnected',
      pause_ms: 3_600_000,
      pause_reason: 'account_disconnected',
    },
  ],
];

function randomEnding(random: Random): Ending {
  let rest = random.next();
  for (const [share, ending] of ENDINGS) {
    if (rest < share) return ending;
    rest -= share;
  }
  return { outcome: 'sent', unipile_message_id: 'm' };
}

function takeSome(attempts: Attempt[], most: number, random: Random): Attempt[] {
  const taken: Attempt[] = [];
  for (let left = random.integer(1, most); left > 0 && attempts.length > 0; left -= 1) {
    taken.push(...attempts.splice(random.integer(0, attempts.length - 1), 1));
  }
  return taken;
}

async function reportSome(session: Session, stage: Stage, random: Random): Promise<void> {
  for (const attempt of takeSome(stage.hand, 1, random)) {
    const ending = randomEnding(random);
    if (ending.pause_ms === undefined) {
      const others = takeSome(stage.hand, 3, random).map((other) => ({
        attempt: other,
        ending: plainEnding(random),
      }));
      await report(session, stage, [{ attempt, ending }, ...others]);
    } else {
      await inTurn(stage, attempt.accountId, () => report(session, stage, [{ attempt, ending }]));
    }
  }
}

function plainEnding(random: Random): Ending {
  const ending = randomEnding(random);
  return ending.pause_ms === undefined ? ending : { outcome: 'unknown' };
}

/** A worker that was slow, or thought dead, reports after all; often after its lease. */
async function reportLate(session: Session, stage: Stage, random: Random): Promise<void> {
  for (const attempt of takeSome(stage.lost, 1, random)) {
    await report(session, stage, [{ attempt, ending: plainEnding(random) }]);
  }
}

/** The answer to a report was lost, so it is reported once more: nothing may change. */
async function reportAgain(session: Session, stage: Stage, random: Random): Promise<void> {
  if (stage.reported.length === 0) return;
  const { attempt, result } = random.pick(stage.reported);
  const [answer] = await stage.clock.during((nowMs) =>
    call<RecordedResult[]>(session, Math.max(nowMs, attempt.claimMs), 'dm_record', { results: [result] }),
  );
  count(stage.tally, 'reported again');
  if (answer?.applied !== 'ignored')
    stage.violations.push(`a second report of ${attempt.id} was ${answer?.applied}`);
}

async function report(
  session: Session,
  stage: Stage,
  endings: ReadonlyArray<{ attempt: Attempt; ending: Ending }>,
): Promise<void> {
  await stage.clock.during(async (clockMs) => {
    const nowMs = Math.max(clockMs, ...endings.map(({ attempt }) => attempt.claimMs));
    const results = endings.map(({ attempt, ending }) => ({ attempt_id: attempt.id, ...ending }));
    const pauseSentSeq = ++stage.seq;
    const reports = endings.map(({ attempt, ending }): Report => {
      const made: Report = {
        outcome: ending.outcome,
        isRelease: ending.next_step === 'release',
        nowMs,
        sentSeq: ++stage.seq,
      };
      attempt.reports.push(made);
      return made;
    });
    const answers = await call<RecordedResult[]>(session, nowMs, 'dm_record', { results });
    const answeredSeq = ++stage.seq;
    for (const [index, { attempt, ending }] of endings.entries()) {
      const applied = answers[index]?.applied ?? 'missing';
      (reports[index] as Report).applied = applied;
      count(stage.tally, applied === 'recorded' ? ending.outcome : applied);
      if (applied === 'missing') stage.violations.push(`attempt ${attempt.id} is not in the ledger`);
      stage.reported.push({ attempt, result: { attempt_id: attempt.id, ...ending } });
      if (ending.pause_ms !== undefined && applied === 'recorded') {
        const isLimit = ending.pause_reason === 'rate_limited';
        const untilMs = isLimit
          ? throttle(stage, attempt.accountId, ending.pause_ms, nowMs)
          : nowMs + ending.pause_ms;
        extendPause(stage, attempt.accountId, untilMs, pauseSentSeq, answeredSeq);
      }
    }
  });
}

/** A limit that comes again within a day of the last one's rest is rested for twice as long, up to a day. */
function throttle(stage: Stage, accountId: string, askedMs: number, nowMs: number): number {
  const account = stage.accounts.get(accountId);
  if (!account) throw new Error(`no account ${accountId}`);
  const earlier = account.throttledUntilMs > nowMs - DAY_MS ? account.throttles : 0;
  account.throttles = earlier + 1;
  account.throttledUntilMs = nowMs + Math.min(askedMs * 2 ** earlier, DAY_MS);
  return account.throttledUntilMs;
}

/** A pause by the machine never shortens one that is on. */
function extendPause(
  stage: Stage,
  accountId: string,
  untilMs: number,
  sentSeq: number,
  answeredSeq: number,
): void {
  const pauses = stage.accounts.get(accountId)?.pauses;
  if (pauses && untilMs > latest(pauses)) pauses.push({ value: untilMs, sentSeq, answeredSeq });
}

async function enqueueSome(session: Session, stage: Stage, random: Random): Promise<void> {
  await stage.clock.during(async (nowMs) => {
    const rows = Array.from({ length: random.integer(1, 6) }, () =>
      message(random.pick(stage.plan.accounts).id, {
        recipient_id: recipientId(random.integer(0, 500)),
        priority: random.pick([0, 0, 0, 1, 9]),
        send_at: new Date(nowMs + random.pick([-HOUR_MS, 0, 0, 30_000, 2 * HOUR_MS, DAY_MS])).toISOString(),
      }),
    );
    if (random.chance(0.5)) {
      const queued = await call<Enqueued>(session, nowMs, 'dm_enqueue', { rows });
      count(stage.tally, 'queued by call', queued.enqueued);
      return;
    }
    await session.query(
      `insert into dm_queue (linkedin_account_id, recipient_id, message, priority, send_at)
       select linkedin_account_id, recipient_id, message, priority, send_at from jsonb_populate_recordset(null::dm_queue, $1)`,
      [JSON.stringify(rows)],
    );
    count(stage.tally, 'queued by insert', rows.length);
  });
}

/** Waits for the changes of this account's settings that came before. */
async function inTurn(stage: Stage, accountId: string, change: () => Promise<void>): Promise<void> {
  const before = stage.settings.get(accountId) ?? Promise.resolve();
  const mine = before.then(change);
  stage.settings.set(
    accountId,
    mine.catch(() => {}),
  );
  await mine;
}

async function changeSettings(session: Session, stage: Stage, random: Random): Promise<void> {
  const account = stage.accounts.get(random.pick(stage.plan.accounts).id);
  if (!account) return;
  await inTurn(stage, account.id, () =>
    stage.clock.during(async (nowMs) => {
      const sentSeq = ++stage.seq;
      const version = { sentSeq, answeredSeq: Number.POSITIVE_INFINITY };
      const kind = random.pick(['pause', 'resume', 'policy'] as const);
      count(stage.tally, kind);
      if (kind === 'policy') {
        const policy = randomPolicy(
          random,
          random.chance(0.7) ? latest(account.policies).time_zone : random.pick(stage.zones),
          nowMs,
        );
        const changed = { ...version, value: policy };
        account.policies.push(changed);
        await call(session, nowMs, 'account_policy_set', { account_id: account.id, patch: policy });
        changed.answeredSeq = ++stage.seq;
        return;
      }
      const untilMs =
        kind === 'resume' ? Number.NEGATIVE_INFINITY : nowMs + random.pick([1, 60, 600]) * MINUTE_MS;
      const changed = { ...version, value: untilMs };
      account.pauses.push(changed);
      if (kind === 'resume') account.throttledUntilMs = Number.NEGATIVE_INFINITY;
      await call(session, nowMs, kind === 'resume' ? 'account_resume' : 'account_pause', {
        account_id: account.id,
        ...(kind === 'pause' ? { reason: 'tired', until: new Date(untilMs).toISOString() } : {}),
      });
      changed.answeredSeq = ++stage.seq;
    }),
  );
}

/**
 * Invariant 3, at a quiet moment: whoever claims until nothing more comes has claimed for every
 * account that nothing holds back, although one of them is locked by somebody who takes his time.
 */
async function expectNothingLeft(sessions: readonly Session[], stage: Stage, random: Random): Promise<void> {
  const [session, slow] = sessions;
  if (!session || !slow) throw new RangeError('two sessions are needed');
  const nowMs = stage.clock.nowMs;
  const locked = random.chance(0.4) ? random.pick(stage.plan.accounts).id : null;
  await slow.query('begin', []);
  if (locked) await slow.query('select from account_policies where account_id = $1 for update', [locked]);

  let isDone = false;
  for (let calls = 0; !isDone; calls += 1) {
    if (calls > 200) throw new Error('claims without end');
    const claim = await claimAt(session, stage, random, nowMs);
    // The locked account stays first in line, so the answer says no more than that.
    isDone = claim.items.length === 0 && (locked !== null || !isDueAt(claim.next_claim_at, nowMs));
  }
  await slow.query('rollback', []);

  const lostAtMs = await noticedAtMs(session);
  const due = await session.query(
    `select linkedin_account_id as id from dm_queue where status = 'pending' and due_at <= $1 group by 1`,
    [new Date(nowMs).toISOString()],
  );
  for (const { id } of due) {
    const account = stage.accounts.get(String(id));
    if (!account || id === locked) continue;
    const blocks: Block[] = blocksOf(account, nowMs, lostAtMs);
    for (const block of blocks) count(stage.tally, `blocked by ${block}`);
    if (blocks.length === 0) {
      stage.violations.push(
        `${String(id).slice(-2)}: nothing held it back at ${new Date(nowMs).toISOString()}`,
      );
    }
  }
}

/** Whether an instant of the database, in microseconds, has come at one of ours, in milliseconds. */
function isDueAt(instant: string | null, nowMs: number): boolean {
  if (instant === null) return false;
  const [, microseconds = ''] = /\.\d{3}(\d*)/.exec(instant) ?? [];
  return Date.parse(instant) + (Number(microseconds) > 0 ? 1 : 0) <= nowMs;
}

/** When the database noticed that attempts were lost; it is a fact of the history, not a rule. */
async function noticedAtMs(session: Session): Promise<Map<string, number>> {
  const rows = await session.query(
    `select id, finished_at from dm_attempts where error_type = 'lease_expired' or outcome = 'unknown' or finished_at > lease_until`,
    [],
  );
  return new Map(
    rows.filter((row) => row.finished_at).map((row) => [String(row.id), Number(row.finished_at)]),
  );
}

/** How many attempts were lost for good. */
export function countLost(accounts: readonly AccountHistory[]): number {
  return accounts
    .flatMap((account) => account.attempts)
    .filter((attempt) => closingReport(attempt) === undefined).length;
}
