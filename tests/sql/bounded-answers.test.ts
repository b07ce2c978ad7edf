/**
 * However much was done, and however often: what is written down of it, and what is answered, stays
 * small.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { accountId, at, openAccount, queue } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { insertDmAttempts, insertPostAttempts, insertRows } from '../support/raw-rows.ts';

const NOW = at('2026-03-02T10:00:00Z');
const NOW_TEXT = NOW.toISOString();
/** What one entry of the trail, and one page of a list, may have. */
const ENTRY_BYTES_MAX = 16_384;
const PAGE_BYTES_MAX = 1_048_576;

let session: Session;
let account: string;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  await session.reset();
  account = await openAccount(session, 1);
});

interface Entry {
  readonly id: number;
  readonly action: string;
  readonly params: Readonly<Record<string, unknown>>;
}
interface Page {
  readonly items: readonly Entry[];
  readonly next_cursor: string | null;
}
const trail = (args: object = {}): Promise<Page> => session.rpc.call('audit_list', { ...args });
const latest = async (): Promise<Entry | undefined> => (await trail({ limit: 1 })).items[0];
const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => accountId(n + 1));
const acting = (more: object) =>
  session.rpc.call('dm_act', { action: 'cancel', args: {}, dry_run: false, actor: 'ada', ...more });

describe('the audit trail', () => {
  it('has the number of what was named, and a sample of it', async () => {
    const named = ids(10_000);
    await acting({ selection: { ids: named } });
    expect((await latest())?.params).toEqual({
      selection: { ids: { count: 10_000, sample: named.slice(0, 20) } },
      args: {},
      matched: 0,
      changed: 0,
    });
  });

  it('has all of a few', async () => {
    const queued = await queue(session, account, 20);
    await acting({ selection: { ids: queued }, args: { reason: 'r'.repeat(500) } });
    expect((await latest())?.params).toMatchObject({
      selection: { ids: queued },
      args: { reason: 'r'.repeat(500) },
      changed: 20,
    });
  });

  const wide: Readonly<Record<string, () => Promise<unknown>>> = {
    'a filter that names many': () =>
      acting({
        expected_count: 0,
        selection: {
          filter: Object.fromEntries(
            ['recipient_id', 'dedupe_key', 'reason', 'status'].map((name) => [
              name,
              Array.from({ length: 100 }, (_, n) => `${'é'.repeat(190)}${n}`),
            ]),
          ),
        },
      }),
    'a reason without end': () =>
      acting({ selection: { ids: ids(1) }, args: { reason: 'r'.repeat(500_000) } }),
    'a policy with many holidays': () =>
      session.rpc.call('account_policy_set', {
        account_id: account,
        patch: {
          holidays: Array.from({ length: 400 }, (_, n) =>
            new Date(n * 86_400_000).toISOString().slice(0, 10),
          ),
        },
        actor: 'ada',
      }),
    'a run of many accounts': () =>
      session.rpc.call('run_start', {
        job: 'dm-queue',
        trigger: 'ops',
        scheduled_for: null,
        requested_by: 'ada',
        horizon_at: NOW_TEXT,
        params: { account_ids: ids(1_000) },
      }),
    'an action on posts': () =>
      session.rpc.call('post_act', {
        action: 'cancel',
        selection: { ids: ids(10_000) },
        args: {},
        dry_run: false,
        actor: 'ada',
      }),
  };
  it.each(Object.entries(wide))('is short of %s', async (_what, act) => {
    await act();
    expect(bytesOf((await latest())?.params)).toBeLessThan(ENTRY_BYTES_MAX);
  });

  it.each([
    ['text without end', { a: 't'.repeat(1_000_000) }],
    ['names without end', Object.fromEntries(ids(10_000).map((id) => [id, id]))],
    ['lists in lists', { a: Array(30).fill(Array(30).fill(Array(30).fill('t'.repeat(100)))) }],
    ['depth without end', JSON.parse(`${'{"a":'.repeat(200)}1${'}'.repeat(200)}`) as object],
    ['a name without end', { ['n'.repeat(100_000)]: 1 }],
  ])('is short of %s, whoever writes it', async (_what, params) => {
    await session.query(`select public.audit_add('ada', 'test.wide', null, $1::jsonb)`, [
      JSON.stringify(params),
    ]);
    expect(bytesOf((await latest())?.params)).toBeLessThan(ENTRY_BYTES_MAX);
  });

  it('takes no long entry by plain SQL either', async () => {
    const insert = session.query(
      `insert into audit_log (at, actor, action, params) values (now(), 'ada', 'test.wide', $1::jsonb)`,
      [JSON.stringify({ a: ids(10_000) })],
    );
    await expect(insert).rejects.toMatchObject({ code: '23514' });
  });
});

describe('a page', () => {
  it('ends early where its rows are long, and leads to all of them', async () => {
    await insertRows(
      session,
      'job_runs',
      ids(60).map((id) => ({
        id,
        job: 'dm-queue',
        trigger: 'ops',
        status: 'succeeded',
        requested_at: NOW_TEXT,
        heartbeat_at: NOW_TEXT,
        horizon_at: NOW_TEXT,
        requested_by: 'ada',
        stats: {},
        priority: 0,
        params: { account_ids: ids(1_000) },
      })),
    );
    const seen: number[] = [];
    let after: string | null = null;
    do {
      const page: Page = await session.rpc.call('run_list', { filter: {}, limit: 200, after });
      expect(bytesOf(page)).toBeLessThan(PAGE_BYTES_MAX + 10_000);
      expect(page.items.length).toBeGreaterThan(5);
      seen.push(...page.items.map(({ id }) => id));
      after = page.next_cursor;
    } while (after !== null);
    expect([...new Set(seen)]).toHaveLength(60);
    expect(seen).toHaveLength(60);
  });

  it('has one row, however long it is', async () => {
    const [page] = await session.query(
      `select public.list_page(jsonb_agg(jsonb_build_object('item', repeat('t', 2000000), 'place', jsonb_build_array(n))), 3) as page
       from generate_series(1, 3) as n`,
      [],
    );
    const { items, next_cursor } = (page as { page: { items: unknown[]; next_cursor: string } }).page;
    expect(items).toHaveLength(1);
    expect(JSON.parse(Buffer.from(next_cursor, 'base64url').toString())).toEqual([1]);
  });
});

describe('what was tried of one', () => {
  const attempts = (more: object) =>
    Array.from({ length: 5_032 }, (_, n) => ({
      id: accountId(n + 1),
      account_id: account,
      started_at: new Date(NOW.getTime() + n * 1_000).toISOString(),
      outcome: 'not_sent' as const,
      effect_by: NOW_TEXT,
      ...more,
    }));

  it('message: the latest hundred, oldest first, and how many there are', async () => {
    const [id = ''] = await queue(session, account);
    await insertDmAttempts(session, attempts({ message_id: id }) as never);
    const message = await session.rpc.call<{ attempts: { id: string }[] }>('dm_get', { id });
    expect(message).toMatchObject({ attempts_total: 5_032 });
    expect(message.attempts.map((attempt) => attempt.id)).toEqual(ids(5_032).slice(-100));
    expect(bytesOf(message)).toBeLessThan(PAGE_BYTES_MAX / 4);
  });

  it('post: the same', async () => {
    const id = accountId(9_999);
    await session.query(
      `insert into posts (id, linkedin_account_id, content, status) values ($1, $2, 'Hi', 'draft')`,
      [id, account],
    );
    await insertPostAttempts(session, attempts({ post_id: id }) as never);
    const post = await session.rpc.call<{ attempts: { id: string }[] }>('post_get', { id });
    expect(post).toMatchObject({ attempts_total: 5_032 });
    expect(post.attempts.map((attempt) => attempt.id)).toEqual(ids(5_032).slice(-100));
  });
});
