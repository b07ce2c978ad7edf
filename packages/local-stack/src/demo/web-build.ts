/** The web app's production build, made when there is none or its sources are newer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { machineEnv } from '../env.ts';
import { isAlive } from '../process-alive.ts';
import { repositoryRoot } from '../repository.ts';

const WEB = path.join(repositoryRoot, 'apps', 'web');

/** What the build is made from. */
const SOURCES = [
  path.join(WEB, 'src'),
  path.join(WEB, 'next.config.ts'),
  path.join(repositoryRoot, 'packages', 'core', 'src'),
  path.join(repositoryRoot, 'pnpm-lock.yaml'),
];

/** Held by the process that builds: Next.js refuses a second build at the same time. */
const LOCK = path.join(WEB, '.next-build.pid');
const LOCK_POLL_MS = 250;

/** Builds the web app unless a build that is newer than its sources exists. @throws with the build's output */
export async function buildWeb(): Promise<void> {
  await takeLock();
  try {
    await build();
  } finally {
    await rm(LOCK, { force: true });
  }
}

/** Waits while another process builds; what is left by one that died is taken over. */
async function takeLock(): Promise<void> {
  for (;;) {
    try {
      await writeFile(LOCK, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const pid = Number(await readFile(LOCK, 'utf8').catch(() => '0'));
    if (pid > 0 && !isAlive(pid)) await rm(LOCK, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
}

async function build(): Promise<void> {
  const builtAt = await modifiedAt(path.join(WEB, '.next', 'BUILD_ID'));
  const changedAt = latest(await Promise.all(SOURCES.map(newestIn)));
  if (builtAt > changedAt) return;

  const child = spawn('next', ['build'], {
    cwd: WEB,
    env: { ...machineEnv(), NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  child.stdout.on('data', (chunk) => output.push(String(chunk)));
  child.stderr.on('data', (chunk) => output.push(String(chunk)));
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`The web app could not be built.\n${output.join('').slice(-4_000)}`);
}

async function newestIn(place: string): Promise<number> {
  const entry = await stat(place);
  if (!entry.isDirectory()) return entry.mtimeMs;
  const names = await readdir(place, { recursive: true });
  const times = await Promise.all(names.map((name) => modifiedAt(path.join(place, name))));
  return Math.max(entry.mtimeMs, latest(times));
}

const latest = (times: readonly number[]): number => times.reduce((last, time) => Math.max(last, time), 0);

async function modifiedAt(file: string): Promise<number> {
  const entry = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return entry?.mtimeMs ?? 0;
}
