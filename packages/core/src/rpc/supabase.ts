/** Rpc over the Supabase REST API, with supabase-js. */
import { createClient } from '@supabase/supabase-js';
import { guardedFetch } from './guarded-fetch.ts';
import { classifyRpcFailure, failureText, type Rpc, RpcError } from './rpc.ts';
import { withUndoneRepeated } from './undone.ts';

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
  /** Told before each repeat of a call that Postgres undid. */
  readonly onRepeated?: (() => void) | undefined;
  /** For tests: answers the requests in this process. */
  readonly fetch?: typeof fetch;
}

/**
 * Bytes of one answer. The largest that is asked for, 200 messages of 8,000 characters in any
 * script, is a tenth of it.
 */
const ANSWER_BYTES_MAX = 64 * 1_048_576;

export function createSupabaseRpc(options: SupabaseRpcOptions): Rpc {
  const client = createClient(options.url, options.secretKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    db: { timeout: options.timeoutMs ?? 30_000 },
    global: { fetch: guardedFetch(options.fetch ?? globalThis.fetch, ANSWER_BYTES_MAX) },
  });

  const rpc: Rpc = {
    async call<Result>(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<Result> {
      // Parameters are `p_…` in SQL, so that none is ever taken for a column.
      const named = Object.fromEntries(
        Object.entries(args)
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => [`p_${key}`, value]),
      );
      const { data, error, status } = await client.rpc(name, named);
      if (error) {
        const code = CODE.test(error.code ?? '') ? error.code : '';
        const kind = classifyRpcFailure(code, status);
        const text = kind === 'rule' ? error.message : textOf(error, code, status);
        throw new RpcError(kind, name, code, text, error.details ?? null);
      }
      return data as Result;
    },
    close: async () => {},
  };
  return withUndoneRepeated(rpc, options.onRepeated);
}

/** A SQLSTATE, or a code of PostgREST or of a gateway: what else stands there is text of any origin. */
const CODE = /^\w{1,40}$/;

/** A SQLSTATE, or a code of PostgREST: the key was good enough to come so far. */
const DATABASE_CODE = /^(?:[0-9A-Z]{5}|PGRST\d+)$/;

/** The code of a socket, as supabase-js tells it at the end of the cause. */
const SOCKET_CODE = /\(([A-Z][A-Z0-9_]{2,40})\)/;

/**
 * Of a request that failed its text may quote the key, and of a gateway it is a whole page: neither
 * is repeated.
 */
function textOf({ message, details }: { message: string; details?: string }, code: string, status: number) {
  if ((status === 401 || status === 403) && !DATABASE_CODE.test(code)) {
    return `the API refused the key (${status}): is SUPABASE_SECRET_KEY still valid?`;
  }
  if (code !== '') return failureText(code, message);
  if (status >= 300 && status < 400) {
    return `answered ${status}, a redirect, which is not followed: is SUPABASE_URL still right?`;
  }
  if (status !== 0) return `answered ${status}, and not as the database does`;
  const cause =
    SOCKET_CODE.exec(details ?? '')?.[1] ?? /^[A-Za-z]{1,40}(?=:)/.exec(message)?.[0] ?? 'unknown';
  return `no answer (${cause})`;
}
