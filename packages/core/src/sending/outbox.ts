/**
 * The outbox port: what a feature gives so that its rows are sent by the machine they all share.
 *
 * The claim, the limits and the ledger are the feature's SQL; one call to Unipile and what it means
 * are its `send`. Everything between (permits, waiting, recording, reconciling) is `runOutbox`.
 */
import type { FailureKind, SearchResult } from '../unipile/index.ts';
import type { AttemptResult, Backlog, ClaimedAttempt, Preview, RecordedResult } from './attempts.ts';

export interface ClaimRequest {
  /** Names the claim, so that what a lost answer claimed can be given back. */
  readonly claimId: string;
  readonly worker: string;
  /** Free permits. */
  readonly limit: number;
  readonly leaseMs: number;
  /** Uniform in [0, 1). */
  readonly draw: number;
  /** Only these accounts; null, the default, for all. */
  readonly accountIds?: readonly string[] | null;
}

export interface Claim<Item extends ClaimedAttempt> {
  /** The database's clock. */
  readonly now: string;
  /** The earliest instant at which another claim can succeed; null if none is known. */
  readonly next_claim_at: string | null;
  readonly items: readonly Item[];
}

export interface Outbox<
  Item extends ClaimedAttempt = ClaimedAttempt,
  Result extends AttemptResult = AttemptResult,
> {
  /** Rows of one run that are sent at the same time, if fewer than `SEND_CONCURRENCY`. */
  readonly concurrencyMax?: number;
  /** How long an attempt without a result counts as in flight, in milliseconds. */
  readonly leaseMs: number;
  /**
   * How long after its claim a row may still be dispatched, in milliseconds: so that a call ends
   * within the lease. A process that slept in between gives the row back.
   */
  readonly dispatchMsMax: number;
  /**
   * How long a call takes at most, with what is read after it and with its record, in milliseconds:
   * in a process that is ended at a given instant none begins later than that before it.
   */
  readonly callMsMax: number;
  /**
   * How much of such a process must be left for a claim, in milliseconds: a call, and what comes
   * before it.
   */
  readonly claimMsMin: number;
  claim(request: ClaimRequest): Promise<Claim<Item>>;
  /** Gives back what a claim took whose answer was lost; answers how many. */
  release(claimId: string, worker: string): Promise<number>;
  record(results: readonly Result[]): Promise<readonly RecordedResult[]>;
  /** Null for all accounts. */
  backlog(accountIds: readonly string[] | null): Promise<Backlog>;
  /** Changes nothing. */
  preview(accountIds: readonly string[] | null): Promise<Preview>;
  /**
   * One call to Unipile, and what it means. It does not throw for what Unipile answers.
   *
   * @param isInTime false once it is too late for the call: then resolve to `releaseOf(item)`
   * @param signal aborts when the run must stop: what comes before the call is cut short, the call is not
   */
  send(item: Item, isInTime: () => boolean, signal: AbortSignal): Promise<Result>;
  readonly reconcile: ReconcileLedger;
}

/** An unknown attempt that is to be looked for on LinkedIn. Each feature adds what it looks for. */
export interface UnknownAttempt {
  readonly attempt_id: string;
}

/** What a look at LinkedIn told. `absent` is only said of an account that is in order. */
export interface ReconcileResult {
  readonly attempt_id: string;
  readonly found: 'sent' | 'absent' | 'unreadable' | 'account_out_of_order';
  /** When LinkedIn shows it was sent. */
  readonly sent_at?: string;
  /** For people; at most 500 characters. */
  readonly detail?: string | null;
}

/**
 * What the looks came to: `sent`: it is confirmed; `waiting`: it was absent for long enough and is
 * sent once more; `held`: a person decides; `unknown`: it is looked for again; `ignored`: it was
 * settled meanwhile.
 */
export interface ReconcileResolution {
  readonly attempt_id: string;
  readonly resolution: 'sent' | 'waiting' | 'held' | 'unknown' | 'ignored';
}

export interface ReconcileLedger<
  Item extends UnknownAttempt = UnknownAttempt,
  Result extends ReconcileResult = ReconcileResult,
> {
  /** Unknowns whose time to be looked for has come; each is given to one asker a minute. */
  due(limit: number): Promise<{
    readonly now: string;
    readonly next_read_at: string | null;
    readonly items: readonly Item[];
  }>;
  /** Reads only, so it may be repeated. It does not throw for what Unipile answers. */
  look(item: Item): Promise<Result>;
  resolve(results: readonly Result[]): Promise<readonly ReconcileResolution[]>;
}

/** Failures that speak of the account: what it shows now, or showed before, proves no absence. */
const OF_THE_ACCOUNT: ReadonlySet<FailureKind> = new Set([
  'account_disconnected',
  'account_restricted',
  'account_missing',
]);

export type NotFound = Exclude<SearchResult<unknown>, { readonly kind: 'found' }>;

/** What a search that found nothing means, for messages and posts alike. */
export function toReconcileResult(attemptId: string, searched: NotFound): ReconcileResult {
  const attempt_id = attemptId;
  if (!searched.ok) {
    const found = OF_THE_ACCOUNT.has(searched.kind) ? 'account_out_of_order' : 'unreadable';
    return { attempt_id, found, detail: searched.detail ?? searched.type };
  }
  if (searched.kind === 'absent') return { attempt_id, found: 'absent' };
  return { attempt_id, found: 'account_out_of_order', detail: `the account is ${searched.status}` };
}
