import type { Action } from '@revos/unipile-sandbox';
import { describe, expect, it } from 'vitest';
import { postScheduler } from '../../src/posts/index.ts';
import { databaseForFile, unavailable } from '../support/database.ts';
import { PDF, PNG, type Publishing, publishingOf, START } from './publishing.ts';

const db = databaseForFile();
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

const after = (ms: number): Date => new Date(START.getTime() + ms);
const strike = (publishing: Publishing, action: Action, operation: 'create_post' | 'read' = 'create_post') =>
  publishing.sandbox.world.addFaults([{ match: { operation }, action }]);

/** Runs, one a quarter of an hour, until one of them had nothing left to do. */
async function runUntil(publishing: Publishing, isDone: () => Promise<boolean>): Promise<void> {
  for (let runs = 0; runs < 40; runs += 1) {
    await publishing.run();
    if (await isDone()) return;
    await publishing.driver.pass(15 * MINUTE_MS, 5 * MINUTE_MS);
  }
  throw new Error('forty runs, and it is not done');
}

describe('a run', () => {
  it('publishes what is due, and RevOS reads where it is', async () => {
    const publishing = await publishingOf(db);
    const id = await publishing.schedule({ content: 'We are hiring.' });
    const later = await publishing.schedule({ at: after(2 * HOUR_MS) });
    const run = await publishing.run();
    expect(run).toMatchObject({
      status: 'succeeded',
      stats: { due: 1, seen: 1, eligible: 1, sent: 1, failed: 0, unknown: 0, skipped: { scheduled: 1 } },
    });
    expect(publishing.published()).toEqual(['We are hiring.']);
    const shown = await publishing.onLinkedIn();
    expect(await publishing.post(id)).toMatchObject({
      status: 'published',
      state: 'published',
      published_at: expect.any(Date),
      unipile_post_id: shown.id,
      post_url: shown.share_url,
      social_id: shown.social_id,
    });
    expect(await publishing.post(later)).toMatchObject({ status: 'scheduled', state: 'waiting' });
  });

  it('waits for the gap between two posts, within its horizon', async () => {
    const publishing = await publishingOf(db);
    await db.query('update public.account_policies set post_gap_s = 300', []);
    for (const content of ['one', 'two', 'three', 'four', 'five']) await publishing.schedule({ content });
    const { stats } = await publishing.run();
    // At 0, 5 and 10 minutes; the slot after that is another run's.
    expect(stats).toMatchObject({ sent: 3, skipped: { post_gap: 2 } });
    expect(publishing.published()).toHaveLength(3);
  });

  it('publishes with mentions, a link and as a page', async () => {
    const publishing = await publishingOf(db);
    await publishing.schedule({
      content: 'Welcome, {{0}} of {{1}}!',
      options: {
        mentions: [
          { name: 'Ben Example', profile_id: 'ACoAA123' },
          { name: 'Acme', profile_id: '77', is_company: true },
        ],
        external_link: 'https://revos.test/jobs',
        as_organization: '4242',
      },
    });
    await publishing.run();
    expect(await publishing.onLinkedIn()).toMatchObject({
      text: 'Welcome, Ben Example of Acme!\nhttps://revos.test/jobs',
      author: { id: '4242', is_company: true },
    });
  });

  it('does what it is told of accounts and a limit, and a dry run changes nothing', async () => {
    const publishing = await publishingOf(db);
    const id = await publishing.schedule();
    const elsewhere = { account_ids: [crypto.randomUUID()] };
    expect((await publishing.run(elsewhere)).stats).toMatchObject({ eligible: 0, due: 0 });
    const before = await publishing.post(id);
    expect((await publishing.run({ dry_run: true })).stats).toMatchObject({
      dry_run: true,
      due: 1,
      eligible: 1,
      would_send: [id],
      skipped: { ready: 1 },
    });
    expect(await publishing.post(id)).toEqual(before);
    expect(publishing.published()).toEqual([]);
    await publishing.schedule();
    expect((await publishing.run({ limit: 1 })).stats).toMatchObject({ sent: 1, skipped: { ready: 1 } });
  });

  it('a claim whose answer is lost is given back, and published once', async () => {
    let lost = 0;
    const publishing = await publishingOf(db, {
      intercept: async (name, next) => {
        const answer = await next();
        if (name === 'post_claim' && lost++ === 0) throw unavailable(name);
        return answer;
      },
    });
    await publishing.schedule();
    expect((await publishing.run()).stats).toMatchObject({ released: 1, sent: 1 });
    expect(publishing.published()).toHaveLength(1);
  });

  it('a record whose answer is lost is written once', async () => {
    let lost = 0;
    const publishing = await publishingOf(db, {
      intercept: async (name, next) => {
        const answer = await next();
        if (name === 'post_record' && lost++ === 0) throw unavailable(name);
        return answer;
      },
    });
    const id = await publishing.schedule();
    expect((await publishing.run()).stats).toMatchObject({ sent: 1 });
    expect(await publishing.post(id)).toMatchObject({ status: 'published' });
  });

  it('says nothing of a text in its log', async () => {
    const publishing = await publishingOf(db);
    await publishing.schedule({ content: 'a secret launch' });
    strike(publishing, {
      kind: 'status',
      status: 403,
      type: 'errors/insufficient_permissions',
      effect: false,
    });
    await publishing.schedule({ content: 'a secret launch, again', at: after(MINUTE_MS) });
    await publishing.run();
    expect(publishing.system.log.lines.join('\n')).not.toContain('secret');
  });
});

/** Of an answer that never comes: so long it is waited for, in real time. */
const PATIENCE = { postTimeoutMs: 1_500 };
const patienceFor = (action: Action) => (action.kind === 'hang' ? PATIENCE : {});

describe('an answer that is lost', () => {
  it.each<[string, Action]>([
    ['cut after the request', { kind: 'drop_answer' }],
    ['cut in its middle', { kind: 'reset_mid_answer' }],
    ['never there', { kind: 'hang', effect: true }],
    ['a 504 after the effect', { kind: 'status', status: 504, type: 'errors/request_timeout', effect: true }],
    [
      'a 500 after the effect',
      { kind: 'status', status: 500, type: 'errors/unexpected_error', effect: true },
    ],
    ['without an id', { kind: 'null_ids' }],
    ['not to be read', { kind: 'malformed_body' }],
    ['a page of HTML', { kind: 'html_body', effect: true }],
  ])(
    '%s: the post is found on LinkedIn, with its ids and its address, and is there once',
    async (_name, action) => {
      const publishing = await publishingOf(db, patienceFor(action));
      const id = await publishing.schedule({
        content: 'Hello {{0}}',
        options: { mentions: [{ name: 'Ben', profile_id: 'ACoAA123' }], external_link: 'https://revos.test' },
      });
      strike(publishing, action);
      const { stats } = await publishing.run();
      expect(stats).toMatchObject({ eligible: 1, sent: 0, unknown: 1, confirmed: 1, resent: 0 });
      const shown = await publishing.onLinkedIn();
      expect(await publishing.post(id)).toMatchObject({
        status: 'published',
        unipile_post_id: shown.id,
        post_url: shown.share_url,
        social_id: shown.social_id,
      });
    },
  );

  it('a video that LinkedIn shows only after ten minutes is confirmed then', async () => {
    const publishing = await publishingOf(db);
    const id = await publishing.schedule();
    strike(publishing, { kind: 'late_visibility', ms: 10 * MINUTE_MS });
    strike(publishing, { kind: 'drop_answer' });
    await runUntil(publishing, async () => (await publishing.post(id)).status === 'published');
    expect(publishing.published()).toHaveLength(1);
  });

  it.each<[string, Action]>([
    ['never there', { kind: 'hang', effect: false }],
    ['a 500', { kind: 'status', status: 500, type: 'errors/unexpected_error', effect: false }],
  ])('%s, and the post neither: absent for half an hour, it is sent once more', async (_name, action) => {
    const publishing = await publishingOf(db, patienceFor(action));
    const id = await publishing.schedule();
    strike(publishing, action);
    await runUntil(publishing, async () => (await publishing.post(id)).status === 'published');
    expect(publishing.published()).toEqual(['Hello']);
    const attempts = await db.query(
      'select outcome, error_type from public.post_attempts order by position',
      [],
    );
    expect(attempts).toMatchObject([{ outcome: 'not_sent', error_type: 'absent' }, { outcome: 'sent' }]);
    // Nothing within the half hour after which its effect could still have come.
    const { published_at } = await publishing.post(id);
    expect(Number(published_at) - START.getTime()).toBeGreaterThanOrEqual(35 * MINUTE_MS);
  });

  it('with the policy hold it is left to a person', async () => {
    const publishing = await publishingOf(db, { ...PATIENCE, settings: { unknownPolicy: 'hold' } });
    const id = await publishing.schedule();
    strike(publishing, { kind: 'hang', effect: false });
    await runUntil(publishing, async () => (await publishing.post(id)).reason === 'unknown_held');
    await publishing.run();
    expect(publishing.published()).toEqual([]);
    expect(await publishing.post(id)).toMatchObject({ status: 'scheduled', state: 'unknown' });
  });

  it('absent, to be sent once more, and then it is there after all: it is not sent', async () => {
    const publishing = await publishingOf(db);
    const id = await publishing.schedule({ content: 'As it was' });
    strike(publishing, { kind: 'late_visibility', ms: 50 * MINUTE_MS });
    strike(publishing, { kind: 'drop_answer' });
    // Nothing goes while it is decided, so that it goes only after LinkedIn has shown it.
    await publishing.run();
    await publishing.rpc.call('sending_pause_set', { reason: 'test', until: after(60 * MINUTE_MS) });
    await runUntil(publishing, async () => (await publishing.post(id)).state === 'waiting');
    // What RevOS has by now is not what is looked for.
    await db.query(`update public.posts set content = 'Changed' where id = $1`, [id]);
    await runUntil(publishing, async () => (await publishing.post(id)).status === 'published');
    expect(publishing.published()).toEqual(['As it was']);
    expect(await publishing.post(id)).toMatchObject({ unipile_post_id: (await publishing.onLinkedIn()).id });
  });

  it('absent, and a look before the second try that takes too long: the post waits before the next look', async () => {
    const publishing = await publishingOf(db, PATIENCE);
    const id = await publishing.schedule();
    strike(publishing, { kind: 'hang', effect: false });
    await publishing.run();
    await publishing.rpc.call('sending_pause_set', { reason: 'test', until: after(60 * MINUTE_MS) });
    await runUntil(publishing, async () => (await publishing.post(id)).state === 'waiting');

    const { unipile } = publishing.system.services;
    const { findPost } = unipile;
    const lookedAt: number[] = [];
    unipile.findPost = async (sought) => {
      lookedAt.push(publishing.effects.now().getTime());
      await publishing.effects.sleep(150_000);
      return findPost(sought);
    };
    await publishing.driver.pass(60 * MINUTE_MS, 5 * MINUTE_MS);
    await publishing.run();
    expect(await publishing.post(id)).toMatchObject({ state: 'waiting', reason: 'not_read_back', burned: 0 });
    expect(lookedAt.length).toBeGreaterThan(1);
    const waitsMs = lookedAt.slice(1).map((at, index) => at - (lookedAt[index] ?? 0));
    expect(Math.min(...waitsMs)).toBeGreaterThanOrEqual(150_000 + 5 * MINUTE_MS);

    unipile.findPost = findPost;
    await runUntil(publishing, async () => (await publishing.post(id)).status === 'published');
    expect(publishing.published()).toHaveLength(1);
  });

  it('an address that could not be read at once is filled in later', async () => {
    const publishing = await publishingOf(db);
    const id = await publishing.schedule();
    strike(
      publishing,
      { kind: 'status', status: 503, type: 'errors/service_unavailable', effect: false },
      'read',
    );
    const run = await publishing.run();
    expect(run.stats).toMatchObject({ sent: 1, unknown: 0, confirmed: 0 });
    expect(await publishing.post(id)).toMatchObject({ status: 'published', post_url: null });
    await runUntil(publishing, async () => (await publishing.post(id)).post_url !== null);
    expect(await publishing.post(id)).toMatchObject({ post_url: (await publishing.onLinkedIn()).share_url });
  });
});

describe('a refusal', () => {
  it('fails the post with what Unipile said; RevOS puts it back, and it goes', async () => {
    const publishing = await publishingOf(db);
    const id = await publishing.schedule();
    strike(publishing, { kind: 'status', status: 422, type: 'errors/unprocessable_entity', effect: false });
    expect((await publishing.run()).stats).toMatchObject({ failed: 1, sent: 0 });
    expect(await publishing.post(id)).toMatchObject({
      status: 'failed',
      reason: 'rejected',
      error: expect.any(String),
    });
    await db.query(`update public.posts set status = 'scheduled' where id = $1`, [id]);
    await publishing.run();
    expect(await publishing.post(id)).toMatchObject({ status: 'published' });
    expect(publishing.published()).toHaveLength(1);
  });

  it('of the account pauses it, and the post waits', async () => {
    const publishing = await publishingOf(db, {
      sandbox: { accounts: [{ id: 'ada', status: 'CREDENTIALS' }] },
    });
    const id = await publishing.schedule();
    expect((await publishing.run()).stats).toMatchObject({ retried: 1, skipped: { paused: 1 } });
    expect(await publishing.post(id)).toMatchObject({ status: 'scheduled', state: 'waiting', burned: 0 });
    const policies = await db.query('select pause_reason from public.account_policies', []);
    expect(policies).toEqual([{ pause_reason: 'account_disconnected' }]);
  });

  it('of our key ends the run and says so; the post waits', async () => {
    const publishing = await publishingOf(db, { apiKey: 'wrong.key' });
    const id = await publishing.schedule();
    expect(await publishing.run()).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('API key'),
    });
    expect(await publishing.post(id)).toMatchObject({ state: 'waiting', reason: 'platform_key_refused' });
    expect(publishing.published()).toEqual([]);
  });
});

describe('the media of a post', () => {
  const urls = (publishing: Publishing, ...names: string[]) => ({
    media: names.map((name) => ({ url: `${publishing.fileServer.origin}/${name}` })),
  });

  it('are fetched and published with it, in order, under the names they were given', async () => {
    const publishing = await publishingOf(db);
    const { fileServer } = publishing;
    for (const name of ['/a.png', '/b.png']) fileServer.files.set(name, PNG);
    const media = [
      { url: `${fileServer.origin}/a.png`, name: 'team.png' },
      { url: `${fileServer.origin}/b.png` },
    ];
    await publishing.schedule({ options: { media } });
    await publishing.run();
    expect(await publishing.onLinkedIn()).toMatchObject({
      attachments: [
        { file_name: 'team.png', mimetype: 'image/png', file_size: PNG.length },
        { file_name: 'b.png', mimetype: 'image/png' },
      ],
    });
  });

  it.each<[string, Buffer | number, RegExp]>([
    ['gone', 404, /404/],
    ['of a type that no post takes', Buffer.from('just text'), /./],
    ['of a kind that cannot stand beside the other', PDF, /cannot stand together/],
  ])('%s: held, with the detail; mended, it goes', async (_name, file, detail) => {
    const publishing = await publishingOf(db);
    publishing.fileServer.files.set('/a.png', PNG).set('/b', file);
    const id = await publishing.schedule({ options: urls(publishing, 'a.png', 'b') });
    await publishing.run();
    expect(await publishing.post(id)).toMatchObject({
      status: 'scheduled',
      state: 'held',
      reason: 'media_invalid',
      error: expect.stringMatching(detail),
      burned: 0,
    });
    expect(publishing.published()).toEqual([]);
    await publishing.rpc.call('post_options_set', { post_id: id, patch: urls(publishing, 'a.png') });
    await publishing.run();
    expect(await publishing.post(id)).toMatchObject({ status: 'published' });
  });

  it('that cannot be reached are tried again, and then the post goes', async () => {
    const publishing = await publishingOf(db);
    publishing.fileServer.files.set('/a.png', 503);
    const id = await publishing.schedule({ options: urls(publishing, 'a.png') });
    const { driver, system } = publishing;
    const run = await system.start(postScheduler);
    // A claim that meets a row somebody is writing comes back after a second.
    await driver.pass(5_000);
    expect(await publishing.post(id)).toMatchObject({
      state: 'waiting',
      reason: 'media_unreachable',
      burned: 1,
    });
    publishing.fileServer.files.set('/a.png', PNG);
    const { stats } = await driver.untilEnd(system.ended(run.id));
    expect(stats).toMatchObject({ retried: 1, sent: 1 });
    expect(await publishing.post(id)).toMatchObject({ status: 'published' });
  });

  it('are looked at a day ahead, so that what is wrong is seen in time, and once', async () => {
    const publishing = await publishingOf(db);
    const { fileServer } = publishing;
    fileServer.files.set('/a.png', PNG);
    const bad = await publishing.schedule({ at: after(10 * HOUR_MS), options: urls(publishing, 'gone.png') });
    const good = await publishing.schedule({ at: after(11 * HOUR_MS), options: urls(publishing, 'a.png') });
    const far = await publishing.schedule({ at: after(30 * HOUR_MS), options: urls(publishing, 'far.png') });
    expect((await publishing.run()).stats).toMatchObject({ media_checked: 2, media_problems: 1 });
    expect(await publishing.post(bad)).toMatchObject({ state: 'held', reason: 'media_invalid' });
    expect(await publishing.post(good)).toMatchObject({ state: 'waiting' });
    expect(await publishing.post(far)).toMatchObject({ state: 'waiting' });
    expect([...fileServer.asked].sort()).toEqual(['/a.png', '/gone.png']);
    expect((await publishing.run()).stats).toMatchObject({ media_checked: 0 });
  });

  it('of a host that hangs does not keep the run from its end, and is looked at once in it', async () => {
    const publishing = await publishingOf(db);
    const hanging: string[] = [];
    const { media } = publishing.system.services;
    media.fetch = (url, signal) => {
      hanging.push(url);
      return new Promise((resolve) => {
        const late = {
          ok: false,
          problem: 'media_unreachable',
          detail: 'no answer',
          retryable: true,
        } as const;
        signal?.addEventListener('abort', () => resolve(late), { once: true });
      });
    };
    for (const name of ['a.png', 'b.png', 'c.png']) {
      await publishing.schedule({ at: after(20 * HOUR_MS), options: urls(publishing, name) });
    }
    const began = publishing.effects.now().getTime();
    const run = await publishing.run();
    expect(run).toMatchObject({ status: 'succeeded', stats: { media_checked: 0 } });
    expect(publishing.effects.now().getTime() - began).toBeLessThan(3 * 60_000);
    expect(new Set(hanging).size).toBe(hanging.length);
  });

  it.each([true, false])('are looked at by the first slice of a run only (first: %s)', async (isFirst) => {
    const publishing = await publishingOf(db, {
      async intercept(name, next) {
        const answer = await next();
        if (name !== 'run_begin') return answer;
        const told = answer as { readonly slice: object };
        return { ...told, slice: { ...told.slice, is_first: isFirst } };
      },
    });
    publishing.fileServer.files.set('/a.png', PNG);
    await publishing.schedule({
      at: after(50 * MINUTE_MS),
      options: { media: [{ url: `${publishing.fileServer.origin}/a.png` }] },
    });
    expect(await publishing.run()).toMatchObject({ status: 'succeeded' });
    expect(publishing.fileServer.asked).toEqual(isFirst ? ['/a.png'] : []);
  });
});

describe('media that were not there', () => {
  const held = async (publishing: Publishing, at: Date): Promise<string> => {
    const id = await publishing.schedule({
      at,
      options: { media: [{ url: `${publishing.fileServer.origin}/a.png` }] },
    });
    const { driver, system } = publishing;
    const run = await system.start(postScheduler);
    // Time stands still until the first look is recorded.
    await expect.poll(() => publishing.post(id)).toMatchObject({ state: 'held', reason: 'media_invalid' });
    publishing.fileServer.files.set('/a.png', PNG);
    expect(await driver.untilEnd(system.ended(run.id))).toMatchObject({ status: 'succeeded' });
    return id;
  };

  it('are looked at again when the post is due, and it goes out in the same run', async () => {
    const publishing = await publishingOf(db);
    const due = after(3 * MINUTE_MS);
    const id = await held(publishing, due);
    const { published_at, ...post } = await publishing.post(id);
    expect(post).toMatchObject({ status: 'published' });
    expect(published_at?.getTime()).toBeGreaterThanOrEqual(due.getTime());
    expect(published_at?.getTime()).toBeLessThan(due.getTime() + 10_000);
    expect(publishing.fileServer.asked).toHaveLength(3);
  });

  it('are looked at again in the same run also where it asked for posts before the next look was known', async () => {
    const [recorded, claimed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let asked = 0;
    const publishing = await publishingOf(db, {
      async intercept(name, next) {
        if (name === 'post_claim') await recorded.promise;
        if (name === 'post_media_due') asked += 1;
        if (name === 'post_media_due' && asked === 2) await claimed.promise;
        const answer = await next();
        if (name === 'post_media_record') recorded.resolve();
        if (name === 'post_claim') claimed.resolve();
        return answer;
      },
    });
    const id = await held(publishing, after(3 * MINUTE_MS));
    expect(await publishing.post(id)).toMatchObject({ status: 'published' });
  });

  it('are looked at again in a later run, which comes a moment early', async () => {
    const publishing = await publishingOf(db);
    const id = await held(publishing, after(50 * MINUTE_MS));
    expect(await publishing.post(id)).toMatchObject({ state: 'held' });
    const began = publishing.effects.now().getTime() - START.getTime();
    // A quarter of an hour after the look is a second after the slot.
    await publishing.driver.pass(15 * MINUTE_MS - began - 1_000);
    expect((await publishing.run()).stats).toMatchObject({ media_checked: 1, media_problems: 0, sent: 0 });
    expect(await publishing.post(id)).toMatchObject({ state: 'waiting', reason: null });
  });
});

describe('a post that is too late', () => {
  it('is missed; nothing floods, and a person publishes it now', async () => {
    const publishing = await publishingOf(db, { settings: { postLateLimitMinutes: 30 } });
    const late = await publishing.schedule({ content: 'late', at: after(-31 * MINUTE_MS) });
    await publishing.schedule({ content: 'in time', at: after(-30 * MINUTE_MS + 1_000) });
    expect((await publishing.run()).stats).toMatchObject({ sent: 1, skipped: { too_late: 1 } });
    expect(publishing.published()).toEqual(['in time']);
    expect(await publishing.post(late)).toMatchObject({
      status: 'scheduled',
      state: 'missed',
      reason: 'too_late',
    });
    const selection = { ids: [late] };
    await publishing.rpc.call('post_act', { action: 'publish_now', selection, args: {}, dry_run: false });
    await publishing.run();
    expect(publishing.published()).toEqual(['in time', 'late']);
  });
});
