/**
 * The Postgres of a run of tests, as a process of its own: asked, it says where it is once it is
 * there; it ends with its parent.
 */
import { statfs } from 'node:fs/promises';
import { createTemplate, startPostgres } from '@revos/local-stack';
import { migrationsUnderTest } from './migrations.ts';

export interface TestPostgres {
  /** Of the superuser. */
  readonly serverUrl: string;
  /** The name of the migrated database to clone. */
  readonly template: string;
}

/**
 * Memory, where the machine has a file system of it: the files of a database are made and removed
 * by the hundred.
 */
const MEMORY = '/dev/shm';
const ROOM_BYTES = 4 * 2 ** 30;

/** What a server needs that lives as long as a run, and has databases that live for seconds. */
const SETTINGS = ['autovacuum=off', 'jit=off', 'wal_level=minimal', 'max_wal_senders=0'];

/** Every file of a run may hold a pool, and races open a dozen sessions each. */
const CONNECTIONS_MAX = 400;

async function hasRoom(folder: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(folder).catch(() => ({ bavail: 0, bsize: 0 }));
  return bavail * bsize > ROOM_BYTES;
}

process.once('message', async () => {
  if (await hasRoom(MEMORY)) process.env.TMPDIR = MEMORY;
  const server = await startPostgres({
    programs: process.env.POSTGRES_BIN || undefined,
    connectionsMax: CONNECTIONS_MAX,
    settings: SETTINGS,
  });
  process.once('disconnect', () => void server.stop());
  const { connectionString: serverUrl } = server;
  const template = await createTemplate(serverUrl, { migrations: await migrationsUnderTest() });
  process.send?.({ serverUrl, template } satisfies TestPostgres);
});
