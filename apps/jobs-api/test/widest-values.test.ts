/**
 * The widest values that each operation's schema admits, one at a time: each is served, or refused
 * by name. None is a 500, and none is taken for an outage.
 *
 * Read from the OpenAPI document, so that a new field is tried by itself. What a schema admits is
 * asked of its validator.
 */

import { RunParams } from '@revos/core/jobs';
import Type, { type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApiDocument } from '../src/openapi-document.ts';
import { asOps, createTestApp, type ProblemAnswer, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import type { Schema } from './support/from-schema.ts';
import { type DocumentedOperation, documentedOperations, surroundingsOf } from './support/fuzz-requests.ts';
import { quickJob } from './support/jobs.ts';
import { everyOperation } from './support/operations.ts';

const document = JSON.parse(JSON.stringify(await openApiDocument())) as Record<string, unknown>;
const { resolve } = surroundingsOf(document, { ids: [], written: '' });
const examples = new Map((await everyOperation()).map((example) => [example.operationId, example]));
const operations = documentedOperations(document).filter(
  ({ operationId, method, body, parameters }) =>
    examples.has(operationId) &&
    (method === 'GET' || body !== null) &&
    (body !== null || parameters.length > 0),
);

let database: TestDatabase;
let test: TestApp;
const ids = { account: '', post: '' };

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [{ ...quickJob('quick'), params: RunParams }] });
  ids.account = await database.account('widest');
  const [post] = await database.rows<{ id: string }>(
    `insert into public.posts (linkedin_account_id, content, status, scheduled_for)
     values ('${ids.account}', 'A post', 'scheduled', now() + interval '1 day') returning id`,
  );
  ids.post = post?.id ?? '';
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});

const INTEGERS = [
  Number.MIN_SAFE_INTEGER,
  Number.MAX_SAFE_INTEGER,
  -(2 ** 31) - 1,
  2 ** 31,
  999_999_999_999_999,
  -1,
  0,
  1,
];

/** At the ends of what a calendar, JavaScript or Postgres knows. */
const DAYS = [
  '0000-01-01',
  '0001-01-01',
  '1000-01-01',
  '1582-10-10',
  '2000-02-29',
  '2999-12-31',
  '9999-12-31',
];
const INSTANTS = [
  ...DAYS.map((day) => `${day}T00:00:00Z`),
  '2016-12-31T23:59:60Z',
  '2016-12-31t23:59:60z',
  '2999-12-31T23:59:59.999999999999999Z',
  '2999-12-31T23:59:59-23:59',
  '1000-01-01T00:00:00+23:59',
  '2026-03-01T00:00:00+15:59',
  '2026-03-01T00:00:00-16:00',
  '2026-03-01t10:00:00z',
];
const UUIDS = [
  '00000000-0000-0000-0000-000000000000',
  'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
  'urn:uuid:00000000-0000-4000-8000-000000000000',
  '{00000000-0000-4000-8000-000000000000}',
];

/** Characters to fill the longest text with. */
const FILLINGS = ['x', '0', ' ', '\u0001', '\u200b', '\uffff', 'é', '\u{10FFFF}'];
const ODD_TEXTS = [
  'infinity',
  '{a,b}',
  'Europe/Berlin',
  '24:00:00',
  '23:59:59',
  `https://a/${'\u{10FFFF}'.repeat(1_000)}`,
  // Places in a list, forged: of every kind, and out of every range.
  ...[
    [1e30],
    ['99999999999999999999'],
    [null],
    ['infinity', UUIDS[0]],
    ['294277-01-01', UUIDS[0]],
    ['9999999-01-01', null, null],
    ['x'.repeat(300), UUIDS[0]],
    { a: 1 },
  ].map((place) => Buffer.from(JSON.stringify(place)).toString('base64url')),
  Buffer.from(`["\\u0000", "${UUIDS[0]}"]`).toString('base64url'),
  Buffer.from(new Uint8Array(40).fill(255)).toString('base64url'),
];

const LENGTH_MAX = 10_000;

/** An answer for each schema, made once: one stands within many. */
function once<Answer>(make: (schema: Schema) => Answer): (schema: Schema) => Answer {
  const made = new Map<Schema, Answer>();
  return (schema) => {
    const answer = made.get(schema) ?? make(schema);
    made.set(schema, answer);
    return answer;
  };
}

/** Values that may be at an end of what a schema admits. */
const candidatesOf: (schema: Schema) => readonly unknown[] = once((schema) => {
  if (schema.$ref !== undefined) return candidatesOf(resolve(schema.$ref));
  if (schema.const !== undefined) return [schema.const];
  if (schema.enum !== undefined) return [...schema.enum];
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap(candidatesOf);
  switch (schema.type) {
    case 'null':
      return [null];
    case 'boolean':
      return [true, false];
    case 'integer':
      return [...INTEGERS, ...[schema.minimum, schema.maximum].filter((bound) => bound !== undefined)];
    case 'string':
      return textsOf(schema);
    case 'array':
      return listsOf(schema);
    case 'object':
      return [
        leastOf(schema),
        ...Object.entries(schema.properties ?? {}).flatMap(([name, member]) =>
          candidatesOf(member)
            .filter((value) => admits(member, value))
            .map((value) => ({ ...leastOf(schema), [name]: value })),
        ),
      ];
    default:
      return [];
  }
});

function textsOf({ format, minLength = 0, maxLength = LENGTH_MAX }: Schema): unknown[] {
  if (format === 'date') return DAYS;
  if (format === 'date-time') return INSTANTS;
  if (format === 'uuid') return [ids.account, ...UUIDS];
  const longest = Math.min(maxLength, LENGTH_MAX);
  return [
    ...FILLINGS.flatMap((text) => [
      text.repeat(Math.max(minLength, 1)),
      // In code units, and in code points.
      text.repeat(Math.floor(longest / text.length)),
      text.repeat(longest),
    ]),
    ...ODD_TEXTS,
  ];
}

/** Every element alone, and the longest lists. */
function listsOf({ items = {}, minItems = 0, maxItems = 1_000 }: Schema): unknown[] {
  const elements = candidatesOf(items).filter((item) => admits(items, item));
  return [
    ...elements.map((item) => Array(Math.max(minItems, 1)).fill(item)),
    [],
    Array(maxItems).fill(elements[0]),
    Array.from({ length: maxItems }, (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`),
  ];
}

/** What a schema demands, and no more. */
const leastOf: (schema: Schema) => Record<string, unknown> = once((schema) =>
  Object.fromEntries(
    (schema.required ?? []).map((name) => {
      const member = schema.properties?.[name] ?? {};
      return [name, candidatesOf(member).find((value) => admits(member, value))];
    }),
  ),
);

const validatorOf = once((schema) => Compile(Type.Unsafe(inlined(schema) as TSchema)));

function admits(schema: Schema, value: unknown): boolean {
  return validatorOf(schema).Check(value);
}

/** Without references. */
function inlined(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(inlined);
  const { $ref, ...rest } = schema as Schema;
  if ($ref !== undefined) return inlined(resolve($ref));
  return Object.fromEntries(
    Object.entries(rest)
      .filter(([name]) => name !== '$id')
      .map(([name, member]) => [name, inlined(member)]),
  );
}

interface WideRequest {
  readonly what: string;
  readonly url: string;
  readonly body?: unknown;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

const shown = (value: unknown): string => JSON.stringify(value).slice(0, 120);

/** The operation's example with one value at an end of what is admitted, for each of them. */
function wideRequestsOf({ operationId, path, parameters, body }: DocumentedOperation): WideRequest[] {
  const example = examples.get(operationId);
  if (example === undefined) throw new Error(`${operationId} has no example`);
  const id = path.includes('/posts/') ? ids.post : ids.account;
  const url = example.url.replace('00000000-0000-4000-8000-000000000000', id);
  const [at = '', query = ''] = url.split('?');
  const ofParameters = parameters.flatMap((parameter) => {
    const { name, schema } = parameter;
    const values = candidatesOf(schema).filter((value) => admits(schema, value));
    return (
      values
        .map((value) => {
          const written = [value]
            .flat()
            .map((one) => encodeURIComponent(typeof one === 'string' ? one : JSON.stringify(one)));
          if (parameter.in === 'path') {
            return {
              what: `${name}=${shown(value)}`,
              url: path.replace(`{${name}}`, written[0] ?? '').replace(/\{.*?\}/, 'quick'),
            };
          }
          const others = query.split('&').filter((pair) => pair !== '' && !pair.startsWith(`${name}=`));
          const asked = [...others, ...written.map((one) => `${name}=${one}`)].join('&');
          return { what: `${name}=${shown(value)}`, url: `${at}?${asked}` };
        })
        // Longer ones are refused before they are read.
        .filter((request) => request.url.length < 12_000)
    );
  });
  if (body === null) return ofParameters;
  const ofBody = (body.anyOf ?? [body])
    .flatMap(candidatesOf)
    .map((value) => (isObject(value) ? { ...example.body, ...value } : value))
    .filter((value) => admits(body, value))
    .map((value) => ({ what: shown(value), url: at, body: value }));
  return [...ofParameters, ...ofBody];
}

describe('what the database may hold', () => {
  /** By plain SQL, or by RevOS itself: instants that Postgres knows and ISO 8601 does not. */
  const INSTANTS_HELD = ['infinity', '-infinity', '20000-01-01T00:00:00Z', '0044-03-15T00:00:00Z BC'];

  it.each(INSTANTS_HELD)('is shown: an instant of %s', async (instant) => {
    await database.rows(`update public.posts set scheduled_for = '${instant}', published_at = '${instant}'`);
    const [message] = await database.rows<{ id: string }>(
      `insert into public.dm_queue (linkedin_account_id, recipient_id, message, send_at, not_before)
       values ('${ids.account}', 'ACoAA1', 'Hello', '${instant}', '${instant}') returning id`,
    );
    const paths = [
      '/api/posts',
      `/api/posts/${ids.post}`,
      `/api/posts/${ids.post}/explanation`,
      '/api/messages',
      `/api/messages/${message?.id}`,
      `/api/messages/${message?.id}/explanation`,
      '/api/accounts',
      `/api/accounts/${ids.account}`,
      '/api/sending',
    ];
    const statuses = await Promise.all(
      paths.map(async (url) => [
        url,
        (await test.app.inject({ method: 'GET', url, headers: asOps })).statusCode,
      ]),
    );
    expect(statuses).toEqual(paths.map((url) => [url, 200]));
  });
});

describe('the widest values that a schema admits', () => {
  // Nobody without a signature has anything to say to that one.
  it.each(operations.filter(({ operationId }) => operationId !== 'checkTrigger'))(
    '$operationId serves them, or refuses them by name',
    async (operation) => {
      const requests = wideRequestsOf(operation);
      expect(requests.length).toBeGreaterThan(0);
      const wrong: string[] = [];
      for (const { what, url, body } of requests) {
        const response = await test.app.inject({
          method: operation.method as 'GET',
          url,
          headers: { ...asOps, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
          ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
        });
        const { statusCode: status } = response;
        const { errors = [], type = '' } = status < 400 ? {} : (response.json() as Partial<ProblemAnswer>);
        // What is not there, what is too long for a line of HTTP, and what a rule of the database refuses.
        const isRefused = [404, 409, 414, 422].includes(status) && type !== '';
        if (status >= 500 || (status >= 400 && !isRefused && errors.length === 0))
          wrong.push(`${status} ${what}`);
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );
});
