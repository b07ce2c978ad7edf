/**
 * PGlite, Postgres inside this process: for tests and tools that need one session and no server.
 *
 * Promises: the API roles and the migrations are applied. The first database of a process pays for
 * that; later ones start from a copy of the result in memory.
 */

import { PGlite } from '@electric-sql/pglite';

import { applyMigrations, type ExecSql, type Migration, type Row, readMigrations } from './migrations.ts';
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

/** Migrated databases in memory, 40 MB each, by the release and by what was applied. */
const snapshots = new Map<string, Promise<Blob>>();
const SNAPSHOTS_MAX = 4;

/** Opens a database with the API roles and the migrations applied. The caller closes it. */
export async function openPglite(options: OpenPgliteOptions = {}): Promise<PGlite> {
  const migrations = options.migrations ?? (await readMigrations());
  if (options.dataDir === undefined) {
    return PGlite.create({ loadDataDir: await snapshotOf('own', () => PGlite.create(), migrations) });
  }

  const db = await PGlite.create({ dataDir: options.dataDir });
  try {
    await migratePglite(db, migrations);
  } catch (error) {
    await db.close();
    throw error;
  }
  return db;
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
 * The data of a migrated database, for `loadDataDir`.
 *
 * @param open makes an empty database of one release of PGlite, which `release` names
 */
export function snapshotOf(
  release: string,
  open: () => Promise<PgliteLike>,
  migrations: readonly Migration[],
): Promise<Blob> {
  const key = JSON.stringify([release, migrations]);
  let snapshot = snapshots.get(key);
  if (!snapshot) {
    const [oldest] = snapshots.keys();
    if (oldest !== undefined && snapshots.size >= SNAPSHOTS_MAX) snapshots.delete(oldest);
    snapshot = makeSnapshot(open, migrations);
    snapshots.set(key, snapshot);
    snapshot.catch(() => snapshots.delete(key));
  }
  return snapshot;
}

async function makeSnapshot(
  open: () => Promise<PgliteLike>,
  migrations: readonly Migration[],
): Promise<Blob> {
  const db = await open();
  try {
    await migratePglite(db, migrations);
    return await db.dumpDataDir('none');
  } finally {
    await db.close();
  }
}
