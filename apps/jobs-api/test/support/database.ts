/** The real SQL functions, called as service_role, with a switch for outages. */
import { EventEmitter, once } from 'node:events';
import { createSqlRpc, type Rpc } from '@revos/core/rpc';
import { openServiceDatabase, type ServiceDatabase } from '../../../../tests/support/service-database.ts';

export interface TestDatabase {
  readonly rpc: Rpc;
  /** Runs SQL as the owner of the tables. */
  asOwner(sql: string): Promise<void>;
  /** Whether the database can be reached. */
  reachable: boolean;
  /** Resolves with the next answer of a SQL function. */
  answered(functionName: string): Promise<void>;
  /** Makes the next call of a SQL function wait. */
  hold(functionName: string): HeldCall;
  /** Rows of a query. */
  rows<Row>(sql: string): Promise<Row[]>;
  /** Makes an account that can send at any hour, and gives its id. */
  account(name: string): Promise<string>;
  /** The latest entry of the audit trail. */
  latestAudit(): Promise<AuditRow | undefined>;
  /** Forgets every run, message, post, account and pause, and the audit trail. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export interface AuditRow {
  readonly actor: string;
  readonly action: string;
  readonly subject: string | null;
  readonly params: Readonly<Record<string, unknown>>;
}

export interface HeldCall {
  /** Resolves once the function is called. */
  readonly called: Promise<void>;
  /** Lets the call go on. */
  release(): void;
}

/** What a test may have filled, the referring first. */
const TABLES = [
  'job_slots',
  'job_runs',
  'dm_attempts',
  'dm_queue',
  'post_attempts',
  'post_publications',
  'account_policies',
  'sending_pause',
  'restores',
  'audit_log',
  'analytics_daily',
  'analytics_cache',
  'posts',
  'linkedin_accounts',
];

/** @param db by default one on the run's Postgres */
export async function openTestDatabase(db?: ServiceDatabase): Promise<TestDatabase> {
  const { query, asOwner, close } = db ?? (await openServiceDatabase());
  const answers = new EventEmitter();
  const held = new Map<string, { called: () => void; released: Promise<void> }>();
  const database: TestDatabase = {
    reachable: true,
    rpc: createSqlRpc(async (text, values) => {
      if (!database.reachable) {
        throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED' });
      }
      const name = /public\.(\w+)\(/.exec(text)?.[1] ?? 'other';
      const hold = held.get(name);
      held.delete(name);
      hold?.called();
      await hold?.released;
      const rows = await query(text, values);
      answers.emit(name);
      return rows;
    }),
    answered: async (functionName) => {
      await once(answers, functionName);
    },
    asOwner,
    hold(functionName) {
      const called = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      held.set(functionName, { called: called.resolve, released: released.promise });
      return { called: called.promise, release: released.resolve };
    },
    rows: async <Row>(sql: string) => (await query(sql, [])) as Row[],
    async account(name) {
      const [row] = await database.rows<{ id: string }>(
        `insert into public.linkedin_accounts (account_name, unipile_account_id)
         values ('${name}', 'u-${name}') returning id`,
      );
      if (row === undefined) throw new Error('no account was made');
      return row.id;
    },
    async latestAudit() {
      const [row] = await database.rows<AuditRow>(
        'select actor, action, subject, params from public.audit_log order by id desc limit 1',
      );
      return row;
    },
    clear: () => asOwner(TABLES.map((table) => `delete from public.${table}`).join('; ')),
    close,
  };
  return database;
}
