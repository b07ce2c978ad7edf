/** Supabase's REST API as a process of its own; its parent says over which database, and it ends with it. */
import { type Migration, startSupabase } from '@revos/local-stack';

export interface SupabaseOrder {
  readonly postgresUrl: string;
  /** Applied first; none for a database that has all that it needs. */
  readonly migrations: readonly Migration[];
  /** Connections to Postgres at once. */
  readonly sessionsMax: number;
}

export interface SupabaseReady {
  readonly url: string;
  readonly secretKey: string;
}

process.once('message', async ({ postgresUrl, sessionsMax, migrations }: SupabaseOrder) => {
  const { url, secretKey } = await startSupabase({
    connection: { postgresUrl, sessionsMax },
    migrations,
  });
  process.send?.({ url, secretKey } satisfies SupabaseReady);
});
process.once('disconnect', () => process.exit(0));
