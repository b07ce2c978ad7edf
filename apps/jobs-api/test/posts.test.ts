import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestApp, operator, type ProblemAnswer, type TestApp } from './support/app.ts';
import { openTestDatabase, type TestDatabase } from './support/database.ts';
import { quickJob } from './support/jobs.ts';

let database: TestDatabase;
let test: TestApp;
let account: string;

beforeAll(async () => {
  database = await openTestDatabase();
  test = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
});
afterAll(async () => {
  await test.app.close();
  await database.close();
});
beforeEach(async () => {
  await database.clear();
  account = await database.account('anna-linkedin');
});

const ops = operator(() => test);

const UNKNOWN = '00000000-0000-4000-8000-000000000000';

/** A post that RevOS has, and its id. */
async function post(scheduledFor = '2030-01-01T10:00:00Z', status = 'scheduled'): Promise<string> {
  const [row] = await database.rows<{ id: string }>(
    `insert into public.posts (linkedin_account_id, content, status, scheduled_for)
     values ('${account}', 'What I learned', '${status}', '${scheduledFor}') returning id`,
  );
  return row?.id ?? '';
}

const idsOf = async (url: string): Promise<{ ids: string[]; cursor: string | null }> => {
  const { body } = await ops.get(url);
  const { items, next_cursor } = body as { items: { id: string }[]; next_cursor: string | null };
  return { ids: items.map(({ id }) => id), cursor: next_cursor };
};

const stateOf = async (id: string): Promise<string> =>
  ((await ops.get(`/api/posts/${id}`)).body as { state: string }).state;

describe('GET /api/posts', () => {
  it('goes through all of them by pages, those scheduled last first', async () => {
    const ids: string[] = [];
    for (const day of [1, 2, 3, 4, 5]) ids.unshift(await post(`2030-01-0${day}T10:00:00Z`));
    const first = await idsOf('/api/posts?limit=3');
    expect(first.ids).toEqual(ids.slice(0, 3));
    expect(await idsOf(`/api/posts?limit=3&cursor=${first.cursor}`)).toEqual({
      ids: ids.slice(3),
      cursor: null,
    });
  });

  it('filters', async () => {
    const draft = await post('2030-01-01T10:00:00Z', 'draft');
    const scheduled = await post('2030-02-01T10:00:00Z');
    expect((await idsOf('/api/posts?state=draft')).ids).toEqual([draft]);
    expect((await idsOf('/api/posts?post_status=scheduled&post_status=failed')).ids).toEqual([scheduled]);
    expect((await idsOf('/api/posts?scheduled_from=2030-01-15T00:00:00Z')).ids).toEqual([scheduled]);
    expect((await idsOf(`/api/posts?account_id=${UNKNOWN}`)).ids).toEqual([]);
  });

  it('shows all that the database tells, without the text', async () => {
    await post();
    await post('2030-01-02T10:00:00Z', 'draft');
    const { body } = await ops.get('/api/posts');
    const [row] = await database.rows<{ page: unknown }>('select public.post_list() as page');
    expect(body).toEqual(row?.page);
    expect(body).toMatchObject({
      items: [{ state: 'draft' }, { state: 'waiting', account_name: 'anna-linkedin' }],
    });
    expect(JSON.stringify(body)).not.toContain('learned');
  });
});

describe('GET /api/posts/:id', () => {
  it('shows all that the database tells: text, options, attempts, explanation', async () => {
    const id = await post('2026-03-02T12:00:00Z');
    await ops.patch(`/api/posts/${id}/options`, {
      media: [{ url: 'https://files.example.com/a.png' }],
      mentions: [{ name: 'Ben', profile_id: 'ACoAAB1' }],
      external_link: 'https://example.com',
    });
    await database.rows(
      `insert into public.post_attempts (post_id, account_id, claim_id, worker, started_at, lease_until, effect_by, text, mentions)
       values ('${id}', '${account}', gen_random_uuid(), 'test', now(), now(), now(), 'What I learned', '[]')`,
    );
    const { status, body } = await ops.get(`/api/posts/${id}`);
    expect(status).toBe(200);
    const [row] = await database.rows<{ post: unknown }>(`select public.post_get('${id}') as post`);
    expect(body).toEqual(row?.post);
    expect(body).toMatchObject({
      content: 'What I learned',
      options: { mentions: [{ is_company: false }] },
      attempts: [{ worker: 'test', outcome: null }],
    });
  });

  it('explains alone, too', async () => {
    const id = await post('2026-03-02T12:00:00Z');
    const { body } = await ops.get(`/api/posts/${id}/explanation`);
    expect(body).toMatchObject({ id, state: 'missed', reason: 'too_late' });
  });

  it.each(['', '/explanation'])('is 404 for no post: %s', async (path) => {
    const { status, body } = await ops.get(`/api/posts/${UNKNOWN}${path}`);
    expect([status, (body as ProblemAnswer).type]).toEqual([404, '/problems/post-not-found']);
  });
});

describe('PATCH /api/posts/:id/options', () => {
  it('sets what is named, takes away what is null, and puts it into the audit trail', async () => {
    const id = await post();
    const link = { external_link: 'https://example.com/a?b=c', as_organization: '123' };
    const set = await ops.patch(`/api/posts/${id}/options`, link);
    expect([set.status, set.body]).toMatchObject([200, { ...link, media: [], mentions: [] }]);
    const gone = await ops.patch(`/api/posts/${id}/options`, { external_link: null });
    expect(gone.body).toMatchObject({ external_link: null, as_organization: '123' });
    expect(await database.latestAudit()).toMatchObject({
      actor: 'anna',
      action: 'post.options',
      subject: id,
    });
  });

  it.each([
    { what: 'nothing', patch: {}, status: 400, field: 'body' },
    { what: 'an unknown option', patch: { title: 'a' }, status: 400, field: 'body/title' },
    {
      what: 'a file of no web address',
      patch: { media: [{ url: 'file:///etc/passwd' }] },
      status: 400,
      field: 'body/media/0/url',
    },
    {
      what: 'a mention of nobody',
      patch: { mentions: [{ name: 'Ben', profile_id: 'ben' }] },
      status: 422,
      field: 'mentions/0',
    },
  ])('refuses $what', async ({ patch, status, field }) => {
    const answer = await ops.patch(`/api/posts/${await post()}/options`, patch);
    expect(answer.status).toBe(status);
    expect((answer.body as ProblemAnswer).errors?.map((error) => error.field)).toContain(field);
  });

  it('is 404 for no post', async () => {
    const { status, body } = await ops.patch(`/api/posts/${UNKNOWN}/options`, { external_link: null });
    expect([status, (body as ProblemAnswer).type]).toEqual([404, '/problems/post-not-found']);
  });
});

describe('POST /api/posts/actions', () => {
  it('cancels named posts at once, and says who did', async () => {
    const id = await post();
    const { status, body } = await ops.post('/api/posts/actions', {
      action: 'cancel',
      selection: { ids: [id] },
    });
    expect([status, body]).toMatchObject([200, { matched: 1, changed: 1, sample: [id] }]);
    expect(await stateOf(id)).toBe('draft');
    expect(await database.latestAudit()).toMatchObject({ actor: 'anna', action: 'post.cancel', subject: id });
  });

  it('does by filter what a dry run showed, and nothing if another number matches', async () => {
    const [first, second] = [await post(), await post()];
    const cancel = { action: 'cancel', selection: { filter: { account_id: [account] } } };
    const dry = await ops.post('/api/posts/actions', { ...cancel, dry_run: true });
    expect(dry.body).toMatchObject({ dry_run: true, matched: 2, changed: 2 });
    expect([await stateOf(first), await stateOf(second)]).toEqual(['waiting', 'waiting']);
    expect(await database.latestAudit()).toBeUndefined();

    const wrong = await ops.post('/api/posts/actions', { ...cancel, expected_count: 1 });
    expect([wrong.status, wrong.body]).toMatchObject([
      409,
      { type: '/problems/selection-changed', matched: 2 },
    ]);
    expect([await stateOf(first), await stateOf(second)]).toEqual(['waiting', 'waiting']);

    await ops.post('/api/posts/actions', { ...cancel, expected_count: 2 });
    expect([await stateOf(first), await stateOf(second)]).toEqual(['draft', 'draft']);
  });

  it('publishes now what was missed', async () => {
    const id = await post('2026-03-02T12:00:00Z');
    expect((await ops.get(`/api/posts/${id}/explanation`)).body).toMatchObject({ state: 'missed' });
    await ops.post('/api/posts/actions', { action: 'publish_now', selection: { ids: [id] } });
    expect((await ops.get(`/api/posts/${id}/explanation`)).body).toMatchObject({ state: 'waiting' });
  });

  it('refuses a missing argument, and a filter without a dry run', async () => {
    const missing = await ops.post('/api/posts/actions', {
      action: 'reschedule',
      selection: { ids: [UNKNOWN] },
    });
    expect([missing.status, missing.body]).toMatchObject([
      422,
      { code: 'PO064', errors: [{ field: 'scheduled_for' }] },
    ]);
    const blind = await ops.post('/api/posts/actions', { action: 'cancel', selection: { filter: {} } });
    expect([blind.status, blind.body]).toMatchObject([422, { code: 'PO065' }]);
  });
});
