/** What this program's exit codes mean. `docs/ops-cli.md` says the same. */
export const EXIT = {
  ok: 0,
  /** It was done or shown, and what was asked about is not well. */
  unhealthy: 1,
  /** The command line or the environment is wrong; nothing was asked of the API. */
  usage: 2,
  /** The API refused, 4xx. */
  refused: 3,
  /** The API was not reached, or answered 5xx. */
  unreached: 4,
  /** The API refuses the token, 401 or 403. */
  unauthorized: 5,
  /** A bug of this program. */
  bug: 70,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `
Exit codes:
  0    all is well
  1    what was asked about is not: a run that failed or has not ended in time, rows that were refused,
       a status that is not ok
  2    the command line or the environment is wrong
  3    the API refused (4xx)
  4    the API was not reached, or had trouble of its own (5xx)
  5    the API refuses the token (401, 403)
  130  interrupted; a run that was waited for goes on`;

/** What was typed cannot be done as it is. Its message says what to change. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The API gave no answer that can be used. */
export class UnreachedError extends Error {
  override readonly name = 'UnreachedError';
}

/** Ctrl-C, with what is to be known about what goes on without us. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
