import { defineConfig } from 'vitest/config';

/** What is packed and shipped, step by step: `npm run deep` alone has them. */
const OF_RELEASES = ['tests/acceptance/image.test.ts', 'apps/ops/test/systems/pack.test.ts'];

/**
 * Whole systems, of all their processes: they mostly wait, so that they are a run of their own
 * beside others.
 */
export default defineConfig({
  test: {
    reporters: ['default', './tests/support/closing-line.ts'],
    globalSetup: [
      './tests/support/web-setup.ts',
      './tests/support/apps-setup.ts',
      './tests/support/postgres-setup.ts',
    ],
    include: [
      'tests/acceptance/**/*.test.ts',
      'tests/monitoring/**/*.test.ts',
      'apps/*/test/systems/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', ...(process.env.DEEP ? [] : OF_RELEASES)],
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 20_000 } },
    execArgv: ['--throw-deprecation'],
  },
});
