/**
 * `vercel build`, as Vercel runs it for production, without a network and without an account.
 *
 * Vercel's command line is installed once, in a folder of its own. What Next.js builds on the way
 * is left where every build leaves it, so whole systems that start after it need no other one.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { machineEnv } from '@revos/local-stack/env';

export const ROOT = path.resolve(import.meta.dirname, '../..');
const MANIFESTS = path.join(ROOT, 'scripts/vercel');
const CLI = path.join(ROOT, 'node_modules/.cache/vercel');
const LINK = path.join(ROOT, '.vercel');

/** Of the build itself, which takes a minute on a quiet machine. */
const BUILD_MS_MAX = 10 * 60_000;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

async function run(command: readonly string[], cwd: string, env: Record<string, string>): Promise<Ended> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd,
    env: { ...machineEnv(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BUILD_MS_MAX,
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(String(chunk)));
  const [code] = await once(child, 'close');
  return { code, output: output.join('') };
}

async function runWell(command: readonly string[], cwd: string, env: Record<string, string>): Promise<void> {
  const { code, output } = await run(command, cwd, env);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${output.slice(-4_000)}`);
}

/** Installs Vercel's command line by its own lockfile; a second time takes a second. */
export async function installCli(): Promise<void> {
  const { packageManager } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  await mkdir(CLI, { recursive: true });
  for (const name of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    await cp(path.join(MANIFESTS, name), path.join(CLI, name));
  }
  await runWell(
    ['npx', '--yes', packageManager, 'install', '--frozen-lockfile', '--ignore-scripts'],
    CLI,
    {},
  );
}

/**
 * What takes the network away from a command, and the variables that help; a kernel may refuse the
 * better way.
 */
async function withoutNetwork(): Promise<{
  readonly prefix: readonly string[];
  readonly env: Record<string, string>;
}> {
  const isolated = ['unshare', '--map-root-user', '--net'];
  const [program = '', ...args] = isolated;
  const may = await promisify(execFile)(program, [...args, 'true']).then(
    () => true,
    () => false,
  );
  if (may) return { prefix: isolated, env: {} };
  // Nothing listens there.
  const nowhere = 'http://127.0.0.1:9';
  return {
    prefix: [],
    env: { HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, NODE_USE_ENV_PROXY: '1', npm_config_registry: nowhere },
  };
}

/** Whether a command of the build could reach the registry of packages. */
export async function reachesNetwork(): Promise<boolean> {
  const { prefix, env } = await withoutNetwork();
  const ask = "await fetch('https://registry.npmjs.org/vercel/latest', { method: 'HEAD' })";
  const { code, output } = await run(
    [...prefix, process.execPath, '--input-type=module', '--eval', ask],
    ROOT,
    env,
  );
  if (code !== 0 && !output.includes('fetch failed')) throw new Error(output);
  return code === 0;
}

/**
 * @param output where the deployment goes; emptied first
 * @param env of the build, as set in Vercel's project
 */
export async function buildForVercel(output: string, env: Readonly<Record<string, string>>): Promise<void> {
  await rm(output, { recursive: true, force: true });
  const linkedBefore = await stat(LINK).then(
    () => true,
    () => false,
  );
  if (!linkedBefore) {
    await mkdir(LINK);
    // Nothing but vercel.json decides. What is to be installed is there already.
    await writeFile(path.join(LINK, 'project.json'), '{"settings":{"installCommand":"true"}}\n');
  }
  try {
    const offline = await withoutNetwork();
    const bin = path.join(CLI, 'node_modules/.bin');
    await runWell(
      [...offline.prefix, path.join(bin, 'vercel'), 'build', '--prod', '--yes', '--output', output],
      ROOT,
      {
        ...offline.env,
        ...env,
        PATH: [bin, path.join(ROOT, 'node_modules/.bin'), process.env.PATH].join(path.delimiter),
        NEXT_TELEMETRY_DISABLED: '1',
        VERCEL_TELEMETRY_DISABLED: '1',
        NO_UPDATE_NOTIFIER: '1',
      },
    );
  } finally {
    if (!linkedBefore) await rm(LINK, { recursive: true });
  }
}
