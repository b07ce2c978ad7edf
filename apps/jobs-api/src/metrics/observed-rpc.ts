/** The rpc, with how long its calls take, how they fail, and what the ledgers recorded. */
import type { Effects } from '@revos/core/effects';
import { type Rpc, RpcError } from '@revos/core/rpc';
import {
  type AttemptResult,
  REASONS,
  type ReconcileResolution,
  type RecordedResult,
  recordedEndOf,
} from '@revos/core/sending';
import type { Kind, Meters } from './meters.ts';

/** The functions that record what became of attempts, and what looks on LinkedIn came to. */
const RECORDS: Readonly<Record<string, Kind>> = { dm_record: 'message', post_record: 'post' };
const RESOLVES: Readonly<Record<string, Kind>> = { dm_resolve: 'message', post_resolve: 'post' };

export function observeRpc(rpc: Rpc, meters: Meters, effects: Pick<Effects, 'monotonicMs'>): Rpc {
  return {
    async call<Result>(name: string, args?: Readonly<Record<string, unknown>>): Promise<Result> {
      const beganMs = effects.monotonicMs();
      try {
        const answer = await rpc.call<Result>(name, args);
        const recorded = RECORDS[name];
        if (recorded !== undefined) countAttempts(meters, recorded, args?.results, answer);
        const resolved = RESOLVES[name];
        if (resolved !== undefined) countReconciliations(meters, resolved, answer);
        return answer;
      } catch (error) {
        const kind = error instanceof RpcError ? error.kind : 'bug';
        meters.databaseErrors.inc({ function: name, kind });
        throw error;
      } finally {
        meters.databaseCalls.observe({ function: name }, (effects.monotonicMs() - beganMs) / 1_000);
      }
    },
    close: () => rpc.close(),
  };
}

/** Answers stand in the order of the results. */
function countAttempts(meters: Meters, kind: Kind, results: unknown, answers: unknown): void {
  for (const [index, answer] of (answers as readonly RecordedResult[]).entries()) {
    const result = (results as readonly AttemptResult[])[index];
    meters.attempts.inc({ kind, outcome: recordedEndOf(result, answer), reason: reasonOf(result) });
  }
}

/** From the closed list, so that there are only so many series. */
function reasonOf(result: AttemptResult | undefined): string {
  const { reason } = result ?? {};
  if (reason === undefined) return 'none';
  return Object.hasOwn(REASONS, reason) ? reason : 'other';
}

function countReconciliations(meters: Meters, kind: Kind, answers: unknown): void {
  for (const { resolution } of answers as readonly ReconcileResolution[]) {
    meters.reconciliations.inc({ kind, resolution });
  }
}
