/** What a command works with: the terminal, and the API, which is looked for once it is used. */
import { createJobsClient, type JobsClient } from '@revos/jobs-client';
import type { Command } from 'commander';
import { type Connection, readColourWish, readConnection } from './env.ts';
import type { ExitCode } from './exit-codes.ts';
import { createTerminal, type Terminal } from './terminal.ts';

/** A call's time in milliseconds: 10,000 messages are queued in one, and a sleeping service wakes in a minute. */
const CALL_MS_MAX = 120_000;

export interface Cli {
  readonly terminal: Terminal;
  /** @throws {EnvironmentError} when it is first used */
  readonly api: JobsClient;
  readonly connection: Connection;
}

export interface GlobalOptions {
  readonly url?: string;
  readonly json?: boolean;
  readonly color?: boolean;
}

export function createCli({ url, json = false, color = true }: GlobalOptions): Cli {
  let connection: Connection | undefined;
  let api: JobsClient | undefined;
  return {
    terminal: createTerminal({ json, colour: color ? readColourWish() : false }),
    get connection() {
      connection ??= readConnection(url);
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

/** A command's action: gets what it works with before its arguments, and ends with its exit code. */
export const action =
  <Args extends readonly unknown[]>(work: (cli: Cli, ...args: Args) => Promise<ExitCode>) =>
  async (...args: unknown[]): Promise<void> => {
    const command = args.at(-1) as Command;
    const cli = createCli(command.optsWithGlobals<GlobalOptions>());
    process.exitCode = await work(cli, ...(args.slice(0, -1) as unknown as Args));
  };
