import { readFileSync } from 'node:fs';
import path from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../../../scripts/gen.ts';
import { PROBLEMS } from '../src/problems.ts';
import {
  asOps,
  CRON_TOKEN,
  createTestApp,
  OPS_TOKEN,
  type ProblemAnswer,
  type TestApp,
} from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

interface Operation {
  readonly operationId?: string;
  readonly description?: string;
  readonly tags?: string[];
  readonly responses: Readonly<Record<string, object>>;
}

interface Document {
  readonly openapi: string;
  readonly tags: { name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly responses: Readonly<Record<string, { description: string }>>;
  };
}

let database: TestDatabase;
let test: TestApp;
let document: Document;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
  const response = await test.app.inject({ method: 'GET', url: '/api/openapi.json', headers: asOps });
  document = response.json() as Document;
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});

const operations = (): Operation[] =>
  Object.values(document.paths).flatMap((methods) => Object.values(methods));

describe('the OpenAPI document', () => {
  it('and what is generated from it stand in the repository as they are made', async () => {
    const generated = await generate();
    expect([...generated.keys()]).toEqual([
      'apps/jobs-api/openapi.json',
      'packages/jobs-client/src/schema.ts',
    ]);
    for (const [file, content] of generated) {
      // `npm run gen` mends it.
      expect(readFileSync(path.join(ROOT, file), 'utf8'), file).toBe(content);
    }
  });

  it('is the same where it is served', () => {
    expect(document).toEqual(JSON.parse(readFileSync(path.join(ROOT, 'apps/jobs-api/openapi.json'), 'utf8')));
    expect(document.openapi).toBe('3.1.0');
  });

  it('describes every operation, under a name of its own and a tag that is known', () => {
    const names = operations().map(({ operationId }) => operationId);
    expect(names.length).toBeGreaterThan(30);
    expect(names).not.toContain(undefined);
    expect(new Set(names).size).toBe(names.length);
    const tags = document.tags.map(({ name }) => name);
    for (const operation of operations()) {
      expect(operation.description).toMatch(/\.$/);
      expect(tags).toEqual(expect.arrayContaining(operation.tags ?? ['none']));
    }
  });

  it('names every kind of problem that there is', () => {
    const described = Object.values(document.components.responses)
      .map(({ description }) => description)
      .join();
    const elsewhere = ['not-ready', 'method-not-allowed'];
    const missing = Object.keys(PROBLEMS).filter((kind) => !described.includes(`\`${kind}\``));
    expect(missing.filter((kind) => !elsewhere.includes(kind))).toEqual([]);
  });

  it('has schemas that JSON Schema 2020-12 accepts, and no reference to nothing', () => {
    const ajv = new Ajv2020.default({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'document');
    for (const name of Object.keys(document.components.schemas)) {
      expect(() => ajv.compile({ $ref: `document#/components/schemas/${name}` }), name).not.toThrow();
    }
    const known = new Set([
      ...Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`),
      ...Object.keys(document.components.responses).map((name) => `#/components/responses/${name}`),
    ]);
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]);
    expect(references.filter((reference) => !known.has(reference ?? ''))).toEqual([]);
  });
});

describe('GET /docs', () => {
  const basic = (user: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
  });
  const get = (url: string, headers: Record<string, string>) =>
    test.app.inject({ method: 'GET', url, headers });

  it.each(['anna', '', 'whoever'])('opens to an ops token as the password of %j', async (user) => {
    const response = await get('/docs/', basic(user, OPS_TOKEN));
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toContain('text/html');
  });

  it.each([
    { what: 'nothing', headers: {} },
    { what: 'a wrong password', headers: basic('anna', 'wrong') },
    { what: 'no password', headers: basic('anna', '') },
    { what: 'the token as the user', headers: basic(OPS_TOKEN, '') },
    { what: 'the cron token', headers: basic('anna', CRON_TOKEN) },
    { what: 'a bearer token', headers: asOps },
    { what: 'what is no Base64', headers: { authorization: 'Basic ä' } },
  ])('refuses $what, and asks for a password', async ({ headers }) => {
    for (const url of [
      '/docs',
      '/docs/',
      '/docs/json',
      '/docs/yaml',
      '/docs/static/swagger-initializer.js',
      '/docs/static/swagger-ui.css',
      '/docs/static/index.html',
    ]) {
      const response = await get(url, headers);
      expect([url, response.statusCode]).toEqual([url, 401]);
      expect(response.headers['www-authenticate']).toMatch(/^Basic /);
      expect((response.json() as ProblemAnswer).type).toBe('/problems/unauthenticated');
    }
  });

  it('loads nothing from elsewhere, and runs no script that is not a file', async () => {
    const headers = basic('anna', OPS_TOKEN);
    const page = await get('/docs/', headers);
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
    expect(policy).not.toContain('http');
    expect(page.headers['x-content-type-options']).toBe('nosniff');
    const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(assets.length).toBeGreaterThan(4);
    expect(page.body).not.toMatch(/<script(?![^>]*src=)/);
    for (const asset of assets) {
      const url = new URL(asset, 'http://here/docs/');
      expect(url.host).toBe('here');
      expect([asset, (await get(url.pathname, headers)).statusCode]).toEqual([asset, 200]);
    }
  });

  it('shows the document', async () => {
    const response = await get('/docs/json', basic('anna', OPS_TOKEN));
    expect(response.json()).toEqual(document);
  });
});
