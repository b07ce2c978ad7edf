/** `ops doctor`: how it is asked, and how it answers. What it finds is tested where it looks. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { runOps } from './support/ops.ts';

interface Told {
  readonly ok: boolean;
  readonly way: string;
  readonly findings: ReadonlyArray<{ level: string; what: string; do: string | null }>;
}

async function envFile(lines: readonly string[]): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'revos-doctor-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'env');
  await writeFile(file, lines.join('\n'));
  return file;
}

it('looks at its own environment, needs no token, and ends with 1 where something is wrong', async () => {
  const { code, stdout, stderr } = await runOps(['doctor'], { env: { SCHEDULER: 'internal' } });
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(stdout).toMatch(/^The environment of a deployment that runs worker$/m);
  expect(stdout).toMatch(/^WRONG +UNIPILE_API_KEY: is missing\n +→ Unipile dashboard/m);
  expect(stdout).toMatch(/^ok +SCHEDULER: is set$/m);
});

it('looks at a file instead, in JSON, without the values', async () => {
  const file = await envFile(['CRON_SECRET="short-canary"', 'UNIPILE_DSN=http://a-canary.example.com']);
  const { code, stdout } = await runOps(['doctor', '--env-file', file, '--way', 'direct', '--json'], {
    env: { OPS_TOKEN: 'not-of-this-environment' },
  });
  expect(code).toBe(1);
  const { ok, way, findings } = JSON.parse(stdout) as Told;
  expect({ ok, way }).toEqual({ ok: false, way: 'direct' });
  const wrong = findings.filter(({ level }) => level === 'wrong').map(({ what }) => what);
  expect(wrong).toEqual(expect.arrayContaining(['CRON_SECRET', 'UNIPILE_DSN', 'OPS_TOKEN']));
  expect(stdout).not.toContain('canary');
});

it.each([
  { name: 'a way that there is not', args: ['--way', 'sideways'], words: /hybrid, direct, worker/ },
  {
    name: 'a file that there is not',
    args: ['--env-file', '/nowhere/env'],
    words: /cannot be read \(ENOENT\)/,
  },
])('refuses $name, with 2', async ({ args, words }) => {
  const { code, stderr } = await runOps(['doctor', ...args]);
  expect(code).toBe(2);
  expect(stderr).toMatch(words);
});
