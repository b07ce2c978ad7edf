/** The CLI, as a process of its own or within the test's. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { machineEnv } from '@revos/local-stack/env';
import { main } from '../../src/main.ts';

const CLI = path.resolve(import.meta.dirname, '../../src/cli.ts');

export interface OpsOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What stands on standard input; nothing by default. */
  readonly input?: string;
}

/** Of the program within this process. */
export interface RunOpsOptions extends OpsOptions {
  /** Whether a person sits before it. */
  readonly isTTY?: boolean;
  /** Called when standard input is read for the first time, before it says anything. */
  readonly onRead?: () => Promise<unknown>;
}

export interface Finished {
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Resolves once standard error has said something that matches. */
  said(pattern: RegExp): Promise<void>;
}

export function startOps(args: readonly string[], { env = {}, input = '' }: OpsOptions = {}): Started {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...machineEnv(), ...env } as NodeJS.ProcessEnv,
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      child.emit('said');
    });
  }
  child.stdin.end(input);
  return {
    child,
    finished: once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, ...output })),
    async said(pattern) {
      while (!pattern.test(output.stderr)) {
        if (child.exitCode !== null) throw new Error(`it has ended: ${output.stderr}`);
        await Promise.race([once(child, 'said'), once(child, 'close')]);
      }
    },
  };
}

/**
 * The program within this process: the same from its arguments to its exit code, without a second
 * of start-up.
 */
export async function runOps(
  args: readonly string[],
  { env = {}, input = '', isTTY = false, onRead = async () => {} }: RunOpsOptions = {},
): Promise<Finished> {
  const stdout = Object.assign(new PassThrough(), { isTTY });
  const stderr = Object.assign(new PassThrough(), { isTTY });
  async function* typed() {
    await onRead();
    yield input;
  }
  const stdin = Object.assign(Readable.from(typed()), { isTTY });
  const written = Promise.all([text(stdout), text(stderr)]);
  const code = await main(args, { env, stdin, stdout, stderr });
  stdout.end();
  stderr.end();
  const [out, err] = await written;
  return { code, stdout: out, stderr: err };
}
