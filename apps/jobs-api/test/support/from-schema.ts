/**
 * Values for a JSON Schema, as fast-check draws them: most as the schema wants them, and some that
 * nobody wants.
 *
 * It knows the words that the OpenAPI document uses, and throws at any other.
 */
import fc, { type Arbitrary } from 'fast-check';

export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

export interface Surroundings {
  /** What a `$ref` stands for. */
  readonly resolve: (ref: string) => Schema;
  /** Ids of what is there, so that some requests find something. */
  readonly ids: readonly string[];
  /** What a caller writes as free text, to be looked for where it must not turn up. */
  readonly written: string;
}

/** Text that has broken a parser, a database or a log before. */
export const HOSTILE_TEXT: readonly string[] = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\uD800',
  '\uDC00x',
  '\uFEFF',
  '\u202Edesrever',
  '👩‍👩‍👧‍👦',
  'İıſK',
  "' or 1=1; drop table public.dm_queue; --",
  '$$; select pg_sleep(10); $$',
  '%s%n%x',
  '{{0}}$(7*7)',
  '../../../../etc/passwd',
  '\r\nset-cookie: a=b\r\n\r\n',
  '<script>alert(1)</script>',
  '__proto__',
  'constructor',
  'null',
  'NaN',
  '1e999',
  '-0',
  '9007199254740993',
  '0x1F',
  '٣',
  '2026-02-30',
  '2026-03-01T10:00:00',
  '0000-01-01T00:00:00Z',
  '+275760-09-13T00:00:00.001Z',
  '9999-12-31T23:59:60Z',
  'infinity',
  'Z'.repeat(5_000),
];

/** Arrays in arrays, deeper than a stack. */
export const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

const hostileText = fc.constantFrom(...HOSTILE_TEXT);

/** JSON of any kind. */
const unwanted: Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -0,
    -1,
    1.5,
    2 ** 31,
    2 ** 53,
    1e308,
    5e-324,
    [],
    {},
    [null],
    [[]],
  ),
  fc.constantFrom<unknown>(
    JSON.parse('{"__proto__":{"admin":true}}'),
    JSON.parse('{"constructor":{"prototype":{}}}'),
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

export function valueFrom(schema: Schema, around: Surroundings): Arbitrary<unknown> {
  return fc.oneof({ weight: 11, arbitrary: wantedOf(schema, around) }, { weight: 1, arbitrary: unwanted });
}

/** Elements of one array: what a service does with more of them is not another thing. */
const ELEMENTS_MAX = 4;

function wantedOf(schema: Schema, around: Surroundings): Arbitrary<unknown> {
  if (schema.$ref !== undefined) return wantedOf(around.resolve(schema.$ref), around);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((one) => wantedOf(one, around)));
  switch (schema.type) {
    case undefined:
      return unwanted;
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
    case 'number':
      return numberOf(schema);
    case 'string':
      return textOf(schema, around);
    case 'array':
      return fc.array(valueFrom(schema.items ?? {}, around), {
        minLength: Math.min(schema.minItems ?? 0, ELEMENTS_MAX),
        maxLength: Math.min(schema.maxItems ?? ELEMENTS_MAX, ELEMENTS_MAX),
      });
    case 'object':
      return objectOf(schema, around);
    default:
      throw new Error(`the type ${schema.type} is not known here`);
  }
}

function numberOf({ minimum = -1_000, maximum = 1_000_000 }: Schema): Arbitrary<unknown> {
  return fc.oneof(
    fc.integer({ min: minimum, max: maximum }),
    fc.constantFrom(minimum, maximum, minimum - 1, maximum + 1),
  );
}

const day = fc
  .date({ min: new Date('1900-01-01'), max: new Date('2200-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString());

function textOf(schema: Schema, { ids, written }: Surroundings): Arbitrary<unknown> {
  if (schema.format === 'uuid')
    return fc.oneof(
      fc.constantFrom(...ids),
      fc.uuid(),
      fc.uuid().map((id) => id.toUpperCase()),
    );
  if (schema.format === 'date-time') return day;
  if (schema.format === 'date') return day.map((date) => date.slice(0, 10));
  if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern, 'u'));
  const { minLength = 0, maxLength = 40 } = schema;
  return fc.oneof(
    fc.constant(written),
    fc.string({ minLength: Math.min(minLength, 40), maxLength: Math.min(maxLength, 40), unit: 'binary' }),
    fc.constant('x'.repeat(Math.min(maxLength, 5_000))),
    fc.constant('x'.repeat(Math.min(maxLength, 5_000) + 1)),
  );
}

function objectOf({ properties = {}, required = [] }: Schema, around: Surroundings): Arbitrary<unknown> {
  const known = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, valueFrom(schema, around)]),
  );
  const wanted = fc.record(known, { requiredKeys: required.filter((name) => name in known) });
  const changed = fc
    .tuple(
      wanted,
      fc.oneof(hostileText, fc.constantFrom('id', 'colour', ...Object.keys(properties))),
      unwanted,
    )
    .map(([value, name, odd]) => ({ ...value, [name]: odd }));
  return fc.oneof({ weight: 7, arbitrary: wanted }, { weight: 1, arbitrary: changed });
}
