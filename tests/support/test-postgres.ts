/** Databases on the run's own Postgres. */
import { randomUUID } from 'node:crypto';
import type { SqlQuery } from '@revos/core/rpc';
import { createDatabase, databaseUrl } from '@revos/local-stack/postgres-databases';
import pg from 'pg';
import type { TestPostgres } from './postgres-process.ts';

let asked: Promise<TestPostgres> | undefined;

/** The run's Postgres; the first who asks waits until it has started. */
export function testPostgres(): Promise<TestPostgres> {
  asked ??= ask();
  return asked;
}

async function ask(): Promise<TestPostgres> {
  // Not at the top: benchmarks load what stands on this, and are no run of Vitest.
  const { inject } = await import('vitest');
  const response = await fetch(inject('testPostgresUrl'));
  if (!response.ok) throw new Error(`The Postgres of the tests did not start: ${await response.text()}`);
  return (await response.json()) as TestPostgres;
}

/** A pool whose sessions may be cut off while nobody uses them: the next query tells. */
export function poolOf(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(config);
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

let administration: Promise<pg.Pool> | undefined;

/** Makes and drops databases. */
async function administrator(): Promise<pg.Pool> {
  administration ??= testPostgres().then(({ serverUrl }) =>
    poolOf({ connectionString: serverUrl, max: 2, idleTimeoutMillis: 0, allowExitOnIdle: true }),
  );
  return administration;
}

export interface TestDatabase {
  /** Its address as the superuser. */
  readonly url: string;
  /** Cuts off whoever is connected, and removes it. Without this, it goes with the server. */
  drop(): Promise<void>;
}

const newName = (): string => `test_${randomUUID().replaceAll('-', '')}`;

/** A database of its own with every migration. */
export async function cloneDatabase(): Promise<TestDatabase> {
  return copyDatabase((await testPostgres()).template);
}

/** A copy of a database to which nobody is connected, by its name. */
export async function copyDatabase(template: string): Promise<TestDatabase> {
  const { serverUrl } = await testPostgres();
  const pool = await administrator();
  const name = newName();
  await pool.query(`create database ${name} template ${template}`);
  return {
    url: databaseUrl(serverUrl, name),
    drop: async () => void (await pool.query(`drop database if exists ${name} with (force)`)),
  };
}

/** The address of a database of its own with the API roles alone. It goes with the server. */
export async function emptyDatabase(): Promise<string> {
  return createDatabase((await testPostgres()).serverUrl, newName());
}

/**
 * Runs a query on a session of a pool. What Postgres refuses, a session survives: the pool's own
 * `query` would end it, and the next one would begin with nothing prepared.
 */
export function queryOf(pool: pg.Pool): SqlQuery {
  return async (text, values) => {
    const client = await pool.connect();
    let isLost = false;
    try {
      return (await client.query(text, [...values])).rows;
    } catch (error) {
      isLost = !(error instanceof pg.DatabaseError);
      throw error;
    } finally {
      client.release(isLost);
    }
  };
}

/**
 * Values as PGlite reads them, so that a test reads the same from either: a bigint as a number, a
 * date at midnight UTC.
 */
export const asPglite: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number) => {
    if (oid === pg.types.builtins.INT8) return Number;
    if (oid === pg.types.builtins.DATE) return (text: string) => new Date(text);
    return pg.types.getTypeParser(oid);
  }) as typeof pg.types.getTypeParser,
};
