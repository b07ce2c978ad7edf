/** Each variable by itself: missing, malformed, or set. */
import type { Context } from '../context.ts';
import { isSet, refusedVariables } from '../env.ts';
import { type Finding, ok, warning, wrong } from '../finding.ts';
import { VARIABLES } from '../variables.ts';

export async function checkVariables({ way, env }: Context): Promise<Finding[]> {
  const { missing, invalid } = refusedVariables(way, env);
  return Object.entries(VARIABLES).flatMap(([name, { neededBy, readBy, remedy }]) => {
    if (invalid.has(name)) return [wrong(name, 'is malformed, or contradicts another variable', remedy)];
    if (missing.has(name) || (neededBy.includes(way) && !isSet(env, name))) {
      return [wrong(name, 'is missing', remedy)];
    }
    if (!isSet(env, name)) return [];
    if (name === 'JOB_SCHEDULES') return [warning(name, 'is set', remedy)];
    return readBy.includes(way) ? [ok(name, 'is set')] : [warning(name, `is not read: ${way}`, 'remove it')];
  });
}
