/** Plain SQL as the owner of the schema, on a database that dies now and then. */
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';

export interface Database {
  /** Runs one statement, again while the server is away: it must be safe to run twice. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

const AWAY_MS_MAX = 60_000;
const RETRY_MS = 100;

export function openDatabase(connectionString: string): Database {
  const pool = new pg.Pool({
    connectionString,
    max: 6,
    connectionTimeoutMillis: 5_000,
    options: '-c timezone=UTC',
  });
  // A session that was idle when its server died; the next statement opens another.
  pool.on('error', () => {});
  return {
    async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
      const deadline = performance.now() + AWAY_MS_MAX;
      for (;;) {
        try {
          return (await pool.query<Row>(text, [...values])).rows;
        } catch (error) {
          if (!isAway(error) || performance.now() > deadline) throw error;
          await wait(RETRY_MS);
        }
      }
    },
    close: () => pool.end(),
  };
}

/** No server, one that starts or stops, a session that ended, or a deadlock that Postgres resolved. */
function isAway(error: unknown): boolean {
  const code = String((error as { code?: unknown }).code ?? '');
  return !(error instanceof pg.DatabaseError) || /^(08|57P|40P01|53300)/.test(code);
}
