/**
 * Supabase's REST and Auth API, served in this process by `@supabase/lite`: no account, no Docker.
 *
 * Promises: `@supabase/supabase-js` is used as against hosted Supabase. A key is required, and the roles
 * have the grants that the migrations give them and no others. Arguments and answers of an rpc arrive as
 * they were sent, on both drivers.
 *
 * Three differences remain. There is no statement timeout. On PGlite every call shares one session,
 * one after the other; on Postgres calls run in parallel, in as many sessions as the pool has. And
 * lite writes each database error that it answers with to the console.
 */

import { randomBytes } from 'node:crypto';

import { App, generateApiKey } from '@supabase/lite';

import { createClient, type SupabaseClient } from '@supabase/supabase-js';

import { connectLite, type DatabaseTarget } from './lite-connection.ts';
import { type Migration, readMigrations } from './migrations.ts';
import { encodeJsonTexts } from './rpc-body.ts';
import { serveFetch } from './serve-fetch.ts';

export interface StartSupabaseOptions {
  readonly connection: DatabaseTarget;
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
  /**
   * Sees tables and functions made since the start, as `notify pgrst, 'reload schema'` does on
   * hosted Supabase.
   */
  reloadSchema(): Promise<void>;
  close(): Promise<void>;
}

/** What is served. Not `/_system`, where lite tells its configuration to anyone who asks. */
const SERVED = /^\/(rest|auth)\/v1(\/|$)/;

/** Applies what the database lacks of the roles and migrations, then serves it. */
export async function startSupabase(options: StartSupabaseOptions): Promise<LocalSupabase> {
  const keys = options.keys ?? (await makeKeys());
  const migrations = options.migrations ?? (await readMigrations());
  const connection = await connectLite(options.connection, migrations);
  try {
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
    await connection.introspect({ useCache: true });

    const handle = async (request: Request, peerAddress: string | null) => {
      if (!SERVED.test(new URL(request.url).pathname)) return new Response(null, { status: 404 });
      const { functions } = await connection.introspect({ useCache: true });
      return await app.fetch(await encodeJsonTexts(request, functions ?? []), { peerAddress });
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

/** As RevOS itself would use it: supabase-js with the secret key. */
export function clientOf({ url, secretKey }: Pick<LocalSupabase, 'url' | 'secretKey'>): SupabaseClient {
  return createClient(url, secretKey, { auth: { persistSession: false } });
}

async function makeKeys(): Promise<SupabaseKeys> {
  const [publishable, secret] = await Promise.all([generateApiKey('publishable'), generateApiKey('secret')]);
  return { publishableKey: publishable.key, secretKey: secret.key };
}
