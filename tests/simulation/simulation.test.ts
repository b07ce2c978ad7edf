/** The simulation itself: a seed repeats it, and every mutation applies. */
import { readMigrations } from '@revos/local-stack';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readZones } from '../property/world.ts';
import type { Session } from '../support/session.ts';
import { coverageGaps } from './coverage.ts';
import { MUTATIONS, mutate } from './mutations.ts';
import { openSession } from './open-session.ts';
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

  it('is the same when its seed runs again, step by step', { timeout: 300_000 }, async () => {
    const [first] = results;
    const again = await simulate(first?.seed ?? 0, session, zones);
    expect(again).toEqual(first);
  });

  it('differs for another seed', () => {
    expect(new Set(results.map(({ hash }) => hash)).size).toBe(results.length);
  });
});

describe('a mutation', () => {
  it.each(MUTATIONS)('applies: without “$guard”', async (mutation) => {
    const migrations = await readMigrations();
    const changesSql = JSON.stringify(mutate(migrations, mutation)) !== JSON.stringify(migrations);
    const changesCode = mutation.unipile !== undefined || mutation.effects !== undefined;
    expect(changesSql || changesCode).toBe(true);
  });
});

describe('coverage', () => {
  it('is not judged by a few simulations', () => {
    expect(coverageGaps({}, 99)).toEqual([]);
  });

  it('names what came up too seldom', () => {
    expect(coverageGaps({}, 100)).toEqual(
      expect.arrayContaining([
        'messages claimed: 0 in 100 simulations',
        'fault: crash: 0 in 100 simulations',
      ]),
    );
  });
});
