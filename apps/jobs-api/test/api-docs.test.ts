/** Every example of docs/api.md is sent to the service, in its order, and does what it says. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { RunParams } from '@revos/core/jobs';
import Type from 'typebox';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApp, OPS_TOKEN, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

const page = readFileSync(path.resolve(import.meta.dirname, '../../../docs/api.md'), 'utf8');

/** Commands of the page, each on one line or several. */
const commands = [...page.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap((block) => (block[1] ?? '').split(/\n(?=curl|#)/))
  .map((text) => text.trim())
  .filter((text) => text.startsWith('curl'));

let database: TestDatabase;
let test: TestApp;
let variables: Record<string, string>;

beforeAll(async () => {
  database = await openTestDatabase();
  const job = { ...quickJob('dm-queue'), params: Type.Pick(RunParams, ['account_ids', 'dry_run', 'limit']) };
  test = await createTestApp({ rpc: database.rpc, jobs: [job] });
  await test.app.listen({ host: '127.0.0.1', port: 0 });
  const account = await database.account('anna-linkedin');
  const [post] = await database.rows<{ id: string }>(
    `insert into public.posts (linkedin_account_id, content, status, scheduled_for)
     values ('${account}', 'What I learned', 'scheduled', now() + interval '1 day') returning id`,
  );
  variables = {
    JOBS_API: `http://127.0.0.1:${(test.app.server.address() as AddressInfo).port}`,
    OPS_TOKEN,
    ACCOUNT: account,
    POST: post?.id ?? '',
  };
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});

/** The words of a command as a shell reads them. */
function words(command: string): string[] {
  const pieces = command.replaceAll('\\\n', ' ').match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g);
  const variable = (name: string): string => variables[name] ?? `no $${name}`;
  const unquoted = (word: string): string =>
    [...word.matchAll(/'([^']*)'|"([^"]*)"|([^'"]+)/g)]
      .map(
        ([, single, double, bare]) =>
          single ?? (double ?? bare ?? '').replace(/\$(\w+)/g, (_, name) => variable(name)),
      )
      .join('');
  return (pieces ?? []).map(unquoted);
}

/** What curl does with the few options that the page uses. */
async function curl(command: string): Promise<{ status: number; body: string }> {
  const [, ...rest] = words(command);
  const headers: Record<string, string> = {};
  let [url, method, body]: (string | undefined)[] = [];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '-sS' || word === '-N') continue;
    if (word === '-X') method = rest.shift();
    else if (word === '--json') {
      body = rest.shift();
      headers['content-type'] = 'application/json';
    } else if (word === '-H') {
      const [name = '', value = ''] = (rest.shift() ?? '').split(/: (.*)/);
      headers[name] = value;
    } else if (word.startsWith('http')) url = word;
    else throw new Error(`not an option that is known here: ${word}`);
  }
  const response = await fetch(url ?? '', {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers,
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.status, body: await response.text() };
}

it('the examples of docs/api.md do what they say', async () => {
  expect(commands.length).toBeGreaterThan(20);
  for (const command of commands) {
    const { status, body } = await curl(command);
    expect([200, 201, 202], `${command}\n${body}`).toContain(status);
    // Later examples speak of what earlier ones made.
    if (command.includes('/api/jobs/')) variables.RUN = (JSON.parse(body) as { run: { id: string } }).run.id;
    if (command.includes('/api/messages"')) {
      variables.MESSAGE = (JSON.parse(body) as { messages: { id: string }[] }).messages[0]?.id ?? '';
    }
    if (command.includes('expected_count')) expect(JSON.parse(body)).toMatchObject({ changed: 2 });
  }
});
