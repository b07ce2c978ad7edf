/** What the jobs API refuses with, as one error. */
import { beginningOf } from './bounded.ts';

/**
 * One field that is wrong. `field` is where it stands, such as `body/args/send_at` or
 * `messages/12/message`.
 */
export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

export interface JobsApiErrorFacts {
  readonly kind: string;
  readonly status: number | null;
  readonly title: string;
  readonly detail?: string | null;
  readonly errors?: readonly FieldProblem[];
  readonly code?: string | null;
  readonly matched?: number | null;
  readonly requestId?: string | null;
  readonly retryAfterSeconds?: number | null;
}

/**
 * A call that has no answer to give. Callers decide on `kind` and nothing else:
 *
 * a kind of the API's own (`invalid-request`, `message-not-found`, `selection-changed`, …);
 * `no-answer`: there was no connection, or it broke off – what was asked for may have been done;
 * `not-understood`: something answered that is not the jobs API, such as a proxy before it.
 */
export class JobsApiError extends Error {
  override readonly name = 'JobsApiError';
  readonly kind: string;
  /** HTTP; null if there was no answer. */
  readonly status: number | null;
  readonly title: string;
  readonly detail: string | null;
  /** The fields that are wrong; empty if it is not about fields. */
  readonly errors: readonly FieldProblem[];
  /** The code of the rule that refused, one of docs/errors.md; null if it was not the database. */
  readonly code: string | null;
  /** Only of `selection-changed`: how many rows match now. */
  readonly matched: number | null;
  /** Under which the service's log has it. */
  readonly requestId: string | null;
  /** After which it may be tried again; null if the service does not say. */
  readonly retryAfterSeconds: number | null;

  constructor(facts: JobsApiErrorFacts, options?: ErrorOptions) {
    super(facts.detail ? `${facts.title}: ${facts.detail}` : facts.title, options);
    this.kind = facts.kind;
    this.status = facts.status;
    this.title = facts.title;
    this.detail = facts.detail ?? null;
    this.errors = facts.errors ?? [];
    this.code = facts.code ?? null;
    this.matched = facts.matched ?? null;
    this.requestId = facts.requestId ?? null;
    this.retryAfterSeconds = facts.retryAfterSeconds ?? null;
  }
}

interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly detail?: string;
  readonly errors?: readonly FieldProblem[];
  readonly code?: string;
  readonly matched?: number;
  readonly request_id?: string;
}

/** Characters of a refusal that are read: one that names 10,000 messages has five million. */
const REFUSAL_LENGTH_MAX = 16_000_000;

const KIND = /^\/problems\/([a-z-]+)$/;

/** The error that an answer is which is not a success. Reads the answer's body. */
export async function errorOf(response: Response): Promise<JobsApiError> {
  const { status, headers } = response;
  const seconds = headers.get('retry-after') ?? '';
  const retryAfterSeconds = /^\d{1,6}$/.test(seconds) ? Number(seconds) : null;
  const problem = readProblem(await beginningOf(response, REFUSAL_LENGTH_MAX));
  const kind = KIND.exec(problem?.type ?? '')?.[1];
  if (problem === null || kind === undefined) {
    const title = `The answer (${status}) is not the jobs API’s`;
    return new JobsApiError({ kind: 'not-understood', status, title, retryAfterSeconds });
  }
  const { title, detail, errors, code, matched, request_id } = problem;
  return new JobsApiError({
    kind,
    status,
    title,
    retryAfterSeconds,
    ...(detail === undefined ? {} : { detail }),
    ...(errors === undefined ? {} : { errors }),
    ...(code === undefined ? {} : { code }),
    ...(matched === undefined ? {} : { matched }),
    ...(request_id === undefined ? {} : { requestId: request_id }),
  });
}

function readProblem(text: string): ProblemBody | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null; // A page of a proxy.
  }
  const { type, title } = (body ?? {}) as Partial<ProblemBody>;
  return typeof type === 'string' && typeof title === 'string' ? (body as ProblemBody) : null;
}
