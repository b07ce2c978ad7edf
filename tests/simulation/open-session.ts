/** The database session of a simulation: PGlite in this process, which nothing else uses. */
import type { SqlQuery } from '@revos/core/rpc';
import { type Migration, openPglite } from '@revos/local-stack';
import { type Session, sessionOf } from '../support/session.ts';

/** A database of its own, with the migrations. The caller closes it. */
export async function openSession(migrations: readonly Migration[]): Promise<Session> {
  const db = await openPglite({ migrations });
  const run: SqlQuery = async (text, values) =>
    (await db.query<Record<string, unknown>>(text, [...values])).rows;
  return sessionOf(run, () => db.close(), { now: new Date(0) });
}
