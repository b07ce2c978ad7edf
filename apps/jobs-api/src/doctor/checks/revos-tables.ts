/** RevOS's own tables, with the names and columns that are read: a page of each, as the job API shows it. */
import { createAdmin } from '@revos/core/admin';
import { RpcError } from '@revos/core/rpc';
import type { Context } from '../context.ts';
import { type Finding, ok, skipped, wrong } from '../finding.ts';
import { isOk } from '../look-at-database.ts';

/** Of posts; no list is cut by it. */
const LATE_LIMIT_MINUTES = 360;

export async function checkRevosTables(context: Context): Promise<Finding[]> {
  const seen = await context.database();
  if (seen.kind !== 'reached' || !isOk(seen.checks, 'permissions')) {
    return [skipped('RevOS’s tables', 'the database, or its schema, is not in order')];
  }
  const { accounts, posts } = createAdmin(seen.rpc, LATE_LIMIT_MINUTES);
  const page = { limit: 1 };
  return Promise.all([
    readable('linkedin_accounts', () => accounts.list(page)),
    readable('posts', () => posts.list(page)),
  ]);
}

async function readable(table: string, list: () => Promise<unknown>): Promise<Finding> {
  try {
    await list();
    return ok(table, 'is there, with the columns that are read');
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    // A name of the schema, or a code; never a value.
    return wrong(
      table,
      error.message,
      `compare RevOS’s ${table} with supabase/migrations, which name what is read`,
    );
  }
}
