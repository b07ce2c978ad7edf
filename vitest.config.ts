import { defineConfig } from 'vitest/config';
import SystemsFirst from './tests/support/systems-first.ts';

/** Tests that start whole systems: each file in a process of its own, begun before all the others, since they mostly wait. */
const SYSTEMS = ['tests/acceptance/**/*.test.ts', 'apps/*/test/built-*.test.ts'];

export default defineConfig({
  test: {
    reporters: ['default', './tests/support/closing-line.ts'],
    // One more than the two cores that it is measured on: whole systems wait for much of their time.
    maxWorkers: 3,
    sequence: { sequencer: SystemsFirst },
    // Real servers and databases start in the tests, on machines that may be slow.
    testTimeout: 60_000,
    hookTimeout: 180_000,
    // There, what a test waits for takes its time as well.
    expect: { poll: { timeout: 20_000 } },
    // A library that warns of a use which it will refuse ends the run.
    execArgv: ['--throw-deprecation'],
    projects: [
      {
        extends: true,
        test: {
          name: 'systems',
          include: SYSTEMS,
          globalSetup: ['./tests/support/web-setup.ts', './tests/support/postgres-setup.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'parts',
          globalSetup: './tests/support/postgres-setup.ts',
          include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
          // They need Chromium, or a Redis, and have configurations of their own.
          exclude: [...SYSTEMS, 'tests/browser/**', 'tests/redis/**', '**/node_modules/**'],
          // What a module holds is the same for every file: it is loaded once.
          isolate: false,
        },
      },
    ],
  },
});
