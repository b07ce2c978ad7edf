/**
 * What happened, as the outside saw it: the calls that workers made, in the order in which they
 * were sent and answered. Nothing in here was asked of the SQL that is under test.
 */
import type { PolicyFields } from '../support/builders.ts';

/** How a worker says that an attempt ended; a lost worker never says. */
export interface Report {
  readonly outcome: 'sent' | 'not_sent' | 'unknown';
  readonly isRelease: boolean;
  readonly nowMs: number;
  readonly sentSeq: number;
  /** What the database answered. */
  applied?: string;
}

export interface Attempt {
  readonly id: string;
  readonly messageId: string;
  readonly accountId: string;
  /** The claim's clock, and the order of its call and of its answer. */
  readonly claimMs: number;
  readonly claimSentSeq: number;
  readonly claimSeq: number;
  readonly leaseUntilMs: number;
  /** The first report, then any others. */
  readonly reports: Report[];
}

/** A setting of an account, from when its change was sent; until the next one was answered, both may hold. */
export interface Version<Value> {
  readonly value: Value;
  readonly sentSeq: number;
  answeredSeq: number;
}

export class AccountHistory {
  readonly id: string;
  readonly isActive: boolean;
  readonly attempts: Attempt[] = [];
  readonly policies: Version<PolicyFields>[];
  /** The instant until which it is paused; -Infinity while it is not. */
  readonly pauses: Version<number>[];
  /** Limits met in a row, and until when the last one let it rest. */
  throttles = 0;
  throttledUntilMs = Number.NEGATIVE_INFINITY;

  constructor(id: string, isActive: boolean, policy: PolicyFields) {
    this.id = id;
    this.isActive = isActive;
    this.policies = [{ value: policy, sentSeq: -1, answeredSeq: -1 }];
    this.pauses = [{ value: Number.NEGATIVE_INFINITY, sentSeq: -1, answeredSeq: -1 }];
  }
}

/** What may have been in force during a call that was sent and answered at these times. */
export function inForce<Value>(
  versions: readonly Version<Value>[],
  sentSeq: number,
  answeredSeq: number,
): Value[] {
  return versions
    .filter((version, index) => {
      const next = versions[index + 1];
      return version.sentSeq < answeredSeq && (next === undefined || next.answeredSeq > sentSeq);
    })
    .map((version) => version.value);
}

export function latest<Value>(versions: readonly Version<Value>[]): Value {
  const last = versions.at(-1);
  if (!last) throw new RangeError('no version');
  return last.value;
}

/** The report that closed the attempt; none if its lease did. */
export function closingReport(attempt: Attempt): Report | undefined {
  return attempt.reports.find((report) => report.applied === 'recorded');
}

/** The answer that came although the attempt had been closed: that it was sent after all. */
export function lateReport(attempt: Attempt): Report | undefined {
  return attempt.reports.find((report) => report.applied === 'late');
}

/** A worker proved that it had no effect, in time. */
export function isNotSent(attempt: Attempt): boolean {
  return closingReport(attempt)?.outcome === 'not_sent';
}

/** The latest instant at which LinkedIn can have shown the effect. */
export function effectByMs(attempt: Attempt): number {
  const report = closingReport(attempt);
  if (report?.outcome === 'sent') return report.nowMs;
  return Math.max(attempt.leaseUntilMs, report?.nowMs ?? 0);
}
