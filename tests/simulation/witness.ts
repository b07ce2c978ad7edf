/**
 * The witness: sees what LinkedIn's users see and what the database says, after every step, and says
 * when a promise is broken.
 *
 * It counts from the sandbox's own log of effects and from the plan, and shares no rule with the SQL.
 */
import { REASONS } from '@revos/core/sending';
import type { Effect, World } from '@revos/unipile-sandbox';
import { dayLimitOf, isWindowOpen, limitsReached } from '../support/account-rules.ts';
import { DAY_MS, LEASE_MS, type PolicyFields } from '../support/builders.ts';
import type { Session } from '../support/database.ts';
import { localDate } from '../support/local-time.ts';
import { type Plan, TEXT_MARK } from './plan.ts';
import { lookPrepared } from './witness-sql.ts';

export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise';
}

export interface Witness {
  /** After each step: what has become visible, and how many calls were in flight. */
  afterStep(): void;
  /** After each call that the database carried out. */
  afterCall(name: string, args: Readonly<Record<string, unknown>>, answer: unknown): Promise<void>;
  /** Whether any run is under way, or waits to be. */
  isAtWork(): Promise<boolean>;
  /** After hours of calm: nothing is stuck, nothing is lost, every row says why it is where it is. */
  atEnd(): Promise<void>;
  /** A line of a log. */
  onLog(line: string): void;
  /** Whether every visible copy of this text belongs to a row that the database has as sent. */
  isAccountedFor(text: string): boolean;
  readonly counts: Readonly<Record<string, number>>;
}

interface Item {
  readonly accountId: string;
  readonly isPost: boolean;
  /** How often it may be seen. */
  copies: number;
  seen: number;
}

interface Claim {
  readonly atMs: number;
  readonly policy: PolicyFields;
}

/** Calls that change no message and no post. */
const HARMLESS =
  /^(run_|system_|account_get|dm_(unknowns|backlog|preview|explain)|post_(unknowns|backlog|preview|explain|media_due))/;

/** A call that changed nothing, as far as its answer shows, is looked behind only so often. */
const LOOK_EVERY = 25;

const broken = (what: string): never => {
  throw new BrokenPromise(what);
};

export function createWitness(plan: Plan, world: World, session: Session): Witness {
  const nowMs = (): number => world.now().getTime();
  const items = itemsOf(plan);
  const accountOf = new Map(plan.accounts.map((account) => [account.unipileId, account.id]));
  const policies = new Map(plan.accounts.map(({ id, policy }) => [id, policy]));
  const sentMs = new Map<string, number[]>(plan.accounts.map(({ id }) => [id, []]));
  /** The latest of each text, and the latest of each account that had an effect. */
  const claims = new Map<string, Claim>();
  const effective = new Map<string, Claim>();
  const states = new Map<string, string>();
  const sentRows = new Map<string, number>();
  const counts: Record<string, number> = {};
  const count = (name: string, by = 1): void => {
    counts[name] = (counts[name] ?? 0) + by;
  };
  let seenSeq = 0;
  let quietCalls = 0;

  const see = (effect: Effect): void => {
    count(effect.kind);
    const item = items.get(effect.text) ?? broken(`LinkedIn shows what nobody wrote: ${effect.text}`);
    item.seen += 1;
    if (item.seen > item.copies) broken(`seen ${item.seen} times: ${effect.text}`);
    const accountId = accountOf.get(effect.account_id) ?? broken(`sent by ${effect.account_id}`);
    if (accountId !== item.accountId) broken(`sent by another account: ${effect.text}`);
    if (!item.isPost) seeMessage(effect, accountId);
  };

  const seeMessage = (effect: Effect, accountId: string): void => {
    const atMs = Date.parse(effect.at);
    const claim = claims.get(effect.text) ?? broken(`sent without a claim: ${effect.text}`);
    const { policy } = claim;
    effective.set(accountId, claim);
    if (atMs - claim.atMs > LEASE_MS) broken(`seen ${atMs - claim.atMs} ms after its claim: ${effect.text}`);
    const all = sentMs.get(accountId) ?? [];
    all.push(atMs);
    const since = (startMs: number): number => all.filter((otherMs) => otherMs > startMs).length;
    const date = localDate(policy.time_zone, atMs);
    const ofDay = all.filter(
      (otherMs) => otherMs > atMs - 2 * DAY_MS && localDate(policy.time_zone, otherMs) === date,
    );
    // A claim of the evening may be seen after midnight, and was counted into the day that gives less.
    const dayLimit = Math.max(
      dayLimitOf(policy, date),
      dayLimitOf(policy, localDate(policy.time_zone, claim.atMs)),
    );
    if (ofDay.length > dayLimit) broken(`${ofDay.length} on ${date}, of ${dayLimit}: ${effect.text}`);
    if (since(atMs - DAY_MS) > policy.dms_per_24h)
      broken(`over ${policy.dms_per_24h} in 24 hours: ${effect.text}`);
    if (since(atMs - 7 * DAY_MS) > policy.dms_per_7d)
      broken(`over ${policy.dms_per_7d} in 7 days: ${effect.text}`);
  };

  const seeClaims = (answer: unknown): void => {
    const { items: claimed } = answer as { items: ReadonlyArray<{ account_id: string; message: string }> };
    for (const { account_id, message } of claimed) {
      count('claims');
      const policy = policies.get(account_id) ?? broken(`claimed for ${account_id}`);
      if (!isWindowOpen(policy, nowMs())) broken(`claimed outside hours: ${message}`);
      if (limitsReached(policy, sentMs.get(account_id) ?? [], nowMs()).length > 0)
        broken(`claimed over a limit: ${message}`);
      const last = effective.get(account_id);
      const gapMs = last === undefined ? 0 : Math.min(last.policy.gap_min_s, policy.gap_min_s) * 1_000;
      if (last !== undefined && nowMs() - last.atMs < gapMs) broken(`claimed within the gap: ${message}`);
      claims.set(message, { atMs: nowMs(), policy });
    }
  };

  const look = async (): Promise<void> => {
    count('looks');
    const [row] = await session.query(await lookPrepared(session, world.now()), []);
    const problems = (row?.problems ?? []) as readonly string[];
    if (problems.length > 0) broken(problems.join('; '));
    sentRows.clear();
    for (const [id, [state, text]] of Object.entries(
      (row?.states ?? {}) as Record<string, [string, string]>,
    )) {
      const before = states.get(id);
      const isFinal = before === 'sent' || before === 'published' || before === 'cancelled';
      if (isFinal && state !== before) broken(`went from ${before} to ${state}: ${text}`);
      states.set(id, state);
      if (state === 'sent' || state === 'published') sentRows.set(text, (sentRows.get(text) ?? 0) + 1);
    }
  };

  return {
    counts,
    isAccountedFor: (text) => (sentRows.get(text) ?? 0) >= (items.get(text)?.seen ?? 0),
    onLog(line) {
      if (line.includes(TEXT_MARK)) broken(`a text in the log: ${line}`);
    },
    afterStep() {
      for (const effect of world.effects({ since: seenSeq })) {
        seenSeq = effect.seq;
        see(effect);
      }
      for (const { account_id, max } of world.concurrency()) {
        if (max > 1) broken(`${max} calls in flight of ${account_id}`);
      }
    },
    async afterCall(name, args, answer) {
      if (name === 'dm_claim') seeClaims(answer);
      if (name === 'account_policy_set') {
        const { account_id, patch } = args as { account_id: string; patch: Partial<PolicyFields> };
        policies.set(account_id, { ...(policies.get(account_id) as PolicyFields), ...patch });
      }
      if (HARMLESS.test(name)) return;
      quietCalls += 1;
      const { items: claimed } = (answer ?? {}) as { items?: readonly unknown[] };
      if (claimed?.length === 0 && quietCalls < LOOK_EVERY) return;
      quietCalls = 0;
      await look();
    },
    isAtWork: async () => (await activeRuns()).length > 0,
    async atEnd() {
      await look();
      await findStuck();
      await findLost();
    },
  };

  function activeRuns(): ReturnType<Session['query']> {
    return session.query(
      `select id, job, status from public.job_runs where status in ('queued', 'running')`,
      [],
    );
  }

  /** Nothing waits that could go, and what waits says why. */
  async function findStuck(): Promise<void> {
    const runs = await activeRuns();
    if (runs.length > 0) broken(`a run has not ended: ${JSON.stringify(runs)}`);
    for (const [id, state] of states) {
      if (state === 'sending' || state === 'publishing') broken(`still ${state}: ${id}`);
    }
    const rows = await session.query(
      `select queue.id, queue.linkedin_account_id as account, queue.status, queue.message, public.dm_explain(queue.id, $1) as why,
         (select max(attempt.started_at) from public.dm_attempts as attempt where attempt.account_id = queue.linkedin_account_id) as last_at,
         (select count(*) from public.dm_attempts as attempt where attempt.message_id = queue.id) as attempts
       from public.dm_queue as queue where queue.status in ('pending', 'unknown') order by queue.position`,
      [world.now().toISOString()],
    );
    for (const row of rows) {
      const why = row.why as { reason: string; can_go_at: string | null; next_read_at: string | null };
      const what = `${row.message}: ${row.status}, ${JSON.stringify(why)}`;
      if (!Object.hasOwn(REASONS, why.reason)) broken(`a reason of no list: ${what}`);
      count(`left: ${row.status === 'pending' ? why.reason : row.status}`);
      if (row.status === 'unknown') {
        // It is sent once more, and no more: then a person decides.
        const isHeld =
          why.reason === 'unknown_held' && (plan.unknownPolicy === 'hold' || Number(row.attempts) > 1);
        if (!isHeld) broken(`not settled: ${what}`);
        continue;
      }
      const policy = policies.get(String(row.account)) as PolicyFields;
      const isBlocked =
        !isWindowOpen(policy, nowMs()) ||
        limitsReached(policy, await countedOf(String(row.account)), nowMs()).length > 0 ||
        nowMs() - new Date(String(row.last_at)).getTime() < policy.gap_max_s * 1_000 + LEASE_MS;
      const isDue =
        !['scheduled', 'rate_limited', 'recipient_later', 'retry_later'].includes(why.reason) &&
        !(Date.parse(String(why.can_go_at)) > nowMs());
      if (isDue && !isBlocked) broken(`nothing holds it back, and it has not gone out: ${what}`);
      if (why.can_go_at === null) broken(`it does not say when it can go: ${what}`);
    }
  }

  /** The instants that count against an account’s limits, from the ledger. */
  async function countedOf(accountId: string): Promise<number[]> {
    const rows = await session.query(
      `select effect_by from public.dm_attempts where account_id = $1 and outcome is distinct from 'not_sent'`,
      [accountId],
    );
    return rows.map(({ effect_by }) => new Date(String(effect_by)).getTime());
  }

  /** What the database says of a message or a post, LinkedIn shows. */
  async function findLost(): Promise<void> {
    const queued = plan.accounts.reduce(
      (sum, { messages, posts }) => sum + messages.length + posts.length,
      0,
    );
    if (states.size !== queued) broken(`${queued} were written, and ${states.size} are there`);
    const [row] = await session.query(await lookPrepared(session, world.now()), []);
    const may = new Map<string, { least: number; most: number }>();
    for (const [state, text] of Object.values((row?.states ?? {}) as Record<string, [string, string]>)) {
      count(`end: ${state}`);
      const range = may.get(text) ?? { least: 0, most: 0 };
      // A row that a person gave up, or holds, may have been sent.
      const isOpen = state === 'unknown' || state === 'dropped';
      if (state === 'sent' || state === 'published') range.least += 1;
      if (state === 'sent' || state === 'published' || isOpen) range.most += 1;
      may.set(text, range);
    }
    for (const [text, { least, most }] of may) {
      const seen = items.get(text)?.seen ?? 0;
      if (seen < least)
        broken(`lost: ${text} is sent ${least} times for the database, and seen ${seen} times`);
      if (seen > most) broken(`not known to be sent: ${text} is seen ${seen} times, and ${most} may be`);
    }
  }
}

function itemsOf(plan: Plan): Map<string, Item> {
  const items = new Map<string, Item>();
  for (const { id: accountId, messages, posts } of plan.accounts) {
    for (const { text } of messages) {
      const item = items.get(text) ?? { accountId, isPost: false, copies: 0, seen: 0 };
      item.copies += 1;
      items.set(text, item);
    }
    for (const { text } of posts) items.set(text, { accountId, isPost: true, copies: 1, seen: 0 });
  }
  return items;
}
