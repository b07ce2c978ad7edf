/**
 * Problems: every way this API refuses, as RFC 9457 names them.
 *
 * A kind is a stable identifier with one status; callers decide on it and nothing else. What a
 * problem says never repeats a header, a body or a path: a value in the wrong place is often a secret.
 */

export const PROBLEMS = {
  'bad-request': { status: 400, title: 'The request cannot be read' },
  'malformed-body': { status: 400, title: 'The body is not valid JSON' },
  'invalid-request': { status: 400, title: 'The request is not valid' },
  unauthenticated: { status: 401, title: 'A valid bearer token is required' },
  'signature-missing': { status: 401, title: 'The request is not signed' },
  'signature-stale': { status: 401, title: 'The signature is not fresh' },
  'signature-invalid': { status: 401, title: 'The signature is not valid' },
  'credential-not-allowed': { status: 403, title: 'This credential may not do this' },
  'job-mismatch': { status: 403, title: 'The request is signed for another job' },
  'not-found': { status: 404, title: 'There is nothing here' },
  'job-not-found': { status: 404, title: 'There is no such job' },
  'run-not-found': { status: 404, title: 'There is no such run' },
  'message-not-found': { status: 404, title: 'There is no such message' },
  'post-not-found': { status: 404, title: 'There is no such post' },
  'account-not-found': { status: 404, title: 'There is no such account' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  'not-acceptable': { status: 406, title: 'Only text/event-stream is served here' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'restore-unfinished': { status: 409, title: 'A restore is not marked whole yet' },
  'selection-changed': { status: 409, title: 'The selection has changed' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'uri-too-long': { status: 414, title: 'The path is too long' },
  'unsupported-media-type': { status: 415, title: 'The body must be application/json' },
  'not-a-slot': { status: 422, title: 'This is not a slot of the job’s schedule' },
  'slot-too-old': { status: 422, title: 'The slot is too old' },
  'slot-too-early': { status: 422, title: 'The slot is too far ahead' },
  refused: { status: 422, title: 'A rule of the database refuses this' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  internal: { status: 500, title: 'Something went wrong here' },
  'database-unavailable': { status: 503, title: 'The database cannot be reached' },
  'queue-unavailable': { status: 503, title: 'The queue of the runs cannot be reached' },
  'not-ready': { status: 503, title: 'The service is not ready' },
  'shutting-down': { status: 503, title: 'The service is shutting down' },
  'too-many-bodies': { status: 503, title: 'Too many large bodies are being taken in' },
  'too-many-streams': { status: 503, title: 'Too many event streams are open' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemKind = keyof typeof PROBLEMS;

/** One field that is wrong. `field` is where it stands (`querystring/limit`), never what it holds. */
export interface FieldProblem {
  readonly field: string;
  readonly message: string;
  /** The row, or the message, that it cannot stand beside. */
  readonly twin_row?: number;
  readonly twin_id?: string;
}

export interface ProblemOptions {
  /** What to do about it; shown to the caller. */
  readonly detail?: string;
  readonly errors?: readonly FieldProblem[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the answer. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Makes the line in the log a warning, with these members. The caller is not told them. */
  readonly warning?: Readonly<Record<string, string>>;
}

/** Thrown by routes and hooks; the error handler renders it. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly kind: ProblemKind;
  readonly statusCode: number;
  readonly options: ProblemOptions;

  constructor(kind: ProblemKind, options: ProblemOptions = {}) {
    super(options.detail ?? PROBLEMS[kind].title);
    this.kind = kind;
    this.statusCode = PROBLEMS[kind].status;
    this.options = options;
  }
}

export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  /** This occurrence. */
  readonly instance: string;
  readonly request_id: string;
  readonly errors?: readonly FieldProblem[];
}

/** The body of a problem's answer. */
export function renderProblem(
  kind: ProblemKind,
  requestId: string,
  options: ProblemOptions = {},
): ProblemBody {
  return {
    type: `/problems/${kind}`,
    title: PROBLEMS[kind].title,
    status: PROBLEMS[kind].status,
    ...(options.detail === undefined ? {} : { detail: options.detail }),
    instance: `urn:uuid:${requestId}`,
    request_id: requestId,
    ...(options.errors === undefined ? {} : { errors: options.errors }),
    ...options.extra,
  };
}
