/** Migrations: applied twice they change nothing, and what RevOS owns stays as it is. */
import type { SqlQuery } from '@revos/core/rpc';
import { applyMigrations, pgExec } from '@revos/local-stack';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCatalog } from '../support/catalog.ts';
import { migrationsUnderTest } from '../support/migrations.ts';
import { emptyDatabase } from '../support/test-postgres.ts';

let db: pg.Client;
let query: SqlQuery;

beforeEach(async () => {
  db = new pg.Client({ connectionString: await emptyDatabase() });
  await db.connect();
  query = async (text, values) => (await db.query<Record<string, unknown>>(text, [...values])).rows;
});
afterEach(() => db.end());

const migrate = async (rerun: boolean) =>
  applyMigrations(pgExec(db), { rerun, migrations: await migrationsUnderTest() });

/** RevOS as it stands: more columns than we know of, its own trigger, grants, policies and rows. */
const REVOS = `
  create function public.update_updated_at_column() returns trigger language plpgsql as
    $$ begin new.updated_at = now(); return new; end $$;
  create table public.linkedin_accounts (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    account_name text not null,
    unipile_account_id text unique,
    status text default 'active' check (status in ('active', 'expired', 'error')),
    last_sync_at timestamptz, rate_limit_reset_at timestamptz,
    daily_dm_count integer default 0, daily_post_count integer default 0,
    created_at timestamptz default now(), updated_at timestamptz default now(),
    profile_url text,
    unique (user_id, account_name)
  );
  create table public.posts (
    id uuid primary key default gen_random_uuid(),
    campaign_id uuid, linkedin_account_id uuid references public.linkedin_accounts (id),
    unipile_post_id text unique, post_url text, content text not null, trigger_word text,
    status text default 'draft' check (status in ('draft', 'scheduled', 'published', 'failed')),
    scheduled_for timestamptz, published_at timestamptz, metrics jsonb default '{}',
    last_polled_at timestamptz, created_at timestamptz default now(), updated_at timestamptz default now()
  );
  create index idx_posts_scheduled on public.posts (scheduled_for) where status = 'scheduled';
  create trigger update_linkedin_accounts_updated_at before update on public.linkedin_accounts
    for each row execute function public.update_updated_at_column();
  alter table public.linkedin_accounts enable row level security;
  create policy "own accounts" on public.linkedin_accounts for select to authenticated using (user_id is not null);
  grant select on public.linkedin_accounts to authenticated;
  grant select (id, content) on public.posts to anon;
  grant all on public.linkedin_accounts, public.posts to service_role;
  insert into public.linkedin_accounts (id, account_name, unipile_account_id, daily_dm_count, updated_at)
    values ('00000000-0000-4000-8000-000000000001', 'Ann', 'u1', 7, '2026-01-01T00:00:00Z');
  insert into public.posts (linkedin_account_id, content, status, scheduled_for, updated_at)
    values ('00000000-0000-4000-8000-000000000001', 'Hi', 'scheduled', '2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z');
`;
const THEIRS = ['linkedin_accounts', 'posts', 'update_updated_at_column()'];

describe('migrations', () => {
  it('applied twice give the same catalog', async () => {
    await migrate(false);
    const once = await readCatalog(query);
    expect(once.functions?.length).toBeGreaterThan(30);
    await migrate(true);
    expect(await readCatalog(query)).toEqual(once);
  });

  it('applied twice keep the rows of the queue', async () => {
    await migrate(false);
    await db.query(`
      insert into linkedin_accounts (id, account_name) values ('00000000-0000-4000-8000-000000000001', 'Ann');
      insert into dm_queue (linkedin_account_id, recipient_id, message)
        values ('00000000-0000-4000-8000-000000000001', 'ACoAA1', 'Hello');`);
    const rows = () =>
      query(
        `select to_jsonb(dm_queue) as row, to_jsonb(account_policies) as policy
      from dm_queue join account_policies on account_id = linkedin_account_id`,
        [],
      );
    const before = await rows();
    expect(before).toHaveLength(1);
    await migrate(true);
    expect(await rows()).toEqual(before);
  });

  it('change nothing that RevOS owns, once or twice', async () => {
    await db.query(REVOS);
    const theirs = () => readCatalog(query, THEIRS);
    const rows = () =>
      query(
        `select to_jsonb(a) as row from linkedin_accounts a union all select to_jsonb(p) from posts p`,
        [],
      );
    const [catalog, stored] = [await theirs(), await rows()];
    expect(Object.values(catalog).map((lines) => lines.length > 0)).toEqual(Array(7).fill(true));
    for (const rerun of [false, true]) {
      await migrate(rerun);
      expect(await theirs()).toEqual(catalog);
      expect(await rows()).toEqual(stored);
    }
  });

  it('leave a function of RevOS’s as it is where its tables are not there', async () => {
    await db.query(`create function public.update_updated_at_column() returns trigger language plpgsql as
      $$ begin new.updated_at = now() - interval '1 day'; return new; end $$`);
    const theirs = () =>
      query(
        `select prosrc, proacl::text as acl from pg_proc where oid = 'public.update_updated_at_column()'::regprocedure`,
        [],
      );
    const before = await theirs();
    await migrate(false);
    expect(await theirs()).toEqual(before);
  });

  it('make RevOS’s tables where there are none, closed to the browser', async () => {
    await migrate(false);
    const acl = await query(
      `select relname, relrowsecurity, relacl::text as acl from pg_class
       where relname in ('linkedin_accounts', 'posts') order by relname`,
      [],
    );
    expect(acl).toHaveLength(2);
    for (const table of acl) {
      expect(table.relrowsecurity).toBe(true);
      expect(String(table.acl)).not.toMatch(/anon|authenticated/);
      expect(String(table.acl)).toContain('service_role=arwd/');
    }
  });
});
