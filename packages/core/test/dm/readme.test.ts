/**
 * The example by which README.md queues a message: against a Supabase of this machine, as often as
 * it is run.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { startSupabase } from '@revos/local-stack';
import { createClient } from '@supabase/supabase-js';
import { expect, it, onTestFinished } from 'vitest';

const readme = readFileSync(path.resolve(import.meta.dirname, '../../../../README.md'), 'utf8');

/** The first block of TypeScript below a heading. */
function exampleBelow(heading: string): string {
  const section = readme.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const [, code] = /```ts\n([\s\S]*?)```/.exec(section) ?? [];
  if (code === undefined) throw new Error(`README.md has no example below “${heading}”`);
  return code;
}

it('queues once, however often it is run', async () => {
  const api = await startSupabase({ connection: {} });
  onTestFinished(() => api.close());
  const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };
  const supabase = createClient(api.url, api.secretKey, { auth });
  const id = '00000000-0000-4000-8000-000000000001';
  const account = await supabase
    .from('linkedin_accounts')
    .insert({ id, account_name: 'Ada', status: 'active' });
  expect(account.error).toBeNull();

  const code = exampleBelow('Queue messages').replaceAll('ACoAAB…', 'ACoAAB1');
  // As it stands: it may say `await`, and what it gets is looked at.
  const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
  const run = new AsyncFunction(
    'supabase',
    'linkedin_account_id',
    code.replace(/^await /m, 'return await '),
  ) as (...args: unknown[]) => Promise<{ error: unknown; status: number }>;
  for (let times = 0; times < 3; times += 1) {
    const { error, status } = await run(supabase, id);
    expect(error).toBeNull();
    expect(status).toBeLessThan(300);
  }
  const { data } = await supabase.from('dm_queue').select('recipient_id, status, dedupe_key, attempts');
  expect(data).toEqual([
    { recipient_id: 'ACoAAB1', status: 'pending', dedupe_key: 'spring-042', attempts: 0 },
  ]);
});
