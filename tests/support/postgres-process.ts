/** The Postgres of a run of tests, as a process of its own: it says where it is once it is there, and ends with its parent. */
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

const server = await startPostgres({
  programs: process.env.POSTGRES_BIN || undefined,
  connectionsMax: CONNECTIONS_MAX,
});
const { connectionString: serverUrl } = server;
const template = await createTemplate(serverUrl, { migrations: await migrationsUnderTest() });
process.once('disconnect', () => void server.stop());
process.send?.({ serverUrl, template } satisfies TestPostgres);
