/**
 * The apps as processes: started as they are in production, watched, and stopped with everything
 * they started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { machineEnv } from '../env.ts';
import { findFreePort } from '../free-port.ts';

/** How long an app may take until it answers, in milliseconds. */
const START_MS_MAX = 60_000;
const PROBE_MS = 100;

/** How long an app may take to end after SIGTERM before it is killed, in milliseconds. */
const STOP_MS_MAX = 30_000;

export interface AppProcess {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** Rejects as soon as the process ends without having been asked to. */
  readonly failed: Promise<never>;
  /** SIGTERM, then SIGKILL if that does not end it. Resolves to the exit code, null if it was killed. */
  stop(): Promise<number | null>;
}

export interface AppOptions {
  readonly name: string;
  /** Program and arguments; `{port}` stands for the port. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** Besides PATH, HOME and the like, all that the process sees of an environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Answered by anything but a refused connection once the app is up. */
  readonly probePath: string;
  readonly logFile: string;
}

/**
 * Starts an app on a free port and waits until it answers. @throws if it does not, with the end of
 * its log
 */
export async function startApp(options: AppOptions): Promise<AppProcess> {
  await mkdir(path.dirname(options.logFile), { recursive: true });
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const [program = '', ...args] = options.command.map((part) => part.replace('{port}', String(port)));
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...machineEnv(), PORT: String(port), HOST: '127.0.0.1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C reaches this process alone, which then stops the others in order.
    detached: true,
  });
  const log = createWriteStream(options.logFile);
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });

  let isStopping = false;
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
  const failed = exited.then(async (code): Promise<never> => {
    if (isStopping) return new Promise(() => {});
    throw new Error(`${options.name} ended with code ${code}.\n${await tailOf(options.logFile)}`);
  });
  // Whoever waits for it hears of it; until somebody does, it must not end this process unheard.
  failed.catch(() => {});

  const stop = async (): Promise<number | null> => {
    isStopping = true;
    if (child.exitCode === null && child.signalCode === null) {
      signalGroup(child, 'SIGTERM');
      const kill = setTimeout(() => signalGroup(child, 'SIGKILL'), STOP_MS_MAX);
      await exited;
      clearTimeout(kill);
    }
    log.end();
    return child.exitCode;
  };

  try {
    await Promise.race([untilAnswering(`${url}${options.probePath}`), failed]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name: options.name, url, pid: child.pid ?? -1, failed, stop };
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // It has ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function untilAnswering(url: string): Promise<void> {
  const deadline = Date.now() + START_MS_MAX;
  while (Date.now() < deadline) {
    try {
      await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(5_000) });
      return;
    } catch {
      // Not listening yet.
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
    }
  }
  throw new Error(`${url} did not answer within ${START_MS_MAX / 1_000} s`);
}

async function tailOf(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8');
  return `The end of its log:\n${text.slice(-3_000)}`;
}
