/** What the witness holds promises against, and what it says when one is broken. */

export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise';
}

/** Says so. */
export const broken = (what: string): never => {
  throw new BrokenPromise(what);
};

/** A text that somebody wrote, and LinkedIn may show. */
export interface Item {
  readonly accountId: string;
  readonly isPost: boolean;
  /** How often it may be seen. */
  copies: number;
  seen: number;
}
