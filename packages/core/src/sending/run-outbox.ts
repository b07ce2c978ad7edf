/**
 * A run over an outbox: claims what is due, sends each row, records what became of it, and meanwhile
 * looks for what is unknown.
 *
 * The database is the pacer. A claim gives at most one row an account, and only where every limit,
 * window, pause and gap allows; between two rows of an account the run waits, holding nothing.
 * It claims for its free permits, and a little ahead: for those that become free while it claims.
 */
import { type JobServices, type RunContext, type RunStats, runFacts, workUntil } from '../jobs/index.ts';
import { RpcError } from '../rpc/index.ts';
import type { AttemptResult, Backlog, ClaimedAttempt } from './attempts.ts';
import { releaseOf } from './attempts.ts';
import { type Claims, createClaims } from './claims.ts';
import { createLookAhead, type LookAhead } from './look-ahead.ts';
import type { Claim, Outbox } from './outbox.ts';
import { createPermits, type Dispatch, type Permits } from './permits.ts';
import { createReconciler, type Reconciler } from './reconciler.ts';
import { createRecorder, type Recorder } from './recorder.ts';
import { createTally, type Tally } from './tally.ts';
import { tracedOutbox } from './traced-outbox.ts';

/** The longest wait between two claims, in milliseconds: what others change is seen by then. */
const POLL_MS = 5_000;

/** The shortest wait after a claim that gave nothing, in milliseconds. */
const HELD_MS_MIN = 250;

/**
 * Attempts that a run may have open for each permit, with those whose results are not written yet.
 * While the database takes claims and no results, a crash must not leave ever more of them unknown.
 */
const OPEN_PER_PERMIT_MAX = 2;

/** Without a reason an abort makes an error and its stack, for each message. */
const WOKEN = 'woken';

/** Works until nothing more can be claimed or reconciled before the run's horizon. */
export async function runOutbox<Item extends ClaimedAttempt, Result extends AttemptResult>(
  outbox: Outbox<Item, Result>,
  context: RunContext,
  services: JobServices,
): Promise<RunStats> {
  const { account_ids = null, dry_run = false } = context.run.params;
  if (dry_run) return previewOf(outbox, account_ids);
  return new OutboxRun(tracedOutbox(outbox, context), context, services).work();
}

async function previewOf(
  outbox: Pick<Outbox, 'preview'>,
  accountIds: readonly string[] | null,
): Promise<RunStats> {
  const { due, by_reason, next_at, is_complete, would_send } = await outbox.preview(accountIds);
  return {
    dry_run: true,
    due,
    seen: due,
    eligible: would_send.length,
    would_send: [...would_send],
    skipped: { ...by_reason },
    next_at,
    is_complete,
  };
}

/** One run's state: its parts, and what it waits for. */
class OutboxRun<Item extends ClaimedAttempt, Result extends AttemptResult> {
  readonly #outbox: Outbox<Item, Result>;
  readonly #context: RunContext;
  readonly #services: JobServices;
  readonly #accountIds: readonly string[] | null;
  readonly #tally: Tally<Result>;
  readonly #claims: Claims<Item>;
  readonly #permits: Permits<Item>;
  readonly #lookAhead: LookAhead;
  readonly #recorder: Recorder<Result>;
  readonly #reconciler: Reconciler;
  /** Replaced after each wake-up; aborted when a result was recorded or a permit became free. */
  #wake = new AbortController();
  #platformKeyRefused = false;
  #readingFailed = false;
  /** From then on nothing is sent: what still waits is given back. */
  #isOver = false;

  constructor(outbox: Outbox<Item, Result>, context: RunContext, services: JobServices) {
    const { logger } = services;
    this.#outbox = outbox;
    this.#context = context;
    this.#services = services;
    this.#accountIds = context.run.params.account_ids ?? null;
    this.#tally = createTally(context.run, logger);
    this.#claims = createClaims({
      ...{ outbox, services, accountIds: this.#accountIds, signal: context.signal },
      mayClaim: () => this.#mayClaim(),
      onGivenBack: (count) => this.#tally.givenBack(count),
    });
    const permits = Math.min(services.sendConcurrency, outbox.concurrencyMax ?? Number.POSITIVE_INFINITY);
    this.#lookAhead = createLookAhead(permits);
    this.#permits = createPermits(
      permits,
      (dispatch) => this.#send(dispatch),
      () => this.#wake.abort(WOKEN),
    );
    this.#recorder = createRecorder(
      (results) => outbox.record(results),
      services,
      (results, answers) => {
        this.#tally.recorded(results, answers);
        if (answers.some(({ status }) => status === 'unknown')) this.#reconciler.lookAgain();
        this.#goOn();
      },
    );
    this.#reconciler = createReconciler(outbox.reconcile, services, (resolutions) => {
      this.#tally.settled(resolutions);
      this.#goOn();
    });
  }

  async work(): Promise<RunStats> {
    if (this.#tally.counts.due === 0) this.#tally.begin((await this.#backlog())?.due ?? 0);
    this.#report();
    const sent = new AbortController();
    const reading = this.#reconciler.work(AbortSignal.any([this.#context.signal, sent.signal]));
    reading.catch(() => {
      // It is thrown below, once what is in flight has ended.
      this.#readingFailed = true;
      this.#wake.abort(WOKEN);
    });
    try {
      await this.#sendUntilDone();
    } finally {
      this.#isOver = true;
      await this.#permits.drain();
      await this.#recorder.drain();
      await this.#claims.giveBackLost();
      sent.abort();
      await reading;
    }
    if (this.#platformKeyRefused) {
      throw new Error('Unipile refuses our API key (401 missing_credentials): no account can send');
    }
    return this.#finalStats();
  }

  async #sendUntilDone(): Promise<void> {
    const { effects } = this.#services;
    for (;;) {
      // What is woken from here on is not missed, even during the claim.
      this.#wake = new AbortController();
      const claim = await this.#claim();
      if (!this.#mayClaim() && this.#permits.inFlight === 0) return;
      const waitMs = claim === null ? POLL_MS : this.#waitAfter(claim);
      if (waitMs === null) return;
      await effects.sleep(waitMs, AbortSignal.any([this.#wake.signal, this.#context.signal]));
      if (this.#context.signal.aborted) return;
      // What has waited for too long is given back, also while no call ends.
      this.#permits.dispatch();
    }
  }

  #mayClaim(): boolean {
    return (
      !this.#context.signal.aborted &&
      !this.#platformKeyRefused &&
      !this.#readingFailed &&
      this.#tally.callsLeft > 0 &&
      this.#services.effects.now() < this.#claimUntil()
    );
  }

  #claimUntil(): Date {
    return workUntil(this.#context, this.#services.effects, this.#outbox.claimMsMin);
  }

  #maySend(): boolean {
    return (
      !this.#context.signal.aborted &&
      !this.#platformKeyRefused &&
      !this.#isOver &&
      this.#context.remainingMs() >= this.#outbox.callMsMax
    );
  }

  /** The wait before the next claim in milliseconds, or null if nothing more can be done in time. */
  #waitAfter(claim: Claim<Item>): number | null {
    const horizon = this.#claimUntil();
    const nextAt = claim.next_claim_at === null ? null : new Date(claim.next_claim_at);
    const isInTime = nextAt !== null && nextAt < horizon;
    // A result that is still being written, or was written during the claim, may let its account go on,
    // and an unknown that turns out to be absent goes out once more.
    const isQuiet = this.#permits.inFlight === 0 && this.#recorder.isIdle() && !this.#wake.signal.aborted;
    if (!isInTime && isQuiet && this.#reconciler.isDone(horizon)) return null;
    if (nextAt === null) return POLL_MS;
    // Nothing came although something is due: somebody else holds its row. It is not asked without a pause.
    const waitMsMin = claim.items.length === 0 ? HELD_MS_MIN : 0;
    return Math.min(Math.max(nextAt.getTime() - new Date(claim.now).getTime(), waitMsMin), POLL_MS);
  }

  /**
   * Claims for the free permits, and a little ahead. Null if nothing is wanted, or the database
   * gave no answer.
   */
  async #claim(): Promise<Claim<Item> | null> {
    if (!this.#mayClaim()) return null;
    const { inFlight, waiting, ended: endedBefore } = this.#permits;
    const inHand = inFlight + waiting;
    const room = OPEN_PER_PERMIT_MAX * this.#permits.size - inHand - this.#recorder.unwritten;
    const asked = Math.min(this.#lookAhead.demand(inHand), room, this.#tally.callsLeft);
    if (asked <= 0) return null;
    const claim = await this.#claims.claim(asked);
    if (claim === null) return null;
    const { items, isInTime } = claim;
    this.#lookAhead.learn({ inFlight, asked, given: items.length, ended: this.#permits.ended - endedBefore });
    this.#tally.claimed(items.length);
    const maySend = () => this.#maySend() && isInTime();
    for (const item of items) this.#permits.add({ item, maySend });
    const counts = { asked, claimed: items.length, claimed_ahead: this.#permits.waiting };
    this.#services.logger.debug(counts, 'claimed');
    this.#report();
    return claim;
  }

  async #send({ item, maySend }: Dispatch<Item>): Promise<void> {
    const result = maySend() ? await this.#call(item, maySend) : (releaseOf(item) as Result);
    const { attempt_id, outcome, next_step, reason, http_status, error_type } = result;
    if (outcome !== 'sent' && next_step !== 'release') {
      const { logger } = this.#services;
      logger.warn({ attempt_id, outcome, reason, http_status, error_type }, 'send failed or outcome unknown');
    }
    if (reason === 'platform_key_refused') this.#platformKeyRefused = true;
    this.#recorder.add(result);
  }

  /**
   * One call. What throws is a fault of ours: it may have been made, and the other rows must not
   * suffer for it.
   */
  async #call(item: Item, maySend: () => boolean): Promise<Result> {
    try {
      return await this.#outbox.send(item, maySend, this.#context.signal);
    } catch (error) {
      const { attempt_id, account_id } = item;
      this.#services.logger.error(
        { err: error, attempt_id },
        'unexpected error while sending, outcome unknown',
      );
      const { run, slice } = this.#context;
      this.#services.reports?.error(error, { ...runFacts(run, slice), account_id, attempt_id });
      const lost = { attempt_id, outcome: 'unknown', reason: 'answer_lost', is_strike: true } as const;
      return { ...lost, error_type: error instanceof Error ? error.name : null } as AttemptResult as Result;
    }
  }

  /** Something was written: it is told, and may let an account go on. */
  #goOn(): void {
    this.#report();
    this.#wake.abort(WOKEN);
  }

  #report(): void {
    this.#context.report({ ...this.#tally.counts, claimed_ahead: this.#permits.waiting });
  }

  /** The counts, and what is left waiting, why, and until when. */
  async #finalStats(): Promise<RunStats> {
    const { counts } = this.#tally;
    const backlog = await this.#backlog();
    if (backlog === null) return { ...counts };
    return {
      ...counts,
      seen: counts.eligible + backlog.due,
      skipped: { ...backlog.by_reason },
      next_at: backlog.next_at,
      is_complete: backlog.is_complete,
    };
  }

  /** What waits; null if it could not be counted, which must not cost the run. */
  async #backlog(): Promise<Backlog | null> {
    try {
      return await this.#outbox.backlog(this.#accountIds);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.#services.logger.warn({ err: error }, 'backlog unavailable');
      return null;
    }
  }
}
