/**
 * Reports: what is told to somebody outside who watches over errors and schedules. A port; by
 * default nobody is told.
 */

/** Where an error happened. Ids and names of ours, never what a person wrote. */
export interface ErrorFacts {
  readonly job?: string;
  readonly run_id?: string;
  /** ISO 8601. */
  readonly slot?: string | null;
  readonly slice?: number;
  readonly account_id?: string | null;
  readonly attempt_id?: string;
  readonly request_id?: string;
  /** As its file names it: `/runs/[id]`. */
  readonly route?: string;
}

/**
 * A sign of life of one slot of a job's schedule. Several with the same job and slot are about the
 * same thing.
 */
export interface CheckIn {
  readonly job: string;
  /** Of five fields, in UTC. */
  readonly schedule: string;
  readonly slot: Date;
  readonly status: 'in_progress' | 'ok' | 'error';
  /** Minutes that its run may take until it counts as hung. */
  readonly runMinutesMax: number;
  /** Of one that has ended, if that is known. */
  readonly durationMs?: number;
}

/** That something people are to know of begins, or has ended. */
export interface AlertReport {
  /** A name of ours, such as `slot_missed`. */
  readonly code: string;
  readonly event: 'opened' | 'ended';
}

/** Nothing here throws or waits for an answer, but for `flush`. */
export interface Reports {
  /** Something that should not happen. The same error is told once, however often it is given. */
  error(thrown: unknown, facts?: ErrorFacts, level?: 'error' | 'fatal'): void;
  checkIn(checkIn: CheckIn): void;
  alert(alert: AlertReport): void;
  /** Waits until all of it is told, or for `timeoutMs` milliseconds. Never rejects. */
  flush(timeoutMs: number): Promise<void>;
}

export const NO_REPORTS: Reports = {
  error: () => {},
  checkIn: () => {},
  alert: () => {},
  flush: async () => {},
};
