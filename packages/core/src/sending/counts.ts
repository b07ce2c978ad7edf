import type { RunStats } from '../jobs/index.ts';

/** Counts of a run by their names, going on from what an earlier call for the same run counted. */
export function countsFrom<Name extends string>(
  names: readonly Name[],
  stats: RunStats,
): Record<Name, number> {
  const earlier = stats as Partial<Record<Name, number>>;
  return Object.fromEntries(names.map((name) => [name, earlier[name] ?? 0])) as Record<Name, number>;
}
