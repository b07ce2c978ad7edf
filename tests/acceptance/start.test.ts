/** `npm start`, as a newcomer runs it, and with a link of its chain broken. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Its lost answer holds one account up until it is looked for, after 15 s. */
const TIMEOUT_MS = 120_000;

let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'revos-start-'));
});

afterAll(() => rm(dataDir, { recursive: true, force: true }));

/** Starts it, and calls `onOutput` with all that was printed so far whenever there is more. */
async function start(args: readonly string[], onOutput: (printed: string) => void = () => {}) {
  const child = spawn('npm', ['start', '--silent', '--', '--data', dataDir, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
    onOutput(stdout);
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

it('--once does one run, ends with a line of JSON, and exits 0', { timeout: TIMEOUT_MS }, async () => {
  const { code, stdout, stderr } = await start(['--once']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toEqual({
    sent: 55,
    failed: 2,
    unknown: 0,
    pending: 3,
    published: 3,
  });
  expect(stdout).toContain('the account’s limit for the day is used up');
});

it('a link that breaks in mid-run ends it with an exit code and the reason', {
  timeout: TIMEOUT_MS,
}, async () => {
  let killed = false;
  const { code, stdout, stderr } = await start(['--once'], (printed) => {
    if (killed || !printed.includes('running:')) return;
    killed = true;
    void killJobsApi();
  });
  expect(killed).toBe(true);
  expect(code).toBe(1);
  expect(stderr).toMatch(/The jobs API ended|events broke off|terminated/);
  expect(stdout.trimEnd().split('\n').at(-1)).not.toMatch(/^\{/);
});

async function killJobsApi(): Promise<void> {
  const log = await readFile(path.join(dataDir, 'logs', 'jobs-api.log'), 'utf8');
  const { pid } = JSON.parse(log.split('\n')[0] ?? '{}') as { pid: number };
  process.kill(pid, 'SIGKILL');
}

it('an option it does not know is refused by name', async () => {
  const { code, stderr } = await start(['--twice']);
  expect(code).toBe(1);
  expect(stderr).toContain('--twice');
});
