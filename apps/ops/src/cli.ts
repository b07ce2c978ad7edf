#!/usr/bin/env node
/** `ops`: everything of the jobs API from a terminal. `docs/ops-cli.md` is its manual. */
import { failureOf } from './failure.ts';
import { createProgram } from './program.ts';
import { endWithReader } from './terminal.ts';

endWithReader();
// Package managers hand on the `--` that stands before a script's arguments.
const args = process.argv.slice(2);
try {
  await createProgram().parseAsync(args[0] === '--' ? args.slice(1) : args, { from: 'user' });
} catch (error) {
  const { code, words } = failureOf(error);
  if (words !== null) process.stderr.write(`${words}\n`);
  process.exitCode = code;
}
