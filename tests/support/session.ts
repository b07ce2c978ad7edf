/**
 * A session with a database as the product holds one: it speaks as `service_role`, under a clock
 * that the test owns.
 */
import { createDmStore, type DmStore } from '@revos/core/dm';
import { createRunStore, type RunStore } from '@revos/core/jobs';
import { createSqlRpc, type Rpc, type SqlQuery, withClock, withUndoneRepeated } from '@revos/core/rpc';

/** A moment that a test sets; nothing moves it but the test. */
export interface Clock {
  now: Date;
}

/** One session with a database, as the product holds one. */
export interface Session {
  readonly clock: Clock;
  readonly rpc: Rpc;
  readonly dm: DmStore;
  readonly runs: RunStore;
  /** Plain SQL, as service_role. */
  readonly query: SqlQuery;
  /** Plain SQL, as the owner of the schema. */
  readonly asOwner: SqlQuery;
  /** Forgets every row. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

const TABLES =
  'dm_queue, dm_attempts, account_policies, job_runs, job_slots, audit_log, sending_pause, restores, post_publications, ' +
  'alert_incidents, alert_deliveries, ' +
  'post_attempts, analytics_daily, analytics_cache, dm_spent_keys, history_mark, linkedin_accounts, posts';

/**
 * With what was deleted before: a table that is truncated is a new file, for which every session
 * makes all plans anew.
 */
const SIZE = 'select pg_relation_size($$dm_queue$$) + pg_relation_size($$dm_attempts$$) as bytes';
const FEW_BYTES = 2 ** 20;

/** In one statement, so that nothing looks at the rows between; the referring table first. */
const FORGET = `with ${TABLES.split(', ')
  .map((table, index) => `t${index} as (delete from ${table})`)
  .join(', ')} select`;

export interface SessionOptions {
  /**
   * Makes a call again that Postgres undid, as the product does. Default false: a deadlock fails
   * the test that meets it.
   */
  readonly repeatsUndone?: boolean;
}

/** A session, from a way to run one statement in it. */
export async function sessionOf(
  run: SqlQuery,
  close: () => Promise<void>,
  clock: Clock,
  { repeatsUndone = false }: SessionOptions = {},
): Promise<Session> {
  await run('set role service_role', []);
  const asOwner: SqlQuery = async (text, values) => {
    await run('reset role', []);
    try {
      return await run(text, values);
    } finally {
      await run('set role service_role', []);
    }
  };
  const plain = createSqlRpc(run);
  const rpc = withClock(repeatsUndone ? withUndoneRepeated(plain) : plain, () => clock.now);
  return {
    clock,
    rpc,
    dm: createDmStore(rpc),
    runs: createRunStore(rpc),
    query: run,
    asOwner,
    async reset() {
      const [size] = await run(SIZE, []);
      if (Number(size?.bytes) > FEW_BYTES) await asOwner(`truncate ${TABLES} cascade`, []);
      else await run(FORGET, []);
    },
    close,
  };
}
