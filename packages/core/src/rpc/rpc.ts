/**
 * Rpc: the only way the core talks to the database. A call names a SQL function and passes named
 * arguments; the answer is the one JSON value that the function returns.
 */
export interface Rpc {
  /**
   * Calls `public.<name>`.
   *
   * @param args by parameter name; `undefined` leaves a parameter to its default
   * @throws {RpcError}
   */
  call<Result>(name: string, args?: Readonly<Record<string, unknown>>): Promise<Result>;
  /** Releases what it holds; calls after it fail. */
  close(): Promise<void>;
}

/**
 * What a caller does next: `rule` – the database refused, by a rule of ours (`code` says which);
 * `unavailable` – try again later, the call may or may not have been applied;
 * `bug` – the function, its grant or its arguments are wrong, and no retry helps.
 */
export type RpcErrorKind = 'rule' | 'unavailable' | 'bug';

export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly kind: RpcErrorKind;
  /** SQLSTATE or PostgREST code; empty where none was answered. */
  readonly code: string;
  readonly functionName: string;
  /**
   * For `rule`: the JSON that the function put into DETAIL, e.g. the rows and fields refused. Null for any
   * other: Postgres's own may quote a whole row, message and all, and errors are logged.
   */
  readonly detail: string | null;

  constructor(
    kind: RpcErrorKind,
    functionName: string,
    code: string,
    message: string,
    detail: string | null = null,
    options?: ErrorOptions,
  ) {
    super(`${functionName}: ${message}`, options);
    this.kind = kind;
    this.code = code;
    this.functionName = functionName;
    this.detail = kind === 'rule' ? detail : null;
  }
}

/** SQLSTATEs of ours: two to four letters of the subject and a number, one per rule. */
const RULE = /^(AC|AN|DM|HI|PO|RN|RS|SE)\d{3}$/;

/**
 * Classes of SQLSTATE that a later call may not meet: connection trouble, a resource short, a
 * shutdown, a deadlock or serialization failure, a statement that was cut off by its timeout.
 */
const UNAVAILABLE = /^(08|53|57|40|55P03|58|XX)/;

/** Names a failure by its code and HTTP status (0: no answer came), never by its text. */
export function classifyRpcFailure(code: string, status: number): RpcErrorKind {
  if (RULE.test(code)) return 'rule';
  if (UNAVAILABLE.test(code) || code.startsWith('PGRST0') || code === 'PGRST303') return 'unavailable';
  if (status === 408 || status === 429 || status >= 502) return 'unavailable';
  // A gateway that refuses a key answers without a code of ours.
  return code === '' && (status < 400 || status >= 500) ? 'unavailable' : 'bug';
}

/**
 * Classes of Postgres, and PostgREST's own codes, whose text names things of the schema, the server
 * or the API. The text of any other may quote what it was given: the value that is no number, the
 * row that a trigger refuses.
 */
const NAMES_NO_VALUE = /^(08|23|25|28|40|42|53|54|55|57|58|PGRST)/;

/**
 * What an error says of a failure that is no rule of ours, since errors are logged: its text if
 * that is safe, else its code.
 */
export function failureText(code: string, text: string): string {
  return NAMES_NO_VALUE.test(code) ? text : `the database refused with ${code}`;
}

/**
 * An rpc whose SQL functions see the clock of `now` instead of the database's own.
 *
 * In production the database's clock is the only one, so that workers whose clocks differ cannot
 * pass a limit between them. A simulation owns time, and hands it to every function: each takes
 * `p_now` as its last argument.
 */
export function withClock(rpc: Rpc, now: () => Date): Rpc {
  return {
    call: (name, args) => rpc.call(name, { ...args, now: now().toISOString() }),
    close: () => rpc.close(),
  };
}
