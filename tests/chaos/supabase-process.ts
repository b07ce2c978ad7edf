/** Supabase's REST API as a process of its own; its parent says over which database, and it ends with it. */
import { readMigrations, startSupabase } from '@revos/local-stack';

export interface SupabaseOrder {
  readonly postgresUrl: string;
  /** The folder of the migrations; undefined for the repository's own. */
  readonly migrations: string | undefined;
}

export interface SupabaseReady {
  readonly url: string;
  readonly secretKey: string;
}

const SESSIONS_MAX = 24;

process.once('message', async (order: SupabaseOrder) => {
  const { url, secretKey } = await startSupabase({
    connection: { postgresUrl: order.postgresUrl, sessionsMax: SESSIONS_MAX },
    migrations: await readMigrations(order.migrations),
  });
  process.send?.({ url, secretKey } satisfies SupabaseReady);
});
process.once('disconnect', () => process.exit(0));
