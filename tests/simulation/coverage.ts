/** Coverage: what enough simulations must have met; a fault that never came up proves nothing. */
import { FAULTS } from './plan.ts';

/** Fewer simulations than these are not judged by the rates below. */
const SIMULATIONS_MIN = 100;

/** How often each fault must come up, for each simulation. */
const FAULT_RATE_MIN = 0.005;

/** How often every other event must come up, for each simulation. */
const RATES_MIN: Readonly<Record<string, number>> = {
  'messages claimed': 8,
  'posts claimed': 0.5,
  'claimed ahead': 0.3,
  'message visible': 6,
  'post visible': 0.5,
  'final state: sent': 5,
  'final state: published': 0.4,
  'final state: failed': 0.1,
  'final state: cancelled': 0.3,
  'unsent: day_limit': 0.3,
  'unsent: rolling_24h_limit': 0.1,
  'unsent: rolling_7d_limit': 0.3,
  'unsent: outside_hours': 0.3,
  'unsent: day_off': 0.1,
  'abandoned request arrived': 0.1,
  'reply received': 1,
  'Unipile write: 201': 6,
  ...Object.fromEntries(FAULTS.map((name) => [`fault: ${name}`, FAULT_RATE_MIN])),
};

/** What came up too seldom, in words; nothing if there were too few simulations to judge. */
export function coverageGaps(counts: Readonly<Record<string, number>>, simulations: number): string[] {
  if (simulations < SIMULATIONS_MIN) return [];
  return Object.entries(RATES_MIN)
    .filter(([event, rateMin]) => (counts[event] ?? 0) < rateMin * simulations)
    .map(([event]) => `${event}: ${counts[event] ?? 0} in ${simulations} simulations`);
}
