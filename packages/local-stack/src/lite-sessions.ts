/**
 * The database sessions of `@supabase/lite` on Postgres, from a pool of `pg`.
 *
 * lite comes with the `postgres` package, which ends the whole process (an error in a timer that
 * nobody can catch) when a server goes away in the middle of a transaction. This puts a pool in its
 * place.
 *
 * Promises: a server that dies fails the calls in flight and nothing else; calls work again once it is back.
 */

import pg from 'pg';

import { isoTimestamp } from './iso-timestamp.ts';

/** What lite's query builder asks of the `postgres` package. */
export interface SessionSource {
  reserve(): Promise<Session>;
  end(): Promise<void>;
}

interface Session {
  unsafe(sql: string, parameters: unknown[]): Promise<SessionResult>;
  release(): void;
}

interface SessionResult {
  readonly command: string;
  readonly count: number;
  values(): Iterable<unknown>;
}

/** How long a call waits for a session, as long as in PostgREST. */
const ACQUIRE_TIMEOUT_MS = 10_000;

/** Sessions of one database, at most so many at once; further callers wait. */
export function sessionsOf(connectionString: string, sessionsMax: number): SessionSource {
  const pool = new pg.Pool({
    connectionString,
    max: sessionsMax,
    connectionTimeoutMillis: ACQUIRE_TIMEOUT_MS,
    options: '-c timezone=UTC',
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
    allowExitOnIdle: true,
  });
  // A server that goes away: the pool drops the session, and the call in hand, if any, rejects by itself.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  const active = new Set<pg.PoolClient>();
  return {
    async reserve() {
      const client = await pool.connect().catch((error) => {
        // No session came free in time, or the server is not there.
        throw connectionError(String(error).includes('timeout exceeded') ? 'PGRST003' : 'PGRST001', error);
      });
      active.add(client);
      return sessionOf(client, () => active.delete(client));
    },
    async end() {
      const ended = pool.end();
      // What still runs is cut off; it is our own server that closes, and nobody waits for the answer.
      await Promise.all([...active].map((client) => client.end().catch(() => {})));
      await ended;
    },
  };
}

function sessionOf(client: pg.PoolClient, onRelease: () => void): Session {
  let lost: Error | undefined;
  const lose = (error?: Error) => {
    lost ??= error ?? new Error('The session ended');
  };
  client.on('error', lose);
  client.on('end', lose);
  return {
    async unsafe(sql, parameters) {
      // The query builder undoes a transaction whose session is gone; it must then tell of the first error.
      if (lost && sql.trim().toLowerCase() === 'rollback')
        return { command: 'ROLLBACK', count: 0, values: () => [] };
      const answer: pg.QueryResult | pg.QueryResult[] = await client.query(sql, parameters).catch((error) => {
        throw error instanceof pg.DatabaseError ? error : connectionError('PGRST001', error);
      });
      const result = Array.isArray(answer) ? answer.at(-1) : answer;
      return {
        command: result?.command ?? '',
        count: result?.rowCount ?? 0,
        values: () => result?.rows ?? [],
      };
    },
    release() {
      onRelease();
      client.off('error', lose);
      client.off('end', lose);
      client.release(lost ?? false);
    },
  };
}

const CONNECTION_ERRORS = {
  PGRST001: 'Database client error. Retrying the connection.',
  PGRST003: 'Timed out acquiring connection from connection pool.',
} as const;

/** What PostgREST answers when it has no database. Whether a call in hand took effect is then unknown. */
function connectionError(code: keyof typeof CONNECTION_ERRORS, cause: unknown): Error {
  return Object.assign(new Error(CONNECTION_ERRORS[code], { cause }), { code });
}

const text = (value: string) => value;
/** The parser of pg by the type's oid; its types know only the scalars' by name. */
const parserOfPg: (oid: number) => (value: string) => unknown = pg.types.getTypeParser;
const textArray = parserOfPg(1009);

/** By the type's oid. What is not here stays as Postgres prints it, as in lite. */
const PARSERS = new Map<number, (value: string) => unknown>([
  ...[16, 17, 21, 23, 26, 700, 701, 1000, 1005, 1007, 1021, 1022, 1028].map(
    (oid) => [oid, parserOfPg(oid)] as const,
  ),
  ...[1003, 1009, 1015, 1016, 1231, 2951].map((oid) => [oid, textArray] as const),
  [20, (value) => (Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value))],
  [1700, (value) => (String(Number(value)) === value ? Number(value) : value)],
  [114, JSON.parse],
  [3802, JSON.parse],
  [1114, isoTimestamp],
  [1184, isoTimestamp],
]);

function parserOf(oid: number): (value: string) => unknown {
  return PARSERS.get(oid) ?? text;
}
