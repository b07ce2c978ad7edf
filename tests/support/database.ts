/**
 * Databases for the SQL tests, on the run's own Postgres: each file has one to itself.
 *
 * Every session speaks as `service_role`, as the product does, and hands `clock.now` to every SQL function.
 */
import type { SqlQuery } from '@revos/core/rpc';
import pg from 'pg';
import { type Clock, type Session, type SessionOptions, sessionOf } from './session.ts';
import { asPglite, cloneDatabase } from './test-postgres.ts';

export type { Clock, Session } from './session.ts';

/** A migrated database of its own, for as many sessions as are asked for. */
export interface SharedDatabase {
  /** Of the superuser. */
  readonly connectionString: string;
  /** Opens a session of its own; `close()` of the database closes it too. */
  openSession(clock: Clock, options?: SessionOptions): Promise<Session>;
  close(): Promise<void>;
}

/** @param address of a migrated database; by default a new one on the run's Postgres */
export async function openSharedDatabase(address?: string): Promise<SharedDatabase> {
  const { url: connectionString, drop } =
    address === undefined ? await cloneDatabase() : { url: address, drop: async () => {} };
  const clients: pg.Client[] = [];
  return {
    connectionString,
    async openSession(clock, options) {
      const client = new pg.Client({ connectionString });
      await client.connect();
      clients.push(client);
      const run: SqlQuery = async (text, values) => (await client.query(text, [...values])).rows;
      return sessionOf(run, () => client.end(), clock, options);
    },
    async close() {
      await Promise.allSettled(clients.map((client) => client.end()));
      await drop();
    },
  };
}

/**
 * A migrated database of its own, with one session: what is asked at once is answered one after the
 * other.
 */
export async function openSession(now = new Date('2026-03-02T10:00:00Z')): Promise<Session> {
  const database = await cloneDatabase();
  const client = new pg.Client({ connectionString: database.url, types: asPglite });
  await client.connect();
  let last: Promise<unknown> = Promise.resolve();
  const run: SqlQuery = (text, values) => {
    const answer = last.then(async () => (await client.query(text, [...values])).rows);
    last = answer.catch(() => {});
    return answer;
  };
  const close = async (): Promise<void> => {
    await client.end();
    await database.drop();
  };
  return sessionOf(run, close, { now });
}
