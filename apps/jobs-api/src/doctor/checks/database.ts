/** The database: reached, as whom, over what, with which schema, and with every table in sight. */
import { SCHEMA_VERSION } from '@revos/core/rpc';
import type { Context } from '../context.ts';
import { type Finding, ok, skipped, warning, wrong } from '../finding.ts';

/** What each check of the probe says where it is well. */
const WELL = {
  database: { what: 'database', found: 'is reached' },
  schema: { what: 'schema', found: `has version ${SCHEMA_VERSION}` },
  permissions: { what: 'role', found: 'service_role: every table is in sight' },
  redis: { what: 'Redis', found: 'answers' },
} as const;

const VARIABLES = { rest: 'SUPABASE_URL, SUPABASE_SECRET_KEY', postgres: 'DATABASE_URL' } as const;

const REMEDIES = {
  database: {
    rest: 'is the project paused, or SUPABASE_URL of another one? Supabase → Project Settings → Data API',
    postgres:
      'look at host, port and password of DATABASE_URL; SELF_SIGNED_CERT_IN_CHAIN: set DATABASE_CA; ENETUNREACH: take the session pooler, which has IPv4',
  },
  schema: {
    rest: 'apply supabase/migrations: docs/deploying.md',
    postgres: 'apply supabase/migrations: docs/deploying.md',
  },
  permissions: {
    rest: 'set SUPABASE_SECRET_KEY to the secret key of this project',
    postgres: 'give DATABASE_URL the login of a role that is a member of service_role',
  },
  redis: { rest: '', postgres: '' },
} as const;

export async function checkDatabase(context: Context): Promise<Finding[]> {
  const seen = await context.database();
  if (seen.kind === 'unreadable') return [skipped('database', 'its variables are missing or malformed')];
  const { way, checks, isExposed } = seen;
  const found = checks.map(({ name, status, detail = 'failed' }) => {
    const { what, found } = WELL[name];
    if (status === 'ok') return ok(what, name === 'database' ? `${found}, by ${VARIABLES[way]}` : found);
    if (status === 'unknown') return skipped(what, 'the check before it failed');
    return wrong(what, `${detail} (${VARIABLES[way]})`, REMEDIES[name][way]);
  });
  const transport = isExposed
    ? warning('DATABASE_URL', 'asks for a connection that others may read', 'leave its sslmode out')
    : ok('encryption', 'TLS with a verified certificate, or this machine alone');
  return [...found, transport];
}
