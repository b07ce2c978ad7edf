/**
 * The processes of the jobs API and the workers: started as in production, and ended in every way
 * that a process can end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { builtProgram } from '../support/built-apps.ts';
import type { ProcessKind } from './plan.ts';

/** What a process says once it is there; a jobs API says where, too. */
const READY: Readonly<Record<ProcessKind, RegExp>> = {
  server: /Server listening at (http:\/\/127\.0\.0\.1:\d+)/,
  worker: /the worker has started/,
};

export interface Instance {
  readonly pid: number;
  readonly kind: ProcessKind;
  /** Resolves once it is there, or has ended before. */
  readonly ready: Promise<void>;
  /** Where it listens, while it does; a worker never does. */
  url(): string | null;
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, then SIGKILL if it is still there after so many milliseconds. */
  stop(graceMs: number): Promise<'stopped' | 'killed'>;
}

export interface Cluster {
  start(kind: ProcessKind): Instance;
  /** Those that run, listening or not. */
  instances(): readonly Instance[];
  listening(): readonly Instance[];
  /** How long each start took until the process listened, in milliseconds. */
  readonly startMs: readonly number[];
  /** Ends that nobody asked for. */
  readonly crashes: readonly string[];
}

/**
 * @param dist where the jobs API was built
 * @param envOf all that the n-th process sees, from 0, but for PATH and HOME
 */
export function createCluster(
  dist: string,
  envOf: (ordinal: number) => Readonly<Record<string, string>>,
  logFile: string,
): Cluster {
  const running = new Map<number, Instance>();
  const startMs: number[] = [];
  const crashes: string[] = [];
  let startCount = 0;
  const log = createWriteStream(logFile, { flags: 'a' });
  const { PATH = '', HOME = '' } = process.env;

  const watch = (child: ChildProcess, pid: number, kind: ProcessKind): Instance => {
    const startedMs = performance.now();
    let url: string | null = null;
    let isAskedToEnd = false;
    const gone = once(child, 'exit');
    const ready = new Promise<void>((resolve) => {
      let head = '';
      const look = (chunk: Buffer): void => {
        head += chunk.toString();
        const found = READY[kind].exec(head);
        if (found === null) return;
        child.stdout?.off('data', look);
        startMs.push(performance.now() - startedMs);
        url = found[1] ?? null;
        resolve();
      };
      child.stdout?.on('data', look);
      void gone.then(() => resolve());
    });
    void gone.then(([code, signal]) => {
      running.delete(pid);
      url = null;
      if (!isAskedToEnd) crashes.push(`process ${pid} ended by itself: ${code ?? signal}`);
    });
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
    const kill = async (): Promise<void> => {
      isAskedToEnd = true;
      url = null;
      if (hasEnded()) return;
      child.kill('SIGKILL');
      await gone;
    };
    return {
      pid,
      kind,
      ready,
      url: () => url,
      kill,
      async stop(graceMs) {
        isAskedToEnd = true;
        if (!hasEnded()) child.kill('SIGTERM');
        const isGone = await Promise.race([gone.then(() => true), wait(graceMs, false, { ref: false })]);
        if (!isGone) await kill();
        return isGone ? 'stopped' : 'killed';
      },
    };
  };

  return {
    startMs,
    crashes,
    start(kind) {
      const child = spawn(process.execPath, builtProgram(dist, kind), {
        env: { PATH, HOME, ...envOf(startCount) },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      startCount += 1;
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => log.write(chunk));
      if (child.pid === undefined) throw new Error(`a ${kind} could not be started`);
      const instance = watch(child, child.pid, kind);
      running.set(child.pid, instance);
      return instance;
    },
    instances: () => [...running.values()],
    listening: () => [...running.values()].filter((instance) => instance.url() !== null),
  };
}
