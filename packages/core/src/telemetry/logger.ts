/**
 * Logging: structured lines on standard output, with ids and never with message text or secrets.
 *
 * Redaction here is the second guard. The first is that nothing of the core passes a message's
 * text, a token or a request's headers to a logger at all. The third is for what neither foresaw, such as
 * an error that quotes a header: a secret that the process knows is cut out of the finished line.
 */
import { type DestinationStream, type LogFn, type Logger as PinoLogger, pino } from 'pino';
import { errorRecord } from './error-record.ts';

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

const CENSOR = '[redacted]';

/**
 * Written before the call returns: pino's own default leaves lines to a thread, and a process that
 * dies takes with it what it said last.
 */
const STDOUT = 1;

/** Shorter ones would be found in words that are none. */
const SECRET_LENGTH_MIN = 8;

export interface LoggerOptions {
  /** Where lines go; standard output by default. */
  readonly destination?: DestinationStream;
  /** Values that no line may have, wherever they come from; those below eight characters are left out. */
  readonly secrets?: readonly string[];
}

/**
 * A logger named `name`.
 *
 * @param level `trace` to `fatal`, or `silent`
 */
export function createLogger(name: string, level: string, options: LoggerOptions = {}): Logger {
  const { destination, secrets = [] } = options;
  const settings = {
    name,
    level,
    redact: { paths: REDACT_PATHS, censor: CENSOR },
    serializers: { err: errorRecord },
    hooks: { streamWrite: withoutSecrets(secrets), logMethod: withMessage },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return pino(settings, destination ?? pino.destination({ dest: STDOUT, sync: true }));
}

/**
 * Pino makes the message of a line that has none from its error, as that says it: here it is from
 * the record.
 */
function withMessage(this: PinoLogger, args: Parameters<LogFn>, method: LogFn): void {
  const [first, message] = args as unknown[];
  const error = first instanceof Error ? first : (first as { err?: unknown } | null | undefined)?.err;
  if (message !== undefined || !(error instanceof Error)) {
    method.apply(this, args);
    return;
  }
  const fields = first instanceof Error ? { err: first } : (first as object);
  method.apply(this, [fields, errorRecord(error).message]);
}

/** Cuts secrets out of a text, as they are and as JSON writes them. Those below eight characters stay. */
export function withoutSecrets(secrets: readonly string[]): (line: string) => string {
  const forms = new Set(
    secrets
      .filter((secret) => secret.length >= SECRET_LENGTH_MIN)
      .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]),
  );
  return (line) => [...forms].reduce((text, form) => text.replaceAll(form, CENSOR), line);
}
