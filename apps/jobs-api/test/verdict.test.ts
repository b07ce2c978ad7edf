/** `GET /api/verdict` where little can be seen. Its states are caused in apps/ops/test/verdict.test.ts. */
import { type Rpc, RpcError } from '@revos/core/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asOps, createTestApp, operator } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

/** The database, but for some functions, which cannot be reached. */
const without = (...names: string[]): Rpc => ({
  call: async (name, args) => {
    if (names.includes(name)) throw new RpcError('unavailable', name, '', 'cannot be reached');
    return database.rpc.call(name, args);
  },
  close: async () => {},
});

describe('the verdict', () => {
  it.each([
    { names: ['system_facts'], why: 'The database does not answer.' },
    { names: ['system_facts', 'system_probe'], why: 'Failing: database.' },
  ])('of a database that does not answer $names is unknown, and no error', async ({ names, why }) => {
    const test = await createTestApp({ rpc: without(...names), jobs: [quickJob('quick')] });
    const { status, body } = await operator(() => test).get('/api/verdict');
    expect([status, body]).toMatchObject([
      200,
      {
        state: 'unknown',
        sentence: 'Whether all is well cannot be seen.',
        why: expect.stringMatching(new RegExp(why, 'i')),
      },
    ]);
    expect(test.logLines.join('\n')).toContain('verdict facts unavailable');
    await test.app.close();
  });

  it('of a service that is not ready is that nothing goes out', async () => {
    const test = await createTestApp({ rpc: without('system_probe'), jobs: [quickJob('quick')] });
    expect((await operator(() => test).get('/api/verdict')).body).toMatchObject({
      state: 'stopped',
      sentence: 'The service is not ready.',
    });
    await test.app.close();
  });

  it('is for who has a token', async () => {
    const test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
    expect((await test.app.inject('/api/verdict')).statusCode).toBe(401);
    expect((await test.app.inject({ url: '/api/verdict', headers: asOps })).statusCode).toBe(200);
    await test.app.close();
  });
});
