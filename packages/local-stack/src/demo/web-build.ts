/** The web app's production build, made when there is none or its sources are newer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { machineEnv } from '../env.ts';
import { repositoryRoot } from '../repository.ts';

const WEB = path.join(repositoryRoot, 'apps', 'web');

/** What the build is made from. */
const SOURCES = [
  path.join(WEB, 'src'),
  path.join(WEB, 'next.config.ts'),
  path.join(repositoryRoot, 'apps', 'jobs-api', 'src'),
  path.join(repositoryRoot, 'packages', 'core', 'src'),
  path.join(repositoryRoot, 'packages', 'sentry', 'src'),
  path.join(repositoryRoot, 'pnpm-lock.yaml'),
];

/**
 * Builds the web app unless a build that is newer than its sources exists. @throws with the build's
 * output
 */
export async function buildWeb(): Promise<void> {
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
