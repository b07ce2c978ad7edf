/**
 * Supabase's REST and Auth API, served in this process by `@supabase/lite`: no account, no Docker.
 *
 * Promises: `@supabase/supabase-js` is used as against hosted Supabase. A key is required, and the roles
 * have the grants that the migrations give them and no others. Arguments and answers of an rpc arrive as
 * they were sent, on both drivers.
 *
 * Three differences remain. There is no statement timeout. On PGlite every call shares one session, one after the
 * other; on Postgres calls run in parallel, in as many sessions as the pool has. And lite writes each database
 * error that it answers with to the console.
 */

import './env.ts';

import { randomBytes } from 'node:crypto';

import { App, type Connection, generateApiKey } from '@supabase/lite';
import { createPgliteConnection, PGlite } from '@supabase/lite/pglite';
import { createPostgresConnection } from '@supabase/lite/postgres';

import { type Migration, readMigrations } from './migrations.ts';
import { migratePglite, snapshotOf } from './pglite.ts';
import { migratePostgres } from './postgres-databases.ts';
import { serveFetch } from './serve-fetch.ts';

export interface StartSupabaseOptions {
  /** The database: a PGlite of its own, in a folder or in memory, or any Postgres, as its superuser. */
  readonly connection:
    | { readonly driver: 'pglite'; readonly dataDir?: string }
    | { readonly postgresUrl: string; readonly sessionsMax?: number };
  /** On 127.0.0.1. Default 0: one chosen by the operating system. */
  readonly port?: number;
  /** The keys, to keep them over a restart. By default new ones are made. */
  readonly keys?: SupabaseKeys;
  /** What to apply; by default the repository's own migrations. */
  readonly migrations?: readonly Migration[];
}

export interface SupabaseKeys {
  /** `sb_publishable_…`: the role `anon`. */
  readonly publishableKey: string;
  /** `sb_secret_…`: the role `service_role`. */
  readonly secretKey: string;
}

export interface LocalSupabase extends SupabaseKeys {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** The same API without the network: for `global.fetch` of supabase-js. */
  readonly fetch: typeof fetch;
  /** Sees tables and functions made since the start, as `notify pgrst, 'reload schema'` does on hosted Supabase. */
  reloadSchema(): Promise<void>;
  close(): Promise<void>;
}

/** Sessions of the `postgres` driver. */
const SESSIONS_MAX = 10;

/** What is served. Not `/_system`, where lite tells its configuration to anyone who asks. */
const SERVED = /^\/(rest|auth)\/v1(\/|$)/;

/** Applies what the database lacks of the roles and migrations, then serves it. */
export async function startSupabase(options: StartSupabaseOptions): Promise<LocalSupabase> {
  const keys = options.keys ?? (await makeKeys());
  const migrations = options.migrations ?? (await readMigrations());
  const connection = await connect(options.connection, migrations);
  try {
    grantNothing(connection);
    const app = new App({
      connection,
      auth: {
        enabled: true,
        publishable_key: keys.publishableKey,
        secret_key: keys.secretKey,
        // Its default is public, and with it anyone could sign a token for any role.
        jwt_secret: randomBytes(32).toString('hex'),
      },
      options: { server: { disableStudio: true, disableFallback: true } },
    } as ConstructorParameters<typeof App>[0]);
    await app.ensureSystemSchema();

    const handle = async (request: Request, peerAddress: string | null) => {
      if (!SERVED.test(new URL(request.url).pathname)) return new Response(null, { status: 404 });
      return await app.fetch(request, { peerAddress });
    };
    const server = await serveFetch(handle, options.port ?? 0);
    return {
      ...keys,
      url: server.url,
      fetch: (input, init) => handle(new Request(input, init), null),
      reloadSchema: () => connection.clearSchemaCache(),
      async close() {
        await server.close();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function makeKeys(): Promise<SupabaseKeys> {
  const [publishable, secret] = await Promise.all([generateApiKey('publishable'), generateApiKey('secret')]);
  return { publishableKey: publishable.key, secretKey: secret.key };
}

async function connect(
  target: StartSupabaseOptions['connection'],
  migrations: readonly Migration[],
): Promise<Connection> {
  if ('postgresUrl' in target) {
    await migratePostgres(target.postgresUrl, migrations);
    return createPostgresConnection({
      url: target.postgresUrl,
      postgresOptions: {
        max: target.sessionsMax ?? SESSIONS_MAX,
        onnotice: () => {},
        types: { jsonb },
      },
    });
  }
  if (target.dataDir === undefined) {
    const loadDataDir = await snapshotOf('lite', () => PGlite.create(), migrations);
    return createPgliteConnection({ pgliteOptions: { loadDataDir } });
  }
  const connection = await createPgliteConnection({ url: target.dataDir });
  await migratePglite(connection.driver, migrations);
  return connection;
}

/**
 * How the `postgres` driver sends jsonb. lite gives it text that is JSON already, and would have it encoded
 * a second time: an object would arrive as a string.
 */
const jsonb = {
  to: 3802,
  from: [3802],
  serialize: (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value)),
  parse: (text: string) => JSON.parse(text),
};

/**
 * Stops lite from granting every table to every role, which it does with the first request if a table has
 * row-level security: `anon` could then read what no migration gave it.
 */
function grantNothing(connection: Connection): void {
  if (!('ensureRlsContext' in connection))
    throw new Error('This release of @supabase/lite grants in another way');
  Object.defineProperty(connection, 'ensureRlsContext', { value: async () => true });
}
