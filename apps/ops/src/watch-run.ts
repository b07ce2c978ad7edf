/** Follows a run for a person or a script, and says how it ended. */
import { isEnded } from '@revos/core/jobs';
import type { Cli } from './cli-context.ts';
import { EXIT, type ExitCode, InterruptedError } from './exit-codes.ts';
import { followRun } from './follow-run.ts';
import { createProgress } from './output/progress.ts';
import { runSentence, statsText } from './output/run-text.ts';
import type { Run } from './shapes.ts';

/**
 * The run at its end, or as it stands once the time is over.
 *
 * @param seconds how long it is waited for; null for as long as it takes
 * @throws {InterruptedError} on Ctrl-C: the run goes on
 */
export async function untilEnded({ connection, io }: Cli, run: Run, seconds: number | null): Promise<Run> {
  const stopped = new AbortController();
  const interrupt = (): void => stopped.abort('interrupted');
  const timer = seconds === null ? undefined : setTimeout(() => stopped.abort('late'), seconds * 1_000);
  process.once('SIGINT', interrupt);
  const progress = createProgress(io.stderr);
  let latest = run;
  try {
    return await followRun(connection, run.id, {
      signal: stopped.signal,
      onRun: (changed) => {
        latest = changed;
        progress.show(changed);
      },
    });
  } catch (error) {
    if (!stopped.signal.aborted) throw error;
    if (stopped.signal.reason === 'late') return latest;
    progress.end();
    throw new InterruptedError(
      `The run goes on. Follow it: ops watch ${run.id}. Stop it: ops runs cancel ${run.id}`,
    );
  } finally {
    progress.end();
    clearTimeout(timer);
    process.off('SIGINT', interrupt);
  }
}

/** How a run ended, or that it has not ended in time, in words. */
export function endText(run: Run, now: Date): string {
  const sentence = isEnded(run)
    ? `${runSentence(run, now)}.`
    : `It has not ended in time. ${runSentence(run, now)}. Follow it: ops watch ${run.id}`;
  return `${sentence}\n${statsText(run)}`;
}

export const endCode = (run: Run): ExitCode => (run.status === 'succeeded' ? EXIT.ok : EXIT.unhealthy);
