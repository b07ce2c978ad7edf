/**
 * The invariants: what must hold of LinkedIn and of the database after every step of a simulation.
 *
 * They are checked against the sandbox's own log of effects and the plan, and share no rule with
 * the SQL.
 */
import type { Effect, World } from '@revos/unipile-sandbox';
import { dayLimitOf, isWindowOpen, limitsReached } from '../support/account-rules.ts';
import { DAY_MS, LEASE_MS, type PolicyFields } from '../support/builders.ts';
import { localDate } from '../support/local-time.ts';
import type { Session } from '../support/session.ts';
import { activeRuns, runFinalCheck } from './final-check.ts';
import { InvariantViolation, type Item, throwViolation } from './invariant-violation.ts';
import { checkStatement } from './invariants-sql.ts';
import { type Plan, TEXT_MARK } from './plan.ts';

export interface InvariantChecker {
  /** After each step: checks what has become visible. */
  afterStep(): void;
  /** After each call that the database executed: checks the claims that it made, and all rows. */
  afterCall(name: string, args: Readonly<Record<string, unknown>>, answer: unknown): Promise<void>;
  /** Whether any run is queued or running. */
  hasActiveRuns(): Promise<boolean>;
  /** After hours without faults: nothing is stuck or lost, and what is left says why. */
  finalCheck(): Promise<void>;
  /** A line of a log: it must not contain message text. */
  onLog(line: string): void;
  /** A write that Unipile begins (1) or ends (-1), also when nobody waits for it any more. */
  onWrite(unipileAccountId: string, change: 1 | -1): void;
  /** Whether every visible copy of this text belongs to a row that the database has as sent. */
  isAccountedFor(text: string): boolean;
  /** Whether two messages are twins: then nobody can tell on LinkedIn which of them is there. */
  hasTwin(text: string): boolean;
  readonly counts: Readonly<Record<string, number>>;
}

interface Claim {
  readonly atMs: number;
  readonly policy: PolicyFields;
}

/** Calls that change no message and no post. */
const CHANGES_NOTHING =
  /^(run_|system_|account_get|dm_(unknowns|backlog|preview|explain)|post_(unknowns|backlog|preview|explain|media_due))/;

/** Rows that wait for a permit after a claim, as the log says it. */
const CLAIMED_AHEAD = /"claimed_ahead":([1-9]\d*)/;

/** Between two posts of an account, in milliseconds: our default, which no plan changes. */
const POST_GAP_MS = 3_600_000;

/** After calls whose answer shows no change, the rows are checked only once in so many. */
const UNCHANGED_CALLS_MAX = 25;

export function createInvariantChecker(plan: Plan, world: World, session: Session): InvariantChecker {
  const nowMs = (): number => world.now().getTime();
  const items = itemsOf(plan);
  const accountOf = new Map(plan.accounts.map((account) => [account.unipileId, account.id]));
  const policies = new Map(plan.accounts.map(({ id, policy }) => [id, policy]));
  const sentMs = new Map<string, number[]>(plan.accounts.map(({ id }) => [id, []]));
  /** The latest of each text, and the latest of each account that had an effect. */
  const claims = new Map<string, Claim>();
  const effective = new Map<string, Claim>();
  /** By the id of a row. */
  const states = new Map<string, readonly [state: string, text: string]>();
  /** By text, when a message may go out at the earliest; not known of twins. */
  const dueMs = dueOf(plan);
  const publishedMs = new Map<string, number>();
  let logViolation: InvariantViolation | null = null;
  const sentRows = new Map<string, number>();
  const inFlight = new Map<string, number>();
  const counts: Record<string, number> = {};
  const count = (name: string, by = 1): void => {
    counts[name] = (counts[name] ?? 0) + by;
  };
  let lastEffectSeq = 0;
  let unchangedCalls = 0;

  const checkEffect = (effect: Effect): void => {
    count(`${effect.kind} visible`);
    const item = items.get(effect.text) ?? throwViolation(`LinkedIn shows an unknown text: ${effect.text}`);
    item.visible += 1;
    if (item.visible > item.copies) throwViolation(`visible ${item.visible} times: ${effect.text}`);
    const accountId = accountOf.get(effect.account_id) ?? throwViolation(`sent by ${effect.account_id}`);
    if (accountId !== item.accountId) throwViolation(`sent by another account: ${effect.text}`);
    if (item.isPost) publishedMs.set(accountId, Date.parse(effect.at));
    else checkMessage(effect, accountId);
  };

  const checkMessage = (effect: Effect, accountId: string): void => {
    const atMs = Date.parse(effect.at);
    const claim = claims.get(effect.text) ?? throwViolation(`sent without a claim: ${effect.text}`);
    const { policy } = claim;
    effective.set(accountId, claim);
    if (atMs - claim.atMs > LEASE_MS)
      throwViolation(`visible ${atMs - claim.atMs} ms after its claim: ${effect.text}`);
    const all = sentMs.get(accountId) ?? [];
    all.push(atMs);
    const since = (startMs: number): number => all.filter((otherMs) => otherMs > startMs).length;
    const date = localDate(policy.time_zone, atMs);
    const ofDay = all.filter(
      (otherMs) => otherMs > atMs - 2 * DAY_MS && localDate(policy.time_zone, otherMs) === date,
    );
    // A claim before midnight may be visible after it, and was counted on the day with the lower
    // limit.
    const dayLimit = Math.max(
      dayLimitOf(policy, date),
      dayLimitOf(policy, localDate(policy.time_zone, claim.atMs)),
    );
    if (ofDay.length > dayLimit) throwViolation(`${ofDay.length} on ${date}, of ${dayLimit}: ${effect.text}`);
    if (since(atMs - DAY_MS) > policy.dms_per_24h)
      throwViolation(`over ${policy.dms_per_24h} in 24 hours: ${effect.text}`);
    if (since(atMs - 7 * DAY_MS) > policy.dms_per_7d)
      throwViolation(`over ${policy.dms_per_7d} in 7 days: ${effect.text}`);
  };

  const checkMessageClaims = async (answer: unknown): Promise<void> => {
    const { items: claimed } = answer as { items: ReadonlyArray<{ account_id: string; message: string }> };
    for (const { account_id, message } of claimed) {
      count('messages claimed');
      const policy = policies.get(account_id) ?? throwViolation(`claimed for ${account_id}`);
      if (nowMs() < (dueMs.get(message) ?? 0)) throwViolation(`claimed before its time: ${message}`);
      if (!isWindowOpen(policy, nowMs())) throwViolation(`claimed outside hours: ${message}`);
      if (limitsReached(policy, sentMs.get(account_id) ?? [], nowMs()).length > 0)
        throwViolation(`claimed over a limit: ${message}`);
      const last = effective.get(account_id);
      const gapMs = last === undefined ? 0 : Math.min(last.policy.gap_min_s, policy.gap_min_s) * 1_000;
      if (last !== undefined && nowMs() - last.atMs < gapMs)
        throwViolation(`claimed within the gap: ${message}`);
      claims.set(message, { atMs: nowMs(), policy });
    }
    await checkAccounts(claimed);
  };

  const checkPostClaims = async (answer: unknown): Promise<void> => {
    const { items: claimed } = answer as { items: ReadonlyArray<{ account_id: string; post_id: string }> };
    if (claimed.length === 0) return;
    count('posts claimed', claimed.length);
    for (const { account_id } of claimed) {
      const lastMs = publishedMs.get(account_id) ?? Number.NEGATIVE_INFINITY;
      if (nowMs() - lastMs < POST_GAP_MS) throwViolation(`a post of ${account_id} is claimed within the gap`);
    }
    const unwanted = await session.query(
      `select content, status, scheduled_for from public.posts
       where id = any ($1) and (status <> 'scheduled' or scheduled_for > $2)`,
      [claimed.map(({ post_id }) => post_id), world.now().toISOString()],
    );
    if (unwanted.length > 0)
      throwViolation(`claimed although RevOS has not scheduled it for now: ${JSON.stringify(unwanted)}`);
    await checkAccounts(claimed);
  };

  /** RevOS has every account active that was claimed for. */
  const checkAccounts = async (claimed: ReadonlyArray<{ account_id: string }>): Promise<void> => {
    if (claimed.length === 0) return;
    const inactive = await session.query(
      `select account_name, status from public.linkedin_accounts where id = any ($1) and status <> 'active'`,
      [claimed.map(({ account_id }) => account_id)],
    );
    if (inactive.length > 0) throwViolation(`claimed for an inactive account: ${JSON.stringify(inactive)}`);
  };

  /** What people do changes what is expected. */
  const followAction = (name: string, args: Readonly<Record<string, unknown>>, answer: unknown): void => {
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

  const checkRows = async (): Promise<void> => {
    count('checks of all rows');
    const [row] = await session.query(await checkStatement(session, world.now()), []);
    const violations = (row?.violations ?? []) as readonly string[];
    if (violations.length > 0) throwViolation(violations.join('; '));
    sentRows.clear();
    for (const [id, [state, text]] of Object.entries(
      (row?.states ?? {}) as Record<string, [string, string]>,
    )) {
      const [before] = states.get(id) ?? [];
      const isFinal = before === 'sent' || before === 'published' || before === 'cancelled';
      if (isFinal && state !== before) throwViolation(`went from ${before} to ${state}: ${text}`);
      states.set(id, [state, text]);
      if (state === 'sent' || state === 'published') sentRows.set(text, (sentRows.get(text) ?? 0) + 1);
    }
  };

  return {
    counts,
    hasTwin: (text) => (items.get(text)?.copies ?? 0) > 1,
    isAccountedFor: (text) => (sentRows.get(text) ?? 0) >= (items.get(text)?.visible ?? 0),
    onLog(line) {
      // Thrown here, the product would catch it.
      if (line.includes(TEXT_MARK))
        logViolation ??= new InvariantViolation(`message text in the log: ${line}`);
      const [, ahead] = line.match(CLAIMED_AHEAD) ?? [];
      if (ahead !== undefined) count('claimed ahead', Number(ahead));
    },
    onWrite(unipileAccountId, change) {
      const current = (inFlight.get(unipileAccountId) ?? 0) + change;
      inFlight.set(unipileAccountId, current);
      if (current > 1) throwViolation(`${current} calls in flight of ${unipileAccountId}`);
    },
    afterStep() {
      if (logViolation !== null) throw logViolation;
      for (const effect of world.effects({ since: lastEffectSeq })) {
        lastEffectSeq = effect.seq;
        checkEffect(effect);
      }
    },
    async afterCall(name, args, answer) {
      if (name === 'dm_claim') await checkMessageClaims(answer);
      if (name === 'post_claim') await checkPostClaims(answer);
      followAction(name, args, answer);
      if (CHANGES_NOTHING.test(name)) return;
      unchangedCalls += 1;
      const { items: claimed } = (answer ?? {}) as { items?: readonly unknown[] };
      if (claimed?.length === 0 && unchangedCalls < UNCHANGED_CALLS_MAX) return;
      unchangedCalls = 0;
      await checkRows();
    },
    hasActiveRuns: async () => (await activeRuns(session)).length > 0,
    async finalCheck() {
      await checkRows();
      await runFinalCheck({ plan, session, now: world.now(), policies, dueMs, items, states, count });
    },
  };
}

function itemsOf(plan: Plan): Map<string, Item> {
  const items = new Map<string, Item>();
  for (const { id: accountId, messages, posts } of plan.accounts) {
    for (const { text } of messages) {
      const item = items.get(text) ?? { accountId, isPost: false, copies: 0, visible: 0 };
      item.copies += 1;
      items.set(text, item);
    }
    for (const { text } of posts) items.set(text, { accountId, isPost: true, copies: 1, visible: 0 });
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
