/** Every command against the real API. What it prints of which facts is tested in text.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, type RunOpsOptions, runOps, startOps } from './support/ops.ts';
import {
  attempt,
  makeAccount,
  makePost,
  OPS_TOKEN,
  queue,
  type System,
  startSystem,
} from './support/system.ts';

let system: System;

beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.close());

const environment = () => ({ JOBS_API_URL: system.url, OPS_TOKEN });

const ops = (...args: string[]): Promise<Finished> => opsWith({}, ...args);

const opsWith = ({ env, ...options }: RunOpsOptions, ...args: string[]): Promise<Finished> =>
  runOps(args, { ...options, env: { ...environment(), ...env } });

/** What a script reads of a command that ends well. */
async function json<Answer = Record<string, unknown>>(...args: string[]): Promise<Answer> {
  const { code, stdout, stderr } = await ops(...args, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Answer;
}

const statusOf = async (id: string): Promise<unknown> =>
  (await system.query('select status from public.dm_queue where id = $1', [id]))[0]?.status;

const SECRET = /A secret for/;

describe('a run', () => {
  it('is started, waited for, and told about', async () => {
    const ada = await makeAccount(system, 'Ada of runs');
    await queue(system, ada, 'Runs', 3);
    const { code, stdout, stderr } = await ops('run', 'dm-queue', '--wait', '--account', 'Ada of runs');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Run \S+ of dm-queue succeeded after/);
    expect(stdout).toMatch(/│ sent +│ +3 │/);
    expect(stderr).toMatch(/succeeded: 3 sent, 0 failed, 0 unknown/);
    expect(system.sandbox.world.effects().filter(({ text }) => SECRET.test(text ?? ''))).toHaveLength(3);
  });

  it('in a dry run sends nothing', async () => {
    const account = await makeAccount(system, 'Dry');
    const [id = ''] = await queue(system, account, 'Dry', 1);
    const { run } = await runJson('run', 'dm-queue', '--dry-run', '--account', account, '--wait');
    expect(run).toMatchObject({ status: 'succeeded', stats: { dry_run: true }, params: { dry_run: true } });
    expect(await statusOf(id)).toBe('pending');
  });

  it('that fails ends with 1', async () => {
    const { code, stdout } = await ops('run', 'failing', '--wait');
    expect(code).toBe(1);
    expect(stdout).toMatch(/of failing failed/);
  });

  it('that has not ended in time ends with 1, is followed by another, and is cancelled', async () => {
    const gate = system.closeGate();
    const late = await ops('run', 'gated', '--wait', '1');
    expect(late).toMatchObject({ code: 1, stdout: expect.stringContaining('It has not ended in time.') });
    const [run] = (await json<{ items: Array<{ id: string }> }>('runs', '--job', 'gated', '--limit', '1'))
      .items;
    const watching = startOps(['watch', run?.id ?? ''], { env: environment() });
    await watching.said(/1\/3 {2}running: 1 sent/);
    expect((await json('runs', 'cancel', run?.id ?? '')).cancel_requested_at).not.toBeNull();
    expect(await watching.finished).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('was cancelled'),
    });
    gate.open();
  });

  it('that is interrupted goes on, and says so', async () => {
    const gate = system.closeGate();
    const waiting = startOps(['run', 'gated', '--wait'], { env: environment() });
    await waiting.said(/running: 1 sent/);
    waiting.child.kill('SIGINT');
    const { code, stderr } = await waiting.finished;
    expect(code).toBe(130);
    const [, id = ''] = /The run goes on\. Follow it: ops watch (\S+)\./.exec(stderr) ?? [];
    expect(await json('runs', 'show', id)).toMatchObject({ id, status: 'running' });
    gate.open();
    expect(await ops('watch', id)).toMatchObject({ code: 0 });
  });

  /** As json(), of a command that says how it gets on. */
  async function runJson(...args: string[]): Promise<{ run: Record<string, unknown> }> {
    const { code, stdout } = await ops(...args, '--json');
    expect(code).toBe(0);
    return JSON.parse(stdout) as { run: Record<string, unknown> };
  }
});

describe('dm import', () => {
  const HEADER = 'account,recipient_id,message,dedupe_key';

  it('queues a file, and again finds the messages that exist', async () => {
    await makeAccount(system, 'Łukasz, Jr.');
    const input = `${HEADER}\n"Łukasz, Jr.",ACoAAImport1,Hello,import-1\n"Łukasz, Jr.",ACoAAImport2,Hello,import-2\n`;
    expect(await opsWith({ input }, 'dm', 'import', '-')).toMatchObject({
      code: 0,
      stdout: '2 messages queued.\n',
    });
    const again = await opsWith({ input }, 'dm', 'import', '-', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ enqueued: 0, existing: 2 });
  });

  it('notes what says the same to somebody twice, and refuses a key of two messages, by their lines', async () => {
    await makeAccount(system, 'Repeater');
    const input = `${HEADER}\nRepeater,ACoAATwice,"two\nlines",\nRepeater,ACoAATwice,"two\nlines",\n`;
    const { code, stdout, stderr } = await opsWith({ input }, 'dm', 'import', '-');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '2 messages queued.\n' });
    expect(stderr).toContain('Line 4, message: says the same to the same person as another row: line 2.');
    const keyed = `${HEADER}\nRepeater,ACoAAKey1,Hello,twin\nRepeater,ACoAAKey2,Hello,twin\n`;
    const refused = await opsWith({ input: keyed }, 'dm', 'import', '-');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(
      'line 3, dedupe_key: is that of another row, with another recipient: line 2',
    );
  });

  it('names every problem by its line, and queues nothing', async () => {
    await makeAccount(system, 'Importer');
    const input = `${HEADER}\nImporter,ACoAAGood,"two\nlines",problem-1\nNobody,ACoAAGood,Hello,\nImporter,ACoAAGood,Hi {{name}},\n`;
    const { code, stdout, stderr } = await opsWith({ input }, 'dm', 'import', '-');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/line 4, account: no account has this name: "Nobody"/);
    expect(stderr).toMatch(/line 5, message: /);
    const { problems } = JSON.parse((await opsWith({ input }, 'dm', 'import', '-', '--json')).stdout);
    expect(problems.map(({ line, field }: { line: number; field: string }) => [line, field])).toEqual([
      [4, 'account'],
      [5, 'message'],
    ]);
    expect((await json<{ items: unknown[] }>('dm', 'list', 'dedupe_key=problem-1')).items).toEqual([]);
  });

  it('finds an account by a name that looks the same, also on a later page', async () => {
    await makeAccount(system, 'Zo\u00eb Ng');
    const input = `${HEADER}\nZoe\u0308\u00a0Ng,ACoAALooks,Hello,looks-1\n,,,\n`;
    expect(await opsWith({ input }, 'dm', 'import', '-')).toMatchObject({
      code: 0,
      stdout: '1 message queued.\n',
    });
  });

  it('of more than one call takes says so before it is sent', async () => {
    await makeAccount(system, 'Talker');
    const text = 'x'.repeat(2_100);
    const rows = Array.from({ length: 10_000 }, (_, row) => `Talker,ACoAATalk${row},${text},talk-${row}`);
    const input = `${HEADER}\n${rows.join('\n')}\n`;
    const { code, stdout, stderr } = await opsWith({ input }, 'dm', 'import', '-');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/makes 2\d\.\d MB of messages, of 20\.0 MB at most in one call: split it in 2/);
    expect(stderr).not.toMatch(/may have been made|EPIPE/);
    expect((await json<{ items: unknown[] }>('dm', 'list', 'account=Talker')).items).toEqual([]);
  });

  it('of a file that is not there ends with 2', async () => {
    expect(await ops('dm', 'import', '/nowhere.csv')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('cannot be read'),
    });
  });
});

describe('messages', () => {
  it('are listed without their texts, and shown with them', async () => {
    const account = await makeAccount(system, 'Lister');
    const [first = ''] = await queue(system, account, 'List', 3);
    const list = await ops('dm', 'list', 'account=Lister', 'status=pending', '--limit', '2');
    expect(list).toMatchObject({ code: 0, stderr: expect.stringMatching(/There are more: --cursor \S+/) });
    expect(list.stdout).not.toMatch(SECRET);
    const cursor = /--cursor (\S+)/.exec(list.stderr)?.[1] ?? '';
    const page = await json<{ items: Array<{ id: string }> }>(
      'dm',
      'list',
      'account=Lister',
      '--cursor',
      cursor,
    );
    expect(page.items.map(({ id }) => id)).toEqual([first]);
    expect((await ops('dm', 'show', first)).stdout).toMatch(/\n {2}A secret for List0\n/);
  });

  it('are changed by their ids, and those that cannot be are told', async () => {
    const account = await makeAccount(system, 'Changer');
    const [one = '', two = ''] = await queue(system, account, 'Change', 2);
    expect(await ops('dm', 'reschedule', one, two, '--at', '2h')).toMatchObject({
      code: 0,
      stdout: '2 messages were rescheduled, of 2 that matched.\n',
    });
    expect(await json('dm', 'cancel', one, '--reason', 'wrong')).toMatchObject({ changed: 1, refused: [] });
    expect(await statusOf(one)).toBe('cancelled');
    const partly = await ops('dm', 'cancel', one, two);
    expect(partly).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/1 message was cancelled, of 2.*cancelled/s),
    });
  });

  it('that match a filter are changed after a look, and only with --yes', async () => {
    const account = await makeAccount(system, 'Filter');
    const ids = await queue(system, account, 'Filter', 7);
    const cancel = ['dm', 'cancel', '--filter', 'status=pending', 'account=Filter'];

    const unasked = await ops(...cancel);
    expect(unasked).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('needs --yes') });
    expect(unasked.stderr).toContain('7 messages would be cancelled, of 7 that matched.');
    expect(ids.filter((id) => unasked.stderr.includes(id))).toHaveLength(5);
    expect(unasked.stderr).not.toMatch(SECRET);

    const foreseen = await ops(...cancel, '--dry-run', '--json');
    expect(JSON.parse(foreseen.stdout)).toMatchObject({ dry_run: true, changed: 7 });
    expect(await statusOf(ids[0] ?? '')).toBe('pending');

    const declined = await opsWith({ isTTY: true, input: 'n\n' }, ...cancel);
    expect(declined).toMatchObject({ code: 1, stderr: expect.stringContaining('Cancel 7 messages? [y/N]') });
    expect(declined.stderr).toContain('Nothing was done.');
    expect(await statusOf(ids[0] ?? '')).toBe('pending');

    const done = await ops(...cancel, '--yes', '--json');
    expect(done.code).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({ dry_run: false, matched: 7, changed: 7 });
    expect(await statusOf(ids[0] ?? '')).toBe('cancelled');
  });

  it('that match a filter are changed once a person says yes', async () => {
    const account = await makeAccount(system, 'Asked');
    await queue(system, account, 'Asked', 2);
    const asked = await opsWith(
      { isTTY: true, input: 'yes\n' },
      'dm',
      'cancel',
      '--filter',
      `account=${account}`,
    );
    expect(asked).toMatchObject({ code: 0, stdout: '2 messages were cancelled, of 2 that matched.\n' });
  });

  it('that match a filter are left alone if others match by the time a person says yes', async () => {
    const account = await makeAccount(system, 'Changed');
    const [id = ''] = await queue(system, account, 'Changed', 1);
    const onRead = () => queue(system, account, 'Late', 1);
    const options = { isTTY: true, input: 'yes\n', onRead };
    const late = await opsWith(options, 'dm', 'cancel', '--filter', `account=${account}`);
    expect(late).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('selection-changed') });
    expect(await statusOf(id)).toBe('pending');
  });

  it('that failed are queued again', async () => {
    const account = await makeAccount(system, 'Retrier');
    const [id = ''] = await queue(system, account, 'Retry', 1);
    await attempt(system, account, {
      outcome: 'not_sent',
      next_step: 'fail',
      reason: 'rejected',
      http_status: 422,
      error_type: 'errors/invalid',
    });
    const why = await ops('why', id);
    expect(why.stdout).toMatch(
      /^Message \S+ from Retrier to ACoAARetry0 is failed: Unipile or LinkedIn refuses/,
    );
    expect(why.stdout).toContain('ended as not_sent (422 errors/invalid)');
    expect(why.stdout).not.toMatch(SECRET);
    expect(await json('dm', 'retry', id)).toMatchObject({ changed: 1 });
    expect(await statusOf(id)).toBe('pending');
  });
});

describe('what is unknown', () => {
  it('is listed with when it is read next, and settled', async () => {
    const unknown = { outcome: 'unknown', reason: 'answer_lost', http_status: 504 };
    const ids: string[] = [];
    // An account waits for the lease of what it lost.
    for (const name of ['Unknown', 'Uncertain']) {
      const account = await makeAccount(system, name);
      await queue(system, account, name, 1);
      ids.push(await attempt(system, account, unknown));
    }

    const { stdout } = await ops('unknowns');
    for (const id of ids) expect(stdout).toContain(id);
    expect(stdout).toMatch(/\d\d:\d\d:\d\d UTC/);
    expect(stdout).not.toMatch(SECRET);
    const explained = await json<{ explanations: Array<{ id: string }> }>('unknowns');
    expect(explained.explanations.map(({ id }) => id).sort()).toEqual([...ids].sort());

    // The call may be under way still, and what was looked at before says nothing of it.
    for (const lookedAt of [[], ['--looked-at', '2026-03-02T10:00:00Z']]) {
      expect(await ops('settle', ids[0] ?? '', 'resend', ...lookedAt)).toMatchObject({
        code: 1,
        stdout: expect.stringContaining('look again'),
      });
    }
    expect(await ops('settle', ids[0] ?? '', 'sent')).toMatchObject({ code: 0 });
    expect(await ops('dm', 'settle', ids[1] ?? '', '--as', 'drop', '--reason', 'answered')).toMatchObject({
      code: 0,
    });
    expect(await Promise.all(ids.map(statusOf))).toEqual(['sent', 'cancelled']);
    expect((await ops('unknowns')).stdout).toBe('Nothing is unknown.\n');
    expect(await ops('settle', ids[0] ?? '', 'sent')).toMatchObject({ code: 1 });
  });
});

describe('posts', () => {
  it('are listed, shown, given options, rescheduled, and cancelled', async () => {
    const account = await makeAccount(system, 'Poster');
    const id = await makePost(system, account, '2030-01-01T09:00:00Z', 'What I learnt');
    const list = await ops('posts', 'list', 'account=Poster', 'scheduled_from=2029-12-31T00:00:00Z');
    expect(list.stdout).toMatch(new RegExp(`${id}.*Poster.*waiting.*2030-01-01 09:00 UTC`));
    expect(list.stdout).not.toContain('What I learnt');
    expect((await ops('posts', 'show', id)).stdout).toContain('\n  What I learnt\n');
    expect((await ops('why', id)).stdout).toMatch(/^Post \S+ of Poster is waiting: /);

    const media = ['--media', 'https://cdn.example.com/a.png', '--media', 'https://cdn.example.com/b.png'];
    expect(await json('posts', 'options', id, ...media, '--link', 'https://example.com/x')).toMatchObject({
      media: [{ url: 'https://cdn.example.com/a.png' }, { url: 'https://cdn.example.com/b.png' }],
      external_link: 'https://example.com/x',
    });
    expect((await ops('posts', 'options', id, '--no-media')).stdout).toMatch(/Media +–\n/);
    expect(await json('posts', 'options', id)).toMatchObject({
      media: [],
      external_link: 'https://example.com/x',
    });

    expect(await json('posts', 'reschedule', id, '--at', '2031-01-01T09:00:00Z')).toMatchObject({
      changed: 1,
    });
    expect(await json('posts', 'cancel', id)).toMatchObject({ changed: 1 });
  });

  it('that were missed are published now', async () => {
    const account = await makeAccount(system, 'Late');
    const id = await makePost(system, account, '2026-01-01T09:00:00Z');
    expect((await ops('run', 'post-scheduler', '--account', account, '--wait')).code).toBe(0);
    expect((await ops('posts', 'list', 'account=Late', 'state=missed')).stdout).toContain(id);
    expect(await json('posts', 'publish-now', id)).toMatchObject({ action: 'publish_now', changed: 1 });
    expect(await ops('posts', 'settle', id, '--as', 'sent')).toMatchObject({ code: 1 });
  });
});

describe('accounts', () => {
  it('are listed and shown, by id and by name', async () => {
    const id = await makeAccount(system, 'Shown');
    expect((await ops('accounts')).stdout).toMatch(new RegExp(`${id} +│ Shown`));
    expect((await ops('accounts', 'show', 'Shown')).stdout).toMatch(/Used today +0 of 20/);
    expect(await json('accounts', 'show', id)).toMatchObject({ id, account_name: 'Shown' });
  });

  it('have their policies shown and changed', async () => {
    await makeAccount(system, 'Policy');
    const settings = ['time_zone=Europe/Paris', 'work_days=1-3,5', 'holidays=2026-12-25', 'dms_per_day=7'];
    expect((await ops('accounts', 'policy', 'Policy', ...settings)).stdout).toMatch(
      /Work days +Mon, Tue, Wed, Fri\n/,
    );
    expect(await json('accounts', 'policy', 'Policy')).toMatchObject({
      time_zone: 'Europe/Paris',
      work_days: [1, 2, 3, 5],
      holidays: ['2026-12-25'],
      dms_per_day: 7,
    });
    const refused = await ops('accounts', 'policy', 'Policy', 'dms_per_day=51');
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('body/dms_per_day') });
  });

  it('are paused and resumed, and say what that releases', async () => {
    const id = await makeAccount(system, 'Pauser');
    await queue(system, id, 'Pause', 2);
    expect((await ops('pause', 'Pauser', '--reason', 'holiday', '--until', '3d')).stdout).toMatch(
      /is paused until 20/,
    );
    expect((await ops('accounts', 'list', 'paused=true')).stdout).toContain('holiday');
    expect((await ops('resume', id)).stdout).toContain('releases 2 due messages');
  });

  it('of one name are told apart by their ids', async () => {
    const ids = [await makeAccount(system, 'Twin'), await makeAccount(system, 'Twin')];
    const { code, stderr } = await ops('accounts', 'show', 'Twin');
    expect(code).toBe(2);
    for (const id of ids) expect(stderr).toContain(id);
    expect(await ops('run', 'dm-queue', '--account', 'Nobody')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('No account is called “Nobody”'),
    });
  });
});

describe('the system', () => {
  it('is paused and resumed as a whole', async () => {
    expect((await ops('pause', '--all', '--reason', 'wrong campaign')).stdout).toMatch(
      /until somebody resumes it: wrong campaign/,
    );
    const paused = await ops('status', '--json');
    expect(paused.code).toBe(1);
    expect(JSON.parse(paused.stdout)).toMatchObject({
      ok: false,
      verdict: { state: 'stopped', sentence: 'All sending is paused.' },
    });
    expect((await ops('resume', '--all')).stdout).toMatch(
      /^Sending goes on\. That releases \d+ due messages?, each account at its pace\.\n$/,
    );
    expect((await ops('audit', 'action=sending.pause,sending.resume')).stdout).toMatch(
      /anna.*sending\.resume/,
    );
  });

  it('has the alerts that people were told of', async () => {
    expect((await ops('alerts', 'code=posts_missed')).stdout).toBe('There are no such alerts.\n');
    const found = {
      ...{ code: 'slot_missed', state: 'late', subjects: ['dm-queue', 'reconcile'], is_partial: false },
      ...{ sentence: 'A slot was missed.', why: null, what_to_do: null, since: null },
    };
    const looked_at = ['slot_missed'];
    await system.rpc.call('alerts_observe', { found: [found], looked_at });
    await system.rpc.call('alerts_claim', { channels: ['slack'] });
    expect((await ops('alerts', 'open=true')).stdout).toMatch(
      /not yet.*A slot was missed\..*slot_missed.*dm-queue and 1 more.*slack: waiting/,
    );
    expect(await json('alerts', 'subject=reconcile')).toMatchObject({ items: [{ code: 'slot_missed' }] });
    expect((await ops('alerts', 'open=false')).stdout).toBe('There are no such alerts.\n');
  });

  it('has jobs and runs', async () => {
    expect((await ops('jobs')).stdout).toMatch(/dm-queue/);
    expect(await json('jobs')).toMatchObject({
      jobs: expect.arrayContaining([expect.objectContaining({ name: 'dm-queue' })]),
    });
    expect((await ops('runs', '--status', 'succeeded')).stdout).toMatch(/succeeded/);
  });

  it('has analytics', async () => {
    await system.rpc.call('analytics_refresh', { from: '2026-01-01', to: '2026-01-02' });
    await system.rpc.call('analytics_views_refresh');
    expect((await ops('analytics', 'platform', '--days', '2')).stdout).toMatch(/In all: \d+ queued/);
    expect(await json('analytics', 'daily', 'account=Shown', 'from=2026-01-01')).toMatchObject({ items: [] });
    const summary = [
      'analytics',
      'summary',
      '--from',
      '2026-01-01',
      '--to',
      '2026-01-31',
      '--group-by',
      'day',
    ];
    expect(await json(...summary)).toMatchObject({ group_by: 'day' });
    expect((await ops(...summary)).code).toBe(0);
  });
});
