/**
 * A run over an outbox: claims what is due, sends each row, records what became of it, and meanwhile
 * looks for what is unknown.
 *
 * The database is the pacer. A claim gives at most one row an account, and only where every limit,
 * window, pause and gap allows; between two rows of an account the run waits, holding nothing.
 * Prefetch is zero: it claims for free send slots only, and sends at once what it claimed.
 */
import { timeLeft } from '../effects/index.ts';
import type { JobServices, RunContext, RunStats } from '../jobs/index.ts';
import { RpcError } from '../rpc/index.ts';
import type { AttemptResult, Backlog, ClaimedAttempt, RecordedResult } from './attempts.ts';
import { releaseOf } from './attempts.ts';
import { countsFrom } from './counts.ts';
import type { Claim, Outbox, ReadBackResolution } from './outbox.ts';
import { createReadBacks, type ReadBacks } from './read-backs.ts';
import { createRecorder, type Recorder } from './recorder.ts';

/** The longest wait between two claims, in milliseconds: what others change is seen by then. */
const POLL_MS = 5_000;

/** The shortest wait after a claim that gave nothing, in milliseconds. */
const HELD_MS_MIN = 250;

/** Without a reason an abort makes an error and its stack, for each message. */
const WOKEN = 'woken';

/** Claims in a row that may fail before the run does: about two minutes. */
const CLAIM_FAILURES_MAX = 12;

/**
 * What a run counts. `due` is how many rows were due when it began; `confirmed`, `resent` and `held` are
 * unknowns that were settled; `seen` and `skipped` are added at its end.
 */
const COUNTED = [
  'due',
  'eligible',
  'sent',
  'failed',
  'unknown',
  'retried',
  'released',
  'confirmed',
  'resent',
  'held',
] as const;

/** Whether a row is as a result said, though an earlier call had recorded it, whose answer was lost. */
function isAsSaid(result: AttemptResult | undefined, status: string | null): boolean {
  if (result?.outcome === 'not_sent') return status === 'pending' || status === 'failed';
  return result?.outcome === status;
}

/** Works until nothing more can be claimed or read back before the run's horizon. */
export async function runOutbox<Item extends ClaimedAttempt, Result extends AttemptResult>(
  outbox: Outbox<Item, Result>,
  context: RunContext,
  services: JobServices,
): Promise<RunStats> {
  const { account_ids = null, dry_run = false } = context.run.params;
  if (dry_run) return previewOf(outbox, account_ids);
  return new OutboxRun(outbox, context, services).work();
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

/** One run's state: its slots, its counts, and what it waits for. */
class OutboxRun<Item extends ClaimedAttempt, Result extends AttemptResult> {
  readonly #outbox: Outbox<Item, Result>;
  readonly #context: RunContext;
  readonly #services: JobServices;
  readonly #accountIds: readonly string[] | null;
  readonly #callsMax: number;
  readonly #slots: number;
  readonly #recorder: Recorder<Result>;
  readonly #readBacks: ReadBacks;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #counts: Record<(typeof COUNTED)[number], number>;
  /** Replaced after each wake-up; aborted when a result was recorded or a slot became free. */
  #wake = new AbortController();
  #platformKeyRefused = false;
  #readingFailed = false;
  /**
   * Claims whose answer was lost, and until when they are given back, in milliseconds since 1970: one may
   * still be at work in the database when it is asked for, and a lease later nothing is left to give back.
   */
  readonly #lostClaims = new Map<string, number>();
  /** Calls made, or under way. */
  #callCount: number;

  constructor(outbox: Outbox<Item, Result>, context: RunContext, services: JobServices) {
    this.#outbox = outbox;
    this.#context = context;
    this.#services = services;
    this.#accountIds = context.run.params.account_ids ?? null;
    this.#slots = Math.min(services.sendConcurrency, outbox.concurrencyMax ?? Number.POSITIVE_INFINITY);
    this.#callsMax = context.run.params.limit ?? Number.POSITIVE_INFINITY;
    this.#counts = countsFrom(COUNTED, context.run.stats);
    this.#callCount = Math.max(this.#counts.eligible - this.#counts.released, 0);
    this.#recorder = createRecorder(
      (results) => outbox.record(results),
      services.effects,
      services.logger,
      (results, recorded) => this.#count(results, recorded),
    );
    this.#readBacks = createReadBacks(outbox.readBack, services, (resolutions) =>
      this.#countReadBacks(resolutions),
    );
  }

  async work(): Promise<RunStats> {
    this.#counts.due ||= (await this.#backlog())?.due ?? 0;
    this.#report();
    const sent = new AbortController();
    const reading = this.#readBacks.work(AbortSignal.any([this.#context.signal, sent.signal]));
    reading.catch(() => {
      // It is thrown below, once what is in flight has ended.
      this.#readingFailed = true;
      this.#wake.abort(WOKEN);
    });
    try {
      await this.#sendUntilDone();
    } finally {
      await Promise.all(this.#inFlight);
      await this.#recorder.drain();
      await this.#giveBackLost();
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
      const free = Math.min(this.#slots - this.#inFlight.size, this.#callsLeft());
      const claim = free > 0 && this.#mayClaim() ? await this.#claim(free) : null;

      if (!this.#mayClaim() && this.#inFlight.size === 0) return;
      const waitMs = claim === null ? POLL_MS : this.#waitAfter(claim);
      if (waitMs === null) return;
      await effects.sleep(waitMs, AbortSignal.any([this.#wake.signal, this.#context.signal]));
      if (this.#context.signal.aborted) return;
    }
  }

  /** Calls that the run may still make. What was given back unsent was none. */
  #callsLeft(): number {
    return this.#callsMax - this.#callCount;
  }

  #mayClaim(): boolean {
    return (
      !this.#context.signal.aborted &&
      !this.#platformKeyRefused &&
      !this.#readingFailed &&
      this.#callsLeft() > 0 &&
      this.#services.effects.now() < this.#context.horizonAt()
    );
  }

  /** The wait before the next claim in milliseconds, or null if nothing more can be done in time. */
  #waitAfter(claim: Claim<Item>): number | null {
    const horizon = this.#context.horizonAt();
    const nextAt = claim.next_claim_at === null ? null : new Date(claim.next_claim_at);
    const isInTime = nextAt !== null && nextAt < horizon;
    // A result that is still being written, or was written during the claim, may let its account go on,
    // and an unknown that turns out to be absent goes out once more.
    const isQuiet = this.#inFlight.size === 0 && this.#recorder.isIdle() && !this.#wake.signal.aborted;
    if (!isInTime && isQuiet && this.#readBacks.isDone(horizon)) return null;
    if (nextAt === null) return POLL_MS;
    // Nothing came although something is due: somebody else holds its row. It is not asked without a pause.
    const waitMsMin = claim.items.length === 0 ? HELD_MS_MIN : 0;
    return Math.min(Math.max(nextAt.getTime() - new Date(claim.now).getTime(), waitMsMin), POLL_MS);
  }

  /** Claims for the free slots and dispatches at once. Null if the database gave nothing this time. */
  async #claim(free: number): Promise<Claim<Item> | null> {
    const { effects, worker, logger } = this.#services;
    await this.#giveBackLost();
    for (let failures = 1; ; failures += 1) {
      const claimId = effects.uuid();
      // From before the claim: its lease may have begun at any moment since.
      const isInTime = timeLeft(effects, this.#outbox.dispatchMsMax);
      try {
        const claim = await this.#outbox.claim({
          claimId,
          worker,
          limit: free,
          leaseMs: this.#outbox.leaseMs,
          draw: effects.random(),
          accountIds: this.#accountIds,
        });
        for (const item of claim.items) this.#dispatch(item, isInTime);
        return claim;
      } catch (error) {
        if (!(error instanceof RpcError) || error.kind !== 'unavailable') throw error;
        this.#lostClaims.set(claimId, effects.now().getTime() + this.#outbox.leaseMs);
        if (failures >= CLAIM_FAILURES_MAX) throw error;
        logger.warn({ err: error, failures }, 'claim failed');
        await effects.sleep(Math.min(250 * 2 ** failures, 15_000), this.#context.signal);
        await this.#giveBackLost();
        if (!this.#mayClaim()) return null;
      }
    }
  }

  /** A claim may have been made although its answer was lost. Nothing of it was dispatched. */
  async #giveBackLost(): Promise<void> {
    for (const [claimId, untilMs] of this.#lostClaims) {
      try {
        const count = await this.#outbox.release(claimId, this.#services.worker);
        this.#counts.released += count;
        if (count > 0 || this.#services.effects.now().getTime() >= untilMs) this.#lostClaims.delete(claimId);
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        this.#services.logger.warn({ err: error, claim_id: claimId }, 'a lost claim is not given back yet');
        return;
      }
    }
  }

  #dispatch(item: Item, isInTime: () => boolean): void {
    this.#counts.eligible += 1;
    this.#callCount += 1;
    const sending = this.#send(item, isInTime).finally(() => {
      this.#inFlight.delete(sending);
      this.#wake.abort(WOKEN);
    });
    this.#inFlight.add(sending);
  }

  async #send(item: Item, isInTime: () => boolean): Promise<void> {
    const { logger } = this.#services;
    const maySend = (): boolean => !this.#context.signal.aborted && isInTime();
    const result = maySend() ? await this.#call(item, maySend) : (releaseOf(item) as Result);
    const { attempt_id, outcome, next_step, reason, http_status, error_type } = result;
    if (outcome !== 'sent' && next_step !== 'release') {
      logger.warn({ attempt_id, outcome, reason, http_status, error_type }, 'not sent, or not known to be');
    }
    if (reason === 'platform_key_refused') this.#platformKeyRefused = true;
    this.#recorder.add(result);
  }

  /** One call. What throws is a fault of ours: it may have been made, and the other rows must not suffer for it. */
  async #call(item: Item, maySend: () => boolean): Promise<Result> {
    try {
      return await this.#outbox.send(item, maySend, this.#context.signal);
    } catch (error) {
      const { attempt_id } = item;
      this.#services.logger.error({ err: error, attempt_id }, 'a call failed within this process');
      const lost = { attempt_id, outcome: 'unknown', reason: 'answer_lost', is_strike: true } as const;
      return { ...lost, error_type: error instanceof Error ? error.name : null } as AttemptResult as Result;
    }
  }

  #count(results: readonly Result[], recorded: readonly RecordedResult[]): void {
    for (const [index, { status, applied, attempt_id }] of recorded.entries()) {
      const result = results[index];
      if (result?.next_step === 'release') {
        this.#counts.released += 1;
        this.#callCount -= 1;
      } else if (applied === 'missing' || (applied === 'ignored' && !isAsSaid(result, status))) {
        this.#services.logger.warn({ attempt_id, applied, status }, 'a result came too late');
      } else if (status === 'sent') this.#counts.sent += 1;
      else if (status === 'failed') this.#counts.failed += 1;
      else if (status === 'unknown') this.#counts.unknown += 1;
      else this.#counts.retried += 1;
    }
    if (recorded.some(({ status }) => status === 'unknown')) this.#readBacks.lookAgain();
    this.#report();
    this.#wake.abort(WOKEN);
  }

  #countReadBacks(resolutions: readonly ReadBackResolution[]): void {
    for (const { resolution } of resolutions) {
      if (resolution === 'sent') this.#counts.confirmed += 1;
      else if (resolution === 'waiting') this.#counts.resent += 1;
      else if (resolution === 'held') this.#counts.held += 1;
    }
    this.#report();
    this.#wake.abort(WOKEN);
  }

  #report(): void {
    this.#context.report({ ...this.#counts });
  }

  /** The counts, and what is left waiting, why, and until when. */
  async #finalStats(): Promise<RunStats> {
    const backlog = await this.#backlog();
    if (backlog === null) return { ...this.#counts };
    return {
      ...this.#counts,
      seen: this.#counts.eligible + backlog.due,
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
      this.#services.logger.warn({ err: error }, 'what waits could not be counted');
      return null;
    }
  }
}
