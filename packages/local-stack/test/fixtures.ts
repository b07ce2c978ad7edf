import { fileURLToPath } from 'node:url';

/**
 * Small migrations that prove what the stack promises, so that these tests do not depend on the
 * product's.
 */
export const fixtures = { folder: fileURLToPath(new URL('./fixtures/migrations', import.meta.url)) };
