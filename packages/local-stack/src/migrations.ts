/**
 * The database's migrations: reading them, and applying them to any Postgres.
 *
 * Promises: files are applied in the order of their versions, each in one transaction together with
 * its history row, so a file that fails leaves nothing behind. The history is the one of the
 * Supabase CLI, so either can carry on where the other stopped. Safe if several processes do it at
 * once: the second waits, then finds the file applied.
 */

import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** The migrations of this repository. */
export const migrationsFolder = fileURLToPath(new URL('../../../supabase/migrations', import.meta.url));

export interface Migration {
  /** 14 digits, as in the file's name. */
  readonly version: string;
  /** What follows the version in the file's name, without `.sql`. */
  readonly name: string;
  readonly sql: string;
}

export type Row = Record<string, unknown>;

/**
 * Runs one or more statements in one database session, and gives the rows of the last statement.
 *
 * Every call of one `ExecSql` must reach the same session: a transaction spans several calls.
 */
export type ExecSql = (sql: string) => Promise<readonly Row[]>;

const FILE_NAME = /^(\d{14})_(.+)\.sql$/;

/**
 * The migrations of a folder, in order.
 *
 * @param folder by default the repository's `supabase/migrations`
 * @throws {Error} if a `.sql` file is not named `<14 digits>_<name>.sql`, or a version comes twice
 */
export async function readMigrations(folder: string = migrationsFolder): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  const migrations = await Promise.all(
    files.map(async (file) => {
      const [, version, name] = FILE_NAME.exec(file) ?? [];
      if (version === undefined || name === undefined) throw new Error(`Not a migration's name: ${file}`);
      return { version, name, sql: await readFile(`${folder}/${file}`, 'utf8') };
    }),
  );
  for (const [index, migration] of migrations.entries()) {
    if (migration.version === migrations[index - 1]?.version) {
      throw new Error(`Two migrations have the version ${migration.version}`);
    }
  }
  return migrations;
}

export interface ApplyMigrationsOptions {
  /** What to apply; by default the repository's own. */
  readonly migrations?: readonly Migration[];
  /** Apply every file again, whatever the history says. Default false. */
  readonly rerun?: boolean;
}

export class MigrationError extends Error {
  override readonly name = 'MigrationError';
  /** The version of the file that failed; those before it are applied. */
  readonly version: string;

  constructor(migration: Migration, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`Migration ${migration.version}_${migration.name} failed: ${reason}`, { cause });
    this.version = migration.version;
  }
}

const HISTORY_SQL = `
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text primary key,
  statements text[],
  name text
);`;

/** Held until the end of a transaction; any number serves, as long as nobody else uses it. */
const LOCK_SQL = `select pg_advisory_xact_lock(hashtext('supabase_migrations'))`;

/**
 * Applies migrations and gives those that it applied, in order.
 *
 * @throws {MigrationError} at the first file that fails; its transaction is rolled back
 */
export async function applyMigrations(
  execSql: ExecSql,
  options: ApplyMigrationsOptions = {},
): Promise<Migration[]> {
  const migrations = options.migrations ?? (await readMigrations());
  await inTransaction(execSql, async () => {
    await execSql(LOCK_SQL);
    await execSql(HISTORY_SQL);
  });

  const applied: Migration[] = [];
  const known = options.rerun ? new Set() : await readHistory(execSql);
  for (const migration of migrations) {
    if (known.has(migration.version)) continue;
    try {
      if (await applyOne(execSql, migration, options.rerun ?? false)) applied.push(migration);
    } catch (error) {
      throw new MigrationError(migration, error);
    }
  }
  return applied;
}

/** Applies one file, unless another process did so since the history was read. */
function applyOne(execSql: ExecSql, migration: Migration, rerun: boolean): Promise<boolean> {
  return inTransaction(execSql, async () => {
    await execSql(LOCK_SQL);
    if (!rerun && (await readHistory(execSql)).has(migration.version)) return false;
    await execSql(migration.sql);
    await execSql(`
      insert into supabase_migrations.schema_migrations (version, statements, name)
      values (${literal(migration.version)}, array[${literal(migration.sql)}], ${literal(migration.name)})
      on conflict (version) do update set statements = excluded.statements, name = excluded.name`);
    return true;
  });
}

async function readHistory(execSql: ExecSql): Promise<Set<unknown>> {
  const rows = await execSql('select version from supabase_migrations.schema_migrations');
  return new Set(rows.map((row) => row.version));
}

async function inTransaction<T>(execSql: ExecSql, work: () => Promise<T>): Promise<T> {
  await execSql('begin');
  try {
    const result = await work();
    await execSql('commit');
    return result;
  } catch (error) {
    await execSql('rollback');
    throw error;
  }
}

/** A text as an SQL literal that means the same whatever `standard_conforming_strings` says. */
function literal(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
