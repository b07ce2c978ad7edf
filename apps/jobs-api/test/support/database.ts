/** The real SQL functions on PGlite, called as service_role, with a switch for outages. */
import { EventEmitter, once } from 'node:events';
import { createSqlRpc, type Rpc } from '@revos/core/rpc';
import { openPglite } from '@revos/local-stack';

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
  /** Forgets every run. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export interface HeldCall {
  /** Resolves once the function is called. */
  readonly called: Promise<void>;
  /** Lets the call go on. */
  release(): void;
}

export async function openTestDatabase(): Promise<TestDatabase> {
  const db = await openPglite();
  await db.exec('set role service_role');
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
      const { rows } = await db.query<Record<string, unknown>>(text, [...values]);
      answers.emit(name);
      return rows;
    }),
    answered: async (functionName) => {
      await once(answers, functionName);
    },
    asOwner: async (sql) => {
      await db.exec(`reset role; ${sql}; set role service_role`);
    },
    hold(functionName) {
      const called = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      held.set(functionName, { called: called.resolve, released: released.promise });
      return { called: called.promise, release: released.resolve };
    },
    clear: async () => {
      await db.exec('delete from public.job_runs; delete from public.job_slots');
    },
    close: () => db.close(),
  };
  return database;
}
