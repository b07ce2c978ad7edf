import { defineConfig } from 'vitest/config';

/** The pages in a real browser: needs Chromium on the machine, so it is not part of `npm test`. */
export default defineConfig({
  test: {
    // The build takes its time, which is no test's.
    globalSetup: ['./tests/support/web-setup.ts'],
    include: ['tests/browser/**/*.test.ts'],
    reporters: ['default', './tests/support/closing-line.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
