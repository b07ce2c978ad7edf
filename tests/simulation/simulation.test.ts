/** The simulation itself: the same seed repeats it, and what it takes away is there to be taken. */
import { readMigrations } from '@revos/local-stack';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readZones } from '../property/world.ts';
import type { Session } from '../support/session.ts';
import { coverageGaps } from './coverage.ts';
import { openSession } from './open-session.ts';
import { SABOTAGES, sabotaged } from './sabotages.ts';
import { type SimulationResult, simulate } from './simulate.ts';

let session: Session;
let zones: readonly string[];

beforeAll(async () => {
  session = await openSession(await readMigrations());
  zones = await readZones(session.query);
});
afterAll(() => session?.close());

describe('a simulation', () => {
  const results: SimulationResult[] = [];

  it.each([1, 2])('of seed %i violates no invariant', { timeout: 300_000 }, async (seed) => {
    const result = await simulate(seed, session, zones);
    results.push(result);
    const failure = result.violation ?? result.error;
    expect(failure, `replay: npm run sim -- ${seed}`).toBeNull();
    expect(result.steps).toBeGreaterThan(300);
  });

  it('is the same when it runs again, step by step', { timeout: 300_000 }, async () => {
    const [first] = results;
    const again = await simulate(first?.seed ?? 0, session, zones);
    expect(again).toEqual(first);
  });

  it('is another for another seed', () => {
    expect(new Set(results.map(({ hash }) => hash)).size).toBe(results.length);
  });
});

describe('sabotage', () => {
  it.each(SABOTAGES)('$guard: what it takes away is there', async (sabotage) => {
    const migrations = await readMigrations();
    const isOfSql = JSON.stringify(sabotaged(migrations, sabotage)) !== JSON.stringify(migrations);
    const isOfCode = sabotage.unipile !== undefined || sabotage.effects !== undefined;
    expect(isOfSql || isOfCode).toBe(true);
  });
});

describe('coverage', () => {
  it('is not judged by a few simulations', () => {
    expect(coverageGaps({}, 99)).toEqual([]);
  });

  it('is named where it came up too seldom', () => {
    expect(coverageGaps({}, 100)).toEqual(
      expect.arrayContaining([
        'messages claimed: 0 in 100 simulations',
        'fault: crash: 0 in 100 simulations',
      ]),
    );
  });
});
