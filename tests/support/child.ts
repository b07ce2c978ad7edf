/** A forked process that is spoken with in turns; what it writes to standard error is shown if it fails. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

export interface Child {
  readonly pid: number;
  /** Says something, and gives what it answers. @throws if it ends instead */
  ask<Answer>(message: object): Promise<Answer>;
  end(): Promise<void>;
}

/**
 * @param file from the folder `tests`
 * @param nodeOptions e.g. `--cpu-prof`
 */
export function startChild(file: string, nodeOptions: readonly string[] = []): Child {
  const child: ChildProcess = fork(path.join(import.meta.dirname, '..', file), {
    silent: true,
    execArgv: [...nodeOptions],
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + String(chunk)).slice(-4_000);
  });
  child.stdout?.resume();
  const exited = once(child, 'exit');
  const failed = exited.then(([code]): never => {
    throw new Error(`${file} ended with ${code}: ${errors}`);
  });
  // Of no interest once it has answered.
  failed.catch(() => {});
  return {
    pid: child.pid ?? 0,
    async ask<Answer>(message: object): Promise<Answer> {
      const answered = once(child, 'message');
      child.send(message);
      const [answer] = await Promise.race([answered, failed]);
      return answer as Answer;
    },
    async end() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
