import { defineConfig } from 'vitest/config';

/** What needs a real Redis: redis-server must be on the machine, so it is not part of `npm test`. */
export default defineConfig({
  test: {
    globalSetup: ['./tests/support/apps-setup.ts', './tests/support/postgres-setup.ts'],
    include: ['tests/redis/**/*.test.ts'],
    // Of a file whose tests have a system each, and mostly wait.
    maxConcurrency: 4,
    reporters: ['default', './tests/support/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
