/** Databases on the run's own Postgres: a clone of the migrated template takes some tens of milliseconds. */
import { randomUUID } from 'node:crypto';
import { createDatabase } from '@revos/local-stack/postgres-databases';
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

const newName = (): string => `test_${randomUUID().replaceAll('-', '')}`;

/** A database of its own with every migration, and its address as the superuser. It goes with the server. */
export async function cloneDatabase(): Promise<string> {
  const { serverUrl, template } = await testPostgres();
  return createDatabase(serverUrl, newName(), { template });
}

/** A database of its own with the API roles alone. */
export async function emptyDatabase(): Promise<string> {
  return createDatabase((await testPostgres()).serverUrl, newName());
}

/** Values as PGlite reads them, so that a test reads the same from either: a bigint as a number, a date at midnight UTC. */
export const asPglite: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number) => {
    if (oid === pg.types.builtins.INT8) return Number;
    if (oid === pg.types.builtins.DATE) return (text: string) => new Date(text);
    return pg.types.getTypeParser(oid);
  }) as typeof pg.types.getTypeParser,
};
