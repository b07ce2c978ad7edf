/** Stories on every core: each thread is given the next seed as soon as it has told one. */
import { Worker } from 'node:worker_threads';
import type { Story } from './simulate.ts';
import type { Task, TaskDone } from './story-worker.ts';

export interface Telling {
  /** The next task for a thread, or null when there is none for it any more. */
  readonly next: (worker: number) => Task | null;
  readonly hear: (story: Story, task: Task) => void;
  readonly workers: number;
}

/** Resolves when every thread has ended. @throws what a thread could not deal with */
export async function tellStories({ next, hear, workers }: Telling): Promise<void> {
  const work = (_: unknown, index: number): Promise<void> => {
    const worker = new Worker(new URL('./story-worker.ts', import.meta.url));
    return new Promise((resolve, reject) => {
      worker.on('message', (message: TaskDone | 'ready') => {
        if (message !== 'ready') hear(message.story, message.task);
        worker.postMessage(next(index));
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  };
  await Promise.all(Array.from({ length: workers }, work));
}
