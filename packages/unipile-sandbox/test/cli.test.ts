/** The command line: it listens where it says, and stops when told. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { expect, it, onTestFinished } from 'vitest';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

function run(args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return child;
}

it('serves the accounts it was given until SIGTERM', async () => {
  const child = run(['--port', '0', '--api-key', 'k', '--account', 'one', '--account', 'two']);
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const url = /listening on (http:\/\/127\.0\.0\.1:\d+)$/.exec(String(line))?.[1];
  const response = await request(`${url}/api/v1/accounts`, { headers: { 'x-api-key': 'k' } });
  const accounts = (await response.body.json()) as { items: { id: string }[] };
  expect(accounts.items.map(({ id }) => id).sort()).toEqual(['one', 'two']);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it.each([
  ['--port', '65536'],
  ['--port', 'x'],
  ['--latency-min-ms', '-1'],
  ['--nonsense', '1'],
])('refuses %s %s', async (option, value) => {
  const child = run([`${option}=${value}`]);
  const [code] = await once(child, 'exit');
  expect(code).toBe(1);
});
