/**
 * A process that outlives the one that started it by moments, to clean up after it.
 *
 * Its standard input is a pipe from that process. Each line is the state to clean up, as JSON; the
 * last one counts. When the pipe closes, whatever the reason (an exit, a crash, SIGKILL), it stops
 * the server and removes the folder. So no signal handler is needed, and none can be forgotten.
 */

import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface WatchdogState {
  /** The server to stop, or null if none runs. */
  readonly pid: number | null;
  /** The folder to remove, or null to keep everything. */
  readonly folder: string | null;
}

export interface Watchdog {
  set(state: WatchdogState): void;
  /** Ends it; it cleans up what the last state says. */
  end(): void;
}

const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/** Starts a watchdog over this process. It keeps neither the event loop alive nor the terminal. */
export function startWatchdog(): Watchdog {
  // Its own session: Ctrl-C in the terminal reaches our process, which decides when the server stops.
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  child.unref();
  const pipe = child.stdin;
  // If it was killed there is nobody to tell; the server itself is still stopped in the ordinary way.
  pipe.on('error', () => {});
  if ('unref' in pipe && typeof pipe.unref === 'function') pipe.unref();
  return {
    set: (state) => void pipe.write(`${JSON.stringify(state)}\n`),
    end: () => void pipe.end(),
  };
}

async function watch(): Promise<void> {
  let state: WatchdogState = { pid: null, folder: null };
  for await (const line of createInterface({ input: process.stdin })) state = JSON.parse(line);

  if (state.pid !== null) await stopProcess(state.pid);
  if (state.folder !== null) rmSync(state.folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Asks a Postgres server to stop (SIGINT: no waiting for clients), then insists. */
async function stopProcess(pid: number): Promise<void> {
  if (!signal(pid, 'SIGINT')) return;
  for (let waitedMs = 0; waitedMs < STOP_TIMEOUT_MS; waitedMs += POLL_MS) {
    await sleep(POLL_MS);
    if (!signal(pid, 0)) return;
  }
  signal(pid, 'SIGKILL');
}

/** Whether the process was there to be signalled. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await watch();
