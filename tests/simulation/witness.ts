/**
 * The witness: sees what LinkedIn's users see and what the database says, after every step, and says
 * when a promise is broken.
 *
 * It counts from the sandbox's own log of effects and from the plan, and shares no rule with the SQL.
 */
import type { Effect, World } from '@revos/unipile-sandbox';
import { dayLimitOf, isWindowOpen, limitsReached } from '../support/account-rules.ts';
import { DAY_MS, LEASE_MS, type PolicyFields } from '../support/builders.ts';
import { localDate } from '../support/local-time.ts';
import type { Session } from '../support/session.ts';
import { BrokenPromise, broken, type Item } from './broken-promise.ts';
import { activeRuns, lookForTheLastTime } from './last-look.ts';
import { type Plan, TEXT_MARK } from './plan.ts';
import { lookPrepared } from './witness-sql.ts';

export interface Witness {
  /** After each step: what has become visible. */
  afterStep(): void;
  /** After each call that the database carried out. */
  afterCall(name: string, args: Readonly<Record<string, unknown>>, answer: unknown): Promise<void>;
  /** Whether any run is under way, or waits to be. */
  isAtWork(): Promise<boolean>;
  /** After hours of calm: nothing is stuck, nothing is lost, every row says why it is where it is. */
  atEnd(): Promise<void>;
  /** A line of a log. */
  onLog(line: string): void;
  /** A write that Unipile takes up (1) or has done with (-1), also when nobody waits for it any more. */
  onWrite(unipileAccountId: string, change: 1 | -1): void;
  /** Whether every visible copy of this text belongs to a row that the database has as sent. */
  isAccountedFor(text: string): boolean;
  /** Whether somebody wrote the same to the same person twice: then nobody can tell on LinkedIn which one is there. */
  hasTwin(text: string): boolean;
  readonly counts: Readonly<Record<string, number>>;
}

interface Claim {
  readonly atMs: number;
  readonly policy: PolicyFields;
}

/** Calls that change no message and no post. */
const HARMLESS =
  /^(run_|system_|account_get|dm_(unknowns|backlog|preview|explain)|post_(unknowns|backlog|preview|explain|media_due))/;

/** Rows that wait for a slot after a claim, as the log says it. */
const CLAIMED_AHEAD = /"claimed_ahead":([1-9]\d*)/;

/** Between two posts of an account, in milliseconds: our default, which no plan changes. */
const POST_GAP_MS = 3_600_000;

/** A call that changed nothing, as far as its answer shows, is looked behind only so often. */
const LOOK_EVERY = 25;

export function createWitness(plan: Plan, world: World, session: Session): Witness {
  const nowMs = (): number => world.now().getTime();
  const items = itemsOf(plan);
  const accountOf = new Map(plan.accounts.map((account) => [account.unipileId, account.id]));
  const policies = new Map(plan.accounts.map(({ id, policy }) => [id, policy]));
  const sentMs = new Map<string, number[]>(plan.accounts.map(({ id }) => [id, []]));
  /** The latest of each text, and the latest of each account that had an effect. */
  const claims = new Map<string, Claim>();
  const effective = new Map<string, Claim>();
  /** Of each row by its id: its state, and its text. */
  const states = new Map<string, readonly [state: string, text: string]>();
  /** Before this nobody wants a message to go out; not known where two are alike. */
  const dueMs = dueOf(plan);
  const publishedMs = new Map<string, number>();
  let trouble: unknown = null;
  const sentRows = new Map<string, number>();
  const underWay = new Map<string, number>();
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
    if (item.isPost) publishedMs.set(accountId, Date.parse(effect.at));
    else seeMessage(effect, accountId);
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

  const seeMessageClaims = async (answer: unknown): Promise<void> => {
    const { items: claimed } = answer as { items: ReadonlyArray<{ account_id: string; message: string }> };
    for (const { account_id, message } of claimed) {
      count('claims');
      const policy = policies.get(account_id) ?? broken(`claimed for ${account_id}`);
      if (nowMs() < (dueMs.get(message) ?? 0)) broken(`claimed before its time: ${message}`);
      if (!isWindowOpen(policy, nowMs())) broken(`claimed outside hours: ${message}`);
      if (limitsReached(policy, sentMs.get(account_id) ?? [], nowMs()).length > 0)
        broken(`claimed over a limit: ${message}`);
      const last = effective.get(account_id);
      const gapMs = last === undefined ? 0 : Math.min(last.policy.gap_min_s, policy.gap_min_s) * 1_000;
      if (last !== undefined && nowMs() - last.atMs < gapMs) broken(`claimed within the gap: ${message}`);
      claims.set(message, { atMs: nowMs(), policy });
    }
    await seeAccounts(claimed);
  };

  const seePostClaims = async (answer: unknown): Promise<void> => {
    const { items: claimed } = answer as { items: ReadonlyArray<{ account_id: string; post_id: string }> };
    if (claimed.length === 0) return;
    count('claims of posts', claimed.length);
    for (const { account_id } of claimed) {
      const lastMs = publishedMs.get(account_id) ?? Number.NEGATIVE_INFINITY;
      if (nowMs() - lastMs < POST_GAP_MS) broken(`a post of ${account_id} is claimed within the gap`);
    }
    const unwanted = await session.query(
      `select content, status, scheduled_for from public.posts
       where id = any ($1) and (status <> 'scheduled' or scheduled_for > $2)`,
      [claimed.map(({ post_id }) => post_id), world.now().toISOString()],
    );
    if (unwanted.length > 0)
      broken(`claimed although RevOS does not want it now: ${JSON.stringify(unwanted)}`);
    await seeAccounts(claimed);
  };

  /** What RevOS shows of the accounts that were claimed for. */
  const seeAccounts = async (claimed: ReadonlyArray<{ account_id: string }>): Promise<void> => {
    if (claimed.length === 0) return;
    const inactive = await session.query(
      `select account_name, status from public.linkedin_accounts where id = any ($1) and status <> 'active'`,
      [claimed.map(({ account_id }) => account_id)],
    );
    if (inactive.length > 0) broken(`claimed for an account out of order: ${JSON.stringify(inactive)}`);
  };

  /** What people do changes what is to be expected. */
  const seeAction = (name: string, args: Readonly<Record<string, unknown>>, answer: unknown): void => {
    if (name === 'account_policy_set') {
      const { account_id, patch } = args as { account_id: string; patch: Partial<PolicyFields> };
      policies.set(account_id, { ...(policies.get(account_id) as PolicyFields), ...patch });
    }
    if (name === 'dm_act' && args.action === 'reschedule' && (answer as { changed: number }).changed > 0) {
      const { selection, args: action } = args as { selection: { ids: string[] }; args: { send_at: string } };
      const [, text = ''] = states.get(selection.ids[0] ?? '') ?? [];
      if (dueMs.has(text)) dueMs.set(text, Date.parse(action.send_at));
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
      const [before] = states.get(id) ?? [];
      const isFinal = before === 'sent' || before === 'published' || before === 'cancelled';
      if (isFinal && state !== before) broken(`went from ${before} to ${state}: ${text}`);
      states.set(id, [state, text]);
      if (state === 'sent' || state === 'published') sentRows.set(text, (sentRows.get(text) ?? 0) + 1);
    }
  };

  return {
    counts,
    hasTwin: (text) => (items.get(text)?.copies ?? 0) > 1,
    isAccountedFor: (text) => (sentRows.get(text) ?? 0) >= (items.get(text)?.seen ?? 0),
    onLog(line) {
      // Thrown here it would end in the product's hands.
      if (line.includes(TEXT_MARK)) trouble ??= new BrokenPromise(`a text in the log: ${line}`);
      const [, ahead] = line.match(CLAIMED_AHEAD) ?? [];
      if (ahead !== undefined) count('claimed ahead', Number(ahead));
    },
    onWrite(unipileAccountId, change) {
      const current = (underWay.get(unipileAccountId) ?? 0) + change;
      underWay.set(unipileAccountId, current);
      if (current > 1) broken(`${current} calls in flight of ${unipileAccountId}`);
    },
    afterStep() {
      if (trouble !== null) throw trouble;
      for (const effect of world.effects({ since: seenSeq })) {
        seenSeq = effect.seq;
        see(effect);
      }
    },
    async afterCall(name, args, answer) {
      if (name === 'dm_claim') await seeMessageClaims(answer);
      if (name === 'post_claim') await seePostClaims(answer);
      seeAction(name, args, answer);
      if (HARMLESS.test(name)) return;
      quietCalls += 1;
      const { items: claimed } = (answer ?? {}) as { items?: readonly unknown[] };
      if (claimed?.length === 0 && quietCalls < LOOK_EVERY) return;
      quietCalls = 0;
      await look();
    },
    isAtWork: async () => (await activeRuns(session)).length > 0,
    async atEnd() {
      await look();
      await lookForTheLastTime({ plan, session, now: world.now(), policies, dueMs, items, states, count });
    },
  };
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

function dueOf(plan: Plan): Map<string, number> {
  const messages = plan.accounts.flatMap((account) => account.messages);
  return new Map(
    messages
      .filter(({ text }) => messages.filter((other) => other.text === text).length === 1)
      .map(({ text, sendAtMs, queuedAtMs }) => [text, sendAtMs ?? queuedAtMs]),
  );
}
