/**
 * The claims of a run: asked for again while the database is away, and given back where the answer was lost.
 */
import { timeLeft } from '../effects/index.ts';
import type { JobServices } from '../jobs/index.ts';
import { RpcError } from '../rpc/index.ts';
import type { ClaimedAttempt } from './attempts.ts';
import type { Claim, Outbox } from './outbox.ts';

/** Claims in a row that may fail before the run does: about two minutes. */
const FAILURES_MAX = 12;

/** Waits between tries while the database is away: from 500 ms, doubling, up to 15 s. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 15_000;

/** What the database gave, and whether it is still early enough in its lease to make the call. */
export interface TimedClaim<Item extends ClaimedAttempt> extends Claim<Item> {
  readonly isInTime: () => boolean;
}

export interface Claims<Item extends ClaimedAttempt> {
  /**
   * Claims up to `limit` rows. Null if the run was told meanwhile to claim no more.
   *
   * @throws {RpcError} what no retry helps, or once the database has been away for about two minutes
   */
  claim(limit: number): Promise<TimedClaim<Item> | null>;
  /**
   * Gives back what claims took whose answers were lost; what cannot be given back yet is kept for
   * the next time.
   */
  giveBackLost(): Promise<void>;
}

export interface ClaimsOptions<Item extends ClaimedAttempt> {
  readonly outbox: Pick<Outbox<Item>, 'claim' | 'release' | 'leaseMs' | 'dispatchMsMax'>;
  readonly services: Pick<JobServices, 'effects' | 'logger' | 'worker'>;
  /** Null for all accounts. */
  readonly accountIds: readonly string[] | null;
  readonly signal: AbortSignal;
  /** Whether another try is worth making. */
  readonly mayClaim: () => boolean;
  /** Told how many rows of a lost answer were given back. */
  readonly onGivenBack: (count: number) => void;
}

export function createClaims<Item extends ClaimedAttempt>(options: ClaimsOptions<Item>): Claims<Item> {
  const { outbox, accountIds, signal, mayClaim, onGivenBack } = options;
  const { effects, logger, worker } = options.services;
  /**
   * Claims whose answer was lost, and until when they are given back, in milliseconds since 1970: one may
   * still be at work in the database when it is asked for, and a lease later nothing is left to give back.
   */
  const lost = new Map<string, number>();

  const giveBackLost = async (): Promise<void> => {
    for (const [claimId, untilMs] of lost) {
      try {
        const count = await outbox.release(claimId, worker);
        onGivenBack(count);
        if (count > 0 || effects.now().getTime() >= untilMs) lost.delete(claimId);
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        logger.warn({ err: error, claim_id: claimId }, 'lost claim not released yet, retrying');
        return;
      }
    }
  };

  const tryOnce = async (claimId: string, limit: number): Promise<TimedClaim<Item>> => {
    // From before the claim: its lease may have begun at any moment since.
    const isInTime = timeLeft(effects, outbox.dispatchMsMax);
    const draw = effects.random();
    const claim = await outbox.claim({ claimId, worker, limit, leaseMs: outbox.leaseMs, draw, accountIds });
    return { ...claim, isInTime };
  };

  return {
    giveBackLost,
    async claim(limit) {
      await giveBackLost();
      for (let failures = 1; ; failures += 1) {
        const claimId = effects.uuid();
        try {
          return await tryOnce(claimId, limit);
        } catch (error) {
          if (!(error instanceof RpcError) || error.kind !== 'unavailable') throw error;
          lost.set(claimId, effects.now().getTime() + outbox.leaseMs);
          if (failures >= FAILURES_MAX) throw error;
          logger.warn({ err: error, failures }, 'claim failed, retrying');
          await effects.sleep(Math.min(RETRY_MS_MIN * 2 ** (failures - 1), RETRY_MS_MAX), signal);
          await giveBackLost();
          if (!mayClaim()) return null;
        }
      }
    },
  };
}
