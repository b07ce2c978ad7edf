/**
 * Databases of a Postgres server, for tests and the local stack.
 *
 * Promises: works from any process that has the server's connection string, so one process can start
 * the server and others can make their databases on it. A clone of a template takes tens of milliseconds.
 */

import pg from 'pg';

import { applyMigrations, type ExecSql, type Migration } from './migrations.ts';
import { supabaseRolesSql } from './supabase-roles.ts';

const CONNECT_TIMEOUT_MS = 10_000;

export interface CreateDatabaseOptions {
  /** A database to copy, with everything in it; without one, the new database is empty but for the roles. */
  readonly template?: string;
}

/**
 * Creates a database and gives its connection string.
 *
 * @param serverUrl a superuser's connection string to any database of the server
 * @throws {Error} with `code` 42P04 if a database of this name exists
 */
export async function createDatabase(
  serverUrl: string,
  name: string,
  options: CreateDatabaseOptions = {},
): Promise<string> {
  const template = options.template === undefined ? '' : ` template ${pg.escapeIdentifier(options.template)}`;
  await withClient(serverUrl, (client) =>
    client.query(`create database ${pg.escapeIdentifier(name)}${template}`),
  );

  const url = databaseUrl(serverUrl, name);
  if (options.template === undefined) await withClient(url, (client) => client.query(supabaseRolesSql));
  return url;
}

/** Drops a database, cutting off whoever is connected to it. Does nothing if there is none. */
export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await withClient(serverUrl, (client) =>
    client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`),
  );
}

export interface CreateTemplateOptions {
  /** The database's name. Default `template_migrated`. */
  readonly name?: string;
  /** What to apply; by default the repository's own migrations. */
  readonly migrations?: readonly Migration[];
}

/** Creates a database with the roles and the migrations, to be the `template` of others. Gives its name. */
export async function createTemplate(
  serverUrl: string,
  options: CreateTemplateOptions = {},
): Promise<string> {
  const name = options.name ?? 'template_migrated';
  const url = await createDatabase(serverUrl, name);
  await migratePostgres(url, options.migrations);
  return name;
}

/** Applies the roles, and those migrations that the database does not have yet. */
export async function migratePostgres(
  connectionString: string,
  migrations?: readonly Migration[],
): Promise<void> {
  await withClient(connectionString, async (client) => {
    await client.query(supabaseRolesSql);
    await applyMigrations(pgExec(client), migrations ? { migrations } : {});
  });
}

/** Runs SQL on a connected client of `pg`. */
export function pgExec(client: pg.Client): ExecSql {
  return async (sql) => {
    // Several statements give an array of results, which the types of pg do not say.
    const result: pg.QueryResult | pg.QueryResult[] = await client.query(sql);
    return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
  };
}

/** Connects, does the work, and disconnects whatever happens. */
export async function withClient<T>(
  connectionString: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // A server that stops under an idle connection: the query in hand, if any, rejects by itself.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The same server and user, another database. */
export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${encodeURIComponent(name)}`;
  return url.href;
}
