import { defineConfig } from 'vitest/config';

/** Tests that start whole processes, or load every core: one after the other, after all the others. */
const HEAVY = ['tests/acceptance/**/*.test.ts', 'tests/property/**/*.test.ts', 'apps/*/test/built-*.test.ts'];

export default defineConfig({
  test: {
    reporters: ['default', './tests/support/closing-line.ts'],
    // One for each core: the default leaves one idle, which of two is half of them.
    maxWorkers: '100%',
    // Real servers and databases start in the tests, on machines that may be slow.
    testTimeout: 60_000,
    hookTimeout: 180_000,
    // There, what a test waits for takes its time as well.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
          // They need Chromium, or a Redis, and have configurations of their own.
          exclude: [...HEAVY, 'tests/browser/**', 'tests/redis/**', '**/node_modules/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'whole', include: HEAVY, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
