/** Sessions that wait for each other's locks: a test goes on once one does. */
import type { Session } from './database.ts';

const pids = new WeakMap<Session, unknown>();

/** The session's process, asked for once, while it has nothing else to do. */
export async function pidOf(session: Session): Promise<unknown> {
  if (!pids.has(session)) {
    const [row] = await session.query('select pg_backend_pid() as pid', []);
    pids.set(session, row?.pid);
  }
  return pids.get(session);
}

/** Resolves once that process waits for a lock, in a call that began so many milliseconds ago or more. */
export async function untilBlocked(watcher: Session, pid: unknown, sinceMs = 0): Promise<void> {
  for (let look = 0; look < 20_000; look += 1) {
    const [row] = await watcher.asOwner(
      `select cardinality(pg_blocking_pids($1)) > 0
         and clock_timestamp() - query_start >= make_interval(secs => $2 / 1000.0) as blocked
       from pg_stat_activity where pid = $1`,
      [pid, sinceMs],
    );
    if (row?.blocked) return;
  }
  throw new Error('it never waited');
}
