import { defineConfig } from 'vitest/config';

if (!process.env.POSTGRES_BIN) throw new Error('POSTGRES_BIN names the folder of the Postgres to test with');

/** What rests on the version of Postgres: its plans, its locks, its races and its catalog. */
const VERSIONED = [
  'tests/sql/{catalog,early-plans,query-plans}.test.ts',
  'tests/sql/{races,posts-races,lock-order,analytics-server}.test.ts',
  'tests/property/everything.property.test.ts',
];

/** On the Postgres in the folder POSTGRES_BIN; with DEEP=1 every test of the database. */
export default defineConfig({
  test: {
    globalSetup: './tests/support/postgres-setup.ts',
    include: process.env.DEEP === '1' ? ['tests/{sql,property}/**/*.test.ts'] : VERSIONED,
    isolate: false,
    execArgv: ['--throw-deprecation'],
    maxWorkers: '100%',
    reporters: ['default', './tests/support/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
