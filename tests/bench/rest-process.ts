/** The REST API over a database, as a process of its own; it ends with its parent. */
import { startSupabase } from '@revos/local-stack';

export interface RestReady {
  readonly url: string;
  readonly secretKey: string;
}

/** As many as the direct way has. */
const SESSIONS_MAX = 10;

process.once('message', async ({ databaseUrl }: { databaseUrl: string }) => {
  const { url, secretKey } = await startSupabase({
    connection: { postgresUrl: databaseUrl, sessionsMax: SESSIONS_MAX },
    migrations: [],
  });
  process.send?.({ url, secretKey } satisfies RestReady);
});
process.once('disconnect', () => process.exit(0));
