/** The shape of every refusal: RFC 9457, `application/problem+json`. */
import Type from 'typebox';
import { PROBLEMS } from '../problems.ts';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export const Problem = Type.Object(
  {
    type: Type.String({ description: '`/problems/<kind>`; stable. Callers decide on it and nothing else.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    instance: Type.String({ description: 'This occurrence, as a URN of the request’s id.' }),
    request_id: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          field: Type.String(),
          message: Type.String(),
          twin_row: Type.Optional(
            Type.Integer({ minimum: 0, description: 'The row of the request that it cannot stand beside.' }),
          ),
          twin_id: Type.Optional(Type.String({ description: 'The message that it cannot stand beside.' })),
        }),
        { description: 'The fields that are wrong.' },
      ),
    ),
    code: Type.Optional(
      Type.String({ description: 'The code of the rule that refused, one of docs/errors.md.' }),
    ),
    matched: Type.Optional(Type.Integer({ description: 'Of selection-changed: how many rows match now.' })),
  },
  { $id: 'Problem' },
);

const answer = (status: number) => ({
  description: `Refused: ${kindsOf(status)
    .map((kind) => `\`${kind}\``)
    .join(', ')}.`,
  content: { [PROBLEM_MEDIA_TYPE]: { schema: Problem } },
});

const kindsOf = (status: number): string[] =>
  Object.entries(PROBLEMS)
    .filter(([, problem]) => problem.status === status)
    .map(([kind]) => kind);

const answers = <Status extends number>(statuses: readonly Status[]) =>
  Object.fromEntries(statuses.map((status) => [status, answer(status)])) as Record<
    Status,
    ReturnType<typeof answer>
  >;

/** What any route under /api may refuse with. */
export const commonErrors = answers([400, 401, 403, 414, 422, 429, 431, 500, 503]);

/** What a route whose path names one thing may refuse with besides. */
export const notFound = answers([404]);

/** What a route that takes a body may refuse with besides. */
export const bodyErrors = answers([408, 413, 415]);

/** What an action may refuse with besides that comes at the wrong moment. */
export const conflicts = answers([409]);

/** What an event stream may refuse with besides. */
export const notAcceptable = answers([406]);
