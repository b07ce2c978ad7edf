/**
 * Migrated PGlite databases as files: making one takes ten seconds of processor, starting from one takes one.
 *
 * Promises: what a file holds follows from its name, which digests the installed packages, the
 * roles and the migrations. A file is written whole or not at all, so any number of processes may
 * make the same one at once.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { Migration } from './migrations.ts';
import { repositoryRoot } from './repository.ts';
import { supabaseRolesSql } from './supabase-roles.ts';

const FOLDER = path.join(repositoryRoot, 'node_modules', '.cache', 'local-stack');

/** 40 MB each; the least recently used go first. A run of all tests needs some fifteen, of two releases. */
const FILES_MAX = 20;

/** In this process, too, one is read or made once. */
const snapshots = new Map<string, Promise<Blob>>();

/**
 * The data of a migrated database, for `loadDataDir`.
 *
 * @param release names the release of PGlite that reads it
 * @param make migrates an empty database of that release and gives its data
 */
export async function snapshotOf(
  release: string,
  migrations: readonly Migration[],
  make: () => Promise<Blob>,
): Promise<Blob> {
  const name = await nameOf(release, migrations);
  let snapshot = snapshots.get(name);
  if (!snapshot) {
    const [oldest] = snapshots.keys();
    if (oldest !== undefined && snapshots.size >= FILES_MAX) snapshots.delete(oldest);
    snapshot = readOrMake(name, make);
    snapshots.set(name, snapshot);
    snapshot.catch(() => snapshots.delete(name));
  }
  return snapshot;
}

async function nameOf(release: string, migrations: readonly Migration[]): Promise<string> {
  // Of any installed package a version may matter: the lockfile names them all.
  const lockfile = await readFile(path.join(repositoryRoot, 'pnpm-lock.yaml'));
  const digest = createHash('sha256')
    .update(lockfile)
    .update(JSON.stringify([release, supabaseRolesSql, migrations]))
    .digest('hex');
  return `pglite-${digest.slice(0, 32)}.tar`;
}

async function readOrMake(name: string, make: () => Promise<Blob>): Promise<Blob> {
  const file = path.join(FOLDER, name);
  const kept = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (kept !== null) {
    await utimes(file, new Date(), new Date());
    return blobOf(kept);
  }

  const made = await make();
  await mkdir(FOLDER, { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, made.stream());
  await rename(draft, file);
  await removeOldest();
  return made;
}

/**
 * A Blob that gives its bytes at once: Node.js reads one back in pieces, at a quarter of a start.
 * They are the same each time, and PGlite copies what it takes of them.
 */
function blobOf(kept: Buffer): Blob {
  const bytes = new Uint8Array(kept);
  const blob = new Blob([bytes]);
  blob.arrayBuffer = async () => bytes.buffer;
  return blob;
}

async function removeOldest(): Promise<void> {
  const files = await Promise.all(
    (await readdir(FOLDER)).map(async (name) => {
      const file = path.join(FOLDER, name);
      // Another process may have removed it meanwhile.
      const usedMs = await stat(file).then(
        ({ mtimeMs }) => mtimeMs,
        () => null,
      );
      return { file, usedMs };
    }),
  );
  const kept = files.filter(({ usedMs }) => usedMs !== null);
  kept.sort((a, b) => Number(b.usedMs) - Number(a.usedMs));
  for (const { file } of kept.slice(FILES_MAX)) await rm(file, { force: true });
}
