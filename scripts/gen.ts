/**
 * Writes what is generated: the OpenAPI document from the routes of the jobs API, and from it the
 * types of its client.
 *
 * The same code gives the same bytes. CI runs this and refuses a tree that is different afterwards.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openApiDocument } from '../apps/jobs-api/src/openapi-document.ts';
import { schemaSource } from '../packages/jobs-client/scripts/schema-source.ts';

const ROOT = path.resolve(import.meta.dirname, '..');

/** Every generated file, as it must be, by its path from the root. */
export async function generate(): Promise<ReadonlyMap<string, string>> {
  const document = await openApiDocument();
  return new Map([
    ['apps/jobs-api/openapi.json', `${JSON.stringify(document, null, 2)}\n`],
    ['packages/jobs-client/src/schema.ts', await schemaSource(document)],
  ]);
}

if (import.meta.main) {
  for (const [file, content] of await generate()) await writeFile(path.join(ROOT, file), content);
}
