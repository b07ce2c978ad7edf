import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { type Migration, readMigrations } from '../src/migrations.ts';
import { type LocalPostgres, startPostgres } from '../src/postgres.ts';
import { migratePostgres, withClient } from '../src/postgres-databases.ts';
import { type LocalSupabase, type StartSupabaseOptions, startSupabase } from '../src/supabase.ts';
import { fixtures } from './fixtures.ts';

const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };
const clientOf = (api: LocalSupabase, key: string) => createClient(api.url, key, { auth });

let migrations: Migration[];
let postgres: LocalPostgres;

beforeAll(async () => {
  migrations = await readMigrations(fixtures.folder);
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
// lite writes each database error that it answers with to the console.
beforeEach(() => {
  const silenced = vi.spyOn(console, 'error').mockImplementation(() => {});
  return () => silenced.mockRestore();
});

describe.each<{ name: string; connection: () => Promise<StartSupabaseOptions['connection']> }>([
  { name: 'PGlite', connection: async () => ({ driver: 'pglite' }) },
  { name: 'Postgres', connection: async () => ({ postgresUrl: await postgres.createDatabase('api') }) },
])('startSupabase on $name', ({ name, connection }) => {
  let api: LocalSupabase;
  let server: SupabaseClient;
  let browser: SupabaseClient;

  beforeAll(async () => {
    api = await startSupabase({ connection: await connection(), migrations });
    server = clientOf(api, api.secretKey);
    browser = clientOf(api, api.publishableKey);
  });
  afterAll(() => api.close());

  describe('arguments and answers', () => {
    it.each<[string, unknown, string]>([
      ['an object', { a: 1, nested: { list: [1, 'two', null] } }, 'object'],
      ['an array of objects', [{ a: 1 }, { a: 2 }], 'array'],
      ['an empty array', [], 'array'],
      ['an array of texts', ['a', 'b'], 'array'],
      ['a text', 'plain', 'string'],
      ['a text that is JSON', '{"a": 1}', 'string'],
      ['a text with quotes, backslash and emoji', 'say "no" \\ to 🦜', 'string'],
      ['a number', 42.5, 'number'],
      ['a boolean', true, 'boolean'],
    ])('%s arrives as it was sent', async (_, value, type) => {
      const { data, error } = await server.rpc('echo', { value });
      expect(error).toBeNull();
      expect(data).toEqual({ value, type });
    });

    it('null arrives as SQL null, as from PostgREST', async () => {
      const { data, error } = await server.rpc('echo', { value: null });
      expect(error).toBeNull();
      expect(data).toEqual({ value: null, type: 'SQL null' });
    });

    it('a null inside an object stays a JSON null', async () => {
      const { data } = await server.rpc('echo', { value: { a: null } });
      expect(data).toEqual({ value: { a: null }, type: 'object' });
    });

    it('timestamps inside a returned jsonb stay ISO', async () => {
      const { data } = await server.rpc('clock', { at: '2026-11-24T09:30:00.123456+01:00' });
      expect(data).toEqual({ at: '2026-11-24T08:30:00.123456+00:00', zoned: '2026-11-24T08:30:00.123456' });
    });

    it.each<[string, Record<string, unknown>, unknown]>([
      ['nothing', {}, null],
      ['double', { n: 21 }, 42],
      ['names', {}, ['a', 'b']],
      ['refuse_caught', {}, { caught: 'the rule was broken' }],
    ])('%s answers with what it returns', async (fn, args, expected) => {
      const { data, error } = await server.rpc(fn, args);
      expect(error).toBeNull();
      expect(data).toEqual(expected);
    });

    it("a rule's error keeps its code, detail and hint", async () => {
      const { data, error } = await server.rpc('refuse');
      expect(data).toBeNull();
      expect(error).toMatchObject({
        code: 'DM001',
        message: 'the rule was broken',
        details: 'what happened',
        hint: 'what to do',
      });
    });

    it('a function that is not there is PGRST202', async () => {
      expect((await server.rpc('no_such_function')).error?.code).toBe('PGRST202');
    });
  });

  describe('roles', () => {
    it.each(['ungranted', 'task_changes'])(
      '%s is closed even to service_role until granted',
      async (table) => {
        const { data, error } = await server.from(table).select();
        expect(data).toBeNull();
        expect(error?.code).toBe('42501');
      },
    );

    it('anon is refused a table of the server, and one that nobody has', async () => {
      for (const table of ['tasks', 'ungranted']) {
        const { data, error, status } = await browser.from(table).select();
        expect({ data, code: error?.code, status }).toEqual({ data: null, code: '42501', status: 401 });
      }
    });

    it('a function of the server is open to service_role and closed to anon', async () => {
      expect((await server.rpc('secret')).data).toBe('only the server');
      const { data, error } = await browser.rpc('secret');
      expect({ data, code: error?.code }).toEqual({ data: null, code: '42501' });
    });

    it('a function whose execute was not revoked is open to anon: Postgres gives it to public', async () => {
      expect((await browser.rpc('double', { n: 1 })).data).toBe(2);
    });

    it('row-level security does not hold for service_role', async () => {
      const { error } = await server.from('tasks').insert({ id: 900, state: 'done' });
      expect(error).toBeNull();
      expect((await server.from('tasks').select('id').eq('id', 900)).data).toEqual([{ id: 900 }]);
    });

    it.each(['', 'sb_secret_wrong', 'sb_publishable_wrong'])('refuses the key "%s"', async (apikey) => {
      const response = await fetch(`${api.url}/rest/v1/rpc/secret`, { method: 'POST', headers: { apikey } });
      expect(response.status).toBe(401);
    });

    it('signs up a user, who is authenticated and no more', async () => {
      const person = clientOf(api, api.publishableKey);
      const { data, error } = await person.auth.signUp({ email: 'a@example.com', password: 'correct horse' });
      expect(error).toBeNull();
      expect(data.session?.user.role).toBe('authenticated');
      expect((await person.from('tasks').select()).error?.code).toBe('42501');
    });
  });

  it('makes keys of the new kind', () => {
    expect(api.publishableKey).toMatch(/^sb_publishable_\S{20,}$/);
    expect(api.secretKey).toMatch(/^sb_secret_\S{20,}$/);
  });

  it('serves the API and nothing else: not its own configuration', async () => {
    for (const route of ['/', '/_system/config', '/_system/info', '/rest/v2/tasks']) {
      expect((await fetch(`${api.url}${route}`)).status, route).toBe(404);
    }
  });

  it('can be called without the network', async () => {
    const inside = createClient(api.url, api.secretKey, { auth, global: { fetch: api.fetch } });
    expect((await inside.rpc('double', { n: 4 })).data).toBe(8);
  });

  it('has what the schema leans on: triggers with transition tables, generated columns, skip locked', async () => {
    const rows = [{ id: 1 }, { id: 2, not_before: '2026-11-25T00:00:00Z' }];
    const inserted = await server.from('tasks').insert(rows).select('id, ready_at').order('id');
    expect(inserted.error).toBeNull();
    expect(inserted.data).toMatchObject([
      { id: 1, ready_at: '2026-11-24T10:00:00+00:00' },
      { id: 2, ready_at: '2026-11-25T00:00:00+00:00' },
    ]);
    expect((await server.rpc('task_take')).data).toMatchObject({ id: 1 });
    expect((await server.rpc('totals_refresh')).data).toMatchObject({ pending: 1, taken: 1 });
  });

  it('has room for many callers at once, in as many sessions as the driver has', async () => {
    await server.from('tasks').insert([11, 12, 13, 14].map((id) => ({ id })));
    const taken = await Promise.all(
      Array.from({ length: 4 }, () => server.rpc('task_take', { p_hold_s: name === 'PGlite' ? 0 : 0.2 })),
    );
    const ids = taken.map(({ data }) => data.id);
    expect(new Set(ids).size).toBe(4);
    expect(ids).not.toContain(null);
    const sessions = new Set(taken.map(({ data }) => data.session));
    expect(sessions.size).toBe(name === 'PGlite' ? 1 : 4);
  });
});

describe('startSupabase on a Postgres that dies', () => {
  it('fails the calls in flight with 503, answers 503 while it is down, and works when it is back', async () => {
    const victim = await startPostgres();
    const postgresUrl = await victim.createDatabase('api');
    const api = await startSupabase({ connection: { postgresUrl, sessionsMax: 4 }, migrations });
    try {
      const server = clientOf(api, api.secretKey);
      await server.from('tasks').insert([{ id: 1 }, { id: 2 }]);
      // Six calls: four hold a session, two wait for one.
      const calls = Array.from({ length: 6 }, () =>
        server.rpc('task_take', { p_hold_s: 30 }).then((it) => it),
      );
      await withClient(postgresUrl, async (client) => {
        const sleeping = `select count(*)::int as n from pg_stat_activity where wait_event = 'PgSleep'`;
        await expect
          .poll(async () => (await client.query(sleeping)).rows[0].n, { timeout: 10_000, interval: 10 })
          .toBe(4);
      });
      await victim.kill();

      for (const { status, error } of await Promise.all(calls)) {
        expect({ status, code: error?.code }).toEqual({ status: 503, code: 'PGRST001' });
      }
      const down = await server.rpc('double', { n: 1 });
      expect({ status: down.status, code: down.error?.code }).toEqual({ status: 503, code: 'PGRST001' });

      await victim.restart();
      const back = await Promise.all(Array.from({ length: 8 }, () => server.rpc('double', { n: 2 })));
      expect(back.map(({ data }) => data)).toEqual(Array(8).fill(4));
      expect((await server.rpc('task_take')).data).toMatchObject({ id: 1 });
    } finally {
      await api.close();
      await victim.stop();
    }
  });

  it('closes at once under calls that still run', async () => {
    const postgresUrl = await postgres.createDatabase('closing');
    const api = await startSupabase({ connection: { postgresUrl }, migrations });
    const call = clientOf(api, api.secretKey)
      .rpc('task_take', { p_hold_s: 30 })
      .then((it) => it.status);
    await withClient(postgresUrl, async (client) => {
      const sleeping = `select count(*)::int as n from pg_stat_activity where wait_event = 'PgSleep'
        and datname = current_database()`;
      await expect
        .poll(async () => (await client.query(sleeping)).rows[0].n, { timeout: 10_000, interval: 10 })
        .toBe(1);
    });
    await api.close();
    expect(await call).toBe(0);
  });
});

describe('startSupabase over a restart', () => {
  it('finds the data and takes the keys it is given', async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'supabase-'));
    try {
      const before = await startSupabase({ connection: { driver: 'pglite', dataDir }, migrations });
      const keys = { publishableKey: before.publishableKey, secretKey: before.secretKey };
      await clientOf(before, keys.secretKey).from('tasks').insert({ id: 5 });
      await before.close();

      const after = await startSupabase({ connection: { driver: 'pglite', dataDir }, migrations, keys });
      const found = await clientOf(after, keys.secretKey).from('tasks').select('id');
      await after.close();
      expect(found.data).toEqual([{ id: 5 }]);
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  it('sees a function made since it started once told to look', async () => {
    const postgresUrl = await postgres.createDatabase('reload');
    const api = await startSupabase({ connection: { postgresUrl, sessionsMax: 1 }, migrations: [] });
    try {
      const server = clientOf(api, api.secretKey);
      expect((await server.rpc('late')).error?.code).toBe('PGRST202');
      const late = {
        version: '20260201000000',
        name: 'late',
        sql: 'create function public.late() returns int language sql as $$ select 1 $$',
      };
      await migratePostgres(postgresUrl, [late]);
      await api.reloadSchema();
      expect((await server.rpc('late')).data).toBe(1);
    } finally {
      await api.close();
    }
  });

  it('closes what it opened when the migrations fail', async () => {
    const postgresUrl = await postgres.createDatabase('broken');
    const broken = { version: '20260101000000', name: 'broken', sql: 'select 1/0' };
    await expect(startSupabase({ connection: { postgresUrl }, migrations: [broken] })).rejects.toThrow(
      'division by zero',
    );
    await expect(startSupabase({ connection: { driver: 'pglite' }, migrations: [broken] })).rejects.toThrow(
      'division by zero',
    );
  });
});
