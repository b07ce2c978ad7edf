/**
 * What checks share: each part is asked once, by whichever check comes first, and the others wait
 * for the same answer.
 */
import type { Effects } from '@revos/core/effects';
import type { Environment, Way } from './env.ts';
import { type DatabaseSeen, lookAtDatabase } from './look-at-database.ts';
import { lookAtUnipile, type UnipileSeen } from './look-at-unipile.ts';

export interface Context {
  readonly way: Way;
  readonly env: Environment;
  readonly effects: Effects;
  readonly database: () => Promise<DatabaseSeen>;
  readonly unipile: () => Promise<UnipileSeen>;
  /** Lets go of what was opened. */
  close(): Promise<void>;
}

export function createContext(way: Way, env: Environment, effects: Effects): Context {
  let database: Promise<DatabaseSeen> | undefined;
  let unipile: Promise<UnipileSeen> | undefined;
  return {
    ...{ way, env, effects },
    database: () => (database ??= lookAtDatabase(env, effects)),
    unipile: () => (unipile ??= lookAtUnipile(env, effects)),
    async close() {
      // What it failed of was told by the check that asked.
      const seen = await database?.catch(() => null);
      if (seen?.kind === 'reached') await seen.rpc.close();
    },
  };
}
