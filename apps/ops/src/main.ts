/** The program from its arguments to its exit code. */

import { EXIT, type ExitCode } from './exit-codes.ts';
import { failureOf } from './failure.ts';
import type { Io } from './io.ts';
import { createProgram } from './program.ts';

/** Says on standard error what went wrong. Never throws. */
export async function main(args: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = createProgram(io, (ended) => {
    code = ended;
  });
  try {
    // Package managers hand on the `--` that stands before a script’s arguments.
    await program.parseAsync(args[0] === '--' ? args.slice(1) : args, { from: 'user' });
    return code;
  } catch (error) {
    const failure = failureOf(error);
    if (failure.words !== null) io.stderr.write(`${failure.words}\n`);
    return failure.code;
  }
}
