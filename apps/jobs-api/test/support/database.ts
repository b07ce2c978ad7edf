/** The real SQL functions on PGlite, called as service_role, with a switch for outages. */
import { EventEmitter, once } from 'node:events';
import { createSqlRpc, type Rpc } from '@revos/core/rpc';
import { openPglite } from '../../../../packages/local-stack/src/pglite.ts';

export interface TestDatabase {
  readonly rpc: Rpc;
  /** Runs SQL as the owner of the tables. */
  asOwner(sql: string): Promise<void>;
  /** Whether the database can be reached. */
  reachable: boolean;
  /** Resolves with the next answer of a SQL function. */
  answered(functionName: string): Promise<void>;
  /** Forgets every run. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function openTestDatabase(): Promise<TestDatabase> {
  const db = await openPglite();
  await db.exec('set role service_role');
  const answers = new EventEmitter();
  const database: TestDatabase = {
    reachable: true,
    rpc: createSqlRpc(async (text, values) => {
      if (!database.reachable) {
        throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED' });
      }
      const { rows } = await db.query<Record<string, unknown>>(text, [...values]);
      answers.emit(/public\.(\w+)\(/.exec(text)?.[1] ?? 'other');
      return rows;
    }),
    answered: async (functionName) => {
      await once(answers, functionName);
    },
    asOwner: async (sql) => {
      await db.exec(`reset role; ${sql}; set role service_role`);
    },
    clear: async () => {
      await db.exec('delete from public.job_runs; delete from public.job_slots');
    },
    close: () => db.close(),
  };
  return database;
}
