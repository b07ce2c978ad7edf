/** Requests of every operation that the OpenAPI document has: most are nearly right. */
import fc, { type Arbitrary } from 'fast-check';
import { CRON_TOKEN, cronRequest, OPS_TOKEN } from './app.ts';
import { HOSTILE_TEXT, nested, type Schema, type Surroundings, valueFrom } from './from-schema.ts';

export interface DocumentedOperation {
  readonly operationId: string;
  readonly method: string;
  readonly path: string;
  readonly isOpen: boolean;
  readonly statuses: readonly number[];
  readonly parameters: ReadonlyArray<{ readonly name: string; readonly in: string; readonly schema: Schema }>;
  readonly body: Schema | null;
}

export interface FuzzRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: string;
  readonly knows: 'ops' | 'cron' | 'nothing';
}

interface Documented {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly parameters?: DocumentedOperation['parameters'];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

/** Every operation of a document. */
export function documentedOperations(document: Record<string, unknown>): DocumentedOperation[] {
  const { paths } = document as { paths: Record<string, Record<string, Documented>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      operationId: operation.operationId,
      method: method.toUpperCase(),
      path,
      isOpen: operation.security?.length === 0,
      statuses: Object.keys(operation.responses).map(Number),
      parameters: operation.parameters ?? [],
      body: operation.requestBody?.content['application/json']?.schema ?? null,
    })),
  );
}

export function surroundingsOf(
  document: Record<string, unknown>,
  known: Omit<Surroundings, 'resolve'>,
): Surroundings {
  return {
    ...known,
    resolve: (ref) => {
      const found = ref
        .slice(2)
        .split('/')
        .reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], document);
      return found as Schema;
    },
  };
}

/** What stands between slashes, or behind an equals sign. */
const written = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** As a client encodes it, or raw where that is still a line of HTTP. */
const encoded = (text: string): string => {
  try {
    return encodeURIComponent(text);
  } catch (error) {
    // Half a character.
    if (error instanceof URIError) return '%ED%A0%80';
    throw error;
  }
};

const pathOf = (operation: DocumentedOperation, around: Surroundings): Arbitrary<string> => {
  const names = operation.parameters.filter((parameter) => parameter.in === 'path');
  const values = names.map(({ name, schema }) =>
    name === 'job'
      ? fc.oneof(
          { weight: 6, arbitrary: fc.constantFrom<unknown>('quick', 'told') },
          valueFrom(schema, around),
        )
      : valueFrom(schema, around),
  );
  const path = fc
    .tuple(...values)
    .map((drawn) =>
      names.reduce(
        (at, { name }, index) => at.replace(`{${name}}`, encoded(written(drawn[index])).slice(0, 300)),
        operation.path,
      ),
    );
  const odd = fc.constantFrom('/', '//', '/..', '/%2e%2e', '%00', '%', ';a=b', '?', '#a', '.json', '%2F');
  return fc.oneof(
    { weight: 19, arbitrary: path },
    { weight: 1, arbitrary: fc.tuple(path, odd).map((two) => two.join('')) },
  );
};

const queryOf = (operation: DocumentedOperation, around: Surroundings): Arbitrary<string> => {
  const known = operation.parameters
    .filter((parameter) => parameter.in === 'query')
    .map(({ name, schema }) =>
      valueFrom(schema, around).map((value) =>
        [value]
          .flat()
          .map((one) => `${encoded(name)}=${encoded(written(one))}`)
          .join('&'),
      ),
    );
  const odd = fc
    .tuple(
      fc.constantFrom('colour', '', 'limit', 'limit[]', '__proto__', 'toString', '%00'),
      fc.constantFrom(...HOSTILE_TEXT),
    )
    .map(([name, value]) => `${name}=${encoded(value)}`);
  const some =
    known.length === 0 ? fc.constant<string[]>([]) : fc.array(fc.oneof(...known), { maxLength: 3 });
  return fc
    .tuple(some, fc.oneof({ weight: 9, arbitrary: fc.constant('') }, { weight: 1, arbitrary: odd }))
    .map(([pairs, extra]) => [...pairs, extra].filter((text) => text !== '').join('&'));
};

const CREDENTIALS: ReadonlyArray<readonly [FuzzRequest['knows'], string | undefined]> = [
  ['nothing', undefined],
  ['nothing', ''],
  ['nothing', 'Bearer '],
  ['nothing', 'Bearer not-a-token-0123456789'],
  ['ops', `bearer ${OPS_TOKEN}`],
  ['nothing', `Basic ${Buffer.from(`a:${OPS_TOKEN}`).toString('base64')}`],
  ['nothing', `Bearer ${OPS_TOKEN}, Bearer ${OPS_TOKEN}`],
  ['nothing', `Bearer ${'x'.repeat(8_000)}`],
  ['cron', `Bearer ${CRON_TOKEN}`],
];

const credential = fc.oneof(
  { weight: 5, arbitrary: fc.constant(['ops', `Bearer ${OPS_TOKEN}`] as const) },
  { weight: 1, arbitrary: fc.constantFrom(...CREDENTIALS) },
);

/** A value that the parser of HTTP lets through: others are sent over sockets. */
const headerValue = fc.constantFrom(
  '',
  'a',
  '*/*',
  ',,,',
  'wait=1',
  'wait=-1',
  'wait="9"; a',
  '9'.repeat(400),
  'q=\u00e9',
  '{}',
  'null',
);

const oddHeaders = fc.dictionary(
  fc.constantFrom(
    'accept',
    'accept-encoding',
    'content-encoding',
    'cookie',
    'expect',
    'forwarded',
    'if-none-match',
    'last-event-id',
    'origin',
    'prefer',
    'range',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-http-method-override',
    'x-request-id',
    'webhook-id',
    'webhook-timestamp',
    'webhook-signature',
  ),
  headerValue,
  { maxKeys: 3 },
);

const contentType = fc.oneof(
  { weight: 12, arbitrary: fc.constant('application/json') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'application/json; charset=utf-8',
      'application/json; charset=utf-16',
      'application/json;',
      'APPLICATION/JSON',
      'application/json, text/plain',
      'application/problem+json',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=a',
      'text/plain',
      'json',
      '',
      '/',
    ),
  },
);

const bodyOf = (schema: Schema, around: Surroundings): Arbitrary<string> =>
  fc.oneof(
    { weight: 12, arbitrary: valueFrom(schema, around).map((value) => JSON.stringify(value)) },
    {
      weight: 1,
      arbitrary: fc.oneof(
        fc.constantFrom(
          '',
          '{',
          '{}',
          '[]',
          'null',
          '"',
          'NaN',
          "{'a':1}",
          '{"a":1,}',
          '{"a":1}{"a":1}',
          '\uFEFF{}',
          '\0',
        ),
        fc.constantFrom(...HOSTILE_TEXT),
        fc.constantFrom(
          nested(100),
          nested(20_000),
          `{"messages":${nested(20_000)}}`,
          `{"messages":[${nested(20_000)}]}`,
        ),
        fc.constantFrom(
          '{"__proto__":{"a":1}}',
          '{"constructor":{"prototype":{}}}',
          '{"a":1,"a":2}',
          `{"a":1e${'9'.repeat(50)}}`,
        ),
        fc.string({ maxLength: 200, unit: 'binary' }),
      ),
    },
  );

export function fuzzRequestOf(operation: DocumentedOperation, around: Surroundings): Arbitrary<FuzzRequest> {
  const { method, body } = operation;
  return fc
    .tuple(
      pathOf(operation, around),
      queryOf(operation, around),
      credential,
      oddHeaders,
      contentType,
      body === null ? fc.constant(undefined) : fc.option(bodyOf(body, around), { nil: undefined, freq: 9 }),
      fc.oneof(
        { weight: 19, arbitrary: fc.constant(method) },
        {
          weight: 1,
          arbitrary: fc.constantFrom('HEAD', 'OPTIONS', 'PUT', 'DELETE', 'GET', 'POST', 'PATCH', 'TRACE'),
        },
      ),
      fc.boolean(),
    )
    .map(([path, query, [knows, authorization], odd, type, payload, verb, isSigned]) => {
      const signed = knows === 'cron' && isSigned ? cronRequest() : null;
      return {
        method: verb,
        url: query === '' ? path : `${path}?${query}`,
        headers: {
          ...(payload === undefined ? {} : { 'content-type': type }),
          ...odd,
          ...signed?.headers,
          ...(authorization === undefined ? {} : { authorization }),
        },
        ...(signed !== null ? { payload: signed.body } : payload === undefined ? {} : { payload }),
        knows,
      };
    });
}
