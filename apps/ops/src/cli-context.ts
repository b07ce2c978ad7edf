/** What a command works with: its streams, the terminal, and the API, which is looked for once it is used. */
import { createJobsClient, type JobsClient } from '@revos/jobs-client';
import type { Command } from 'commander';
import { type Connection, readColourWish, readConnection } from './env.ts';
import type { ExitCode } from './exit-codes.ts';
import type { Io } from './io.ts';
import { createTerminal, type Terminal } from './terminal.ts';

/**
 * A call's time in milliseconds: 10,000 messages are queued in one, and a sleeping service wakes in
 * a minute.
 */
const CALL_MS_MAX = 120_000;

export interface Cli {
  readonly io: Io;
  readonly terminal: Terminal;
  /** @throws {EnvironmentError} when it is first used */
  readonly api: JobsClient;
  readonly connection: Connection;
}

interface GlobalOptions {
  readonly url?: string;
  readonly json?: boolean;
  readonly color?: boolean;
}

function createCli(io: Io, { url, json = false, color = true }: GlobalOptions): Cli {
  let connection: Connection | undefined;
  let api: JobsClient | undefined;
  return {
    io,
    terminal: createTerminal(io, { json, colour: color ? readColourWish(io.env) : false }),
    get connection() {
      connection ??= readConnection(url, io.env);
      return connection;
    },
    get api() {
      api ??= createJobsClient({ ...this.connection, fetch: fetchInTime });
      return api;
    },
  };
}

const fetchInTime = (request: Request): Promise<Response> =>
  fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(CALL_MS_MAX)]) });

/** A command’s work: gets what it works with before its arguments, and says how it ended. */
export type Action = <Args extends readonly unknown[]>(
  work: (cli: Cli, ...args: Args) => Promise<ExitCode>,
) => (...args: unknown[]) => Promise<void>;

export const actionFor =
  (io: Io, onEnd: (code: ExitCode) => void): Action =>
  (work) =>
  async (...args) => {
    // Commander gives the command last.
    const options = (args.at(-1) as Command).optsWithGlobals<GlobalOptions>();
    onEnd(await work(createCli(io, options), ...(args.slice(0, -1) as never)));
  };
