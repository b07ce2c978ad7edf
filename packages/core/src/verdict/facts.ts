/** What the verdict is judged from: `system_facts` in SQL, and what the service knows of itself. */
import type { Run } from '../jobs/index.ts';

/**
 * A kind of thing that waits: how many, and since when the first of those. `is_more`: they were not
 * all looked at.
 */
export interface Waiting {
  readonly count: number;
  readonly is_more: boolean;
  readonly since: string | null;
  /** All that were counted, the newest first; none where no one of them is to be named. */
  readonly ids: readonly string[];
}

/** An account that sends nothing until somebody acts, though something waits for it. */
export interface WaitingAccount {
  readonly account_name: string | null;
  /** Why, from docs/reasons.md, or in a person's words. */
  readonly reason: string;
}

/** The answer of `system_facts`, whole: a database of another version may leave something out. */
export interface SystemFacts {
  readonly now: string;
  /** When the oldest run that is still known was asked for; null if there never was one. */
  readonly first_run_at: string | null;
  /** The latest run of each job, without those that were told to do something else than usual. */
  readonly last_runs: Readonly<Record<string, Run>>;
  /** The latest of them that ended by itself: not one that is active, or that was cancelled. */
  readonly last_ended_runs: Readonly<Record<string, Run>>;
  readonly all_paused: {
    readonly reason: string;
    readonly paused_at: string;
    /** Null: until somebody resumes it. */
    readonly paused_until: string | null;
    readonly paused_by: string;
  } | null;
  /** Since when something waits because Unipile refuses our key; null if nothing does. */
  readonly key_refused_since: string | null;
  /** The first of them, by name. */
  readonly accounts: Waiting & { readonly first: readonly WaitingAccount[] };
  /** What may be on LinkedIn and is not looked for any more. */
  readonly held_messages: Waiting;
  readonly held_unknown_posts: Waiting;
  readonly missed_posts: Waiting;
  /** By reason. */
  readonly held_posts: Waiting & { readonly by_reason: Readonly<Record<string, number>> };
  /** Accounts whose message could have gone for a while; `since` is when the first could. */
  readonly late_messages: Waiting;
  readonly late_posts: Waiting;
}

const KNOWN: Readonly<Record<keyof SystemFacts, true>> = {
  now: true,
  first_run_at: true,
  last_runs: true,
  last_ended_runs: true,
  all_paused: true,
  key_refused_since: true,
  accounts: true,
  held_messages: true,
  held_unknown_posts: true,
  missed_posts: true,
  held_posts: true,
  late_messages: true,
  late_posts: true,
};

export const areWhole = (facts: SystemFacts): boolean => Object.keys(KNOWN).every((name) => name in facts);

export interface VerdictFacts {
  /** What keeps the service from its work; null if nothing does. */
  readonly notReady: string | null;
  readonly jobs: readonly { readonly name: string; readonly schedule: string }[];
  /** Null: the database did not answer. */
  readonly system: SystemFacts | null;
}
