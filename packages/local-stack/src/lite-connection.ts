/**
 * A database connection for `@supabase/lite` that behaves as hosted Supabase where lite by itself does not.
 *
 * Promises, each of which lite 0.10 breaks: no role is granted anything; every SQLSTATE reaches the
 * client, with detail and hint; timestamps are ISO; on Postgres, jsonb arguments are not encoded
 * twice, and a server that dies fails the calls in flight and nothing else.
 */

import './env.ts';

import type { Connection } from '@supabase/lite';
import { createPgliteConnection, PGlite } from '@supabase/lite/pglite';
import { createPostgresConnection } from '@supabase/lite/postgres';

import { isoTimestamp } from './iso-timestamp.ts';
import { sessionsOf } from './lite-sessions.ts';
import type { Migration } from './migrations.ts';
import { holdsDatabase, migratedData, migratePglite, startOf } from './pglite.ts';
import { migratePostgres } from './postgres-databases.ts';

/** A PGlite of its own, in memory or in a folder, or any Postgres, as its superuser. */
export type DatabaseTarget =
  | { readonly driver?: 'pglite'; readonly dataDir?: string }
  | {
      readonly postgresUrl: string;
      /** How many calls run at once; further ones wait. Default 10. */
      readonly sessionsMax?: number;
    };

const SESSIONS_MAX = 10;

/** Connects, and applies what the database lacks of the roles and migrations. The caller closes it. */
export async function connectLite(
  target: DatabaseTarget,
  migrations: readonly Migration[],
): Promise<Connection> {
  const connection =
    'postgresUrl' in target
      ? await connectPostgres(target.postgresUrl, target.sessionsMax ?? SESSIONS_MAX, migrations)
      : await connectPglite(target.dataDir, migrations);
  grantNothing(connection);
  connection.normalizeDbError = keepSqlState;
  return connection;
}

async function connectPostgres(
  url: string,
  sessionsMax: number,
  migrations: readonly Migration[],
): Promise<Connection> {
  await migratePostgres(url, migrations);
  const connection = createPostgresConnection({ url });
  Object.assign(connection.driver, sessionsOf(url, sessionsMax));
  return connection;
}

async function connectPglite(
  dataDir: string | undefined,
  migrations: readonly Migration[],
): Promise<Connection> {
  const parsers = { 1114: isoTimestamp, 1184: isoTimestamp };
  const create = (data?: Blob): Promise<PGlite> =>
    PGlite.create({ ...startOf(PGlite), ...(data && { loadDataDir: data }) });
  const isNew = dataDir === undefined || !holdsDatabase(dataDir);
  const connection = await createPgliteConnection({
    ...(dataDir === undefined ? {} : { url: dataDir }),
    pgliteOptions: {
      ...{ ...startOf(PGlite, dataDir), parsers },
      ...(isNew ? { loadDataDir: await migratedData('lite', create, migrations) } : {}),
    },
  });
  try {
    await migratePglite(connection.driver, migrations);
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/**
 * Stops lite from granting every table to every role, which it does with the first request if a table has
 * row-level security: `anon` could then read what no migration gave it.
 */
function grantNothing(connection: Connection): void {
  if (!('ensureRlsContext' in connection))
    throw new Error('This release of @supabase/lite grants in another way');
  Object.defineProperty(connection, 'ensureRlsContext', { value: async () => true });
}

/**
 * Where lite's own translation of a SQLSTATE is right. Any other becomes `SUP` without a word of
 * what it was.
 */
const KNOWN_TO_LITE = /^(21|22|42|53|55|PT|PGRST$|23502$|23503$|23505$|25006$)/;

/**
 * Turns an error of the database into one that lite hands on whole: the form in which a function may raise
 * an answer of its own (`raise sqlstate 'PGRST'`).
 */
export function keepSqlState(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const { code, message } = error;
  if (typeof code !== 'string' || !/^([0-9A-Z]{5}|PGRST00\d)$/.test(code) || KNOWN_TO_LITE.test(code))
    return error;
  const details = 'detail' in error ? (error.detail ?? null) : null;
  const hint = 'hint' in error ? (error.hint ?? null) : null;
  return Object.assign(new Error(JSON.stringify({ code, message, details, hint }), { cause: error }), {
    code: 'PGRST',
    detail: JSON.stringify({ status: statusOf(code), headers: {} }),
  });
}

/** The HTTP status that PostgREST gives a SQLSTATE; of those that lite does not know itself. */
function statusOf(code: string): number {
  if (code === 'P0001') return 400;
  if (code === 'PGRST003') return 504;
  if (code === '57P01' || /^(08|PGRST)/.test(code)) return 503;
  if (/^(0L|0P|28)/.test(code)) return 403;
  return /^(09|25|2D|38|39|3B|40|54|57|58|F0|HV|P0|XX)/.test(code) ? 500 : 400;
}
