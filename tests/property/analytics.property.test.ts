/**
 * Every row of the rollup, and every day of the platform's view, is what a recount by hand gives:
 * in any zone, over any clock change, whatever is missing, and however the days are cut into calls.
 *
 * A failure prints the line that runs its history again.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSession, type Session } from '../support/database.ts';
import { dayAfter } from '../support/local-time.ts';
import { createRandom, type Random } from '../support/random.ts';
import { tooSeldom, trials } from '../support/trials.ts';
import { planHistory, storeHistory } from './analytics-history.ts';
import { type ExpectedRow, percentile, placeOf, platformDay, recount } from './analytics-oracle.ts';
import { readZones } from './world.ts';

const HISTORIES = { min: 40, max: 40, seconds: 5 };

/** How often each is counted in a history at least. */
const EXPECTED = {
  queued: 1,
  sent: 1,
  failed: 1,
  unknown: 1,
  posts_published: 1,
  posts_failed: 1,
  posts_missed: 1,
  counted: 1,
  clients: 1,
  at_cap: 1,
};

let session: Session;
beforeAll(async () => {
  session = await openSession();
});
afterAll(() => session?.close());

const read = async (text: string): Promise<Record<string, unknown>[]> =>
  (await session.query(`select to_jsonb(found) as row from (${text}) as found`, [])).map(
    ({ row }) => row as Record<string, unknown>,
  );

/** Recounts the days in calls of random lengths, in a random order, some of them twice. */
async function refreshInPieces(random: Random, from: string, to: string): Promise<void> {
  const pieces: Array<readonly [string, string]> = [];
  for (let day = from; day <= to; ) {
    let last = day;
    while (last < to && random.chance(0.5)) last = dayAfter(last);
    pieces.splice(random.integer(0, pieces.length), 0, [day, last]);
    day = dayAfter(last);
  }
  for (const [first, last] of [...pieces, random.pick(pieces)])
    await session.rpc.call('analytics_refresh', { from: first, to: last });
}

const shown = (row: ExpectedRow) => ({
  ...row,
  lateness_p50_s: percentile(row.lateness_s, 50),
  lateness_p95_s: percentile(row.lateness_s, 95),
});

it('is what a recount by hand gives', { timeout: 600_000 }, async () => {
  const zones = await readZones(session.query);
  const tally: Record<string, number> = {};
  let histories = 0;
  for (const seed of trials(HISTORIES)) {
    histories += 1;
    const random = createRandom(seed);
    const replay = `SEED=${seed} RUNS=1 vitest run tests/property/analytics`;
    const plan = planHistory(random, zones);
    await session.reset();
    await storeHistory(session, plan);
    await refreshInPieces(random, plan.from, plan.to);
    await session.rpc.call('analytics_views_refresh');

    const expected = recount(plan.history);
    const rows = await read('select * from analytics_daily');
    const sorted = (rows as unknown as ExpectedRow[]).sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
    const computedAt = session.clock.now.toISOString();
    expect(
      sorted.map(({ ...row }) => ({ ...row, computed_at: undefined })),
      replay,
    ).toEqual(expected.map((row) => ({ ...shown(row), computed_at: undefined })));

    const days = await read('select * from analytics_platform_daily order by day');
    const expectedDays = [...Map.groupBy(expected, (row) => row.day)].map(([day, some]) =>
      platformDay(day, some),
    );
    expect(
      days.map(({ computed_at, ...day }) => ({ ...day, at: new Date(String(computed_at)).toISOString() })),
      replay,
    ).toEqual(expectedDays.map((day) => ({ ...day, at: computedAt })));

    for (const row of expected) {
      for (const [name, value] of Object.entries(row))
        if (typeof value === 'number') tally[name] = (tally[name] ?? 0) + value;
      if (row.client_id !== null) tally.clients = (tally.clients ?? 0) + 1;
    }
    for (const day of expectedDays) tally.at_cap = (tally.at_cap ?? 0) + day.accounts_at_cap;
  }
  expect(tooSeldom(tally, EXPECTED, histories, HISTORIES.max)).toEqual([]);
});
