/**
 * Configuration: the environment, read once and validated as a whole.
 *
 * Every bad or missing name is reported together, and no value is ever printed: a value that is
 * wrong is often a secret in the wrong place. Each app names what it reads in its own `env.ts`.
 */
import Type, { type Static, type TObject } from 'typebox';
import { Value } from 'typebox/value';

/** A bad environment. Its message names every bad or missing variable and no value. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
  /** Sorted, without repeats. */
  readonly variables: readonly string[];

  constructor(missing: readonly string[], invalid: readonly string[]) {
    const parts = [
      missing.length > 0 ? `missing: ${missing.join(', ')}` : '',
      invalid.length > 0 ? `invalid: ${invalid.join(', ')}` : '',
    ].filter(Boolean);
    super(`Bad environment (${parts.join('; ')}). docs/environment.md says what each one means.`);
    this.variables = [...missing, ...invalid].sort();
  }
}

/**
 * Reads and validates `source` against `schema`; variables the schema does not name are dropped.
 * A variable that is set to the empty string counts as unset, as hosting dashboards mean it.
 *
 * @throws {EnvironmentError} naming every bad variable at once
 */
export function readEnv<Schema extends TObject>(
  schema: Schema,
  source: Readonly<Record<string, string | undefined>>,
): Readonly<Static<Schema>> {
  const given = Object.fromEntries(
    Object.keys(schema.properties)
      .map((name) => [name, source[name]?.trim()] as const)
      .filter(([, value]) => value !== undefined && value !== ''),
  );
  const candidate = Value.Convert(schema, Value.Default(schema, given)) as Record<string, unknown>;
  const bad = Object.keys(schema.properties).filter((name) => {
    const property = schema.properties[name];
    if (property === undefined) return false;
    const required = (schema.required as readonly string[] | undefined)?.includes(name) ?? false;
    if (candidate[name] === undefined) return required;
    // Conversion would cut 1.5 to 1 without a word.
    if (Type.IsInteger(property) && !/^[+-]?\d+$/.test(given[name] ?? '0')) return true;
    return !Value.Check(property, candidate[name]);
  });
  if (bad.length > 0) {
    const missing = bad.filter((name) => given[name] === undefined).sort();
    throw new EnvironmentError(missing, bad.filter((name) => given[name] !== undefined).sort());
  }
  return Object.freeze(candidate as Static<Schema>);
}

/** A comma-separated list without empty entries or surrounding white space. */
export function commaSeparated(value: string): string[] {
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
