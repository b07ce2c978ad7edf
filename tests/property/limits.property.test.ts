/**
 * No limit is ever exceeded, and no account holds up another: by any number of sessions, in any
 * interleaving, in any zone, over any clock change.
 *
 * Random campaigns on a real Postgres, with sessions truly in parallel; then an oracle recounts what
 * LinkedIn saw. A failure prints the line that runs its campaign again. Interleavings are the
 * machine's own, so a race may take some runs to come back.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';
import { createRandom } from '../support/random.ts';
import { tooSeldom, trials } from '../support/trials.ts';
import { countLost, runCampaign, type Tally } from './campaign.ts';
import { findViolations } from './oracle.ts';
import { planWorld, readZones } from './world.ts';

const SESSIONS = 12;
const CAMPAIGNS = { min: 6, max: 110, seconds: 8 };

/** How often each happens in a campaign at least. */
const EXPECTED = {
  claims: 25,
  sent: 8,
  not_sent: 6,
  unknown: 2,
  lost: 3,
  late: 1.5,
  ignored: 1,
  'reported again': 10,
  'queued by call': 40,
  'queued by insert': 40,
  pause: 3,
  resume: 3,
  policy: 3,
  'clock changes': 0.3,
  'blocked by day_limit': 3,
  'blocked by rolling_24h_limit': 2,
  'blocked by rolling_7d_limit': 1,
  'blocked by gap': 1,
  'blocked by window': 4,
  'blocked by paused': 1.5,
  'blocked by in_flight': 0.3,
  'blocked by account': 0.5,
};

let database: SharedDatabase;
let sessions: Session[];

beforeAll(async () => {
  database = await openSharedDatabase();
  sessions = [];
  for (let index = 0; index < SESSIONS; index += 1) {
    const session = await database.openSession({ now: new Date(0) });
    // Nothing may wait for long, least of all for somebody else's account.
    await session.query(`set statement_timeout = '8s'`, []);
    sessions.push(session);
  }
});
afterAll(() => database?.close());

it('keeps every limit and starves nobody, whatever happens', { timeout: 600_000 }, async () => {
  const [first] = sessions;
  if (!first) throw new Error('no session');
  const zones = await readZones(first.query);
  expect(zones.length).toBeGreaterThan(400);

  const tally: Tally = {};
  let campaigns = 0;
  for (const seed of trials(CAMPAIGNS)) {
    campaigns += 1;
    const random = createRandom(seed);
    const replay = `SEED=${seed} RUNS=1 vitest run tests/property/limits`;
    const plan = planWorld(random, zones);
    const campaign = await runCampaign(sessions, plan, zones, seed, tally).catch((error: unknown) => {
      throw new Error(`${replay}\n${String(error)}`, { cause: error });
    });
    const violations = [
      ...campaign.violations,
      ...campaign.accounts.flatMap((account) => findViolations(account, random)),
    ];
    expect(violations, replay).toEqual([]);
    tally.lost = (tally.lost ?? 0) + countLost(campaign.accounts);
    tally['clock changes'] = (tally['clock changes'] ?? 0) + (plan.isNearClockChange ? 1 : 0);
  }
  expect(tooSeldom(tally, EXPECTED, campaigns, CAMPAIGNS.max)).toEqual([]);
});
