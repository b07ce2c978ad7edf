/**
 * The run of `dm-queue`: claims due messages, sends each, records what became of it.
 *
 * The database is the pacer. A claim gives at most one message an account, and only where every
 * limit, window, pause and gap allows; between two messages of an account the run waits, holding
 * nothing. Prefetch is zero: it claims for free send slots only, and sends at once what it claimed.
 */
import type { JobHandler, JobServices, RunContext, RunStats } from '../jobs/index.ts';
import { RpcError } from '../rpc/index.ts';
import { decideOutcome, releaseOf } from './outcome.ts';
import { createRecorder } from './recorder.ts';
import {
  type AttemptResult,
  type Backlog,
  type Claim,
  type ClaimedMessage,
  createDmStore,
  type DmStore,
  type RecordedResult,
} from './store.ts';

/** How long an attempt without a result counts as in flight, in milliseconds. */
const LEASE_MS = 120_000;

/**
 * How long after its claim a message may still be dispatched, in milliseconds: half of the lease, so
 * that a call of 60 s ends within it. A process that slept in between gives the message back.
 */
const DISPATCH_MS_MAX = 60_000;

/** The longest wait between two claims, in milliseconds: what others change is seen by then. */
const POLL_MS = 5_000;

/** The shortest wait after a claim that gave nothing, in milliseconds. */
const HELD_MS_MIN = 250;

/** Claims in a row that may fail before the run does: about two minutes. */
const CLAIM_FAILURES_MAX = 12;

/**
 * What a run counts. `due` is how many messages were due when it began; `seen` and `skipped` are added
 * at its end.
 */
const COUNTED = ['due', 'eligible', 'sent', 'failed', 'unknown', 'retried', 'released'] as const;
type Counts = Record<(typeof COUNTED)[number], number>;

/** Goes on from what an earlier call for the same run counted. */
function countsFrom(stats: RunStats): Counts {
  const earlier = stats as Partial<Counts>;
  return Object.fromEntries(COUNTED.map((name) => [name, earlier[name] ?? 0])) as Counts;
}

/** Whether a message is as a result said, though an earlier call had recorded it, whose answer was lost. */
function isAsSaid(result: AttemptResult | undefined, status: string | null): boolean {
  if (result?.outcome === 'not_sent') return status === 'pending' || status === 'failed';
  return result?.outcome === status;
}

export const processQueue: JobHandler = (context, services) => new QueueRun(context, services).work();

/** One run's state: its slots, its counts, and what it waits for. */
class QueueRun {
  readonly #context: RunContext;
  readonly #services: JobServices;
  readonly #store: DmStore;
  readonly #recorder: ReturnType<typeof createRecorder>;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #counts: Counts;
  /** Replaced after each wake-up; aborted when a result was recorded or a slot became free. */
  #wake = new AbortController();
  #platformKeyRefused = false;
  /** Claims whose answer was lost, until the database has taken back what they may have claimed. */
  readonly #lostClaims = new Set<string>();

  constructor(context: RunContext, services: JobServices) {
    this.#context = context;
    this.#services = services;
    this.#counts = countsFrom(context.run.stats);
    this.#store = createDmStore(services.rpc);
    this.#recorder = createRecorder(this.#store, services.effects, services.logger, (results, recorded) =>
      this.#count(results, recorded),
    );
  }

  async work(): Promise<RunStats> {
    this.#counts.due ||= (await this.#backlog())?.due ?? 0;
    this.#report();
    try {
      await this.#sendUntilDone();
    } finally {
      await Promise.all(this.#inFlight);
      await this.#recorder.drain();
      await this.#giveBackLost();
    }
    if (this.#platformKeyRefused) {
      throw new Error('Unipile refuses our API key (401 missing_credentials): no account can send');
    }
    return this.#finalStats();
  }

  async #sendUntilDone(): Promise<void> {
    const { effects, sendConcurrency } = this.#services;
    for (;;) {
      // What is woken from here on is not missed, even during the claim.
      this.#wake = new AbortController();
      const free = sendConcurrency - this.#inFlight.size;
      const claim = free > 0 && this.#mayClaim() ? await this.#claim(free) : null;

      if (!this.#mayClaim() && this.#inFlight.size === 0) return;
      const waitMs = claim === null ? POLL_MS : this.#waitAfter(claim);
      if (waitMs === null) return;
      await effects.sleep(waitMs, AbortSignal.any([this.#wake.signal, this.#context.signal]));
      if (this.#context.signal.aborted) return;
    }
  }

  #mayClaim(): boolean {
    return (
      !this.#context.signal.aborted &&
      !this.#platformKeyRefused &&
      this.#services.effects.now() < this.#context.horizonAt()
    );
  }

  /** The wait before the next claim in milliseconds, or null if nothing more can be claimed in time. */
  #waitAfter(claim: Claim): number | null {
    const nextAt = claim.next_claim_at === null ? null : new Date(claim.next_claim_at);
    const isInTime = nextAt !== null && nextAt < this.#context.horizonAt();
    // A result that is still being written, or was written during the claim, may let its account go on.
    const isQuiet = this.#inFlight.size === 0 && this.#recorder.isIdle() && !this.#wake.signal.aborted;
    if (!isInTime && isQuiet) return null;
    if (nextAt === null) return POLL_MS;
    // Nothing came although something is due: somebody else holds its row. It is not asked without a pause.
    const waitMsMin = claim.messages.length === 0 ? HELD_MS_MIN : 0;
    return Math.min(Math.max(nextAt.getTime() - new Date(claim.now).getTime(), waitMsMin), POLL_MS);
  }

  /** Claims for the free slots and dispatches at once. Null if the database gave nothing this time. */
  async #claim(free: number): Promise<Claim | null> {
    const { effects, worker, logger } = this.#services;
    await this.#giveBackLost();
    for (let failures = 1; ; failures += 1) {
      const claimId = effects.uuid();
      const dispatchBy = effects.now().getTime() + DISPATCH_MS_MAX;
      try {
        const claim = await this.#store.claim({
          claimId,
          worker,
          limit: free,
          leaseMs: LEASE_MS,
          draw: effects.random(),
        });
        for (const message of claim.messages) this.#dispatch(message, dispatchBy);
        return claim;
      } catch (error) {
        if (!(error instanceof RpcError) || error.kind !== 'unavailable') throw error;
        this.#lostClaims.add(claimId);
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
    for (const claimId of this.#lostClaims) {
      try {
        this.#counts.released += await this.#store.release(claimId, this.#services.worker);
        this.#lostClaims.delete(claimId);
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        this.#services.logger.warn({ err: error, claim_id: claimId }, 'a lost claim is not given back yet');
        return;
      }
    }
  }

  #dispatch(message: ClaimedMessage, dispatchBy: number): void {
    this.#counts.eligible += 1;
    const sending = this.#send(message, dispatchBy).finally(() => {
      this.#inFlight.delete(sending);
      this.#wake.abort();
    });
    this.#inFlight.add(sending);
  }

  async #send(message: ClaimedMessage, dispatchBy: number): Promise<void> {
    const { effects, unipile, logger } = this.#services;
    if (this.#context.signal.aborted || effects.now().getTime() >= dispatchBy) {
      this.#recorder.add(releaseOf(message));
      return;
    }
    const answer = await unipile.sendMessage({
      accountId: message.unipile_account_id,
      recipientId: message.recipient_id,
      chatId: message.chat_id,
      text: message.message,
    });
    if (!answer.ok) {
      const { kind, httpStatus, type } = answer;
      logger.warn(
        {
          message_id: message.message_id,
          attempt_id: message.attempt_id,
          kind,
          http_status: httpStatus,
          type,
        },
        'not sent, or not known to be',
      );
      if (kind === 'platform_key') this.#platformKeyRefused = true;
    }
    this.#recorder.add(decideOutcome(message, answer, effects.random()));
  }

  #count(results: readonly AttemptResult[], recorded: readonly RecordedResult[]): void {
    for (const [index, { status, applied, attempt_id }] of recorded.entries()) {
      const result = results[index];
      if (result?.next_step === 'release') this.#counts.released += 1;
      else if (applied === 'missing' || (applied === 'ignored' && !isAsSaid(result, status))) {
        this.#services.logger.warn({ attempt_id, applied, status }, 'a result came too late');
      } else if (status === 'sent') this.#counts.sent += 1;
      else if (status === 'failed') this.#counts.failed += 1;
      else if (status === 'unknown') this.#counts.unknown += 1;
      else this.#counts.retried += 1;
    }
    this.#report();
    this.#wake.abort();
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
    };
  }

  /** What waits; null if it could not be counted, which must not cost the run. */
  async #backlog(): Promise<Backlog | null> {
    try {
      return await this.#store.backlog();
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.#services.logger.warn({ err: error }, 'what waits could not be counted');
      return null;
    }
  }
}
