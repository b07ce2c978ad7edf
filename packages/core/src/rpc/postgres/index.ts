/**
 * Rpc over a pool of connections to Postgres itself: the same SQL functions, without the REST API between.
 *
 * Promises: a call speaks as `service_role` wherever the login may, so that it can do what it can
 * over the REST API and no more; a function has the same time as there; a connection that is lost
 * fails the calls on it as `unavailable`, and nothing else; no error holds the address or the
 * password.
 *
 * It needs sessions of its own: a direct connection, or a pooler in session mode.
 */
import pg from 'pg';
import { type Effects, realEffects, within } from '../../effects/index.ts';
import { type Rpc, RpcError } from '../rpc.ts';
import { createSqlRpc, type SqlQuery } from '../sql.ts';
import { withUndoneRepeated } from '../undone.ts';
import type { DatabaseAddress } from './database-url.ts';

export interface PostgresRpcOptions {
  readonly address: DatabaseAddress;
  /**
   * Told of a connection that was lost while nobody used it; the next call makes another. Its text
   * holds no secret.
   */
  readonly onConnectionLost: (error: Error) => void;
  /** Connections at once; further calls wait for one. Default 10. */
  readonly connectionsMax?: number;
  /**
   * How long one call may take, in milliseconds, its wait for a connection included; 30 s, as over
   * the REST API.
   */
  readonly timeoutMs?: number;
  /** Told before each repeat of a call that Postgres undid. */
  readonly onRepeated?: (() => void) | undefined;
  /** Default: the process's own clock. */
  readonly effects?: Pick<Effects, 'sleep'>;
}

const CONNECTIONS_MAX = 10;
const TIMEOUT_MS = 30_000;

/** How long a call waits for a connection, made or free, as long as in PostgREST. */
const CONNECT_MS_MAX = 10_000;

/** What Supabase gives a function of the REST API that sets no time of its own. */
const STATEMENT_TIMEOUT = '8s';

const IDLE_MS_MAX = 60_000;

/**
 * A session keeps plans and catalogs: it is renewed before they add up, or a password that was
 * changed lives on.
 */
const LIFETIME_SECONDS_MAX = 1_800;

/**
 * Silence after which the system asks whether the other end is still there, each second; it gives
 * up after ten.
 */
const KEEP_ALIVE_DELAY_MS = 10_000;

/**
 * Statements that a session keeps prepared: the functions that are called, each with its sets of
 * arguments.
 */
const PREPARED_MAX = 200;

/** By `set`, since poolers drop what a connection asks for as it begins. */
const PREPARE_SESSION = `
  select set_config('statement_timeout', '${STATEMENT_TIMEOUT}', false), set_config('timezone', 'UTC', false),
    (select set_config('role', rolname, false) from pg_catalog.pg_roles
     where rolname = 'service_role' and pg_has_role(oid, 'member'))`;

const SET_TIMEOUT = "select set_config('statement_timeout', $1, false)";

export function createPostgresRpc(options: PostgresRpcOptions): Rpc {
  const { connectionsMax = CONNECTIONS_MAX, timeoutMs = TIMEOUT_MS, effects = realEffects } = options;
  const pool = openPool(options.address, connectionsMax, timeoutMs);
  pool.on('error', (error) => options.onConnectionLost(withCode(error)));
  // Of a connection in use: the call on it fails by itself.
  pool.on('connect', (client) => client.on('error', () => {}));

  const names = new Map<string, string>();
  /** The name under which a session prepares a statement; none once there are too many. */
  const nameOf = (text: string): string | undefined => {
    if (!names.has(text) && names.size < PREPARED_MAX) names.set(text, `rpc_${names.size + 1}`);
    return names.get(text);
  };

  const query: SqlQuery = async (text, values, statementTimeout) => {
    const client = await pool.connect().catch((error) => Promise.reject(withCode(error)));
    const run = async (statement: string, given: readonly unknown[]) =>
      (await client.query({ name: nameOf(statement), text: statement, values: [...given] })).rows;
    let isUsable = false;
    try {
      if (statementTimeout !== undefined) await run(SET_TIMEOUT, [statementTimeout]);
      const rows = await run(text, values).catch(async (error) => {
        if (statementTimeout !== undefined && wasAnswered(error)) await run(SET_TIMEOUT, [STATEMENT_TIMEOUT]);
        isUsable = wasAnswered(error);
        throw withCode(error);
      });
      if (statementTimeout !== undefined) await run(SET_TIMEOUT, [STATEMENT_TIMEOUT]);
      isUsable = true;
      return rows;
    } finally {
      client.release(!isUsable);
    }
  };

  let closed: Promise<void> | null = null;
  const rpc = createSqlRpc(query, () => {
    closed ??= pool.end();
    return closed;
  });

  const timed: Rpc = {
    call<Result>(name: string, args?: Readonly<Record<string, unknown>>): Promise<Result> {
      return within(effects, timeoutMs, rpc.call<Result>(name, args), () => {
        throw new RpcError('unavailable', name, '', `no answer within ${timeoutMs} ms`);
      });
    },
    close: () => rpc.close(),
  };
  return withUndoneRepeated(timed, options.onRepeated);
}

function openPool(address: DatabaseAddress, connectionsMax: number, timeoutMs: number): pg.Pool {
  const { host, port, user, password, database, tls } = address;
  return new pg.Pool({
    host,
    port,
    user,
    password,
    database,
    ssl: tls === false ? false : { ...tls },
    max: connectionsMax,
    connectionTimeoutMillis: Math.min(CONNECT_MS_MAX, timeoutMs),
    query_timeout: timeoutMs,
    idleTimeoutMillis: IDLE_MS_MAX,
    maxLifetimeSeconds: LIFETIME_SECONDS_MAX,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    application_name: 'revos-jobs',
    onConnect: async (client) => {
      await client.query(PREPARE_SESSION);
    },
  });
}

/** Classes of SQLSTATE after which a session is over, or may be. */
const SESSION_ENDS = /^(08|57P|58|XX)/;

/** Whether Postgres itself refused a statement, and its session goes on. */
const wasAnswered = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && !SESSION_ENDS.test(error.code ?? 'XX000');

/** What pg says in words alone, by a code, so that it can be told: its errors may name hosts. */
const CODES = new Map([
  ['timeout exceeded when trying to connect', 'NO_FREE_CONNECTION'],
  ['Connection terminated due to connection timeout', 'CONNECT_TIMEOUT'],
  ['Connection terminated unexpectedly', 'CONNECTION_LOST'],
  ['Query read timeout', 'QUERY_TIMEOUT'],
  ['The server does not support SSL connections', 'SERVER_WITHOUT_TLS'],
  ['Cannot use a pool after calling end on the pool', 'CLOSED'],
]);

function withCode(error: Error & { code?: unknown }): Error {
  const code = CODES.get(error.message);
  return error.code === undefined && code !== undefined ? Object.assign(error, { code }) : error;
}
