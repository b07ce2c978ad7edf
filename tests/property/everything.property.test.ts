/**
 * Everything at once: claims, answers, lost ones, reconciling, people and RevOS, over messages and
 * posts, in random order by sessions truly in parallel. LinkedIn sees each thing once at most, and
 * all of it comes to an end that can be explained.
 *
 * A failure prints the line that runs its workload again. Interleavings are the machine's own, so a
 * race may take some runs to come back.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';
import { tooSeldom, trials } from '../support/trials.ts';
import type { Tally } from './campaign.ts';
import { runConcurrentWorkload } from './concurrent-workload.ts';

const SESSIONS = 8;
const WORKLOADS = { min: 8, max: 60, seconds: 8 };
/** From so many on everything has come up that is to come up. */
const ENOUGH = 15;

/** How often each happens in a workload at least. */
const EXPECTED = {
  'message claimed': 5,
  'post claimed': 2,
  'answer recorded': 5,
  'answer ignored': 1,
  'answer late': 0.1,
  'resolved as sent': 0.5,
  'resolved as waiting': 0.2,
  'settled as sent': 0.2,
  'settled as resend': 0.2,
  'settled as drop': 0.05,
};

let database: SharedDatabase;
let sessions: Session[];

beforeAll(async () => {
  database = await openSharedDatabase();
  sessions = await Promise.all(
    Array.from({ length: SESSIONS }, async () => {
      const session = await database.openSession({ now: new Date(0) }, { repeatsUndone: true });
      await session.query(`set statement_timeout = '8s'`, []);
      return session;
    }),
  );
});
afterAll(() => database?.close());

it('nothing is seen twice, nothing passes a limit, and nothing is lost', { timeout: 600_000 }, async () => {
  const tally: Tally = {};
  let workloads = 0;
  for (const seed of trials(WORKLOADS)) {
    workloads += 1;
    const replay = `SEED=${seed} RUNS=1 vitest run tests/property/everything`;
    const wrong = await runConcurrentWorkload(sessions, seed, tally).catch((error: unknown) => {
      throw new Error(`${replay}\n${String(error)}`, { cause: error });
    });
    expect(wrong, replay).toEqual([]);
  }
  expect(tooSeldom(tally, EXPECTED, workloads, ENOUGH)).toEqual([]);
});
