/** Shows a run while it is under way: a bar on a terminal, and a line for each change elsewhere. */
import cliProgress from 'cli-progress';
import type { Run } from '../shapes.ts';
import { runProgress } from './run-text.ts';

export interface Progress {
  show(run: Run): void;
  /** Leaves the last state standing. */
  end(): void;
}

export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

export function createProgress(stream: ProgressStream): Progress {
  return stream.isTTY === true ? progressBar(stream) : progressLines(stream);
}

function progressBar(stream: ProgressStream): Progress {
  const bar = new cliProgress.SingleBar({
    stream: stream as NodeJS.WriteStream,
    format: '{bar} {value}/{total}  {text}  {duration_formatted}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    emptyOnZero: true,
    // It would put handlers of its own on the signals.
    gracefulExit: false,
  });
  return {
    show(run) {
      const { done, total, text } = runProgress(run);
      if (bar.isActive) {
        bar.setTotal(total);
        bar.update(done, { text });
      } else {
        bar.start(total, done, { text });
      }
    },
    end: () => bar.stop(),
  };
}

function progressLines(stream: ProgressStream): Progress {
  let shown = '';
  return {
    show(run) {
      const { done, total, text } = runProgress(run);
      const line = total > 0 ? `${done}/${total}  ${text}` : text;
      if (line !== shown) stream.write(`${line}\n`);
      shown = line;
    },
    end: () => {},
  };
}
