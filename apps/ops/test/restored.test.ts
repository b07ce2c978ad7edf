/** `ops restored` against the real API, and what it says of which facts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { restoreText } from '../src/output/restore-text.ts';
import type { Restore } from '../src/shapes.ts';
import { type RunOpsOptions, runOps } from './support/ops.ts';
import { makeAccount, makePost, OPS_TOKEN, queue, type System, startSystem } from './support/system.ts';

describe('ops restored', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem();
  });
  afterAll(() => system.close());

  const to = new Date(Date.now() - 3_600_000).toISOString();
  const ops = (options: RunOpsOptions, ...args: string[]) =>
    runOps(['restored', '--to', to, ...args], { ...options, env: { JOBS_API_URL: system.url, OPS_TOKEN } });
  const restores = () => system.query('select restored_to, marked_by from public.restores', []);
  const statuses = async (table: string, column: string) =>
    (await system.query(`select ${column} as status from public.${table}`, [])).map(({ status }) => status);

  it('says what it would look for, asks, marks account by account, and then says how far it is', async () => {
    const account = await makeAccount(system, 'Ada');
    await queue(system, account, 'Restored', 2);
    await makePost(system, account, to);
    // More than are marked in one call.
    await system.query(
      `with other as (
         insert into public.linkedin_accounts (account_name) select 'other ' || n from generate_series(1, 250) as n returning id
       ) insert into public.account_policies (account_id) select id from other`,
      [],
    );

    const foreseen = await ops({}, '--dry-run');
    expect(foreseen).toMatchObject({ code: 0, stderr: '' });
    expect(foreseen.stdout).toMatch(/^2 messages and 1 post could have gone out since .* UTC\.\n/);
    const alone = await ops({});
    expect(alone).toMatchObject({ code: 2, stderr: expect.stringContaining('it needs --yes') });
    const declined = await ops({ isTTY: true, input: 'n\n' });
    expect(declined).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing was done.') });
    expect(await restores()).toEqual([]);

    const marked = await ops({ isTTY: true, input: 'y\n' });
    expect(marked.code).toBe(0);
    expect(marked.stderr).toMatch(/Pause all sending, and look on LinkedIn for 2 messages and 1 post since/);
    expect(marked.stdout).toMatch(/all sending is paused\.\n/);
    expect(marked.stdout).toMatch(/messages │ 2 +│ 0 +│ 0 +│ 0 /);
    expect(await restores()).toEqual([{ restored_to: new Date(to), marked_by: 'anna' }]);
    expect(await statuses('dm_queue', 'reason')).toEqual(['restored', 'restored']);
    expect(await statuses('post_publications', 'reason')).toEqual(['restored']);
    const calls = await system.query(`select params from public.audit_log where action = 'restore.mark'`, []);
    expect(calls).toHaveLength(3);

    // Told again it neither asks nor changes anything.
    const again = await ops({}, '--json');
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(again.stdout)).toMatchObject({ is_marked: true, messages: { looked_for: 2 } });
    expect(await system.query(`select from public.audit_log where action = 'restore.mark'`, [])).toHaveLength(
      3,
    );
  });

  it.each([
    { what: 'a span', args: ['restored', '--to', '2h'] },
    { what: 'no instant', args: ['restored'] },
  ])('refuses $what', async ({ args }) => {
    expect(await runOps(args, { env: { JOBS_API_URL: system.url, OPS_TOKEN } })).toMatchObject({ code: 2 });
  });
});

describe('what it says', () => {
  const NONE = { looked_for: 0, sent: 0, released: 0, held: 0 };
  const restore = (more: Partial<Restore>): Restore => ({
    restored_to: '2026-12-01T03:00:00+00:00',
    dry_run: false,
    marked_at: '2026-12-01T12:00:00+00:00',
    marked_by: 'anna',
    is_marked: true,
    paused: true,
    suspected: { messages: 0, posts: 0 },
    messages: NONE,
    posts: NONE,
    unknown_before: 1,
    assumed: 20,
    last_attempt_at: '2026-12-01T02:58:11+00:00',
    next_read_at: null,
    ...more,
  });

  it.each([
    {
      what: 'it is looked for',
      more: { messages: { ...NONE, looked_for: 3 }, next_read_at: '2026-12-01T12:30:00+00:00' },
      says: [/next at 2026-12-01 12:30:00 UTC/],
      not: [/ops resume/, /ops settle/],
    },
    {
      what: 'some is held',
      more: { posts: { ...NONE, held: 1 } },
      says: [
        /ops settle/,
        /ops resume --all/,
        /20 messages that may have been sent/,
        /2026-12-01 02:58:11 UTC/,
      ],
      not: [/next at/],
    },
    { what: 'sending goes on', more: { paused: false }, says: [/all sending goes on/], not: [/ops resume/] },
    {
      what: 'some is left to be marked',
      more: { is_marked: false, suspected: { messages: 2, posts: 1 } },
      says: [/2 messages and 1 post could have gone out .* not marked yet: give the same command again/],
      not: [/ops resume/],
    },
  ])('where $what', ({ more, says, not }) => {
    const text = restoreText(restore(more));
    for (const pattern of says) expect(text).toMatch(pattern);
    for (const pattern of not) expect(text).not.toMatch(pattern);
  });
});
