import { defineConfig } from 'vitest/config';

/**
 * What Vercel would deploy: needs its command line, which is installed by the registry, so it is
 * not part of `npm test`.
 */
export default defineConfig({
  test: {
    include: ['tests/vercel/**/*.test.ts'],
    reporters: ['default', './tests/support/closing-line.ts'],
    testTimeout: 60_000,
  },
});
