/** A random world: accounts with random policies, at a moment that is likely to be awkward. */
import type { SqlQuery } from '@revos/core/rpc';
import { accountId, DAY_MS, HOUR_MS, MINUTE_MS, type PolicyFields } from '../support/builders.ts';
import { localDate, localMs } from '../support/local-time.ts';
import type { Random } from '../support/random.ts';

/** A year of which every copy of the zone data knows the same. */
export const YEAR_FROM_MS = Date.UTC(2025, 0, 1);
const YEAR_TO_MS = Date.UTC(2026, 0, 1);

/**
 * The zones that JavaScript and Postgres know and agree about: local time, noon by noon, for a year.
 *
 * The oracle may then differ from the SQL in its rules, and not in its maps.
 */
export async function readZones(query: SqlQuery): Promise<string[]> {
  const known = await query(`select name from pg_timezone_names where name = any ($1) order by name`, [
    Intl.supportedValuesOf('timeZone'),
  ]);
  const names = known.map((row) => String(row.name));
  const shown = await query(
    `select zone, string_agg(extract(epoch from noon at time zone zone)::bigint::text, ',' order by noon) as seconds
     from unnest($1::text[]) as zone
     cross join generate_series($2::timestamptz, $3, interval '24 hours') as noon group by zone`,
    [names, new Date(YEAR_FROM_MS + 12 * HOUR_MS).toISOString(), new Date(YEAR_TO_MS).toISOString()],
  );
  return shown
    .filter(({ zone, seconds }) => {
      const days = String(seconds).split(',').map(Number);
      return days.every(
        (second, day) => localMs(String(zone), YEAR_FROM_MS + 12 * HOUR_MS + day * DAY_MS) === second * 1000,
      );
    })
    .map(({ zone }) => String(zone));
}

/** The days of the year on which the zone's clocks change. */
function clockChanges(zone: string): number[] {
  const changes: number[] = [];
  const offsetAt = (atMs: number): number => localMs(zone, atMs) - atMs;
  for (let atMs = YEAR_FROM_MS; atMs < YEAR_TO_MS - 10 * DAY_MS; atMs += DAY_MS) {
    if (offsetAt(atMs) !== offsetAt(atMs + DAY_MS)) changes.push(atMs);
  }
  return changes;
}

export interface AccountPlan {
  readonly id: string;
  readonly policy: PolicyFields;
  /** RevOS shows it as active and connected; another one must never be claimed. */
  readonly isActive: boolean;
}

export interface WorldPlan {
  readonly startMs: number;
  readonly accounts: readonly AccountPlan[];
  readonly isNearClockChange: boolean;
}

export function planWorld(random: Random, zones: readonly string[]): WorldPlan {
  // Three tries: most zones have no summer time.
  const candidates = [random.pick(zones), random.pick(zones), random.pick(zones)];
  const zone = candidates.find((name) => clockChanges(name).length > 0) ?? random.pick(zones);
  const changes = clockChanges(zone);
  const isNearClockChange = changes.length > 0 && random.chance(0.7);
  const startMs = isNearClockChange
    ? random.pick(changes) + random.integer(-40, 30) * HOUR_MS + random.integer(0, 59) * MINUTE_MS
    : YEAR_FROM_MS + random.integer(8 * 24 * 60, 350 * 24 * 60) * MINUTE_MS;
  const accounts = Array.from({ length: random.integer(3, 7) }, (_, index) => ({
    id: accountId(index + 1),
    policy: randomPolicy(random, random.chance(0.5) ? zone : random.pick(zones), startMs),
    isActive: index === 0 || random.chance(0.9),
  }));
  return { startMs, accounts, isNearClockChange };
}

const clock = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;

export function randomPolicy(random: Random, zone: string, nowMs: number): PolicyFields {
  const dayOff = (days: number): string => localDate(zone, nowMs + days * DAY_MS);
  const start = random.chance(0.6) ? 0 : random.integer(0, 22 * 60);
  const end = random.chance(0.6) ? 24 * 60 : random.integer(start + 1, 24 * 60);
  const gapMin = random.pick([0, 1, 10, 60]);
  const days = [1, 2, 3, 4, 5, 6, 7];
  const some = days.filter(() => random.chance(0.7));
  return {
    dms_per_day: random.chance(0.2) ? 50 : random.integer(1, 6),
    dms_per_24h: random.chance(0.3) ? 50 : random.integer(1, 7),
    dms_per_7d: random.chance(0.4) ? 350 : random.integer(2, 14),
    gap_min_s: gapMin,
    gap_max_s: gapMin + random.pick([0, 0, 5, 60]),
    time_zone: zone,
    window_start: clock(start),
    window_end: clock(end),
    work_days: random.chance(0.6) || some.length === 0 ? days : some,
    holidays: [-1, 0, 1, 2, 3].filter(() => random.chance(0.08)).map(dayOff),
    warm_up_from: random.chance(0.4) ? dayOff(random.integer(-15, 1)) : null,
  };
}
