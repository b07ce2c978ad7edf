import { createLogger, type Logger, type LoggerOptions } from '../../src/telemetry/index.ts';

/** A logger whose lines a test can read. */
export interface CapturedLog {
  readonly logger: Logger;
  readonly lines: readonly string[];
  /** The messages, in order. */
  messages(): string[];
}

export function captureLog(level = 'trace', options: Pick<LoggerOptions, 'secrets'> = {}): CapturedLog {
  const lines: string[] = [];
  const logger = createLogger('test', level, {
    ...options,
    destination: { write: (line: string) => lines.push(line) },
  });
  return { logger, lines, messages: () => lines.map((line) => String(JSON.parse(line).msg)) };
}
