/**
 * PGlite, Postgres inside this process: for tests and tools that need one session and no server.
 *
 * Promises: the API roles and the migrations are applied. The first database with them pays for
 * that; later ones, of any process, start from a copy of the result.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';

import { PGlite } from '@electric-sql/pglite';

import { applyMigrations, type ExecSql, type Migration, type Row, readMigrations } from './migrations.ts';
import { snapshotOf } from './pglite-snapshots.ts';
import { supabaseRolesSql } from './supabase-roles.ts';

export interface OpenPgliteOptions {
  /** A folder to keep the data in; reused if it holds a database. By default the data lives in memory. */
  readonly dataDir?: string;
  /** What to apply; by default the repository's own migrations. */
  readonly migrations?: readonly Migration[];
}

/** What any release of PGlite offers that we use here: the one inside lite is another release than ours. */
interface PgliteLike {
  exec(sql: string): Promise<{ rows: unknown[] }[]>;
  dumpDataDir(compression: 'none'): Promise<Blob>;
  close(): Promise<void>;
}

/**
 * How a release of PGlite is started here. By default it fills 128 MB of shared buffers with zeros,
 * which costs more processor than all the rest of its start; its files are in memory, or in the
 * system's cache. Its log holds what a killed process needs: nobody follows it, and pages are torn
 * by a machine that fails alone, for which nothing is synced anyway.
 */
const SETTINGS = ['shared_buffers=16MB', 'wal_level=minimal', 'max_wal_senders=0', 'full_page_writes=off'];

/** Where nothing outlives the process, no commit waits until its log is written. */
const SETTINGS_IN_MEMORY = [...SETTINGS, 'synchronous_commit=off'];

export function startOf(
  { defaultStartParams }: { readonly defaultStartParams: readonly string[] },
  dataDir?: string,
) {
  const settings = dataDir === undefined ? SETTINGS_IN_MEMORY : SETTINGS;
  return { startParams: [...defaultStartParams, ...settings.flatMap((setting) => ['-c', setting])] };
}

/** Opens a database with the API roles and the migrations applied. The caller closes it. */
export async function openPglite(options: OpenPgliteOptions = {}): Promise<PGlite> {
  const migrations = options.migrations ?? (await readMigrations());
  const { dataDir } = options;
  if (dataDir === undefined)
    return PGlite.create({ ...startOf(PGlite), loadDataDir: await dataOf(migrations) });

  const db = await PGlite.create({
    ...{ ...startOf(PGlite, dataDir), dataDir },
    ...(holdsDatabase(dataDir) ? {} : { loadDataDir: await dataOf(migrations) }),
  });
  try {
    await migratePglite(db, migrations);
  } catch (error) {
    await db.close();
    throw error;
  }
  return db;
}

const dataOf = (migrations: readonly Migration[]): Promise<Blob> =>
  migratedData(
    'own',
    (data) => PGlite.create({ ...startOf(PGlite), ...(data && { loadDataDir: data }) }),
    migrations,
  );

/** Whether a folder is a database's already; what is loaded goes into an empty one alone. */
export function holdsDatabase(dataDir: string): boolean {
  return existsSync(path.join(dataDir, 'PG_VERSION'));
}

/** Applies the roles, and those migrations that the database does not have yet. */
export async function migratePglite(db: PgliteLike, migrations?: readonly Migration[]): Promise<void> {
  await db.exec(supabaseRolesSql);
  await applyMigrations(pgliteExec(db), migrations ? { migrations } : {});
}

/** Runs SQL on a PGlite of any release. */
export function pgliteExec(db: PgliteLike): ExecSql {
  return async (sql) => ((await db.exec(sql)).at(-1)?.rows ?? []) as Row[];
}

/**
 * An empty database of a release of PGlite, migrated, as the data that `loadDataDir` of the same
 * release reads.
 *
 * @param open opens a database from such data, or a new one
 */
export function migratedData(
  release: string,
  open: (data?: Blob) => Promise<PgliteLike>,
  migrations: readonly Migration[],
): Promise<Blob> {
  return snapshotOf(release, migrations, async () => {
    // To make a cluster takes longer than to migrate it: one of each release will do.
    const db = await (migrations.length === 0 ? open() : open(await migratedData(release, open, [])));
    try {
      await migratePglite(db, migrations);
      // Its files alone are whole then: whoever starts from them has no log to go through.
      await db.exec('checkpoint');
      return await db.dumpDataDir('none');
    } finally {
      await db.close();
    }
  });
}
