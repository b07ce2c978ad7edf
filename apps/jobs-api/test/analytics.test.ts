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
  // Three days, each with one more message.
  await database.rows(`
    insert into public.dm_queue (linkedin_account_id, recipient_id, message, send_at, created_at)
    select '${account}', 'ACo' || place || 'x' || n, 'Hello', day + interval '10 hours', day + interval '10 hours'
    from generate_series('2026-03-02'::timestamp, '2026-03-04', '1 day') with ordinality as days (day, place)
    cross join lateral generate_series(1, place) as n`);
  await database.rows(`select public.analytics_refresh('2026-03-01', '2026-03-05')`);
  await database.rows('select public.analytics_views_refresh()');
});

const ops = operator(() => test);

describe('GET /api/analytics/daily', () => {
  const rowsOf = async (query: string) => {
    const { body } = await ops.get(`/api/analytics/daily?from=2026-03-01&to=2026-03-05${query}`);
    return body as { items: { day: string; queued: number }[]; next_cursor: string | null };
  };

  it('goes through all rows by pages, the latest day first, and shows all that the database tells', async () => {
    const all = await rowsOf('');
    const [row] = await database.rows<{ page: unknown }>(
      `select public.analytics_daily_list('{"from":"2026-03-01","to":"2026-03-05"}') as page`,
    );
    expect(all).toEqual(row?.page);
    expect(all.items.map(({ day, queued }) => [day, queued])).toEqual([
      ['2026-03-04', 3],
      ['2026-03-03', 2],
      ['2026-03-02', 1],
    ]);
    const first = await rowsOf('&limit=2');
    const second = await rowsOf(`&limit=2&cursor=${first.next_cursor}`);
    expect([...first.items, ...second.items]).toEqual(all.items);
    expect(second.next_cursor).toBeNull();
  });

  it('filters', async () => {
    expect((await rowsOf(`&account_id=${account}`)).items).toHaveLength(3);
    expect((await rowsOf('&account_id=00000000-0000-4000-8000-000000000000')).items).toEqual([]);
  });
});

describe('GET /api/analytics/summary', () => {
  it('sums up everything, or by day, and says as of when', async () => {
    const sum = await ops.get('/api/analytics/summary?from=2026-03-01&to=2026-03-05');
    expect(sum.body).toMatchObject({
      as_of: expect.stringMatching(/Z$/),
      from: '2026-03-01',
      to: '2026-03-05',
      group_by: 'none',
      items: [{ key: null, queued: 6 }],
      truncated: false,
    });
    const byDay = await ops.get('/api/analytics/summary?from=2026-03-01&to=2026-03-05&group_by=day');
    const [row] = await database.rows<{ summary: object }>(
      `select public.analytics_summary('2026-03-01', '2026-03-05', 'day') as summary`,
    );
    expect(byDay.body).toEqual({ ...row?.summary, as_of: expect.any(String) });
  });

  it.each([
    { what: 'no range', query: '', field: 'querystring/from' },
    { what: 'no day', query: '?from=2026-02-30&to=2026-03-01', field: 'querystring/from' },
    {
      what: 'no group',
      query: '?from=2026-03-01&to=2026-03-02&group_by=mood',
      field: 'querystring/group_by',
    },
  ])('refuses $what', async ({ query, field }) => {
    const { status, body } = await ops.get(`/api/analytics/summary${query}`);
    expect(status).toBe(400);
    expect((body as ProblemAnswer).errors?.map((error) => error.field)).toContain(field);
  });

  it('refuses a range that ends before it begins', async () => {
    const { status, body } = await ops.get('/api/analytics/summary?from=2026-03-02&to=2026-03-01');
    expect([status, (body as ProblemAnswer).type]).toEqual([422, '/problems/refused']);
  });
});

describe('GET /api/analytics/platform', () => {
  it('shows each of the last days and their totals', async () => {
    const { status, body } = await ops.get('/api/analytics/platform?days=7');
    expect(status).toBe(200);
    const [row] = await database.rows<{ platform: object }>(
      'select public.analytics_platform(7) as platform',
    );
    expect(body).toEqual({ ...row?.platform, computed_at: expect.stringMatching(/Z$/) });
    expect((body as { days: unknown[] }).days).toHaveLength(7);
  });

  it('shows 30 days unless told otherwise', async () => {
    const { body } = await ops.get('/api/analytics/platform');
    expect((body as { days: unknown[] }).days).toHaveLength(30);
  });

  it.each(['0', '401', '1.5'])('refuses %s days', async (days) => {
    expect((await ops.get(`/api/analytics/platform?days=${days}`)).status).toBe(400);
  });
});
