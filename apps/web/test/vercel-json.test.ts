/** `vercel.json` carries the registry's schedules, in a form that Vercel accepts. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { jobs } from '@revos/core/registry';
import { describe, expect, it } from 'vitest';

interface VercelJson {
  readonly framework: string;
  readonly buildCommand: string;
  readonly outputDirectory: string;
  readonly crons: ReadonlyArray<{ readonly path: string; readonly schedule: string }>;
}

const root = path.join(import.meta.dirname, '../../..');
const readJson = (file: string) => JSON.parse(readFileSync(path.join(root, file), 'utf8'));
const vercel: VercelJson = readJson('vercel.json');

/** The numbers each field may hold: minute, hour, day of month, month, day of week. */
const FIELDS = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12 },
  { min: 0, max: 6 },
] as const;

/** What Vercel would refuse at deploy time; its local build checks none of it. */
function problemsOf(schedule: string): string[] {
  const fields = schedule.split(' ');
  if (fields.length !== 5) return ['five fields'];
  const problems = FIELDS.flatMap(({ min, max }, index) => {
    const parts = (fields[index] ?? '').split(',');
    const isNumeric = parts.every((part) => /^(\d+|(\*|\d+-\d+)(\/[1-9]\d*)?)$/.test(part));
    const numbers = parts.flatMap((part) => (part.split('/')[0] ?? '').match(/\d+/g) ?? []).map(Number);
    return isNumeric && numbers.every((n) => n >= min && n <= max) ? [] : [`field ${index + 1}`];
  });
  if (fields[2] !== '*' && fields[4] !== '*') problems.push('both day fields');
  return problems;
}

describe('vercel.json', () => {
  it('has one cron for each job of the registry, with its schedule, and nothing more', () => {
    const expected = jobs.map(({ name, schedule }) => ({ path: `/api/cron/${name}`, schedule }));
    const byPath = (a: { path: string }, b: { path: string }) => a.path.localeCompare(b.path);
    expect([...vercel.crons].sort(byPath)).toEqual(expected.sort(byPath));
  });

  it.each(vercel.crons)('$path is a route', ({ path: cronPath }) => {
    expect(cronPath).toMatch(/^\/api\/cron\/[a-z0-9]+(-[a-z0-9]+)*$/);
    expect(existsSync(path.join(root, 'apps/web/src/app/api/cron/[job]/route.ts'))).toBe(true);
  });

  it.each(vercel.crons)('$schedule is one that Vercel accepts', ({ schedule }) => {
    expect(problemsOf(schedule)).toEqual([]);
  });

  it.each([
    { schedule: '0 9 * * MON', problems: ['field 5'] },
    { schedule: '0 0 1 * 1', problems: ['both day fields'] },
    { schedule: '*/15 * * *', problems: ['five fields'] },
    { schedule: '0 */15 * * * *', problems: ['five fields'] },
    { schedule: '@daily', problems: ['five fields'] },
    {
      schedule: '60 24 0 13 7',
      problems: ['field 1', 'field 2', 'field 3', 'field 4', 'field 5', 'both day fields'],
    },
    { schedule: '*/0 * * * *', problems: ['field 1'] },
    { schedule: '0/15 * * * *', problems: ['field 1'] },
    { schedule: '0 0 L * *', problems: ['field 3'] },
  ])('$schedule would not be', ({ schedule, problems }) => {
    expect(problemsOf(schedule)).toEqual(problems);
  });

  it('is read with the repository as the root directory, where next must stand', () => {
    expect(vercel).toMatchObject({
      framework: 'nextjs',
      buildCommand: 'pnpm --filter @revos/web build',
      outputDirectory: 'apps/web/.next',
    });
    const web = readJson('apps/web/package.json');
    expect(web.name).toBe('@revos/web');
    expect(web.dependencies.next).toBe('catalog:');
    expect(readJson('package.json').devDependencies.next).toBe(web.dependencies.next);
    expect(existsSync(path.join(root, 'apps/web/vercel.json'))).toBe(false);
  });
});
