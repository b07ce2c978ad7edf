/**
 * The way in for a newcomer: `npm start` and `npm test` on a machine with only Node.js ≥ 20 and npm.
 *
 * Installs the project once (pnpm by npx; Node.js 24 is one of the dependencies), then runs the
 * command on the Node.js the project brought. Plain JavaScript for whatever Node.js is there.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const BIN = path.join(ROOT, 'node_modules', '.bin');
/** Remembers which lockfile was installed, so that a second start does not ask pnpm again. */
const STAMP = path.join(ROOT, 'node_modules', '.installed-lockfile');
const PNPM = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')).packageManager;

/** A program of node_modules/.bin and its first arguments. */
const COMMANDS = {
  start: ['node', 'packages/local-stack/src/demo/start.ts'],
  test: ['vitest', 'run'],
  build: ['node', 'scripts/build.ts'],
  gen: ['node', 'scripts/gen.ts'],
  exec: [],
};

const env = {
  ...process.env,
  PATH: `${BIN}${path.delimiter}${process.env.PATH}`,
  DO_NOT_TRACK: '1',
  // What Node.js compiled is kept: every process after the first one starts faster.
  NODE_COMPILE_CACHE: path.join(ROOT, 'node_modules', '.cache', 'node'),
};

function install() {
  const lockfile = createHash('sha256')
    .update(readFileSync(path.join(ROOT, 'pnpm-lock.yaml')))
    .digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lockfile) return;

  process.stderr.write('Installing the dependencies, once; this takes about a minute …\n');
  const { status, stdout, stderr, error } = spawnSync(
    'npx',
    ['--yes', PNPM, 'install', '--frozen-lockfile'],
    { cwd: ROOT, env, encoding: 'utf8', shell: process.platform === 'win32', maxBuffer: 64 * 1024 * 1024 },
  );
  if (status !== 0) {
    process.stderr.write(
      `${stdout ?? ''}${stderr ?? ''}${error ? `${error.message}\n` : ''}Installing failed.\n`,
    );
    process.exit(status ?? 1);
  }
  writeFileSync(STAMP, lockfile);
}

const [name = '', ...args] = process.argv.slice(2);
const command = COMMANDS[name];
const [program, ...programArgs] = [...(command ?? []), ...args];
if (program === undefined || command === undefined) {
  process.stderr.write(
    `Usage: node scripts/with-node-24.mjs ${Object.keys(COMMANDS).join(' | ')} [arguments]\n`,
  );
  process.exit(2);
}

install();
const child = spawn(path.join(BIN, program), programArgs, { cwd: ROOT, env, stdio: 'inherit' });
// Ctrl-C reaches the child by itself, and this process waits for it to end; other signals are passed on.
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
