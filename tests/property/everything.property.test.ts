/**
 * Everything at once: claims, answers, lost ones, read-backs, people and RevOS, over messages and posts, in random order by
 * sessions truly in parallel. LinkedIn sees each thing once at most, and all of it comes to an end that can be explained.
 *
 * A failure prints the line that runs its commotion again. Interleavings are the machine's own, so a race may take some
 * runs to come back.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';
import type { Tally } from './campaign.ts';
import { runCommotion } from './commotion.ts';

const SESSIONS = 8;
const RUNS_DEFAULT = 15;

/** SEED and RUNS replay. */
const { SEED, RUNS } = process.env;
const seed = SEED === undefined ? Math.trunc(Date.now() % 1_000_000) : Number(SEED);
const runs = RUNS === undefined ? RUNS_DEFAULT : Number(RUNS);

let database: SharedDatabase;
let sessions: Session[];

beforeAll(async () => {
  database = await openSharedDatabase();
  sessions = await Promise.all(
    Array.from({ length: SESSIONS }, async () => {
      const session = await database.openSession({ now: new Date(0) });
      await session.query(`set statement_timeout = '8s'`, []);
      return session;
    }),
  );
});
afterAll(() => database?.close());

it('nothing is seen twice, nothing passes a limit, and nothing is lost', { timeout: 600_000 }, async () => {
  const tally: Tally = {};
  for (let run = 0; run < runs; run += 1) {
    const replay = `SEED=${seed + run} RUNS=1 vitest run tests/property/everything.property.test.ts`;
    const wrong = await runCommotion(sessions, seed + run, tally).catch((error: unknown) => {
      throw new Error(`${replay}\n${String(error)}`, { cause: error });
    });
    expect(wrong, replay).toEqual([]);
  }
  // A test of promises that were never put to the test proves nothing.
  const expected = [
    ['message claimed', 5],
    ['post claimed', 2],
    ['answer recorded', 5],
    ['answer ignored', 1],
    ['answer late', 0.1],
    ['resolved as sent', 0.5],
    ['resolved as waiting', 0.2],
    ['settled as sent', 0.2],
    ['settled as resend', 0.2],
    ['settled as drop', 0.05],
  ] as const;
  if (runs >= RUNS_DEFAULT) {
    const missed = expected.filter(([name, perRun]) => (tally[name] ?? 0) < perRun * runs);
    expect(missed, JSON.stringify(tally)).toEqual([]);
  }
});
