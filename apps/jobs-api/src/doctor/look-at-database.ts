/**
 * The database, asked once: whether it answers, whom it takes us for, what it has, and what its
 * clock says.
 */
import type { Effects } from '@revos/core/effects';
import { createSupabaseRpc, type Rpc } from '@revos/core/rpc';
import { type Check, createSystemProbe } from '../system-probe.ts';
import { type Environment, readDatabase } from './env.ts';

export type DatabaseSeen =
  | { readonly kind: 'unreadable' }
  | {
      readonly kind: 'reached';
      readonly way: 'rest' | 'postgres';
      readonly rpc: Rpc;
      readonly checks: readonly Check[];
      /** Whether others could read what travels: the URL asked for it. */
      readonly isExposed: boolean;
      /** How far its clock is before ours, in milliseconds; null where it did not say. */
      readonly aheadMs: number | null;
    };

export async function lookAtDatabase(env: Environment, effects: Effects): Promise<DatabaseSeen> {
  const config = readDatabase(env);
  if (config === null) return { kind: 'unreadable' };
  const { database, supabaseUrl: url } = config;
  const rpc =
    database.kind === 'rest'
      ? createSupabaseRpc({ url, secretKey: database.secretKey })
      : (await import('@revos/core/rpc/postgres')).createPostgresRpc({
          address: database.address,
          connectionsMax: 2,
          // The call that needs it says so.
          onConnectionLost: () => {},
        });
  let aheadMs: number | null = null;
  const timed: Rpc = {
    async call<Result>(name: string, args?: Readonly<Record<string, unknown>>) {
      const askedAt = effects.now().getTime();
      const answer = await rpc.call<Result & { now?: unknown }>(name, args);
      const at = Date.parse(String(answer?.now));
      if (!Number.isNaN(at)) aheadMs = at - (askedAt + effects.now().getTime()) / 2;
      return answer;
    },
    close: () => rpc.close(),
  };
  const checks = await createSystemProbe(timed, effects, database.kind).check();
  const isExposed = database.kind === 'postgres' && database.address.isExposed;
  return { kind: 'reached', way: database.kind, rpc, checks, isExposed, aheadMs };
}

export const isOk = (checks: readonly Check[], name: Check['name']): boolean =>
  checks.some((check) => check.name === name && check.status === 'ok');
