export type { SystemFacts, VerdictFacts, Waiting, WaitingAccount } from './facts.ts';
export { judge, unseen } from './judge.ts';
export { readVerdict, type VerdictOptions } from './store.ts';
export { Finding, VERDICT_STATES, Verdict, VerdictState } from './verdict.ts';
