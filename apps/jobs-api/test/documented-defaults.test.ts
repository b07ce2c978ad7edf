/**
 * What the OpenAPI document says is taken where nothing is said, and what is: one by one, and none
 * is forgotten.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Rpc } from '@revos/core/rpc';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createTestApp, operator, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

interface Schema {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly $ref?: string;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

const document = JSON.parse(readFileSync(path.resolve(import.meta.dirname, '../openapi.json'), 'utf8')) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
};

interface Documented {
  readonly operation: string;
  readonly url: string;
  readonly where: string;
  readonly value: unknown;
}

/** Every default within a schema, by the path that leads to it. */
function defaultsIn(schema: Schema, at: string): Array<{ where: string; value: unknown }> {
  const { properties = {}, items, anyOf = [], oneOf = [], $ref } = schema;
  const named = $ref === undefined ? undefined : document.components.schemas[$ref.split('/').at(-1) ?? ''];
  return [
    ...(schema.default === undefined ? [] : [{ where: at, value: schema.default }]),
    ...Object.entries(properties).flatMap(([name, member]) => defaultsIn(member, `${at}/${name}`)),
    ...[items, named, ...anyOf, ...oneOf].flatMap((member) =>
      member === undefined ? [] : defaultsIn(member, at),
    ),
  ];
}

const documented: Documented[] = Object.entries(document.paths).flatMap(([url, methods]) =>
  Object.values(methods).flatMap(({ operationId: operation, parameters = [], requestBody }) => [
    ...parameters.flatMap(({ name, in: place, schema }) =>
      defaultsIn(schema, `${place}/${name}`).map((found) => ({ operation, url, ...found })),
    ),
    ...Object.values(requestBody?.content ?? {}).flatMap(({ schema }) =>
      defaultsIn(schema, 'body').map((found) => ({ operation, url, ...found })),
    ),
  ]),
);

let database: TestDatabase;
let test: TestApp;
let calls: Array<{ name: string; args: Readonly<Record<string, unknown>> }> = [];
const ops = operator(() => test);

beforeAll(async () => {
  database = await openTestDatabase();
  const rpc: Rpc = {
    call(name, args = {}) {
      calls.push({ name, args });
      return database.rpc.call(name, args);
    },
    close: async () => {},
  };
  test = await createTestApp({ rpc, jobs: [quickJob('quick')] });
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
beforeEach(() => {
  calls = [];
});

/** What stands for a default in the call that is made without it. */
const served = (name: string): unknown => calls.find(({ args }) => name in args)?.args[name];

const MESSAGE = '00000000-0000-4000-8000-000000000000';

const HOW: Readonly<Record<string, (one: Documented) => Promise<unknown>>> = {
  'query/limit': async ({ url }) => {
    expect((await ops.get(url)).status).toBe(200);
    return served('limit');
  },
  'query/days': async ({ url }) => {
    const { body } = await ops.get(url);
    return (body as { days: unknown[] }).days.length;
  },
  'body/dry_run': async ({ url }) => {
    await ops.post(url, { action: 'cancel', selection: { ids: [MESSAGE] } });
    await ops.post(url, { action: 'publish_now', selection: { ids: [MESSAGE] } });
    await ops.post(url, { to: new Date(Date.now() - 60_000).toISOString() });
    return served('dry_run');
  },
  'body/messages/priority': async ({ url }) => {
    const linkedin_account_id = await database.account('anna-linkedin');
    await ops.post(url, { messages: [{ linkedin_account_id, recipient_id: 'ACoAA1', message: 'Hello' }] });
    const [row] = await database.rows<{ priority: number }>('select priority from public.dm_queue');
    return row?.priority;
  },
};

it.each(documented)('$operation: $where is $value unless it is said', async (one) => {
  const look = HOW[one.where];
  if (look === undefined) throw new Error(`nobody looks at ${one.where}: is it what is served?`);
  expect(await look(one)).toEqual(one.value);
});

it('there are such defaults', () => {
  expect(documented.map(({ where }) => where)).toEqual(expect.arrayContaining(Object.keys(HOW)));
});
