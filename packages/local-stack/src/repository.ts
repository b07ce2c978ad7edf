import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the whole repository. */
export const repositoryRoot = path.resolve(fileURLToPath(import.meta.url), '../../../..');
