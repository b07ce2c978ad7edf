import { afterAll, beforeAll, beforeEach } from 'vitest';
import { openServiceDatabase, type ServiceDatabase } from '../../../../tests/support/service-database.ts';
import { createSqlRpc, type Rpc, RpcError, type SqlQuery } from '../../src/rpc/index.ts';

/** A database of ours, as the server's role sees it. */
export interface TestDatabase {
  readonly rpc: Rpc;
  readonly query: SqlQuery;
}

export interface DatabaseForFile extends TestDatabase {
  /** Runs statements as the owner of the tables. */
  asOwner(sql: string): Promise<void>;
}

const TABLES = [
  'dm_queue',
  'dm_attempts',
  'account_policies',
  'job_runs',
  'job_slots',
  'audit_log',
  'sending_pause',
  'restores',
  'post_publications',
  'post_attempts',
  'dm_spent_keys',
  'history_mark',
  'posts',
  'linkedin_accounts',
].map((name) => `public.${name}`);

/** One database for a file, empty before each test. */
export function databaseForFile(): DatabaseForFile {
  let db: ServiceDatabase;
  beforeAll(async () => {
    db = await openServiceDatabase();
  });
  afterAll(() => db?.close());
  beforeEach(() => db.asOwner(`truncate ${TABLES.join(', ')} cascade`));
  const query: SqlQuery = (text, values) => db.query(text, values);
  return { query, rpc: createSqlRpc(query), asOwner: (sql) => db.asOwner(sql) };
}

/** Calls on their way to an rpc: `next` goes on; a test may wait, fail, or lose the answer. */
export type Intercept = (name: string, next: () => Promise<unknown>, args: unknown) => Promise<unknown>;

/** An rpc whose calls go through a test's hands. */
export function intercepted(rpc: Rpc, intercept: Intercept): Rpc {
  return {
    call: async <Result>(name: string, args?: Readonly<Record<string, unknown>>) =>
      (await intercept(name, () => rpc.call(name, args), args)) as Result,
    close: () => rpc.close(),
  };
}

export const unavailable = (name: string): RpcError =>
  new RpcError('unavailable', name, '', 'the connection was lost');

/** Open around the clock, without a gap, and with every limit at its highest. */
const UNHINDERED = {
  window_start: '00:00',
  window_end: '24:00',
  work_days: [1, 2, 3, 4, 5, 6, 7],
  gap_min_s: 0,
  gap_max_s: 0,
  dms_per_day: 50,
  dms_per_24h: 50,
  dms_per_7d: 350,
};

/** Makes an account that may send, and gives its id. */
export async function makeAccount(
  { rpc, query }: TestDatabase,
  name: string,
  policy: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const [account] = await query(
    'insert into public.linkedin_accounts (account_name, unipile_account_id) values ($1, $2) returning id',
    [name, name],
  );
  const id = String(account?.id);
  await rpc.call('account_policy_set', { account_id: id, patch: { ...UNHINDERED, ...policy } });
  return id;
}

/** Messages `<prefix>0` … to recipients of the same numbers. */
export function messagesOf(accountId: string, count: number, prefix = 'Hello ') {
  return Array.from({ length: count }, (_, index) => ({
    linkedin_account_id: accountId,
    recipient_id: `ACoAA${accountId.slice(0, 8)}${String(index).padStart(4, '0')}`,
    message: `${prefix}${index}`,
  }));
}
