import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { type Migration, readMigrations } from '../src/migrations.ts';
import { openPglite } from '../src/pglite.ts';
import { fixtures } from './fixtures.ts';

let migrations: Migration[];
beforeAll(async () => {
  migrations = await readMigrations(fixtures.folder);
});

describe('openPglite', () => {
  it('has the roles and the migrations, and no default privileges', async () => {
    const db = await openPglite({ migrations });
    try {
      const roles = await db.query<{ rolname: string }>(
        `select rolname, rolbypassrls, rolcanlogin from pg_roles
         where rolname in ('anon', 'authenticated', 'service_role', 'authenticator') order by 1`,
      );
      expect(roles.rows).toEqual([
        { rolname: 'anon', rolbypassrls: false, rolcanlogin: false },
        { rolname: 'authenticated', rolbypassrls: false, rolcanlogin: false },
        { rolname: 'authenticator', rolbypassrls: false, rolcanlogin: true },
        { rolname: 'service_role', rolbypassrls: true, rolcanlogin: false },
      ]);
      await db.exec(`insert into public.tasks values (1)`);
      await db.exec('set role service_role');
      expect((await db.query('select id from public.tasks')).rows).toEqual([{ id: 1 }]);
      await expect(db.query('select * from public.ungranted')).rejects.toMatchObject({ code: '42501' });
      await db.exec('set role anon');
      await expect(db.query('select * from public.tasks')).rejects.toMatchObject({ code: '42501' });
    } finally {
      await db.close();
    }
  });

  it('gives each caller a database of its own', async () => {
    const [one, other] = await Promise.all([openPglite({ migrations }), openPglite({ migrations })]);
    try {
      await one.exec('insert into public.tasks values (1)');
      expect((await other.query('select id from public.tasks')).rows).toEqual([]);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  });

  it('keeps the data in a folder, and applies to it only what is new', async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'pglite-'));
    try {
      const before = await openPglite({ dataDir, migrations: migrations.slice(0, 1) });
      await before.exec('insert into public.tasks values (7)');
      await before.close();

      const after = await openPglite({ dataDir, migrations });
      try {
        expect((await after.query('select id from public.tasks')).rows).toEqual([{ id: 7 }]);
        expect((await after.query('select public.double(2) as n')).rows).toEqual([{ n: 4 }]);
      } finally {
        await after.close();
      }
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  it('fails whole, and every time, when a migration fails', async () => {
    const broken = [{ version: '20260101000000', name: 'broken', sql: 'select 1/0' }];
    await expect(openPglite({ migrations: broken })).rejects.toThrow('division by zero');
    await expect(openPglite({ migrations: broken })).rejects.toThrow('division by zero');
  });
});
