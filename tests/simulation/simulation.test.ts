/** The simulation itself: its stories repeat, and what it takes away is there to be taken. */
import { readMigrations } from '@revos/local-stack';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readZones } from '../property/world.ts';
import type { Session } from '../support/session.ts';
import { unfulfilled } from './expectations.ts';
import { openSession } from './open-session.ts';
import { SABOTAGES, sabotaged } from './sabotages.ts';
import { type Story, simulate } from './simulate.ts';

let session: Session;
let zones: readonly string[];

beforeAll(async () => {
  session = await openSession(await readMigrations());
  zones = await readZones(session.query);
});
afterAll(() => session?.close());

describe('a story', () => {
  const told: Story[] = [];

  it.each([1, 2])('of seed %i breaks no promise', { timeout: 300_000 }, async (seed) => {
    const story = await simulate(seed, session, zones);
    told.push(story);
    const trouble = story.broken ?? story.crash;
    expect(trouble, `replay: npm run sim -- ${seed}`).toBeNull();
    expect(story.steps).toBeGreaterThan(300);
  });

  it('is the same when it is told again, step by step', { timeout: 300_000 }, async () => {
    const [first] = told;
    const again = await simulate(first?.seed ?? 0, session, zones);
    expect(again).toEqual(first);
  });

  it('is another for another seed', () => {
    expect(new Set(told.map(({ hash }) => hash)).size).toBe(told.length);
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

describe('what stories must have met', () => {
  it('is not asked of a few of them', () => {
    expect(unfulfilled({}, 99)).toEqual([]);
  });

  it('is named where it came up too seldom', () => {
    expect(unfulfilled({}, 100)).toEqual(
      expect.arrayContaining(['claims: 0 in 100 stories', 'fault: crash: 0 in 100 stories']),
    );
  });
});
