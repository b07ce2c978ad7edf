#!/usr/bin/env node
/** `ops`: everything of the jobs API from a terminal. `docs/ops-cli.md` is its manual. */
import { enableCompileCache } from 'node:module';
import path from 'node:path';

// A third of the time of a short command goes into compiling. Not in the system’s temporary folder:
// others write to it.
enableCompileCache(path.join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled'));
const [{ main }, { environment }, { endWithReader }] = await Promise.all([
  import('./main.ts'),
  import('./env.ts'),
  import('./terminal.ts'),
]);

endWithReader();
const { stdin, stdout, stderr } = process;
// The process ends once everything is written, and not before.
process.exitCode = await main(process.argv.slice(2), { env: environment, stdin, stdout, stderr });
