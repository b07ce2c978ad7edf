/**
 * Databases for the SQL tests, under a clock that the test owns.
 *
 * One session runs on PGlite; what needs roles or races runs on a real Postgres, with as many
 * sessions as the test asks for. Every session speaks as `service_role`, as the product does, and
 * hands `clock.now` to every SQL function.
 */
import { createDmStore, type DmStore } from '@revos/core/dm';
import { createRunStore, type RunStore } from '@revos/core/jobs';
import { createSqlRpc, type Rpc, type SqlQuery, withClock } from '@revos/core/rpc';
import {
  createTemplate,
  type LocalPostgres,
  type Migration,
  openPglite,
  readMigrations,
  startPostgres,
} from '@revos/local-stack';
import pg from 'pg';

/** A moment that a test sets; nothing moves it but the test. */
export interface Clock {
  now: Date;
}

/** One session with a database, as the product holds one. */
export interface Session {
  readonly clock: Clock;
  readonly rpc: Rpc;
  readonly dm: DmStore;
  readonly runs: RunStore;
  /** Plain SQL, as service_role. */
  readonly query: SqlQuery;
  /** Plain SQL, as the owner of the schema. */
  readonly asOwner: SqlQuery;
  /** Forgets every row. */
  reset(): Promise<void>;
  /** The same; faster where there are few. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

const TABLES =
  'dm_queue, dm_attempts, account_policies, job_runs, job_slots, audit_log, sending_pause, post_publications, ' +
  'post_attempts, analytics_daily, analytics_cache, dm_spent_keys, history_mark, linkedin_accounts, posts';

/** In one statement, so that nothing looks at the rows between; the referring table first. */
const FORGET = `with ${TABLES.split(', ')
  .map((table, index) => `t${index} as (delete from ${table})`)
  .join(', ')} select`;

/** A session, from a way to run one statement in it. */
export async function sessionOf(run: SqlQuery, close: () => Promise<void>, clock: Clock): Promise<Session> {
  await run('set role service_role', []);
  const asOwner: SqlQuery = async (text, values) => {
    await run('reset role', []);
    try {
      return await run(text, values);
    } finally {
      await run('set role service_role', []);
    }
  };
  const rpc = withClock(createSqlRpc(run), () => clock.now);
  return {
    clock,
    rpc,
    dm: createDmStore(rpc),
    runs: createRunStore(rpc),
    query: run,
    asOwner,
    reset: async () => {
      await asOwner(`truncate ${TABLES} cascade`, []);
    },
    forget: async () => {
      await run(FORGET, []);
    },
    close,
  };
}

/** The repository's migrations, or those of the folder MIGRATIONS: to see a broken rule being caught. */
export function migrationsUnderTest(): Promise<Migration[]> {
  return readMigrations(process.env.MIGRATIONS);
}

/**
 * A migrated database of its own, inside this process.
 *
 * @param migrations by default those under test
 */
export async function openSession(
  now = new Date('2026-03-02T10:00:00Z'),
  migrations?: readonly Migration[],
): Promise<Session> {
  const db = await openPglite({ migrations: migrations ?? (await migrationsUnderTest()) });
  const run: SqlQuery = async (text, values) =>
    (await db.query<Record<string, unknown>>(text, [...values])).rows;
  return sessionOf(run, () => db.close(), { now });
}

/** A migrated database on a server of its own, for as many sessions as are asked for. */
export interface SharedDatabase {
  readonly server: LocalPostgres;
  /** Of the superuser, to the migrated database. */
  readonly connectionString: string;
  /** Opens a session of its own; `close()` of the database closes it too. */
  openSession(clock: Clock): Promise<Session>;
  close(): Promise<void>;
}

/** Of the programs in the folder POSTGRES_BIN, if it is set: to see what holds on another version. */
export async function openSharedDatabase(): Promise<SharedDatabase> {
  const server = await startPostgres({ programs: process.env.POSTGRES_BIN || undefined });
  const migrations = await migrationsUnderTest();
  const template = await createTemplate(server.connectionString, { migrations });
  const connectionString = await server.createDatabase('shared', { template });
  const clients: pg.Client[] = [];
  return {
    server,
    connectionString,
    async openSession(clock) {
      const client = new pg.Client({ connectionString });
      await client.connect();
      clients.push(client);
      const run: SqlQuery = async (text, values) => (await client.query(text, [...values])).rows;
      return sessionOf(run, () => client.end(), clock);
    },
    async close() {
      await Promise.allSettled(clients.map((client) => client.end()));
      await server.stop();
    },
  };
}
