/**
 * An error as a log line has it: what broke, and where, and nothing that the error was given.
 *
 * Only named members are told. A client's error may carry the command with its password, a request with its
 * headers, a row of the database; and a cause is such an error.
 */

export interface ErrorRecord {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  /** Of errors of ours: what a caller does next. */
  readonly kind?: string;
  /** The frames alone: the first line of a stack is the message again. */
  readonly stack?: string;
  readonly cause?: Pick<ErrorRecord, 'type' | 'code'>;
}

/** As Postgres gives it to a client, which adds the row: five characters, at least one of them a digit. */
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/;

/** Something that is short and has no spaces. */
const NAME = /^[\w.:-]{1,64}$/;

const MESSAGE_LENGTH_MAX = 1_000;

/** What may be logged of whatever was thrown. Never throws. */
export function errorRecord(thrown: unknown): ErrorRecord {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: messageOf(thrown) };
  const { kind, cause, stack } = thrown as Error & { kind?: unknown };
  const frames = stack?.split('\n').filter((line) => /^ {4}at /.test(line));
  return {
    ...identityOf(thrown),
    message: messageOf(thrown).slice(0, MESSAGE_LENGTH_MAX),
    ...(isName(kind) ? { kind } : {}),
    ...(frames && frames.length > 0 ? { stack: frames.join('\n') } : {}),
    ...(cause instanceof Error ? { cause: identityOf(cause) } : {}),
  };
}

function identityOf(error: Error): Pick<ErrorRecord, 'type' | 'code'> {
  const { code } = error as { code?: unknown };
  return { type: isName(error.name) ? error.name : 'Error', ...(isName(code) ? { code } : {}) };
}

const isName = (value: unknown): value is string => typeof value === 'string' && NAME.test(value);

/**
 * What may be said of whatever was thrown, to whoever may see a log or a run.
 *
 * A parser quotes what it read, and Postgres what it was given; what is no error may be anything.
 * Our own errors of the database say what is safe.
 */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'something that is no error was thrown';
  const { code } = thrown as { code?: unknown };
  if (thrown instanceof SyntaxError) return 'what was read cannot be parsed';
  if (thrown.name !== 'RpcError' && typeof code === 'string' && SQLSTATE.test(code)) {
    return `the database refused with ${code}`;
  }
  return thrown.message;
}
