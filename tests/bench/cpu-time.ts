/** How much processor time processes have used, in milliseconds, as Linux tells it. */
import { readdirSync, readFileSync } from 'node:fs';

/** What the kernel counts in: a hundredth of a second, on every Linux that Node.js runs on. */
const TICK_MS = 10;

interface Stat {
  readonly parent: number;
  readonly ownMs: number;
  /** Of children that have ended and were waited for. */
  readonly endedChildrenMs: number;
}

/** Of a process and of its children, those that have ended included; null where there is no `/proc`. */
export function cpuTimeOf(pid: number): number | null {
  const stats = new Map<number, Stat>();
  try {
    for (const name of readdirSync('/proc')) {
      const stat = /^\d+$/.test(name) ? statOf(name) : null;
      if (stat !== null) stats.set(Number(name), stat);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  let totalMs = 0;
  for (const [id, { parent, ownMs, endedChildrenMs }] of stats) {
    if (id === pid) totalMs += ownMs + endedChildrenMs;
    else if (parent === pid) totalMs += ownMs;
  }
  return totalMs;
}

function statOf(name: string): Stat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${name}/stat`, 'utf8');
  } catch {
    // It has ended meanwhile.
    return null;
  }
  // The name of the program stands in brackets, and may hold anything.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = fields.slice(11, 15);
  return {
    parent: fields[1] ?? 0,
    ownMs: (user + system) * TICK_MS,
    endedChildrenMs: (childrenUser + childrenSystem) * TICK_MS,
  };
}
