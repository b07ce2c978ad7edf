import { type Migration, readMigrations } from '@revos/local-stack';

/** The repository's migrations, or those of the folder MIGRATIONS: to see a broken rule being caught. */
export function migrationsUnderTest(): Promise<Migration[]> {
  return readMigrations(process.env.MIGRATIONS);
}
