/**
 * What a check finds: one line for a person, and what to do about it. It never holds a secret, or a
 * person's name.
 */

/** `skipped`: it could not be looked at, since something before it is wrong. */
export type Level = 'ok' | 'warning' | 'wrong' | 'skipped';

export interface Finding {
  readonly level: Level;
  /** What was looked at: a variable, or a few words. */
  readonly what: string;
  readonly found: string;
  /** Null where there is nothing to do. */
  readonly do: string | null;
}

export const ok = (what: string, found: string): Finding => ({ level: 'ok', what, found, do: null });

export const warning = (what: string, found: string, remedy: string): Finding => ({
  level: 'warning',
  what,
  found,
  do: remedy,
});

export const wrong = (what: string, found: string, remedy: string): Finding => ({
  level: 'wrong',
  what,
  found,
  do: remedy,
});

/** @param because what is wrong before it */
export const skipped = (what: string, because: string): Finding => ({
  level: 'skipped',
  what,
  found: `not checked: ${because}`,
  do: null,
});
