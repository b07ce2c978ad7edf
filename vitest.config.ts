import { defineConfig } from 'vitest/config';

/** All that needs no part which the project does not bring, but for whole systems. */
export default defineConfig({
  test: {
    reporters: ['default', './tests/support/closing-line.ts'],
    globalSetup: './tests/support/postgres-setup.ts',
    include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
    // They have configurations of their own: whole systems, and what needs Chromium, a Redis or Vercel’s CLI.
    exclude: [
      'tests/acceptance/**',
      'tests/monitoring/**',
      'apps/*/test/systems/**',
      'tests/browser/**',
      'tests/redis/**',
      'tests/vercel/**',
      '**/node_modules/**',
    ],
    // What a module holds is the same for every file: it is loaded once.
    isolate: false,
    // One more than the two cores that it is measured on: now and then each waits for a server.
    maxWorkers: 3,
    // Real servers and databases start in the tests, on machines that may be slow.
    testTimeout: 60_000,
    hookTimeout: 180_000,
    // There, what a test waits for takes its time as well.
    expect: { poll: { timeout: 20_000 } },
    // A library that warns of a use which it will refuse ends the run. What tests make is garbage soon: it is
    // collected less often.
    execArgv: ['--throw-deprecation', '--max-semi-space-size=64'],
  },
});
