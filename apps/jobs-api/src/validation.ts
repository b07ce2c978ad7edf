/**
 * Validation with TypeBox: what a request says is taken as it is, or refused.
 *
 * Nothing is coerced, dropped or filled in, but for one case: a query has no numbers, so the decimal
 * digits of an integer are read as one. `1.5`, `1e2` and `0x10` are not.
 */
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

const DIGITS = /^-?\d{1,15}$/;

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  return (value: unknown) => {
    const read = httpPart === 'querystring' ? readIntegers(schema, value) : value;
    return validator.Check(read) ? { value: read } : { error: validator.Errors(read) };
  };
};

function readIntegers(schema: TSchema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => [
      name,
      properties[name]?.type === 'integer' && DIGITS.test(String(text)) ? Number(text) : text,
    ]),
  );
}
