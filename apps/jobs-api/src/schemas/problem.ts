/** The shape of every refusal: RFC 9457, `application/problem+json`. */
import Type from 'typebox';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export const Problem = Type.Object({
  /** `/problems/<kind>`; stable. */
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.Optional(Type.String()),
  /** This occurrence, as a URN of the request's id. */
  instance: Type.String(),
  request_id: Type.String(),
  /** The fields that are wrong. */
  errors: Type.Optional(Type.Array(Type.Object({ field: Type.String(), message: Type.String() }))),
  /** The code of the rule that refused. */
  code: Type.Optional(Type.String()),
});

const answer = (schema: typeof Problem) => ({
  description: 'Refused.',
  content: { [PROBLEM_MEDIA_TYPE]: { schema } },
});

/** What any route under /api may refuse with. */
const COMMON = [400, 401, 403, 404, 405, 406, 408, 413, 414, 415, 422, 429, 431, 500, 503] as const;

/** Response schemas for every refusal of a route. */
export const refusals = Object.fromEntries(COMMON.map((status) => [status, answer(Problem)])) as Record<
  (typeof COMMON)[number],
  ReturnType<typeof answer>
>;
