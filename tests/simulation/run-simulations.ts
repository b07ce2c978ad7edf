/** Simulations on every core: each thread is given its next task as soon as it has done one. */
import { Worker } from 'node:worker_threads';
import type { SimulationResult } from './simulate.ts';
import type { Task, TaskDone } from './simulation-worker.ts';

export interface RunOptions {
  /** The next task for a thread, or null when there is none left for it. */
  readonly next: (worker: number) => Task | null;
  readonly onResult: (result: SimulationResult, task: Task) => void;
  readonly workers: number;
}

/** Resolves when every thread has ended. @throws what a thread did not handle */
export async function runSimulations({ next, onResult, workers }: RunOptions): Promise<void> {
  const work = (_: unknown, index: number): Promise<void> => {
    const worker = new Worker(new URL('./simulation-worker.ts', import.meta.url));
    return new Promise((resolve, reject) => {
      worker.on('message', (message: TaskDone | 'ready') => {
        if (message !== 'ready') onResult(message.result, message.task);
        worker.postMessage(next(index));
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  };
  await Promise.all(Array.from({ length: workers }, work));
}
