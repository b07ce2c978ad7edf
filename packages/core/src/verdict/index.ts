export type { SystemFacts, VerdictFacts, Waiting, WaitingAccount } from './facts.ts';
export { type Found, findings, inUtc, judge, unseen } from './judge.ts';
export { readFacts, readVerdict, type VerdictOptions } from './store.ts';
export { FINDING_CODES, Finding, FindingCode, VERDICT_STATES, Verdict, VerdictState } from './verdict.ts';
