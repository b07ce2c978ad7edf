/**
 * Validation with TypeBox: what a request says is taken as it is, or refused.
 *
 * Nothing is coerced, dropped or filled in, but for one case: a query is text, so what can stand there for an
 * integer, a boolean or a list of one is read as such. `1.5`, `1e2`, `0x10` and `True` cannot.
 */
import { isStorable } from '@revos/core/json';
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';
import Type, { type TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';

/** The query of a route that has none. */
export const NO_QUERY = Type.Object({}, { additionalProperties: false });

const DIGITS = /^-?\d{1,15}$/;

/** One schema is that of several routes: it is compiled once. */
const compiled = new WeakMap<TSchema, Validator>();

function compile(schema: TSchema): Validator {
  const known = compiled.get(schema);
  if (known) return known;
  const validator = Compile(schema);
  compiled.set(schema, validator);
  return validator;
}

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = compile(schema);
  return (value: unknown) => {
    const read = httpPart === 'querystring' ? readQuery(schema, value) : value;
    if (!validator.Check(read)) return { error: validator.Errors(read) };
    const problem = unstorableText(read);
    return problem === null ? { value: read } : { error: [problem] };
  };
};

/**
 * A compiler for a body that is described in the document and judged elsewhere: it takes what
 * `judged` takes.
 */
export const bodyJudgedBy =
  (judged: TSchema): FastifySchemaCompiler<TSchema> =>
  (route) =>
    validatorCompiler(route.httpPart === 'body' ? { ...route, schema: judged } : route);

function readQuery(schema: TSchema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => [name, readText(properties[name]?.type, text)]),
  );
}

function readText(type: string | undefined, text: unknown): unknown {
  if (type === 'array') return Array.isArray(text) ? text : [text];
  if (type === 'integer' && DIGITS.test(String(text))) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** Deeper than anything that is described. What JSON of 20 MB can be nested to is deeper than a stack. */
export const DEPTH_MAX = 32;

const unstorable = (instancePath: string, message: string): FastifySchemaValidationError => ({
  keyword: 'storable',
  instancePath,
  schemaPath: '',
  params: {},
  message,
});

/**
 * The first text or name in `value` that Postgres does not keep: with a NUL, or half of a
 * character; or what is too deep.
 */
function unstorableText(value: unknown, path = '', depth = 0): FastifySchemaValidationError | null {
  if (typeof value === 'string') {
    return isStorable(value) ? null : unstorable(path, 'has characters that cannot be stored');
  }
  if (typeof value !== 'object' || value === null) return null;
  if (depth > DEPTH_MAX) return unstorable('', 'is nested too deeply');
  for (const [name, member] of Object.entries(value)) {
    const found = unstorableText(name, path) ?? unstorableText(member, `${path}/${name}`, depth + 1);
    if (found !== null) return found;
  }
  return null;
}
