/**
 * One slot, asked for a thousand times at once, over HTTP: of two jobs APIs on one Postgres, as a
 * deploy has them.
 */
import type { AddressInfo } from 'node:net';
import type { StartedRun } from '@revos/core/jobs';
import { createSqlRpc } from '@revos/core/rpc';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApp, cronRequest, type TestApp } from '../../apps/jobs-api/test/support/app.ts';
import { quickJob } from '../../apps/jobs-api/test/support/jobs.ts';
import { openSharedDatabase, type Session, type SharedDatabase } from '../support/database.ts';
import { poolOf, queryOf } from '../support/test-postgres.ts';

const REQUESTS = 1_000;
/** Calls that one API makes of the database at once. */
const SESSIONS = 20;

let database: SharedDatabase;
let observer: Session;
let pools: pg.Pool[];
let apis: TestApp[];

beforeAll(async () => {
  database = await openSharedDatabase();
  observer = await database.openSession({ now: new Date() });
  const { connectionString } = database;
  pools = [1, 2].map(() => poolOf({ connectionString, max: SESSIONS, options: '-c role=service_role' }));
  apis = await Promise.all(
    pools.map((pool) => {
      return createTestApp({ rpc: createSqlRpc(queryOf(pool)), jobs: [quickJob('quick')] });
    }),
  );
  await Promise.all(apis.map(({ app }) => app.listen({ port: 0, host: '127.0.0.1' })));
});
afterAll(async () => {
  await Promise.all((apis ?? []).map(({ app }) => app.close()));
  await Promise.all((pools ?? []).map((pool) => pool.end()));
  await database?.close();
});

interface Answer {
  readonly status: number;
  readonly started: StartedRun;
}

async function ask({ app }: TestApp, { body, headers }: ReturnType<typeof cronRequest>): Promise<Answer> {
  const { port } = app.server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/api/jobs/quick`, { method: 'POST', body, headers });
  return { status: response.status, started: (await response.json()) as StartedRun };
}

/** Resolves once as many calls as the APIs can make are in the database, and none of them can end. */
async function untilCrowded(): Promise<void> {
  for (;;) {
    const [row] = await observer.query(
      `select count(*)::int as count from pg_locks
       where not granted and database = (select oid from pg_database where datname = current_database())`,
      [],
    );
    if (row?.count === SESSIONS * apis.length) return;
  }
}

it('makes one run, and every answer names it', async () => {
  const request = cronRequest({ job: 'quick' });
  // Slots can be read and not written.
  await observer.asOwner('begin', []);
  await observer.asOwner('lock table job_slots in share mode', []);
  const asked = Array.from({ length: REQUESTS }, (_, n) => ask(apis[n % apis.length] as TestApp, request));
  await untilCrowded();
  await observer.query('commit', []);

  const answers = await Promise.all(asked);
  const byStatus = Map.groupBy(answers, ({ status }) => status);
  expect([...byStatus].map(([status, all]) => [status, all.length]).sort()).toEqual([
    [200, REQUESTS - 1],
    [202, 1],
  ]);
  expect(new Set(answers.map(({ started }) => started.run.id)).size).toBe(1);
  expect(await observer.query('select id from job_runs', [])).toEqual([{ id: answers[0]?.started.run.id }]);
});
