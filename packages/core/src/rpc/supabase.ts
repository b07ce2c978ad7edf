/** Rpc over the Supabase REST API, with supabase-js. */
import { createClient } from '@supabase/supabase-js';
import { classifyRpcFailure, type Rpc, RpcError } from './rpc.ts';

export interface SupabaseRpcOptions {
  /** e.g. `https://xyz.supabase.co` */
  readonly url: string;
  /** `sb_secret_…`, or the older service-role key. */
  readonly secretKey: string;
  /**
   * How long one call may take, in milliseconds; 30 s. Above the API's own 8 s, so that its answer wins,
   * and well below a run's 60 s without a heartbeat, so that one hung call does not cost the run.
   */
  readonly timeoutMs?: number;
  /** For tests: answers the requests in this process. */
  readonly fetch?: typeof fetch;
}

export function createSupabaseRpc(options: SupabaseRpcOptions): Rpc {
  const client = createClient(options.url, options.secretKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    db: { timeout: options.timeoutMs ?? 30_000 },
    ...(options.fetch ? { global: { fetch: options.fetch } } : {}),
  });

  return {
    async call<Result>(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<Result> {
      // Parameters are `p_…` in SQL, so that none is ever taken for a column.
      const named = Object.fromEntries(
        Object.entries(args)
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => [`p_${key}`, value]),
      );
      const { data, error, status } = await client.rpc(name, named);
      if (error) {
        const code = error.code ?? '';
        throw new RpcError(
          classifyRpcFailure(code, status),
          name,
          code,
          error.message,
          error.details ?? null,
        );
      }
      return data as Result;
    },
    close: async () => {},
  };
}
