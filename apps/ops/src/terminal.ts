/**
 * Where this program writes: answers on standard output, everything else on standard error, so that what a
 * script reads is the answer and nothing else.
 */
import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import { InterruptedError } from './exit-codes.ts';
import type { Io } from './io.ts';

export type Paint = 'bold' | 'dim' | 'green' | 'red' | 'yellow';

export interface TerminalOptions {
  /** Answers are shown as the API gave them. */
  readonly json: boolean;
  /** True and false decide; null leaves it to the terminal. */
  readonly colour: boolean | null;
}

export interface Terminal {
  readonly json: boolean;
  /** Whether a person can be asked. */
  readonly canAsk: boolean;
  /** Shows an answer: as it is for a script, in words for a person. */
  answer(value: unknown, inWords: () => string): void;
  /** Says something besides the answer. */
  note(text: string): void;
  paint(paint: Paint, text: string): string;
  /** Asks a person; anything but yes is no. @throws {InterruptedError} on Ctrl-C */
  confirm(question: string): Promise<boolean>;
}

export function createTerminal(io: Io, { json, colour }: TerminalOptions): Terminal {
  const { stdin, stdout, stderr } = io;
  const isColoured = colour ?? (stdout.isTTY === true && !json);
  return {
    json,
    canAsk: stdin.isTTY === true && stderr.isTTY === true,
    answer(value, inWords) {
      stdout.write(`${json ? JSON.stringify(value, null, 2) : inWords()}\n`);
    },
    note(text) {
      stderr.write(`${text}\n`);
    },
    paint: (paint, text) => (isColoured ? styleText(paint, text, { validateStream: false }) : text),
    confirm: (question) => confirm(io, question),
  };
}

async function confirm({ stdin, stderr }: Io, question: string): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    const interrupted = new Promise<never>((_, reject) => {
      lines.once('SIGINT', () => reject(new InterruptedError('Nothing was done.')));
    });
    // Ctrl-D ends the input without an answer.
    const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
    const said = await Promise.race([lines.question(`${question} [y/N] `), interrupted, closed]);
    return /^\s*y(es)?\s*$/i.test(said);
  } finally {
    lines.close();
  }
}

/** A reader that goes away (`| head`) ends this program without a word: it has seen what it wanted. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  // Nobody hears what is said besides.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
