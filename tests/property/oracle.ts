/**
 * The oracle: checks every invariant from the history alone, and returns the violations.
 *
 * An effect lies somewhere between its claim and its answer (or the end of its lease). Where it
 * matters the oracle takes the worst instant, and besides draws instants and counts like a person.
 */
import { dayLimitOf, isWindowOpen, type Limit, limitsReached } from '../support/account-rules.ts';
import { DAY_MS, type PolicyFields } from '../support/builders.ts';
import { localDate } from '../support/local-time.ts';
import type { Random } from '../support/random.ts';
import {
  type AccountHistory,
  type Attempt,
  closingReport,
  effectByMs,
  inForce,
  isNotSent,
  lateReport,
  latest,
} from './history.ts';

const iso = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : String(ms));

/** Every violation in an account's history. */
export function findViolations(account: AccountHistory, random: Random): string[] {
  const attempts = [...account.attempts].sort((a, b) => a.claimSeq - b.claimSeq);
  return [
    ...attempts.flatMap((attempt, index) => violationsOfClaim(account, attempt, attempts.slice(0, index))),
    ...messagesSentAgain(attempts),
    ...(account.policies.length === 1 ? recount(latest(account.policies), attempts, random) : []),
  ].map((violation) => `${account.id.slice(-2)}: ${violation}`);
}

/** Invariant 2, at the claim: under a policy that was in force, everything allowed it. */
function violationsOfClaim(account: AccountHistory, claim: Attempt, earlier: readonly Attempt[]): string[] {
  const violations: string[] = [];
  const at = iso(claim.claimMs);
  if (!account.isActive) violations.push(`claimed at ${at} although it is out of order`);
  const policies = inForce(account.policies, claim.claimSentSeq, claim.claimSeq);
  const pauses = inForce(account.pauses, claim.claimSentSeq, claim.claimSeq);
  if (!pauses.some((until) => until <= claim.claimMs)) violations.push(`claimed at ${at} while paused`);
  if (!policies.some((policy) => isWindowOpen(policy, claim.claimMs))) {
    violations.push(`claimed at ${at} outside the window of ${JSON.stringify(policies)}`);
  }

  const effectsMs = earlier.filter((attempt) => !isNotSent(attempt)).map(effectByMs);
  const over = policies.map((policy) => limitsReached(policy, effectsMs, claim.claimMs));
  if (over.every((limits) => limits.length > 0)) {
    violations.push(`claimed at ${at} over ${JSON.stringify(over)} of ${JSON.stringify(policies)}`);
  }

  for (const before of earlier) {
    if (!isOverBefore(before, claim)) violations.push(`two in flight: ${before.id} and ${claim.id} at ${at}`);
    if (claim.claimMs < gapEndMs(account, before, Math.min)) {
      violations.push(`claimed at ${at} within the gap after ${iso(before.claimMs)}`);
    }
  }
  return violations;
}

/**
 * The first was over before the second was claimed: by an answer that says what became of it, or by
 * the end of its lease.
 */
function isOverBefore(first: Attempt, second: Attempt): boolean {
  const report = closingReport(first);
  if (report && report.outcome !== 'unknown') return report.sentSeq < second.claimSeq;
  const late = lateReport(first);
  return effectByMs(first) <= second.claimMs || (late !== undefined && late.sentSeq < second.claimSeq);
}

/**
 * When the gap after an attempt ends: the drawn gap from its claim, the shortest from its answer.
 *
 * @param choose `Math.min`: it cannot end before; `Math.max`: it has ended by then
 */
function gapEndMs(
  account: AccountHistory,
  attempt: Attempt,
  choose: typeof Math.min,
  closedMs?: number,
): number {
  const atClaim = inForce(account.policies, attempt.claimSentSeq, attempt.claimSeq);
  const drawn = atClaim.map((policy) => (choose === Math.min ? policy.gap_min_s : policy.gap_max_s));
  const report = closingReport(attempt);
  // Which policy held when the answer came in is not known to the second: any that was ever set.
  const shortest = account.policies.map((version) => version.value.gap_min_s);
  const answeredMs = closedMs ?? report?.nowMs ?? attempt.leaseUntilMs;
  return Math.max(
    attempt.claimMs + choose(...drawn) * 1000,
    report?.isRelease ? 0 : answeredMs + choose(...shortest) * 1000,
  );
}

/** No message is claimed twice, unless its earlier attempts provably had no effect. */
function messagesSentAgain(attempts: readonly Attempt[]): string[] {
  return attempts.flatMap((attempt, index) =>
    attempts
      .slice(0, index)
      .filter((before) => before.messageId === attempt.messageId && !isNotSent(before))
      .map(
        (before) => `message ${attempt.messageId} claimed again after ${before.id}, which may have been sent`,
      ),
  );
}

/** Counts effects at drawn instants, day by day and window by window, as a person would. */
function recount(policy: PolicyFields, attempts: readonly Attempt[], random: Random): string[] {
  const draws = [() => 0, () => 1, () => random.next()];
  return draws.flatMap((draw) => {
    const effectsMs = attempts
      .filter((attempt) => !isNotSent(attempt))
      .map((attempt) => attempt.claimMs + draw() * (effectByMs(attempt) - attempt.claimMs))
      .sort((a, b) => a - b);
    const ofDays = new Map<string, number>();
    for (const effectMs of effectsMs) {
      const date = localDate(policy.time_zone, effectMs);
      ofDays.set(date, (ofDays.get(date) ?? 0) + 1);
    }
    const days = [...ofDays]
      .filter(([date, count]) => count > dayLimitOf(policy, date))
      .map(([date, count]) => `${count} on ${date}, of ${dayLimitOf(policy, date)}`);
    const rolling = (count: number, periodMs: number): string[] =>
      effectsMs
        .filter(
          (effectMs, index) => effectMs - (effectsMs[index - count] ?? Number.NEGATIVE_INFINITY) < periodMs,
        )
        .map((effectMs) => `more than ${count} in ${periodMs / DAY_MS} days up to ${iso(effectMs)}`);
    return [...days, ...rolling(policy.dms_per_24h, DAY_MS), ...rolling(policy.dms_per_7d, 7 * DAY_MS)];
  });
}

export type Block = Limit | 'account' | 'paused' | 'in_flight' | 'gap' | 'window';

/**
 * Invariant 3: everything that may hold an account back at a quiet moment. An account with a due
 * message that nothing holds back should have been claimed.
 *
 * @param lostAtMs when the loss of an attempt was noticed
 */
export function blocksOf(
  account: AccountHistory,
  atMs: number,
  lostAtMs: ReadonlyMap<string, number>,
): Block[] {
  const policy = latest(account.policies);
  const closedMs = (attempt: Attempt): number | undefined =>
    closingReport(attempt)?.nowMs ?? lostAtMs.get(attempt.id);
  const counted = account.attempts
    .filter((attempt) => !isNotSent(attempt))
    .map((attempt) => {
      return (
        lateReport(attempt)?.nowMs ??
        Math.max(effectByMs(attempt), closingReport(attempt) ? 0 : (closedMs(attempt) ?? 0))
      );
    });
  const blocks: Block[] = limitsReached(policy, counted, atMs);
  if (!account.isActive) blocks.push('account');
  if (latest(account.pauses) > atMs) blocks.push('paused');
  // Without an answer it may still be under way, up to the end of its lease.
  const isInFlight = (attempt: Attempt): boolean =>
    (closingReport(attempt)?.outcome ?? 'unknown') === 'unknown' &&
    lateReport(attempt) === undefined &&
    effectByMs(attempt) > atMs;
  if (account.attempts.some(isInFlight)) blocks.push('in_flight');
  if (!isWindowOpen(policy, atMs)) blocks.push('window');
  if (account.attempts.some((attempt) => gapEndMs(account, attempt, Math.max, closedMs(attempt)) > atMs)) {
    blocks.push('gap');
  }
  return blocks;
}
