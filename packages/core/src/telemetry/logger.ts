/**
 * Logging: structured lines on standard output, with ids and never with message text or secrets.
 *
 * Redaction here is the second guard. The first is that nothing of the core passes a message's
 * text, a token or a request's headers to a logger at all.
 */
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

export type Logger = PinoLogger;

/** Keys whose values never reach a log line, at the top and one and two levels down. */
const SECRET_KEYS = [
  'authorization',
  'apikey',
  'api_key',
  'token',
  'secret',
  'password',
  'message_text',
  'text',
  'content',
] as const;

const REDACT_PATHS = [
  ...SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
  'req.headers',
  '*["webhook-signature"]',
  '*["x-api-key"]',
];

/**
 * A logger named `name`.
 *
 * @param level `trace` to `fatal`, or `silent`
 * @param destination where lines go; standard output by default
 */
export function createLogger(name: string, level: string, destination?: DestinationStream): Logger {
  const options = {
    name,
    level,
    redact: { paths: REDACT_PATHS, censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return destination ? pino(options, destination) : pino(options);
}
