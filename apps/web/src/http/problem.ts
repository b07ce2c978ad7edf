/** Errors as RFC 9457 says them: `application/problem+json`, never cached. */

export interface Problem {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** Further members, e.g. the number of attempts. */
  readonly [member: string]: unknown;
}

export function problemResponse(problem: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json(
    { type: 'about:blank', ...problem },
    {
      status: problem.status,
      headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
    },
  );
}
