/**
 * A job is data: a name, a schedule and a handler that is loaded when it first runs, so
 * that whoever only needs the schedule (a cron route, a test of `vercel.json`) loads nothing else.
 */
import type { TObject } from 'typebox';
import type { Effects } from '../effects/index.ts';
import type { MediaFetcher } from '../media/index.ts';
import type { Rpc } from '../rpc/index.ts';
import type { Logger, Reports, Span, Traces } from '../telemetry/index.ts';
import type { Unipile } from '../unipile/index.ts';
import type { Run, RunStats } from './run.ts';

/** What operators decide about how the jobs work; `docs/environment.md` has each one. */
export interface JobSettings {
  /** What becomes of a row that reconciling did not find: sent once more, or held for a person. */
  readonly unknownPolicy: 'resend-when-absent' | 'hold';
  /** A post later than this is not published by itself any more. */
  readonly postLateLimitMinutes: number;
  /** Where analytics keep their cache besides Postgres; undefined for nowhere. */
  readonly redisUrl?: string;
}

/** What a handler works with. Built once by each app. */
export interface JobServices {
  readonly effects: Effects;
  readonly rpc: Rpc;
  readonly unipile: Unipile;
  readonly media: MediaFetcher;
  readonly logger: Logger;
  /** Told of what should not happen; nobody by default. */
  readonly reports?: Reports;
  /** What its slices and calls took is told to; nobody by default. */
  readonly traces?: Traces;
  /** Names this process in the ledger, e.g. `jobs-api@host:pid`. */
  readonly worker: string;
  /** Calls to Unipile at once in this process, 1 to 200. */
  readonly sendConcurrency: number;
  readonly settings: JobSettings;
}

/** A slice of a run, as its handler sees it. Where a run is not sliced, that is all of it. */
export interface RunContext {
  /** Its stats are what earlier calls of the handler for this slice came to; usually there were none. */
  readonly run: Run;
  /** Counted from 0. */
  readonly slice: number;
  /**
   * Whether it was begun before every other slice of the run: what is to be done once a run, it
   * does. Not slice 0: the run may have ended before anybody takes that up.
   */
  readonly isFirst: boolean;
  /** Of the slice. */
  readonly span: Span;
  /** Aborts when the run must stop taking up work: cancelled, shut down, or its lease lost. */
  readonly signal: AbortSignal;
  /** Work on while something can be done before this instant; it may move later during the run. */
  horizonAt(): Date;
  /**
   * Milliseconds until this process is ended, whatever it does; infinite where it is asked to stop
   * first. What would not end by then is not begun: see `workUntil`.
   */
  remainingMs(): number;
  /** Publishes progress; cheap, and may be called after every message. */
  report(stats: RunStats): void;
}

/** Does a run's work and resolves to its final stats. Throws only if the run failed as a whole. */
export type JobHandler = (context: RunContext, services: JobServices) => Promise<RunStats>;

export interface JobDefinition {
  /** Kebab-case; the path of its trigger, e.g. `dm-queue`. */
  readonly name: string;
  /** One sentence, shown to people. */
  readonly summary: string;
  /** Cron expression of 5 fields, in UTC; `vercel.json` carries the same one. */
  readonly schedule: string;
  /** Which of `RunParams` a run of this job may be given; none by default. */
  readonly params?: TObject;
  /** Of runs that name none: 0 (default) to 9; a higher one is taken up first where runs wait for workers. */
  readonly priority?: number;
  /**
   * Whether several processes may work on one run at the same time: the handler shares through the
   * database.
   */
  readonly isSliced?: boolean;
  readonly loadHandler: () => Promise<JobHandler>;
}
