/** The parts that let the project run and be tested with no account, key, Docker or installed service. */

export type { DatabaseTarget } from './lite-connection.ts';
export * from './migrations.ts';
export { migratePglite, type OpenPgliteOptions, openPglite, pgliteExec } from './pglite.ts';
export * from './postgres.ts';
export * from './postgres-databases.ts';
export * from './supabase.ts';
export { olderDefaultGrantsSql, supabaseRolesSql } from './supabase-roles.ts';
