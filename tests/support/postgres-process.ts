/** The Postgres of a run of tests, as a process of its own: asked, it says where it is once it is there; it ends with its parent. */
import { createTemplate, startPostgres } from '@revos/local-stack';
import { migrationsUnderTest } from './migrations.ts';

export interface TestPostgres {
  /** Of the superuser. */
  readonly serverUrl: string;
  /** The name of the migrated database to clone. */
  readonly template: string;
}

/** Every file of a run may hold a pool, and races open a dozen sessions each. */
const CONNECTIONS_MAX = 400;

process.once('message', async () => {
  const server = await startPostgres({
    programs: process.env.POSTGRES_BIN || undefined,
    connectionsMax: CONNECTIONS_MAX,
  });
  process.once('disconnect', () => void server.stop());
  const { connectionString: serverUrl } = server;
  const template = await createTemplate(serverUrl, { migrations: await migrationsUnderTest() });
  process.send?.({ serverUrl, template } satisfies TestPostgres);
});
