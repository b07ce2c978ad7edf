/** What a violated invariant throws, and the texts that the invariants are about. */

export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

/** @throws {InvariantViolation} */
export const throwViolation = (what: string): never => {
  throw new InvariantViolation(what);
};

/** A text of the workload, and what LinkedIn shows of it. */
export interface Item {
  readonly accountId: string;
  readonly isPost: boolean;
  /** How often it may be visible. */
  copies: number;
  /** How often it is. */
  visible: number;
}
