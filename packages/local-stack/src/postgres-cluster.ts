/**
 * The folder of a server's data: made by `initdb`, or copied from one that was.
 *
 * `initdb` takes two to three seconds of processor, a copy a tenth of one. What is copied is kept
 * for this user alone, with its password; a server that starts from it gets another one.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, cpSync, readdirSync } from 'node:fs';
import {
  access,
  chmod,
  chown,
  constants,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';

import { postgresEnvironment } from './env.ts';
import { type PostgresBinaries, type PostgresUser, versionOf } from './postgres-binaries.ts';
import { tailOf } from './process-log.ts';
import { repositoryRoot } from './repository.ts';

const KEPT = path.join(repositoryRoot, 'node_modules', '.cache', 'local-stack-postgres');

const INITDB_TIMEOUT_MS = 60_000;

/** What a server's folder is made with. */
export interface ClusterParts {
  readonly binaries: PostgresBinaries;
  readonly user: PostgresUser | undefined;
  /** Its data are in `data` in there. */
  readonly folder: string;
}

export const newPassword = (): string => randomBytes(18).toString('hex');

/** Makes a folder a database's that is to stay, if it is not yet, and gives the superuser's password. */
export async function lastingCluster(parts: ClusterParts): Promise<string> {
  const passwordFile = path.join(parts.folder, 'password');
  if (await exists(path.join(parts.folder, 'data', 'PG_VERSION'))) {
    return (await readFile(passwordFile, 'utf8')).trim();
  }
  return makeCluster(parts);
}

/**
 * Makes an empty folder a database's that goes with its server, and gives the password of all such,
 * which is to be changed.
 */
export async function passingCluster(parts: ClusterParts): Promise<string> {
  const kept = path.join(KEPT, `${process.getuid?.() ?? 0}-${await digestOf(parts.binaries)}`);
  if (!(await exists(kept))) {
    const password = await makeCluster(parts);
    await keep(parts.folder, kept);
    return password;
  }
  cpSync(path.join(kept, 'data'), path.join(parts.folder, 'data'), { recursive: true });
  await give(parts);
  return (await readFile(path.join(kept, 'password'), 'utf8')).trim();
}

async function digestOf(binaries: PostgresBinaries): Promise<string> {
  const version = await versionOf(binaries);
  return createHash('sha256')
    .update(JSON.stringify([version, binaries.initdb, optionsOf(version.major)]))
    .digest('hex')
    .slice(0, 32);
}

/**
 * Whole or not at all: any number of processes may do so at once. Without the right to write there,
 * none is kept.
 */
async function keep(folder: string, kept: string): Promise<void> {
  if (!(await isWritable(path.dirname(kept)))) return;
  const draft = `${kept}.${randomUUID()}`;
  await mkdir(draft, { mode: 0o700 });
  for (const name of ['data', 'password']) {
    cpSync(path.join(folder, name), path.join(draft, name), { recursive: true });
  }
  await rename(draft, kept).catch(async (error: NodeJS.ErrnoException) => {
    await rm(draft, { recursive: true, force: true });
    // Another process was first: one is as good as the other.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return true;
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
    return false;
  }
}

/** Gives the data to the user that the server runs as. */
async function give({ user, folder }: ClusterParts): Promise<void> {
  const data = path.join(folder, 'data');
  await chmod(data, 0o700);
  if (!user) return;
  await chmod(folder, 0o755);
  chownSync(data, user.uid, user.gid);
  for (const name of readdirSync(data, { recursive: true, encoding: 'utf8' })) {
    chownSync(path.join(data, name), user.uid, user.gid);
  }
}

/** By `initdb`, with a password of its own, which stands beside the data. */
async function makeCluster({ binaries, user, folder }: ClusterParts): Promise<string> {
  const [data, passwordFile] = [path.join(folder, 'data'), path.join(folder, 'password')];
  const password = newPassword();
  await mkdir(folder, { recursive: true });
  await rm(data, { recursive: true, force: true });
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user) {
    await chmod(folder, 0o755);
    await chown(data, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
  }
  await initialize({ binaries, user }, data, passwordFile);
  return password;
}

const SINCE_17 = [
  // The password is random, so hashing it thousands of times protects nothing and slows each connection.
  '--set=scram_iterations=1',
  '--locale=C',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
];

const optionsOf = (major: number): string[] => [
  '--username=postgres',
  '--auth=scram-sha-256',
  '--encoding=UTF8',
  '--no-sync',
  ...(major < 17 ? ['--locale=C.UTF-8'] : SINCE_17),
];

async function initialize(
  { binaries, user }: Omit<ClusterParts, 'folder'>,
  data: string,
  passwordFile: string,
): Promise<void> {
  const { major } = await versionOf(binaries);
  const child = spawn(
    binaries.initdb,
    [`--pgdata=${data}`, `--pwfile=${passwordFile}`, ...optionsOf(major)],
    { ...user, cwd: data, env: postgresEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const log = tailOf(child);
  const [code] = await once(child, 'close', { signal: AbortSignal.timeout(INITDB_TIMEOUT_MS) });
  if (code !== 0) throw new Error(`initdb failed: ${log()}`);
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
