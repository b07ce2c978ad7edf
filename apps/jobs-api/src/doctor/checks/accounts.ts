/** Unipile's accounts against RevOS's: ids and numbers alone. */
import { createAdmin } from '@revos/core/admin';
import { RpcError } from '@revos/core/rpc';
import type { Context } from '../context.ts';
import { type Finding, ok, skipped, warning } from '../finding.ts';
import { isOk } from '../look-at-database.ts';
import { listed } from './unipile.ts';

const PAGES_MAX = 50;

/** Of posts; no account is left out by it. */
const LATE_LIMIT_MINUTES = 360;

export async function checkAccounts(context: Context): Promise<Finding[]> {
  const [database, unipile] = await Promise.all([context.database(), context.unipile()]);
  if (unipile.kind !== 'reached') return [skipped('accounts', 'Unipile is not reached')];
  if (database.kind !== 'reached' || !isOk(database.checks, 'permissions')) {
    return [skipped('accounts', 'the database, or its schema, is not in order')];
  }
  const { accounts } = createAdmin(database.rpc, LATE_LIMIT_MINUTES);
  const ofRevos: string[] = [];
  let cursor: string | undefined;
  try {
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const { items, next_cursor } = await accounts.list({ limit: 200, ...(cursor ? { cursor } : {}) });
      for (const { unipile_account_id: id } of items) if (id !== null) ofRevos.push(id);
      if (next_cursor === null) break;
      cursor = next_cursor;
    }
  } catch (error) {
    if (error instanceof RpcError) return [skipped('accounts', 'RevOS’s accounts cannot be read')];
    throw error;
  }
  const ofUnipile = unipile.accounts.map(({ id }) => id);
  const lackedByRevos = ofUnipile.filter((id) => !ofRevos.includes(id));
  const lackedByUnipile = ofRevos.filter((id) => !ofUnipile.includes(id));
  if (ofRevos.length === 0) {
    const remedy =
      'connect one in RevOS; if it has some, it keeps them in another table than linkedin_accounts, or in another project';
    return [
      warning('accounts', `RevOS has none with an id of Unipile, Unipile has ${ofUnipile.length}`, remedy),
    ];
  }
  const findings: Finding[] = [];
  if (lackedByRevos.length > 0) {
    const found = `of Unipile, unknown to RevOS: ${listed(lackedByRevos)}`;
    findings.push(
      warning('accounts', found, 'nothing is sent from them: connect them in RevOS, or leave them'),
    );
  }
  if (lackedByUnipile.length > 0) {
    const found = `of RevOS, unknown to Unipile: ${listed(lackedByUnipile)}`;
    const remedy =
      'connect them again, or correct linkedin_accounts.unipile_account_id; is UNIPILE_DSN of this project?';
    findings.push(warning('accounts', found, remedy));
  }
  return findings.length > 0
    ? findings
    : [ok('accounts', `${ofRevos.length} of RevOS, all known to Unipile`)];
}
