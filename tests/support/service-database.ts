/**
 * A migrated database of its own as the jobs API holds one: several sessions at once, each as
 * `service_role`.
 */
import type { SqlQuery } from '@revos/core/rpc';
import { asPglite, cloneDatabase, poolOf, queryOf } from './test-postgres.ts';

export interface ServiceDatabase {
  readonly query: SqlQuery;
  /** Runs statements as the owner of the tables. */
  asOwner(sql: string): Promise<void>;
  close(): Promise<void>;
}

const SESSIONS_MAX = 8;

/** On the run's Postgres. */
export async function openServiceDatabase(): Promise<ServiceDatabase> {
  const { url: connectionString, drop } = await cloneDatabase();
  const pool = poolOf({
    connectionString,
    options: '-c role=service_role',
    max: SESSIONS_MAX,
    types: asPglite,
  });
  const owner = poolOf({ connectionString, max: 1 });
  return {
    query: queryOf(pool),
    asOwner: async (sql) => void (await owner.query(sql)),
    async close() {
      await Promise.all([pool.end(), owner.end()]);
      await drop();
    },
  };
}

/**
 * In this process: for what changes the server, and where no run has one. One call is answered
 * after the other.
 */
export async function openEmbeddedServiceDatabase(): Promise<ServiceDatabase> {
  const { openPglite } = await import('@revos/local-stack/pglite');
  const db = await openPglite();
  await db.exec('set role service_role');
  return {
    query: async (text, values) => (await db.query<Record<string, unknown>>(text, [...values])).rows,
    asOwner: async (sql) => void (await db.exec(`reset role; ${sql}; set role service_role`)),
    close: () => db.close(),
  };
}
