/** The doctor wants of a variable what the parts want that read it. */
import { EnvironmentError } from '@revos/core/config';
import { describe, expect, it } from 'vitest';
import { refusedVariables } from '../apps/jobs-api/src/doctor/env.ts';
import { VARIABLES } from '../apps/jobs-api/src/doctor/variables.ts';
import { readCronEnv, readGateEnv } from '../apps/web/src/env.ts';

const VALUES = [
  '',
  'short',
  'a value with spaces in it',
  'a-value-that-is-long-enough',
  'http://example.com',
  'https://example.com',
  'on',
];

/** What the web app refuses; of those that the doctor reads by itself. */
function refusedByWeb(env: Record<string, string>): Set<string> {
  const refused = new Set<string>();
  for (const read of [readCronEnv, readGateEnv]) {
    try {
      read(env);
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      for (const name of error.variables) refused.add(name);
    }
  }
  return refused;
}

describe.each(['CRON_SECRET', 'OPS_TOKEN', 'JOBS_API_URL', 'DIRECT_FALLBACK'])('%s', (name) => {
  it.each(VALUES)('of “%s” is refused by the doctor as by the web app', (value) => {
    if (name === 'JOBS_API_URL' && value === '') return;
    const env = { JOBS_API_URL: 'https://jobs.example.com', [name]: value };
    const { missing, invalid } = refusedVariables('hybrid', env);
    expect(missing.has(name) || invalid.has(name)).toBe(refusedByWeb(env).has(name));
  });
});

it('knows each variable of the manual but those that platforms set, or tools read', async () => {
  const { readFile } = await import('node:fs/promises');
  const manual = await readFile(new URL('../docs/environment.md', import.meta.url), 'utf8');
  const names = [...manual.matchAll(/^\| (.*?) \|/gm)].flatMap(
    ([, cell = '']) => cell.match(/[A-Z][A-Z_]+[A-Z]/g) ?? [],
  );
  const elsewhere = ['VERCEL_GIT_COMMIT_SHA'];
  expect([...new Set(names)].filter((name) => !(name in VARIABLES) && !elsewhere.includes(name))).toEqual([]);
});
