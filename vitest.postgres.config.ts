import { defineConfig } from 'vitest/config';

if (!process.env.POSTGRES_BIN) throw new Error('POSTGRES_BIN names the folder of the Postgres to test with');

/** What rests on the version of Postgres: its plans, its locks and its catalog, on the one in the folder POSTGRES_BIN. */
export default defineConfig({
  test: {
    include: [
      'tests/sql/{catalog,early-plans,query-plans}.test.ts',
      'tests/sql/{races,posts-races,lock-order,analytics-server}.test.ts',
      'tests/property/everything.property.test.ts',
    ],
    fileParallelism: false,
    reporters: ['default', './tests/support/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
