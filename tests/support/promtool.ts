/**
 * promtool, Prometheus's own judge of metrics and rules: the machine's, or the one of Debian's
 * package, unpacked without being installed.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const CACHE = path.resolve(import.meta.dirname, '../../node_modules/.cache/promtool');
const UNPACKED = path.join(CACHE, 'usr/bin/promtool');

let found: Promise<string> | undefined;

/** Where it is. @throws if there is none, and none can be had */
export function findPromtool(): Promise<string> {
  found ??= find();
  return found;
}

async function find(): Promise<string> {
  if (existsSync(UNPACKED)) return UNPACKED;
  try {
    await run('promtool', ['--version']);
    return 'promtool';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await unpack();
  return UNPACKED;
}

async function unpack(): Promise<void> {
  await mkdir(path.dirname(CACHE), { recursive: true });
  // Beside its place, and moved there as a whole: another process may be at it too.
  const folder = await mkdtemp(`${CACHE}-`);
  try {
    await download(folder);
    const [archive = ''] = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
    await run('dpkg', ['-x', path.join(folder, archive), path.join(folder, 'unpacked')]);
    await rename(path.join(folder, 'unpacked'), CACHE).catch((error) => {
      if (!existsSync(UNPACKED)) throw error;
    });
  } catch (error) {
    throw new Error('promtool is needed: install Prometheus, or let apt-get download it', { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function download(folder: string): Promise<void> {
  const fetchPackage = () => run('apt-get', ['download', '-qq', 'prometheus'], { cwd: folder });
  try {
    await fetchPackage();
  } catch {
    // On a fresh machine apt-get knows of no packages yet.
    await run('apt-get', ['update', '-qq']);
    await fetchPackage();
  }
}

/** What it said of `args`, and whether it was content. @param input its standard input */
export async function promtool(
  args: readonly string[],
  { input = '', cwd }: { readonly input?: string; readonly cwd?: string } = {},
): Promise<{ readonly isContent: boolean; readonly said: string }> {
  const program = await findPromtool();
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args],
      { ...(cwd === undefined ? {} : { cwd }) },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') return reject(error);
        resolve({ isContent: error === null, said: `${stdout}${stderr}` });
      },
    );
    child.stdin?.end(input);
  });
}
