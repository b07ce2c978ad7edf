/**
 * The program as one installs it: packed, installed into an empty folder without a network, and
 * started there.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { machineEnv } from '@revos/local-stack/env';
import { afterAll, beforeAll, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { OPS_TOKEN, type System, startSystem } from '../support/system.ts';

const APP = path.resolve(import.meta.dirname, '../..');

let folder: string;
let home: string;
let system: System;

const run = (program: string, args: readonly string[], cwd: string, env: Record<string, string> = {}) =>
  promisify(execFile)(program, [...args], { cwd, env: { ...machineEnv(), ...env } });

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'revos-pack-'));
  home = path.join(folder, 'home');
  await mkdir(home);
  await run('npm', ['pack', '--pack-destination', folder], APP);
  const [tarball = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  const install = [
    'install',
    '--offline',
    '--no-audit',
    '--no-fund',
    '--no-save',
    path.join(folder, tarball),
  ];
  await run('npm', install, home, { npm_config_cache: path.join(folder, 'empty-cache') });
  system = await startSystem();
});
afterAll(async () => {
  await system?.close();
  await rm(folder, { recursive: true, force: true });
});

const ops = (...args: string[]) =>
  run(path.join(home, 'node_modules', '.bin', 'ops'), args, home, {
    JOBS_API_URL: system.url,
    OPS_TOKEN,
  });

it('brings nothing but itself', async () => {
  const packages = await readdir(path.join(home, 'node_modules'));
  expect(packages.filter((name) => !name.startsWith('.'))).toEqual(['@revos']);
  const files = await readdir(path.join(home, 'node_modules', '@revos', 'ops'), { recursive: true });
  expect(
    files.filter((name) => !/^dist(\/|$)/.test(name) && !name.startsWith('node_modules')).sort(),
  ).toEqual(['README.md', 'package.json']);
  expect(files.filter((name) => name.endsWith('.ts'))).toEqual([]);
});

it('says its version', async () => {
  expect((await ops('--version')).stdout).toBe(`${manifest.version}\n`);
});

it('says what it can do', async () => {
  const { stdout } = await ops('--help');
  expect(stdout).toContain('Usage: ops');
  for (const command of ['status', 'run', 'why', 'dm', 'posts', 'accounts', 'unknowns']) {
    expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
  }
});

it('asks a jobs API how all is', async () => {
  // Nothing has run yet, which is an answer as well: with exit code 1.
  const { stdout, stderr } = await ops('status').catch(
    (error: { code: number; stdout: string; stderr: string }) => {
      expect(error.code).toBe(1);
      return error;
    },
  );
  expect(stderr).toBe('');
  expect(stdout).toContain('dm-queue');
});
