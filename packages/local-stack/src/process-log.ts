import type { ChildProcess } from 'node:child_process';

const LENGTH_MAX = 8_000;

/** The end of what a process writes to its log, as it stands whenever asked. */
export function tailOf(child: ChildProcess): () => string {
  let tail = '';
  child.stderr?.on('data', (chunk) => {
    tail = (tail + String(chunk)).slice(-LENGTH_MAX);
  });
  return () => tail.trim();
}
