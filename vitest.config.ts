import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
    reporters: ['default', './tests/support/closing-line.ts'],
    // Real servers and databases start in the tests, on machines that may be slow.
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
